//! The steps that look at one row at a time, made ready.

use polars::prelude::*;

use super::expression::{converted, dtype_of, is_same_name};
use super::query::value_error;
use super::row_wise::RowWiseStep;
use super::spec::Transform;
use super::sql;
use crate::stream::ColumnType;
use crate::task::TaskError;

/// The steps that look at one row at a time.
#[derive(Clone)]
pub(super) struct RowSteps {
    pub(super) filter: Option<Expr>,
    /// Each with the field that says it, as `with_columns.name`.
    pub(super) computed: Vec<(String, Expr)>,
    pub(super) cast: Vec<(String, Expr)>,
    /// Columns whose stated type is not that of the destination, as Postgres assigns them.
    pub(super) assigned: Vec<(String, Expr)>,
    pub(super) output: Vec<Expr>,
    /// The columns of `output`: the names before and after.
    pub(super) names: Vec<(String, String)>,
    /// Whether the rows go out as they come in.
    pub(super) is_identity: bool,
    pub(super) columns: Vec<(String, ColumnType)>,
}

/// Converts columns of a stated type to the one that the destination has under their name, as Postgres assigns them. What
/// is a text stays one, for the destination to read. `output` are the columns before and after `rename`.
///
/// # Errors
/// When Postgres has no such cast.
pub(super) fn assigned(
    steps: &Transform,
    output: &mut [(String, String, ColumnType)],
    types: &dyn Fn(&str) -> Option<ColumnType>,
) -> Result<Vec<(String, Expr)>, TaskError> {
    if steps.sql.is_some() {
        return Ok(Vec::new());
    }
    let mut assigned = Vec::new();
    for (old, new, kind) in output {
        let stays = |due: ColumnType| match *kind {
            ColumnType::Int(_) => matches!(due, ColumnType::Int(_) | ColumnType::Float) || dtype_of(due).is_string(),
            kind => kind == due || dtype_of(kind).is_string(),
        };
        let Some(due) = types(new).filter(|due| !stays(*due)) else { continue };
        let is_cast = steps.cast.0.iter().any(|(name, _)| is_same_name(name, old));
        let field = format!("{}.{old}", if is_cast { "cast" } else { "schema" });
        assigned.push((field.clone(), converted(&field, col(old.as_str()), *kind, due)?));
        *kind = due;
    }
    Ok(assigned)
}

impl RowSteps {
    fn steps(&self) -> impl Iterator<Item = &Vec<(String, Expr)>> {
        [&self.computed, &self.cast, &self.assigned].into_iter().filter(|step| !step.is_empty())
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
