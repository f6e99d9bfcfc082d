//! What a file tells of itself, where the task leaves it to the file: how it is written, the columns of a new table, and those
//! that a table lacks.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tokio_postgres::Transaction;

use super::PostgresLoad;
use super::columns::ExtraColumn;
use super::schema::TableSchema;
use super::stored::SessionSettings;
use crate::postgres::{WaitMonitor, explain};
use crate::stream::infer::{InferredFile, InferredType, infer};
use crate::stream::{ColumnType, FileFormat};
use crate::task::{Level, TaskContext, TaskError};
use crate::tasks::polars::plan::renamed;
use crate::tasks::postgres::create::{add_columns, column_name};
use crate::tasks::postgres::loaded::Note;
use crate::tasks::postgres::source::SourceFile;
use crate::tasks::postgres::table::TargetTable;
use crate::tasks::postgres::target::{CreateTable, Target};

/// Columns that a note names before it says how many more there are.
const NOTED_COLUMNS: usize = 12;

/// What a file tells for a table that is not there yet.
pub(super) struct ToldSchema {
    file: InferredFile,
    /// The columns of the table, and their types.
    pub(super) columns: Map<String, Value>,
}

impl PostgresLoad {
    fn tells_dialect(&self) -> bool {
        self.schema == Some(TableSchema::Infer)
    }

