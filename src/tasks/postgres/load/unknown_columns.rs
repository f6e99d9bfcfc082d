//! The columns of a file that its table does not have, for an error about one that the file lacks.

use crate::stream::ColumnType;
use crate::task::{NO_COLUMN, TaskError};

/// An error about a column that the file lacks, with those of its columns that the table lacks: one of them may be it.
pub(super) fn with_unknown_columns(
    columns: &[(String, Option<ColumnType>)],
    types: &dyn Fn(&str) -> Option<ColumnType>,
    table: &str,
    error: TaskError,
) -> TaskError {
    let unknown: Vec<&str> =
        columns.iter().map(|(name, _)| name.as_str()).filter(|name| types(name).is_none()).collect();
    if error.code.as_deref() != Some(NO_COLUMN) || unknown.is_empty() || unknown.len() == columns.len() {
        return error;
    }
    let listed = unknown.join("`, `");
    let help = error.help.unwrap_or_default();
    let help = format!("{help} The file has `{listed}`, which table `{table}` does not have");
    TaskError { help: Some(help.trim().to_owned()), ..error }
}
