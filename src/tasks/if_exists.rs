//! What to do with what a task would create and finds.

use schemars::JsonSchema;
use serde::Deserialize;

/// What to do where it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum IfExists {
    /// Fail.
    #[default]
    #[serde(alias = "error")]
    Error,
    /// Leave it as it is.
    #[serde(alias = "skip")]
    Skip,
    /// Change the settings that are given.
    #[serde(alias = "update")]
    Update,
}
