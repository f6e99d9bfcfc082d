//! How rows get into a table that may hold some of them already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task::TaskError;
use crate::tasks::appended::one_column;
use crate::tasks::on_match::OnMatch;
use crate::text::plain;

/// How rows get into the table. Each way is safe to repeat.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LoadMode {
    /// Adds the file's rows. A file that the ledger knows, by its content and its path, is not added again while its rows
    /// are there.
    Append,
    /// Replaces all rows of the table.
    Truncate,
    /// Replaces the rows of one partition, named by one column and its value, such as
    /// `{replace_partition: {filename: green_tripdata_2019-01.csv}}`. Every row gets the value.
    ReplacePartition(#[serde(deserialize_with = "one_column")] Map<String, Value>),
    /// Compares rows by a key.
    Merge(BigQueryMerge),
}

/// How a merge compares.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BigQueryMerge {
    /// The columns that make a row unique; none of them may be NULL.
    pub(super) key: Vec<String>,
    /// What to do with a row whose key is there.
    #[serde(default)]
    pub(super) on_match: OnMatch,
    /// A column and its value that every row gets, such as `{filename: green_tripdata_2019-01.csv}`.
    #[serde(default)]
    pub(super) set: Map<String, Value>,
}

impl LoadMode {
    /// The column and value that every row of this load gets.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub(super) fn constant(&self) -> Result<Option<(String, String)>, TaskError> {
        let map = match self {
            Self::ReplacePartition(map) => map,
            Self::Merge(merge) if !merge.set.is_empty() => &merge.set,
            _ => return Ok(None),
        };
        let mut entries = map.iter();
        match (entries.next(), entries.next()) {
            (Some((column, value)), None) if !value.is_null() => Ok(Some((column.clone(), plain(value)))),
            _ => Err(TaskError::permanent("`replace_partition` and `set` need one column and its value")
                .help("for example `mode: {replace_partition: {filename: green_tripdata_2019-01.csv}}`")),
        }
    }
}
