//! The steps that look at one row at a time, made ready.

use polars::prelude::*;

use super::query::value_error;
use super::row_wise::RowWiseStep;
use super::sql;
use crate::stream::ColumnType;

/// The steps that look at one row at a time.
#[derive(Clone)]
pub(super) struct RowSteps {
    pub(super) filter: Option<Expr>,
    /// Each with the field that says it, as `with_columns.name`.
    pub(super) computed: Vec<(String, Expr)>,
    pub(super) cast: Vec<(String, Expr)>,
    pub(super) output: Vec<Expr>,
    /// The columns of `output`: the names before and after.
    pub(super) names: Vec<(String, String)>,
    /// Whether the rows go out as they come in.
    pub(super) is_identity: bool,
    pub(super) columns: Vec<(String, ColumnType)>,
}

impl RowSteps {
    fn steps(&self) -> impl Iterator<Item = &Vec<(String, Expr)>> {
        [&self.computed, &self.cast].into_iter().filter(|step| !step.is_empty())
    }
}

impl RowWiseStep for RowSteps {
    fn apply(&self, frame: DataFrame) -> PolarsResult<DataFrame> {
        let mut rows = frame.lazy();
        if let Some(filter) = &self.filter {
            rows = rows.filter(filter.clone());
        }
        for step in self.steps() {
            rows = rows.with_columns(step.iter().map(|(_, expression)| expression.clone()).collect::<Vec<_>>());
        }
        sql::deep(|| rows.select(&self.output).collect())
    }

    fn complaint(&self, row: &DataFrame, error: &PolarsError) -> String {
        let mut rows = row.clone().lazy();
        let filter: Vec<_> = self.filter.iter().map(|filter| ("filter".to_owned(), filter.clone())).collect();
        for step in std::iter::once(&filter).chain(self.steps()) {
            for (field, expression) in step {
                let value = rows.clone().select([expression.clone().alias("value")]);
                if let Err(error) = sql::deep(|| value.collect()) {
                    return format!("`{field}`: {}", value_error(&error));
                }
            }
            rows = match step == &filter {
                true => rows,
                false => rows.with_columns(step.iter().map(|(_, expression)| expression.clone()).collect::<Vec<_>>()),
            };
        }
        value_error(error)
    }
}
