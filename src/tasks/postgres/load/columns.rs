//! What may differ between the columns of the file and those of the table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with a column of the file that the table does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExtraColumn {
    /// The load fails before anything is changed.
    #[default]
    #[serde(alias = "error")]
    Fail,
    /// The column is left out.
    Ignore,
    /// The table gets the column, which is NULL in all rows that are there.
    Add,
}

/// What to do when the file lacks a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MissingColumn {
    /// The load fails before anything is changed.
    #[default]
    Fail,
    /// The column stays NULL.
    Empty,
}
