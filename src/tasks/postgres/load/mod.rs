//! `postgres.load`: a file into a table, in one transaction, once.

mod attempt;
mod encode;
mod feed;
mod held;
mod ledger;
mod mode;
mod numeric;
mod plain;
mod source;
mod target;

use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use futures_util::SinkExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio_postgres::{Error, Transaction};

use crate::postgres::sql::{quote, quote_name};
use crate::postgres::{Watch, explain};
use crate::stream::{Format, ReadOptions, Reader};
use crate::task::{Ledger, Task, TaskContext, TaskError};
use crate::tasks::bad_rows::{BadRows, Rejected};
use crate::tasks::polars::plan::Plan;
use crate::tasks::polars::spec::Transform;
use crate::tasks::polars::transform::byte;
use crate::text::hex;
use feed::{Fed, Feed};
use ledger::{Counts, Entry, Key};
use mode::Mode;
use source::Source;
use target::{Field, Leniency, Making, Target};

/// Loads a file into a table of Postgres: CSV, NDJSON or Parquet, plain or compressed.
///
/// The load is one transaction: it makes the table if need be, makes room as `mode` says, copies the rows, writes one
/// row into the ledger `jitney_loads`, and commits. A load that the ledger knows changes nothing. Columns go by name,
/// whatever their order and case.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The file: an output of an earlier task, or a path from the flow's folder.
    from: String,
    /// The table, with its schema if need be: `public.green_tripdata`.
    table: String,
    /// How rows get into the table: `append`, `truncate`, `{replace_partition: {column: value}}`, or
    /// `{merge: {key: [columns], on_match: ignore|update}}`.
    #[serde(default)]
    mode: Mode,
    /// A file of SQL that creates the table; it runs when there is no such table.
    ddl: Option<String>,
    /// Columns and their Postgres types, to create the table with when there is none.
    schema: Option<Map<String, Value>>,
    /// Steps between file and table: `filter`, `with_columns`, `rename`, `select`, `row_id` and more, as
    /// `polars.transform` has them.
    #[serde(default)]
    transform: Transform,
    /// What to do with a row that does not fit: `fail`, or `{reject: {max: 100, file: bad.csv}}`.
    #[serde(default)]
    on_bad_row: BadRows,
    /// What to do with a column of the file that the table has not.
    #[serde(default)]
    on_extra_column: ExtraColumn,
    /// What to do when the file lacks a column of the table that may be NULL.
    #[serde(default)]
    on_missing_column: MissingColumn,
    /// Loads the file even if the ledger knows it.
    #[serde(default)]
    force: bool,
    /// The file's format: `csv`, `ndjson` or `parquet`; by default what its name says. `text` and `binary` are Postgres's
    /// own, which the server reads itself.
    format: Option<FileFormat>,
    /// Whether the first line of a CSV file names the columns; it does by default.
    header: Option<bool>,
    /// The columns of a CSV file without such a line, in order; the table's other columns stay empty.
    columns: Option<Vec<String>>,
    /// The character between the fields: by default a comma, and a tab in the format `text`.
    delimiter: Option<char>,
    /// The quoting character of a CSV file.
    #[serde(default = "double_quote")]
    quote: char,
    /// The character before a quote inside quotes; by default the quote itself.
    escape: Option<char>,
    /// What stands for NULL in a CSV file, beside an empty field.
    #[serde(default, alias = "nullString")]
    null_string: String,
    /// The encoding of the file, such as `LATIN1`; by default UTF-8. Files in another one are read by the server.
    encoding: Option<String>,
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
}

/// What to do with a column of the file that the table has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ExtraColumn {
    /// The load fails before anything is changed.
    #[default]
    Fail,
    /// The column is left out.
    Ignore,
}

/// What to do when the file lacks a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MissingColumn {
    /// The load fails before anything is changed.
    #[default]
    Fail,
    /// The column stays NULL.
    Empty,
}

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FileFormat {
    /// Comma-separated values, or another delimiter.
    #[serde(alias = "CSV")]
    Csv,
    /// Lines of fields between tabs, with backslashes, as Postgres writes them.
    #[serde(alias = "TEXT")]
    Text,
    /// Postgres's binary format.
    #[serde(alias = "BINARY")]
    Binary,
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

fn double_quote() -> char {
    '"'
}

/// What was loaded. `rows_read = rows_loaded + rows_rejected + rows_skipped`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Loaded {
    /// The table.
    table: String,
    /// The server with its database, as `postgres://host:port/database`.
    server: String,
    /// The file's name.
    source: String,
    /// SHA-256 of the file, in hex.
    source_sha256: String,
    /// Rows in the file.
    rows_read: u64,
    /// Rows that are new or changed in the table.
    rows_loaded: u64,
    /// Rows that did not fit.
    rows_rejected: u64,
    /// Rows that were there already, or that the transform left out.
    rows_skipped: u64,
    /// The address of the file with the rows that did not fit, if there were any.
    rejected_uri: Option<String>,
    /// Whether the ledger knew this very load, so that nothing was done.
    already_loaded: bool,
    /// The size of the file in bytes, as it is stored.
    bytes: u64,
    /// How long it took.
    seconds: f64,
    /// `rows_loaded` under Kestra's name.
    #[serde(rename = "rowCount")]
    row_count: u64,
}

