//! Columns of Parquet files that are not read.

use super::{ColumnSpec, Result, parquet::broken};

/// A column that is not read.
pub(super) struct UnsupportedColumn {
    column: String,
    /// What it holds that is not supported.
    what: String,
    /// What can be done.
    help: String,
}

impl UnsupportedColumn {
    /// A column of such a type; `instead` is one that can be written instead.
    pub(super) fn of_type(column: String, kind: &str, instead: &str) -> Self {
        let what = format!("holds values of type {kind}, which is not supported");
        Self { column, what, help: format!("write the column as {instead}") }
    }

    /// A fixed-length column with pages of such an encoding.
    pub(super) fn of_encoding(column: String, encoding: &str) -> Self {
        let what = format!(
            "holds fixed-length values in the encoding {encoding}, which is not supported for them, \
             only PLAIN and RLE_DICTIONARY"
        );
        Self { column, what, help: "write the column with a dictionary or plainly".to_owned() }
    }

    pub(super) fn error(&self, file: &str) -> Box<crate::diagnostic::Diagnostic> {
        let mut error = broken(file, format!("`{}` {}", self.column, self.what));
        error.help = Some(self.help.clone());
        error
    }
}

/// Checks that no wanted column is one of these.
///
/// # Errors
/// Names the column, and what in it is not supported.
pub(super) fn check(all: &[UnsupportedColumn], wanted: &[ColumnSpec], file: &str) -> Result<()> {
    let is_wanted = |column: &&UnsupportedColumn| wanted.iter().any(|wanted| wanted.name == column.column);
    all.iter().find(is_wanted).map_or(Ok(()), |column| Err(column.error(file)))
}
