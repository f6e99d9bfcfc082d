//! What a load has decided before it changes anything.

use std::sync::Arc;

use super::columns::{ExtraColumn, MissingColumn};
use super::encode::Encoder;
use super::key::RowKey;
use super::merge::Stage;
use super::pipeline::CopyPipeline;
use super::stored::SessionSettings;
use super::{PostgresLoad, formats};
use crate::stream::{ColumnType, LINE};
use crate::task::{TaskContext, TaskError};
use crate::tasks::bad_rows::BadRows;
use crate::tasks::polars::expect::RowCounts;
use crate::tasks::postgres::source::SourceFile;
use crate::tasks::postgres::table::TableField;
use crate::tasks::postgres::target::{Leniency, Target};

/// A load of one file that is ready to run. Reading the file again the same way finds where a row stood.
pub(super) struct PreparedLoad<'a> {
    pub load: &'a PostgresLoad,
    pub context: &'a TaskContext,
    pub target: &'a Target,
    pub source: &'a SourceFile,
    /// The columns of the table that rows are sent for.
    pub fields: Vec<TableField>,
    pub stage: Option<Stage>,
    pub encoder: Arc<Encoder>,
    /// What is checked once the server has had its say on each row.
    pub row_counts: RowCounts,
    pub session: SessionSettings,
}

impl<'a> PreparedLoad<'a> {
    /// Opens the file and checks its columns against the table's, before anything is changed.
    pub(super) fn open(
        load: &'a PostgresLoad,
        context: &'a TaskContext,
        (target, source): (&'a Target, &'a SourceFile),
        session: SessionSettings,
    ) -> Result<(Self, CopyPipeline), TaskError> {
        let partition = load.mode.partition()?;
        let (reader, mut plan) = load.opened(target, source, (context.progress.clone(), &session))?;
        if reader.is_empty() {
            context.warn(format!("{} is empty: it has no rows, and names no columns", source.name));
        }
        let columns: Vec<String> = plan.columns().iter().map(|(name, _)| name.clone()).collect();
        let leniency = Leniency {
            extra: load.on_extra_column == ExtraColumn::Ignore,
            // If columns are named, the others are left out on purpose.
            missing: load.on_missing_column == MissingColumn::Empty || load.columns.is_some(),
        };
        let fields = target.fields(&columns, partition.as_ref().map(|(column, _)| *column), leniency);
        let (fields, used) = fields.map_err(|error| reader.of_columns(error))?;
        let mut used: Vec<String> = used.iter().filter_map(|index| columns.get(*index).cloned()).collect();
        let constant = partition.as_ref().map(|(column, _)| *column);
        let own_partition = constant.map(|name| target.columns_for(&columns, name)).unwrap_or_default();
        let is_checked = load.on_bad_row != BadRows::Fail;
        let row_counts = if is_checked { plan.take_row_counts() } else { RowCounts::default() };
        load.mode.check_key(target, &fields)?;
        let is_from_file =
            |field: &TableField| Some(field.name.as_str()) != partition.as_ref().map(|(column, _)| *column);
        let from_file: Vec<TableField> = fields.iter().filter(|field| is_from_file(field)).cloned().collect();
        if !reader.is_empty() {
            formats::check(&load.options(source)?.conversions, &from_file)?;
        }
        let stage = load.mode.stage(target, &fields, is_checked, plan.keeps_lines());
        let sends_once = stage.is_none() && target.nature.wants_one_statement;
        let key = plan
            .row_id()
            .map(|row_id| RowKey::of(row_id, target, constant, (session.clone(), sends_once)))
            .transpose()?;
        let constant = partition.map(|(_, value)| value);
        let mut sent = fields.clone();
        if let Some(line) = stage.as_ref().and_then(Stage::line) {
            // The constant one stays the last.
            sent.insert(sent.len() - usize::from(constant.is_some()), line);
            used.push(LINE.to_owned());
        }
        let encoder = Arc::new(Encoder { fields: sent, used, constant, is_utc: session.is_utc });
        let plan = if is_checked || !own_partition.is_empty() { plan.with_lines() } else { plan };
        let mut wanted = load.wanted(&plan, target);
        for column in wanted.iter_mut().filter(|column| column.kind == ColumnType::Text) {
            // A value that may be the wrong partition's is shown as the file has it.
            let name = plan.result_name(&column.name).filter(|name| !own_partition.iter().any(|own| own == name));
            column.likely = name.and_then(|name| session.reads(&target.stored(name)?));
        }
        reader.check(&wanted)?;
        let pipeline = CopyPipeline {
            wanted,
            reader,
            plan,
            encoder: encoder.clone(),
            key: key.map(Arc::new),
            is_text: !encoder.can_be_binary() || sends_once,
            partition: own_partition,
            scratch: context.output_file("load.work")?.path,
            progress: context.progress.clone(),
        };
        Ok((Self { load, context, target, source, fields, stage, encoder, row_counts, session }, pipeline))
    }
}