impl Task for Load {
    const NAME: &'static str = "postgres.load";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.jdbc.postgresql.CopyIn"];
    const EXAMPLE: &'static str = "\
- id: load
  type: postgres.load
  from: \"{{ outputs.extract.uri }}\"
  table: public.green_tripdata
  ddl: ../sql/postgres/green_tripdata.sql
  mode: {replace_partition: {filename: green_tripdata_2019-01.csv.gz}}
  transform:
    row_id: {columns: [VendorID, lpep_pickup_datetime, PULocationID, fare_amount]}";
    const LEDGER: Option<Ledger> = Some(held::LEDGER);
    type Outputs = Loaded;

    async fn run(&self, context: &TaskContext) -> Result<Loaded, TaskError> {
        self.until_loaded(context).await
    }
}

impl Load {
    async fn load(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &Watch<'_>,
        source: &Source,
        began: Instant,
    ) -> Result<Loaded, TaskError> {
        watch.identify(transaction, true).await?;
        watch.over("looking for the ledger", ledger::ensure(transaction)).await?;
        let ddl = self.ddl_text(context)?;
        let making = self.making(ddl.as_deref());
        let target = watch.over("looking for the table", Target::find(transaction, &self.table, &making)).await?;
        let partition = self.mode.partition()?;
        let key = self.key(&target, source, partition.as_ref());
        watch.over("waiting for another load", self.take_turn(transaction, context, &key)).await?;
        let looking = self.already_there(transaction, context, &target, source, &key);
        if let Some(loaded) = watch.over("asking what is loaded", looking).await? {
            return Ok(loaded);
        }
        if self.is_plain() {
            return self.load_plain(transaction, context, watch, (&target, source, &key), began).await;
        }
        let (feed, fields) = self.feed(context, &target, source, partition.as_ref())?;
        let table = watch.over("making room for the rows", self.mode.prepare(transaction, &target, &fields)).await?;
        let fed = self.copy(transaction, watch, &table, &fields, feed).await?;
        let finishing = self.mode.finish(transaction, &target, &fields, fed.sent);
        let loaded = watch.over("merging the rows", finishing).await?;
        fed.warnings.iter().for_each(|warning| context.warn(warning));
        if let Some(uri) = &fed.rejected_uri {
            context.warn(format!("{} bad rows were set aside in {uri}", fed.rejected));
        }
        let skipped = fed.read.saturating_sub(loaded + fed.rejected);
        let counts = Counts { read: fed.read, loaded, rejected: fed.rejected, skipped };
        let seconds = began.elapsed().as_secs_f64();
        let entry = Entry::of(context, source, seconds);
        watch.over("writing to the ledger", ledger::record(transaction, &key, &entry, counts)).await?;
        Ok(self.loaded(source, counts, seconds, fed.rejected_uri))
    }

    fn loaded(&self, source: &Source, counts: Counts, seconds: f64, rejected_uri: Option<String>) -> Loaded {
        Loaded {
            table: self.table.clone(),
            source: source.name.clone(),
            source_sha256: source.sha256.clone(),
            rows_read: counts.read,
            rows_loaded: counts.loaded,
            rows_rejected: counts.rejected,
            rows_skipped: counts.skipped,
            rejected_uri,
            bytes: source.bytes,
            seconds,
            row_count: counts.loaded,
            ..Loaded::default()
        }
    }

    fn ddl_text(&self, context: &TaskContext) -> Result<Option<String>, TaskError> {
        let Some(name) = &self.ddl else { return Ok(None) };
        let path = context.input_file(name)?;
        std::fs::read_to_string(&path)
            .map(Some)
            .map_err(|error| TaskError::permanent(format!("cannot read the DDL file `{name}`")).because(error))
    }

