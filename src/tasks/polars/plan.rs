//! A transform made ready for one file: every name and expression is checked before a row is read.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use polars::prelude::*;

use super::expect::{self, Expectation, RowCounts, Warnings, checked};
use super::expression::{
    self, Columns, column_type_of, converted, dtype_of, find, is_same_name, plain, unknown_column,
};
use super::keys::{KeySpool, Nulls};
use super::query::QueryStep;
use super::row_id::RowId;
use super::row_steps::{self, RowSteps};
use super::row_wise::{each, row_wise};
use super::spec::{Dedupe, Keep, Pairs, Rule, Transform};
use super::spool::{DedupeStep, SqlQuery, failed, spooled};
use super::{dialect, grammar, queries, sql};
use crate::stream::{Batches, ColumnSpec, ColumnType, LINE};
use crate::task::TaskError;

/// Makes the column of a row id for a batch.
pub type KeyMaker = Box<dyn Fn(&DataFrame) -> PolarsResult<polars::prelude::Column> + Send + Sync>;

/// Changes the rows of a batch before the first step.
pub type ReadStep = Box<dyn Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync>;

/// What the steps will do to the rows of one file.
pub struct TransformPlan {
    wanted: Vec<ColumnSpec>,
    /// What the file's columns hold, where they stay texts.
    kinds: Vec<(String, ColumnType)>,
    rows: RowSteps,
    dedupe: Option<(Vec<(String, ColumnType)>, Keep)>,
    query: Option<QueryStep>,
    row_id: Option<RowId>,
    keys: Option<Arc<KeyMaker>>,
    reading: Option<Arc<ReadStep>>,
    expect: Vec<Expectation>,
    columns: Vec<(String, ColumnType)>,
    /// Whether rows come with their lines, which a step may need to name a row; and whether they go out with them.
    lines: (bool, bool),
    warnings: Warnings,
}

impl Transform {
    /// Makes the steps ready for a file that has these columns. `types` says what the destination holds under a name of
    /// the result; it decides where `schema` and `cast` are silent, and before the file's own types.
    ///
    /// # Errors
    /// When a step names a column that there is not, or an expression or query is not possible.
    pub fn plan(
        &self,
        columns: &[(String, Option<ColumnType>)],
        types: &dyn Fn(&str) -> Option<ColumnType>,
    ) -> Result<TransformPlan, TaskError> {
        sql::deep(|| self.make_plan(self.typed(columns, types)?, types))
    }

    /// The same for a destination that reads texts itself: a column that no step looks at goes as text, but where `keeps`
    /// says that values of the file's type are what the destination would make of it.
    ///
    /// # Errors
    /// As [`Transform::plan`].
    pub fn plan_for_texts(
        &self,
        columns: &[(String, Option<ColumnType>)],
        types: &dyn Fn(&str) -> Option<ColumnType>,
        keeps: &dyn Fn(Option<ColumnType>, ColumnType) -> bool,
    ) -> Result<TransformPlan, TaskError> {
        sql::deep(|| {
            let mut file = self.typed(columns, types)?;
            let kinds = file.clone();
            let read = self.columns_read(&file)?;
            for ((name, kind), (_, own)) in file.iter_mut().zip(columns) {
                if !kind.is_notation() && !read.contains(name) && !keeps(*own, *kind) {
                    *kind = ColumnType::Text;
                }
            }
            Ok(TransformPlan { kinds, ..self.make_plan(file, types)? })
        })
    }

    /// The columns of a file without those that go nowhere: no step names them, and the destination has none of that name.
    ///
    /// # Errors
    /// When an expression names a column that there is not.
    pub fn needed(
        &self,
        columns: &[(String, Option<ColumnType>)],
        types: &dyn Fn(&str) -> Option<ColumnType>,
    ) -> Result<Vec<(String, Option<ColumnType>)>, TaskError> {
        let file = self.typed(columns, types)?;
        let read = sql::deep(|| self.columns_read(&file))?;
        let is_named = |name: &str| {
            read.contains(name)
                || self.rename.0.iter().any(|(old, _)| is_same_name(old, name))
                || self.select.iter().any(|other| is_same_name(other, name))
        };
        let needed = columns.iter().filter(|(name, _)| is_named(name) || types(name).is_some());
        Ok(needed.cloned().collect())
    }

