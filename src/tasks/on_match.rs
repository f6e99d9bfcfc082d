//! What a merge does with a row whose key is already in the table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with a row whose key is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnMatch {
    /// The table's row stays.
    #[default]
    Ignore,
    /// The table's row becomes as the file's, where they differ.
    Update,
}
