//! What a task does with the rows that its SQL returns, whatever the database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// More rows than this do not belong into an execution's outputs.
pub(super) const MAX_ROWS: usize = 100_000;

/// What to do with the rows that a statement returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "Keep")]
pub(super) enum FetchMode {
    /// Nothing: they are counted.
    #[default]
    #[serde(rename = "NONE", alias = "none", alias = "false")]
    Nothing,
    /// Give all as `rows`.
    #[serde(rename = "FETCH", alias = "fetch", alias = "true")]
    All,
    /// Give the first as `row`.
    #[serde(rename = "FETCH_ONE", alias = "fetch_one")]
    First,
    /// Write them to a file and give its `uri`.
    #[serde(rename = "STORE", alias = "store")]
    File,
}

impl FetchMode {
    /// The same, where older words for it are given.
    pub(super) fn or_deprecated(self, store: bool, fetch_one: bool) -> Self {
        match (store, fetch_one) {
            (true, _) => Self::File,
            (_, true) => Self::First,
            _ => self,
        }
    }
}

/// The rows that one statement returned.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct ResultSet {
    /// All rows, with `fetch: FETCH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<Vec<Map<String, Value>>>,
    /// The first row, with `fetch: FETCH_ONE`; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row: Option<Map<String, Value>>,
    /// The file of the rows, with `fetch: STORE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    /// The number of rows that the statement returned.
    pub(super) size: u64,
}