    /// The columns of the file that a step looks at.
    fn columns_read(&self, file: &Columns) -> Result<HashSet<String>, TaskError> {
        if self.sql.is_some() {
            return Ok(file.iter().map(|(name, _)| name.clone()).collect());
        }
        let filter = self.filter.as_ref().map(|text| condition(text, file)).transpose()?;
        let mut read: HashSet<String> = filter.iter().flat_map(expression::columns_read).collect();
        for (name, text) in &self.with_columns.0 {
            read.extend(expression::columns_read(&expression::parse(&format!("with_columns.{name}"), text, file)?.0));
        }
        let keys = self.dedupe.iter().flat_map(|dedupe| dedupe.choice().0);
        let named = keys.map(String::as_str).chain(self.expect.iter().flat_map(Rule::columns));
        let named: Vec<&str> = named.chain(self.cast.0.iter().map(|(name, _)| name.as_str())).collect();
        let stated = self.schema.0.iter().map(|(name, _)| name.as_str());
        let is_read = |name: &str| {
            let new_name = renamed(name, &self.rename);
            let mut all = named.iter().copied().chain(stated.clone());
            all.any(|other| is_same_name(other, name) || is_same_name(other, new_name))
        };
        read.extend(file.iter().map(|(name, _)| name).filter(|name| is_read(name)).cloned());
        Ok(read)
    }

    fn make_plan(
        &self,
        file: Vec<(String, ColumnType)>,
        types: &dyn Fn(&str) -> Option<ColumnType>,
    ) -> Result<TransformPlan, TaskError> {
        let (rows, used) = self.row_steps(&file, types)?;
        let mut columns = rows.columns.clone();
        let dedupe = match self.dedupe.as_ref().map(Dedupe::choice) {
            Some((names, keep)) => Some((find_all("dedupe", names, &columns)?, keep)),
            None => None,
        };
        let query = self.sql.as_ref().map(|sql| query_step(sql, &columns, types)).transpose()?;
        if let Some(query) = &query {
            columns = query.columns.clone();
        }
        let row_id = self.row_id_of(&columns)?;
        columns.extend(row_id.iter().map(|row_id| (row_id.name.clone(), ColumnType::Text)));
        let expect = expect::compile(&self.expect, &columns)?;
        let wanted = file.into_iter().filter(|(name, _)| used.contains(name));
        let wanted =
            wanted.map(|(name, kind)| ColumnSpec { name, kind, required: false, likely: None, shape: None }).collect();
        let (kinds, warnings) = (Vec::new(), Warnings::default());
        let has_lines = !rows.is_identity || query.is_some();
        let plan = TransformPlan {
            wanted,
            kinds,
            rows,
            dedupe,
            query,
            row_id,
            keys: None,
            reading: None,
            expect,
            columns,
            lines: (false, false),
            warnings,
        };
        Ok(if has_lines { plan.carrying_lines() } else { plan })
    }

    /// The file's columns with what each is read as.
    pub(super) fn typed(
        &self,
        columns: &[(String, Option<ColumnType>)],
        types: &dyn Fn(&str) -> Option<ColumnType>,
    ) -> Result<Vec<(String, ColumnType)>, TaskError> {
        let names: Vec<(String, ColumnType)> =
            columns.iter().map(|(name, _)| (name.clone(), ColumnType::Text)).collect();
        let schema = resolve_names("schema", &self.schema, &names)?;
        let kind = |name: &String, own: Option<ColumnType>| {
            let new_name = renamed(name, &self.rename);
            let stated = schema.iter().find(|(column, _)| column == name);
            let stated = stated.map(|(_, kind)| resolve_time_zone((*kind).into(), types(new_name)));
            stated.or_else(|| types(new_name)).or(own).unwrap_or(ColumnType::Text)
        };
        Ok(columns.iter().map(|(name, own)| (name.clone(), kind(name, *own))).collect())
    }

