//! The rows of a `sql` step: batch by batch where the query looks at each row alone, else through a file.

use std::path::Path;

use polars::prelude::*;

use super::expression::{self, plain};
use super::row_wise::{RowWiseStep, each, row_wise};
use super::spool::{SqlQuery, spooled};
use super::sql;
use crate::diagnostic::Diagnostic;
use crate::stream::{Batches, ColumnType, LINE};

/// The query of a `sql` step.
#[derive(Clone)]
pub(super) struct QueryStep {
    pub(super) sql: String,
    /// Whether it makes each row of one row, so that it needs no more than a batch.
    pub(super) is_row_wise: bool,
    pub(super) input: Vec<Expr>,
    pub(super) output: Vec<Expr>,
    pub(super) columns: Vec<(String, ColumnType)>,
}

/// What is wrong with a row, where Polars says that it cannot convert a value: it names its own types.
pub(super) fn value_error(error: &PolarsError) -> String {
    let text = plain(error);
    let value = text.strip_prefix("conversion from").and_then(|rest| rest.split_once("value")).and_then(|(_, rest)| {
        let (_, value) = rest.split_once('[')?;
        Some(value.trim_end_matches(']').trim_matches('"').to_owned())
    });
    value.map_or(text, |value| format!("`{value}` does not fit the column's type"))
}

impl QueryStep {
    /// The query's rows.
    pub(super) fn run(&self, batches: Batches, before: &DataFrame, scratch: &Path) -> PolarsResult<Batches> {
        let Self { sql, input, output, columns, is_row_wise } = self.clone();
        let query = SqlQuery { input, sql, output };
        if is_row_wise {
            return Ok(row_wise(batches, query));
        }
        let before = before.drop(LINE)?;
        let batches = each(batches, |frame| frame.drop(LINE));
        let step = Box::new(query);
        Ok(spooled(batches, step, (scratch, "sql.parquet"), (&before, expression::empty(&columns)), |error| {
            let help = "a query over all rows cannot name the row; `with_columns` can";
            Box::new(Diagnostic::error(format!("`sql`: {}", value_error(error))).help(help))
        }))
    }
}

impl RowWiseStep for SqlQuery {
    fn apply(&self, rows: DataFrame) -> PolarsResult<DataFrame> {
        sql::deep(|| self.over(rows.lazy())?.select(&self.output).collect())
    }

    fn complaint(&self, _: &DataFrame, error: &PolarsError) -> String {
        format!("`sql`: {}", value_error(error))
    }
}
