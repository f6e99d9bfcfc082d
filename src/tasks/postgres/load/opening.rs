//! The file of a load, opened: what is read of it, and what the steps make of that.

use std::sync::Arc;

use super::PostgresLoad;
use super::as_stored::AsStored;
use super::columns::ExtraColumn;
use super::stored::SessionSettings;
use super::unknown_columns::with_unknown_columns;
use crate::stream::{ColumnType, Reader};
use crate::task::{Progress, TaskError};
use crate::tasks::polars::expression::is_same_name;
use crate::tasks::polars::plan::TransformPlan;
use crate::tasks::polars::spec::Transform;
use crate::tasks::postgres::source::SourceFile;
use crate::tasks::postgres::target::Target;

impl PostgresLoad {
    /// The file, and what the steps make of it. Texts that no step looks at stay as they are, for the server to read.
    pub(super) fn opened(
        &self,
        target: &Target,
        source: &SourceFile,
        (progress, session): (Arc<Progress>, &SessionSettings),
    ) -> Result<(Reader, TransformPlan), TaskError> {
        let mut reader = Reader::open(&source.file.path, &self.options(source)?, progress)?;
        if reader.is_empty() {
            return self.opened_empty(reader, target, source);
        }
        let types = |name: &str| match target.column_type(name) {
            Some(ColumnType::TimestampTz) if !session.is_utc => Some(ColumnType::Instant),
            kind => kind,
        };
        if !session.is_utc {
            let own = |name: &str| {
                let columns = reader.columns().iter();
                columns.filter(|(own, _)| is_same_name(own, name)).find_map(|(_, kind)| *kind)
            };
            self.transform.check_time_zones(&types, &own)?;
        }
        let is_left_out = |name: &str| {
            self.on_extra_column == ExtraColumn::Ignore && reader.is_ambiguous(name) && types(name).is_none()
        };
        // What is a moment in the file is one, but its day and its text are those of the session's time zone.
        let own = |kind: Option<ColumnType>| match kind {
            Some(ColumnType::TimestampTz) if !session.is_utc => Some(ColumnType::Instant),
            kind => kind,
        };
        let of_file = |kind: Option<ColumnType>| match kind {
            Some(ColumnType::Instant) => Some(ColumnType::TimestampTz),
            kind => kind,
        };
        let columns = reader.columns().iter().filter(|(name, _)| !is_left_out(name));
        let columns: Vec<_> = columns.map(|(name, kind)| (name.clone(), own(*kind))).collect();
        let needed = match self.on_extra_column {
            ExtraColumn::Ignore => {
                let needed = self.transform.needed(&columns, &types);
                needed.map_err(|error| reader.of_columns(with_unknown_columns(&columns, &types, &self.table, error)))?
            }
            ExtraColumn::Fail | ExtraColumn::Add => Vec::new(),
        };
        // Without any column that the table has, it is the file that the error is about.
        let columns = if needed.is_empty() { columns } else { needed };
        let plan =
            self.transform.plan_for_texts(&columns, &types, &|found, wanted| reader.keeps(of_file(found), wanted));
        let plan =
            plan.map_err(|error| reader.of_columns(with_unknown_columns(&columns, &types, &self.table, error)))?;
        let comparison_rule = |name: Option<&str>| target.comparison_rule(name, &session.collation);
        let compared = self.transform.check_comparisons(&columns, (&types, &comparison_rule), plan.columns());
        compared.map_err(|error| reader.of_columns(error))?;
        reader.set_kinds(plan.kinds());
        let plan = match self.as_stored(&plan, target) {
            Some(stored) => plan.reading(Box::new(move |frame| stored.apply(frame))),
            None => plan,
        };
        Ok((reader, plan))
    }

    /// The columns that steps look at as the table stores them: those whose type no step states.
    fn as_stored(&self, plan: &TransformPlan, target: &Target) -> Option<AsStored> {
        let Transform { schema, filter, with_columns, cast, rename, dedupe, sql, expect, .. } = &self.transform;
        let looks = filter.is_some() || dedupe.is_some() || sql.is_some() || !expect.is_empty();
        if !looks && with_columns.0.is_empty() && cast.0.is_empty() {
            return None;
        }
        let is_stated = |name: &str| schema.0.iter().any(|(stated, _)| is_same_name(stated, name));
        let columns = plan.wanted().into_iter().map(|column| column.name).filter(|name| !is_stated(name));
        AsStored::of(columns.filter_map(|name| {
            let renamed = rename.0.iter().find(|(old, _)| is_same_name(old, &name));
            let field = target.field(renamed.map_or(&name, |(_, new)| new))?;
            Some((name, field))
        }))
    }

    /// A file without columns has those of the table, and no rows for the steps to change: only rules about the result
    /// are left to check.
    fn opened_empty(
        &self,
        mut reader: Reader,
        target: &Target,
        source: &SourceFile,
    ) -> Result<(Reader, TransformPlan), TaskError> {
        if self.transform.sql.is_some() {
            let message = format!("{}: the file is empty, so it names no columns for the query of `sql`", source.name);
            return Err(TaskError::permanent(message)
                .help("skip the task if the file is empty, or let the file name its columns"));
        }
        reader.assume_columns(target.settable_columns());
        let steps = Transform { expect: self.transform.expect.clone(), ..Transform::default() };
        let plan = steps.plan(reader.columns(), &|name| target.column_type(name))?;
        Ok((reader, plan))
    }

    /// What to read. A column that goes straight into one that must not be NULL, or into a merge's key, must have a
    /// value itself.
    pub(super) fn wanted(&self, plan: &TransformPlan, target: &Target) -> Vec<crate::stream::ColumnSpec> {
        let mut wanted = plan.wanted();
        let steps = &self.transform;
        let goes_straight =
            steps.filter.is_none() && steps.with_columns.0.is_empty() && steps.dedupe.is_none() && steps.sql.is_none();
        for column in &mut wanted {
            let renamed = steps.rename.0.iter().find(|(old, _)| *old == column.name);
            let name = renamed.map_or(&column.name, |(_, new)| new);
            column.shape = target.shape(name);
            if !goes_straight {
                continue;
            }
            // A trigger may give a value to what has none.
            let is_required = target.is_required(name) && !target.nature.may_skip_rows;
            column.required = is_required || self.mode.is_key(name, target);
        }
        wanted
    }
}