    /// The row-wise steps, and which of the file's columns they use.
    fn row_steps(
        &self,
        file: &Columns,
        types: &dyn Fn(&str) -> Option<ColumnType>,
    ) -> Result<(RowSteps, Vec<String>), TaskError> {
        let filter = self.filter.as_ref().map(|text| condition(text, file)).transpose()?;
        let mut columns = file.to_vec();
        let mut used: Vec<String> = filter.iter().flat_map(expression::columns_read).collect();
        let mut computed = Vec::new();
        for (name, text) in &self.with_columns.0 {
            let field = format!("with_columns.{name}");
            let (expression, own) = expression::parse(&field, text, file)?;
            used.extend(expression::columns_read(&expression));
            let kind = types(renamed(name, &self.rename)).unwrap_or(own);
            let expression = converted(&field, expression, own, kind)?;
            computed.push((field, expression.alias(name.as_str())));
            match columns.iter_mut().find(|(column, _)| column == name) {
                Some(column) => column.1 = kind,
                None => columns.push((name.clone(), kind)),
            }
        }
        let mut cast = Vec::new();
        for (name, kind) in resolve_names("cast", &self.cast, &columns)? {
            let own = find("cast", &name, &columns)?.1;
            let kind = resolve_time_zone(kind.into(), types(renamed(&name, &self.rename)));
            let field = format!("cast.{name}");
            let expression = converted(&field, col(name.as_str()), own, kind)?;
            cast.push((name.clone(), field, expression));
            columns.iter_mut().filter(|(column, _)| *column == name).for_each(|column| column.1 = kind);
        }
        let mut output = self.output(&columns)?;
        // A column that goes nowhere may not be read at all.
        cast.retain(|(name, ..)| output.iter().any(|(old, ..)| old == name));
        let cast = cast.into_iter().map(|(_, field, expression)| (field, expression)).collect::<Vec<_>>();
        let assigned = row_steps::assigned(self, &mut output, types)?;
        let is_made = |name: &str| self.with_columns.0.iter().any(|(made, _)| made == name);
        used.extend(output.iter().filter(|(old, _, _)| !is_made(old)).map(|(old, _, _)| old.clone()));
        if used.is_empty() {
            // Rows cannot be counted without any column.
            used.extend(file.first().map(|(name, _)| name.clone()));
        }
        let unchanged = file.iter().filter(|(name, _)| used.contains(name)).map(|(name, _)| name);
        let is_identity = filter.is_none()
            && computed.is_empty()
            && cast.is_empty()
            && assigned.is_empty()
            && output.iter().all(|(old, new, _)| old == new)
            && unchanged.eq(output.iter().map(|(_, new, _)| new));
        let steps = RowSteps {
            filter,
            computed,
            cast,
            assigned,
            output: output.iter().map(|(old, new, _)| col(old.as_str()).alias(new.as_str())).collect(),
            names: output.iter().map(|(old, new, _)| (old.clone(), new.clone())).collect(),
            is_identity,
            columns: output.into_iter().map(|(_, new, kind)| (new, kind)).collect(),
        };
        Ok((steps, used))
    }

    /// The columns after `rename` and `select`: the name so far, the new name, and what the column holds.
    fn output(&self, columns: &Columns) -> Result<Vec<(String, String, ColumnType)>, TaskError> {
        resolve_names("rename", &self.rename, columns)?;
        let after: Vec<_> =
            columns.iter().map(|(name, kind)| (renamed(name, &self.rename).to_owned(), *kind)).collect();
        let mut names: Vec<&str> = after.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, next]| one == next) {
            return Err(TaskError::permanent(format!("`rename`: two columns would be named `{twice}`")));
        }
        let query_step =
            columns.iter().zip(after.iter()).map(|((old, _), (new, kind))| (old.clone(), new.clone(), *kind));
        let query_step: Vec<_> = query_step.collect();
        if self.select.is_empty() {
            return Ok(query_step);
        }
        let chosen = find_all("select", &self.select, &after)?;
        let keep = |name: &String| query_step.iter().find(|(_, new, _)| new == name).cloned();
        Ok(chosen.iter().filter_map(|(name, _)| keep(name)).collect())
    }

    fn row_id_of(&self, columns: &Columns) -> Result<Option<RowId>, TaskError> {
        let Some(spec) = &self.row_id else { return Ok(None) };
        if spec.columns.is_empty() {
            return Err(
                TaskError::permanent("`row_id.columns` is empty").help("name the columns that make a row unique")
            );
        }
        if columns.iter().any(|(name, _)| *name == spec.name) {
            return Err(TaskError::permanent(format!("`row_id`: there is a column `{}` already", spec.name))
                .help("give `row_id.name` another name"));
        }
        Ok(Some(RowId { columns: find_all("row_id", &spec.columns, columns)?, name: spec.name.clone() }))
    }
}