    fn making<'a>(&'a self, ddl: Option<&'a str>) -> Making<'a> {
        match (&self.ddl, ddl, &self.schema) {
            (Some(name), Some(text), _) => Making::File { name, text },
            (_, _, Some(columns)) => Making::Columns(columns),
            _ => Making::Never,
        }
    }

    fn key(&self, target: &Target, source: &Source, partition: Option<&(&str, String)>) -> Key {
        let rows = (&self.mode, &self.schema, &self.transform, &self.on_bad_row);
        let columns = (&self.columns, self.header.unwrap_or(true), self.on_extra_column, self.on_missing_column);
        let reading = (self.format, self.delimiter.unwrap_or(','), self.quote, self.escape, &self.null_string);
        let definition = format!("{rows:?} {columns:?} {reading:?}");
        Key {
            target: target.sql_name.clone(),
            partition: partition.map_or_else(|| source.name.clone(), |(_, value)| value.clone()),
            source_sha256: source.sha256.clone(),
            definition_sha256: hex(&Sha256::digest(definition.as_bytes())),
        }
    }

    /// Two loads of the same partition at once: the second waits until the first has committed. A merge or a truncate
    /// takes the whole table, since its rows may meet anybody's.
    async fn take_turn(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        key: &Key,
    ) -> Result<(), TaskError> {
        let whole = matches!(self.mode, Mode::Merge(_) | Mode::Truncate);
        let name = if whole { key.target.clone() } else { format!("{} {}", key.target, key.partition) };
        let waiting = |error: Error| explain("waiting for another load", &error);
        let sql = "SELECT pg_try_advisory_xact_lock(hashtextextended('jitney: load ' || $1, 0))";
        let free: bool = transaction.query_one(sql, &[&name]).await.map_err(waiting)?.get(0);
        if !free {
            context.info(format!("waiting for another load into `{}` to end", self.table));
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended('jitney: load ' || $1, 0))";
            transaction.query_one(sql, &[&name]).await.map_err(waiting)?;
        }
        Ok(())
    }

    /// The result of a load that the ledger knows and the table still holds.
    async fn already_there(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        target: &Target,
        source: &Source,
        key: &Key,
    ) -> Result<Option<Loaded>, TaskError> {
        let is_forced = self.force && context.attempt == 1;
        if is_forced || target.is_new || matches!(self.mode, Mode::Merge(_)) {
            return Ok(None);
        }
        // A truncate takes everybody's rows, so the last load counts, whatever its partition.
        let any_partition = matches!(self.mode, Mode::Truncate);
        let Some(earlier) = ledger::earlier(transaction, key, any_partition).await? else { return Ok(None) };
        let is_mine = earlier.execution == context.execution.as_str() && earlier.task == context.task.as_str();
        if self.force && !(is_mine && earlier.is_same) {
            return Ok(None);
        }
        let rows = self.rows_there(transaction, target).await?;
        if matches!(self.mode, Mode::Append) && !earlier.is_same && rows > 0 {
            return Err(TaskError::permanent(format!(
                "`{}` was loaded before, by execution {}, with other content or by other steps",
                source.name, earlier.execution
            ))
            .help("replace its rows with `mode: {replace_partition: {…}}`, or add these too with `force: true`"));
        }
        let is_there = if matches!(self.mode, Mode::Append) { rows > 0 } else { rows == earlier.counts.loaded };
        if !earlier.is_same || !is_there {
            return Ok(None);
        }
        if is_mine && context.attempt > 1 {
            context.info("an attempt before this one has loaded the file, and could not say so any more");
            return Ok(Some(self.loaded(source, earlier.counts, 0.0, None)));
        }
        context.info(format!("execution {} has loaded this very file already; nothing to do", earlier.execution));
        let Counts { read, rejected, .. } = earlier.counts;
        Ok(Some(Loaded {
            table: self.table.clone(),
            source: source.name.clone(),
            source_sha256: key.source_sha256.clone(),
            rows_read: read,
            rows_rejected: rejected,
            rows_skipped: read.saturating_sub(rejected),
            already_loaded: true,
            bytes: source.bytes,
            ..Loaded::default()
        }))
    }

    /// How many rows of this load's partition the table holds; for an append, whether it holds any.
    async fn rows_there(&self, transaction: &Transaction<'_>, target: &Target) -> Result<u64, TaskError> {
        let table = &target.sql_name;
        let counting = |error: Error| explain("counting the rows that are there", &error);
        let row = match self.mode.partition()? {
            Some((column, value)) => {
                // A literal, not a parameter: it takes the column's own type, which may be an enum.
                let column = quote_name(target.own_name(column)?);
                let sql = format!("SELECT count(*) FROM {table} WHERE {column} = {}", quote(&value));
                transaction.query_one(&sql, &[]).await.map_err(counting)?
            }
            None if matches!(self.mode, Mode::Append) => {
                let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1) AS one_row");
                transaction.query_one(&sql, &[]).await.map_err(counting)?
            }
            None => transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.map_err(counting)?,
        };
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// Opens the file and checks its columns against the table's, before anything is changed.
    fn feed(
        &self,
        context: &TaskContext,
        target: &Target,
        source: &Source,
        partition: Option<&(&str, String)>,
    ) -> Result<(Feed, Vec<Field>), TaskError> {
        let reader = Reader::open(&source.path, &self.options(source)?, context.progress.clone())?;
        let plan = self.transform.plan(reader.columns(), &|name| target.column_type(name))?;
        let columns: Vec<String> = plan.columns().iter().map(|(name, _)| name.clone()).collect();
        let leniency = Leniency {
            extra: self.on_extra_column == ExtraColumn::Ignore,
            // Whoever names the columns leaves the others out on purpose.
            missing: self.on_missing_column == MissingColumn::Empty || self.columns.is_some(),
        };
        let (fields, used) = target.fields(&columns, partition.map(|(column, _)| *column), leniency)?;
        let feed = Feed {
            wanted: self.wanted(&plan, target),
            reader,
            used,
            fields: fields.clone(),
            constant: partition.map(|(_, value)| encode::constant(value)),
            rejected: Rejected::start(&self.on_bad_row, &source.name, context)?,
            scratch: context.output_file("load.work")?.path,
            progress: context.progress.clone(),
            source: source.name.clone(),
            plan,
        };
        Ok((feed, fields))
    }

    /// What to read. A column that goes straight into one that must not be NULL, or into a merge's key, must have a
    /// value itself.
    fn wanted(&self, plan: &Plan, target: &Target) -> Vec<crate::stream::Column> {
        let mut wanted = plan.wanted();
        let steps = &self.transform;
        let goes_straight =
            steps.filter.is_none() && steps.with_columns.0.is_empty() && steps.dedupe.is_none() && steps.sql.is_none();
        for column in wanted.iter_mut().filter(|_| goes_straight) {
            let renamed = steps.rename.0.iter().find(|(old, _)| *old == column.name);
            let name = renamed.map_or(&column.name, |(_, new)| new);
            column.required = target.is_required(name) || self.mode.is_key(name, target);
        }
        wanted
    }

    fn options(&self, source: &Source) -> Result<ReadOptions, TaskError> {
        let format = self.format.and_then(|format| match format {
            FileFormat::Csv => Some(Format::Csv),
            FileFormat::Ndjson => Some(Format::Ndjson),
            FileFormat::Parquet => Some(Format::Parquet),
            FileFormat::Text | FileFormat::Binary => None,
        });
        Ok(ReadOptions {
            name: Some(source.name.clone()),
            format,
            delimiter: byte("delimiter", self.delimiter.unwrap_or(','))?,
            quote: Some(byte("quote", self.quote)?),
            escape: byte("escape", self.escape.unwrap_or(self.quote))?,
            header: self.header.unwrap_or(true),
            null_string: self.null_string.clone(),
            columns: self.columns.clone(),
            ..ReadOptions::default()
        })
    }

    /// Copies the rows; the server's count must be ours.
    async fn copy(
        &self,
        transaction: &Transaction<'_>,
        watch: &Watch<'_>,
        table: &str,
        fields: &[Field],
        feed: Feed,
    ) -> Result<Fed, TaskError> {
        let doing = format!("loading into `{}`", self.table);
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", mode::list(fields));
        let failed = |error: Error| explain(&doing, &error);
        watch.before_copy();
        let begun = async { transaction.copy_in::<_, Bytes>(&sql).await.map_err(failed) };
        let mut sink = pin!(watch.over(&doing, begun).await?);
        let (mut chunks, worker) = feed.start();
        while let Some(chunk) = watch.unless_refused(&doing, async { Ok(chunks.recv().await) }).await? {
            let sent = async { sink.send(chunk).await.map_err(failed) };
            watch.unless_refused(&doing, watch.over(&doing, sent)).await?;
        }
        let fed = worker.await.map_err(|error| TaskError::permanent(format!("{doing} broke off")).because(error))??;
        let stored = watch.over(&doing, async { sink.finish().await.map_err(failed) }).await?;
        if stored != fed.sent {
            return Err(TaskError::permanent(format!("{doing}: {} rows were sent and {stored} arrived", fed.sent)));
        }
        Ok(fed)
    }
}
