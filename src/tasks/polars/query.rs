//! The rows of a `sql` step: batch by batch where the query looks at each row alone, else through a file.

use std::path::Path;

use polars::prelude::*;

use super::expression::{self, plain};
use super::spool::{Query, spooled};
use super::sql;
use super::stepwise::{Stepwise, each, stepwise};
use crate::diagnostic::Diagnostic;
use crate::stream::{Batches, ColumnType, LINE};

/// The query of a `sql` step.
#[derive(Clone)]
pub(super) struct Whole {
    pub(super) sql: String,
    /// Whether it makes each row of one row, so that it needs no more than a batch.
    pub(super) is_by_row: bool,
    pub(super) input: Vec<Expr>,
    pub(super) output: Vec<Expr>,
    pub(super) columns: Vec<(String, ColumnType)>,
}

/// What is wrong with a row, where Polars says that it cannot convert a value: it names its own types.
pub(super) fn unfit(error: &PolarsError) -> String {
    let text = plain(error);
    let value = text.strip_prefix("conversion from").and_then(|rest| rest.split_once("value")).and_then(|(_, rest)| {
        let (_, value) = rest.split_once('[')?;
        Some(value.trim_end_matches(']').trim_matches('"').to_owned())
    });
    value.map_or(text, |value| format!("`{value}` does not fit the column's type"))
}

impl Whole {
    /// The query's rows.
    pub(super) fn run(&self, batches: Batches, before: &DataFrame, scratch: &Path) -> PolarsResult<Batches> {
        let Self { sql, input, output, columns, is_by_row } = self.clone();
        let query = Query { input, sql, output };
        if is_by_row {
            return Ok(stepwise(batches, query));
        }
        let before = before.drop(LINE)?;
        let batches = each(batches, |frame| frame.drop(LINE));
        let step = Box::new(query);
        Ok(spooled(batches, step, (scratch, "sql.parquet"), (&before, expression::empty(&columns)), |error| {
            let help = "a query that sees all rows does not tell which row it is; `with_columns` does";
            Box::new(Diagnostic::error(format!("`sql`: {}", unfit(error))).help(help))
        }))
    }
}

impl Stepwise for Query {
    fn apply(&self, rows: DataFrame) -> PolarsResult<DataFrame> {
        sql::deep(|| self.over(rows.lazy())?.select(&self.output).collect())
    }

    fn complaint(&self, _: &DataFrame, error: &PolarsError) -> String {
        format!("`sql`: {}", unfit(error))
    }
}