impl TransformPlan {
    /// The same with each row's line in the file as one more column, [`LINE`]. A query's rows have none.
    #[must_use]
    pub fn with_lines(self) -> Self {
        let mut plan = self.carrying_lines();
        if let Some(query) = plan.query.as_mut().filter(|query| query.is_row_wise) {
            query.sql = queries::with_column(&query.sql, LINE);
            query.input.push(col(LINE));
            query.output.push(col(LINE));
        }
        plan.lines.1 = true;
        plan
    }

    fn carrying_lines(mut self) -> Self {
        if !self.lines.0 {
            self.wanted.push(ColumnSpec::line());
            self.rows.output.push(col(LINE));
            self.rows.columns.push((LINE.to_owned(), ColumnType::Int(64)));
            self.lines.0 = true;
        }
        self
    }

    /// Whether rows of the result stand on lines of the file.
    pub fn keeps_lines(&self) -> bool {
        self.query.as_ref().is_none_or(|query| query.is_row_wise)
    }

    /// The key that the step `row_id` adds.
    pub fn row_id(&self) -> Option<&RowId> {
        self.row_id.as_ref()
    }

    /// The same with values that are changed as they are read, to what the destination stores.
    #[must_use]
    pub fn reading(mut self, step: ReadStep) -> Self {
        self.reading = Some(Arc::new(step));
        self
    }

    /// The same with keys made by the destination, which knows what it stores.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyMaker) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// The columns of the file that the steps need, and what to read them as. A consumer may make some required.
    pub fn wanted(&self) -> Vec<ColumnSpec> {
        self.wanted.clone()
    }

    /// What the file's columns hold, also those that are read as text because no step looks at them.
    pub fn kinds(&self) -> &Columns {
        &self.kinds
    }

    /// The name in the result of a column of the file, where batches keep whatever type the column has in them: no step
    /// but `rename` and `select` stands between, and none keeps all rows in a file.
    pub fn result_name(&self, name: &str) -> Option<&str> {
        let is_streaming = self.dedupe.is_none() && self.query.is_none();
        let (_, new) = self.rows.names.iter().find(|(old, _)| is_streaming && old == name)?;
        Some(new)
    }

    /// The columns of the result, with what they hold.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Takes the rules about the number of rows, which the destination checks itself then.
    pub fn take_row_counts(&mut self) -> RowCounts {
        RowCounts::take_from(&mut self.expect)
    }

    /// What rules with `on_fail: warn` have to say, once the stream of [`TransformPlan::run`] has ended.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().map(|warnings| warnings.clone()).unwrap_or_default()
    }

    /// Sends the batches that were read (with the columns of [`TransformPlan::wanted`]) through the steps. What needs all rows
    /// at once keeps them in files in `scratch`, which are gone when the stream is dropped. `now` is for `freshness`.
    pub fn run(&self, batches: Batches, scratch: &Path, now: DateTime<Utc>) -> Batches {
        self.try_run(batches, scratch, now).unwrap_or_else(|error| Box::new(std::iter::once(Err(failed(&error)))))
    }

    fn try_run(&self, mut batches: Batches, scratch: &Path, now: DateTime<Utc>) -> PolarsResult<Batches> {
        if let Some(reading) = self.reading.clone() {
            batches = each(batches, move |frame| reading(frame));
        }
        let rows = self.rows.clone();
        if !rows.is_identity {
            batches = row_wise(batches, rows);
        }
        let before = expression::empty(&self.rows.columns);
        if let Some((columns, keep)) = &self.dedupe {
            let keys = KeySpool::create(columns.clone(), Nulls::Equal, scratch.join("dedupe-keys"))?;
            let step = Box::new(DedupeStep { keys, keep: *keep });
            batches = spooled(batches, step, (scratch, "dedupe.parquet"), (&before, before.clone()), failed);
        }
        if let Some(query) = &self.query {
            batches = query.run(batches, &before, scratch)?;
        }
        if self.lines == (true, false) {
            batches = each(batches, |frame| Ok(frame.drop_many([LINE])));
        }
        if let Some(keys) = self.keys.clone() {
            batches = each(batches, move |mut frame| {
                let column = keys(&frame)?;
                frame.with_column(column)?;
                Ok(frame)
            });
        } else if let Some(row_id) = self.row_id.clone() {
            batches = each(batches, move |mut frame| row_id.add(&mut frame).map(|()| frame));
        }
        if !self.expect.is_empty() {
            batches = checked(batches, &self.expect, scratch, now, self.warnings.clone())?;
        }
        Ok(batches)
    }
}