    /// Asks the file for the columns of the table, if that is wanted and there is no table.
    pub(super) async fn told_for_new_table(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        (watch, source): (&WaitMonitor<'_>, &SourceFile),
    ) -> Result<Option<ToldSchema>, TaskError> {
        if !self.tells_dialect() || self.ddl.is_some() {
            return Ok(None);
        }
        if watch.over("looking for the table", TargetTable::find(transaction, &self.table)).await?.is_some() {
            return Ok(None);
        }
        let file = self.ask_file(context, source).await?;
        if file.columns.is_empty() {
            let message =
                format!("{}: the file is empty, so it tells no columns for the table `{}`", source.name, self.table);
            return Err(TaskError::permanent(message).help("create the table before, or name its columns in `schema`"));
        }
        let columns = self.columns_of_table(&file)?;
        Ok(Some(ToldSchema { file, columns }))
    }

    /// The load as the file tells it, and the table with the columns that it lacked; also what is to be said of that.
    pub(super) async fn as_told(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        (watch, source): (&WaitMonitor<'_>, &SourceFile),
        (target, told): (Target, Option<ToldSchema>),
    ) -> Result<(Cow<'_, Self>, Target, Vec<Note>), TaskError> {
        let mut notes = Vec::new();
        let (mut this, mut file) = (Cow::Borrowed(self), None);
        if self.tells_dialect() {
            let told_file = match told {
                Some(ToldSchema { file, columns }) => {
                    notes.push((Level::Info, format!("created table `{}`: {}", self.table, listed(&columns))));
                    file
                }
                None => self.ask_file(context, source).await?,
            };
            notes.extend(told_file.notes.iter().map(|note| (Level::Warn, format!("{}: {note}", source.name))));
            this = Cow::Owned(self.in_dialect(&told_file));
            file = Some(told_file);
        }
        if self.on_extra_column != ExtraColumn::Add {
            return Ok((this, target, notes));
        }
        let lacking = this.lacking(transaction, context, (&target, source)).await?;
        if lacking.is_empty() {
            return Ok((this, target, notes));
        }
        let file = match file {
            Some(file) => file,
            None => this.ask_file(context, source).await?,
        };
        let added = this.types_of(&lacking, &file);
        let sql = add_columns(&target.table.sql_name, &added)?;
        let adding = async {
            let doing = format!("adding columns to table `{}`", self.table);
            transaction.batch_execute(&sql).await.map_err(|error| explain(&doing, &error))
        };
        watch.over("adding columns to the table", adding).await?;
        notes.push((Level::Info, format!("added to table `{}`: {}", self.table, listed(&added))));
        let target =
            watch.over("looking for the table", Target::find(transaction, &self.table, &CreateTable::Never)).await?;
        Ok((this, target, notes))
    }

    async fn ask_file(&self, context: &TaskContext, source: &SourceFile) -> Result<InferredFile, TaskError> {
        let mut question = self.csv().question(source.name.clone(), self.format, self.tells_dialect())?;
        // What a task says is read, and what its file's name says.
        question.options.format = self.format.or_else(|| FileFormat::of_extension(&source.name));
        let (path, progress, cancel) = (source.file.path.clone(), context.progress.clone(), context.cancel.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let file = infer(&path, &question, &progress, &|| cancel.is_cancelled());
            progress.reset();
            file
        });
        let asked = asked
            .await
            .map_err(|error| TaskError::permanent("reading the file ended unexpectedly").caused_by(error))?;
        if context.cancel.is_cancelled() {
            return Err(TaskError::cancelled(format!("the load into `{}` was stopped", self.table)));
        }
        Ok(asked?)
    }

    /// The same load, reading the file as that is written.
    fn in_dialect(&self, file: &InferredFile) -> Self {
        let options = &file.options;
        let mut load = self.clone();
        load.format = options.format;
        if options.format == Some(FileFormat::Csv) {
            load.delimiter = Some(char::from(options.delimiter));
            load.encoding = options.encoding.clone();
            load.header = Some(options.header);
            load.skip_lines = Some(options.skip_lines);
            load.columns = options.columns.clone();
        }
        load
    }

    /// The columns that the steps make of the file's, and their types: those of the file, where a step does not compute them.
    fn columns_of_table(&self, file: &InferredFile) -> Result<Map<String, Value>, TaskError> {
        let columns: Vec<(String, Option<ColumnType>)> =
            file.columns.iter().map(|column| (column.name.clone(), Some(column.kind.column_type()))).collect();
        let plan = self.transform.plan(&columns, &|_| None)?;
        let mut columns = self.types_of(plan.columns(), file);
        if let Some((partition, _)) = self.mode.partition()?
            && !columns.keys().any(|name| name.eq_ignore_ascii_case(partition.trim()))
        {
            columns.insert(partition.to_owned(), Value::from("text"));
        }
        Ok(columns)
    }

    /// Types for columns of the result: as `schema` names them, else as the file tells, else as the steps compute them.
    fn types_of(&self, columns: &[(String, ColumnType)], file: &InferredFile) -> Map<String, Value> {
        let rename = &self.transform.rename;
        let stated = self.schema.as_ref().and_then(TableSchema::columns);
        let stated =
            |name: &str| stated?.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, kind)| kind);
        let kind = |name: &str, kind: ColumnType| {
            let own = file.columns.iter().find(|column| renamed(&column.name, rename) == name);
            let made = self.transform.with_columns.0.iter().map(|(made, _)| made);
            let is_computed = made
                .chain(self.transform.cast.0.iter().map(|(made, _)| made))
                .any(|made| renamed(made, rename) == name);
            own.map(|column| &column.kind)
                .filter(|own| !is_computed && (own.column_type() == kind || self.transform.sql.is_none()))
                .cloned()
                .unwrap_or_else(|| InferredType::of_computed(kind))
        };
        let all: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let typed = columns.iter().map(|(name, own)| {
            let kind = stated(name).cloned().unwrap_or_else(|| Value::from(kind(name, *own).to_string()));
            (column_name(name, &all), kind)
        });
        typed.collect()
    }

    /// The columns of the result that the table does not have.
    async fn lacking(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        (target, source): (&Target, &SourceFile),
    ) -> Result<Vec<(String, ColumnType)>, TaskError> {
        let session = SessionSettings::of(transaction).await?;
        let (reader, plan) = self.opened(target, source, (context.progress.clone(), &session))?;
        if reader.is_empty() {
            return Ok(Vec::new());
        }
        reader.check(&plan.wanted())?;
        let columns = plan.columns().iter().filter(|(name, _)| target.column_type(name).is_none());
        Ok(columns.cloned().collect())
    }
}

/// Columns and their types for a message.
fn listed(columns: &Map<String, Value>) -> String {
    let shown =
        columns.iter().take(NOTED_COLUMNS).map(|(name, kind)| format!("{name} {}", kind.as_str().unwrap_or_default()));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match columns.len().saturating_sub(NOTED_COLUMNS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