fn condition(text: &str, columns: &Columns) -> Result<Expr, TaskError> {
    let (expression, kind) = expression::parse("filter", text, columns)?;
    if kind != ColumnType::Bool {
        return Err(TaskError::permanent(format!("`filter`: `{text}` is not true or false"))
            .help("write a comparison, such as `total_amount > 0`"));
    }
    Ok(expression)
}

fn query_step(
    query: &str,
    columns: &Columns,
    types: &dyn Fn(&str) -> Option<ColumnType>,
) -> Result<QueryStep, TaskError> {
    sql::check_query("sql", query)?;
    let input = columns.iter().map(|(name, _)| col(name.as_str()));
    let (sql, known) = dialect::query("sql", &grammar::query("sql", query)?, columns)?;
    let query = SqlQuery { input: input.collect(), sql, output: Vec::new() };
    let result = query.over(expression::empty(columns).lazy()).and_then(LazyFrame::collect);
    let result = result.map_err(|error| bad_query(&error, columns))?;
    if let Some((name, _)) = result.schema().iter().find(|(_, dtype)| dtype.is_duration()) {
        return Err(TaskError::permanent(format!("`sql`: the column `{name}` is an interval, which no step can keep"))
            .help("compare it, or compute it in SQL after the load"));
    }
    let fields = result.schema().iter().map(|(name, dtype)| -> Result<_, TaskError> {
        // Of two columns of a name Polars marks the second with its table.
        let unmarked = name.split(':').next();
        let own = known.iter().find(|field| field.name.is_some() && field.name.as_deref() == unmarked);
        let own = own.and_then(|field| field.kind);
        let own = own.filter(|own| *dtype == dtype_of(*own)).unwrap_or_else(|| column_type_of(dtype));
        let kind = types(name).unwrap_or(own);
        let column = col(name.clone());
        let is_kept = own == kind || *dtype == dtype_of(kind) && own != ColumnType::Numeric;
        let is_kept = is_kept && *dtype == dtype_of(kind);
        let column = if is_kept { column } else { converted("sql", column, own, kind)? };
        Ok((column, (name.to_string(), kind)))
    });
    let (output, columns) = fields.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let is_row_wise = queries::is_row_wise(&query.sql);
    Ok(QueryStep { sql: query.sql, is_row_wise, input: query.input, output, columns })
}

fn bad_query(error: &PolarsError, columns: &Columns) -> TaskError {
    let text = plain(error);
    let quoted = text.split_once("unable to find column \"").and_then(|(_, rest)| rest.split_once('"'));
    match quoted {
        Some((name, _)) => unknown_column("sql", name, columns),
        None if text.contains("unsupported function 'jitney_") => {
            let message = "`sql`: a query inside a condition cannot compute or cast as Postgres does";
            TaskError::permanent(message).help("write it as a query in FROM or in WITH")
        }
        None => TaskError::permanent(format!("`sql`: {text}")).help("the rows so far are the table `self`"),
    }
}

/// The pairs under the names that their columns really have.
fn resolve_names<T: Clone>(field: &str, pairs: &Pairs<T>, columns: &Columns) -> Result<Vec<(String, T)>, TaskError> {
    let found = pairs.0.iter().map(|(name, value)| Ok((find(field, name, columns)?.0.clone(), value.clone())));
    found.collect()
}

fn find_all(field: &str, names: &[String], columns: &Columns) -> Result<Vec<(String, ColumnType)>, TaskError> {
    names.iter().map(|name| find(field, name, columns).cloned()).collect()
}

/// A stated type where the destination holds another: a text without an offset is no point in time where the session's
/// time zone, which the destination knows, decides about it.
fn resolve_time_zone(stated: ColumnType, destination: Option<ColumnType>) -> ColumnType {
    match (stated, destination) {
        (ColumnType::TimestampTz, Some(ColumnType::Instant)) => ColumnType::Instant,
        _ => stated,
    }
}

/// The name that a column has after `rename`.
pub(in crate::tasks) fn renamed<'a>(name: &'a str, rename: &'a Pairs<String>) -> &'a str {
    let old_names = rename.0.iter().map(|(old, _)| old.as_str());
    let exact = old_names.clone().any(|old| old == name);
    let pair = rename.0.iter().find(|(old, _)| if exact { old == name } else { is_same_name(old, name) });
    pair.map_or(name, |(_, new)| new)
}
