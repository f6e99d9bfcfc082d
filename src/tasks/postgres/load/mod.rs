//! `postgres.load`: a file into a table, in one transaction, once.

mod as_stored;
mod bisect;
mod columns;
mod elsewhere;
mod encode;
mod encoding;
mod formats;
mod held_back;
mod inferred;
mod key;
mod known;
mod load_lock;
mod locate;
mod merge;
mod mode;
mod numeric;
mod opening;
mod partition;
mod pipeline;
mod prepared;
mod probe;
mod refused;
mod savepoint;
mod schema;
mod send;
mod spelling;
mod stored;
mod together;
mod unknown_columns;
mod violated;

use std::time::Instant;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Transaction;

use super::create::check_types;
use super::ledger::{self, LedgerKey};
use super::loaded::Loaded;
use super::source::SourceFile;
use super::table::TargetTable;
use super::target::{CreateTable, Target};
use super::transaction::{CHECKING, IMMEDIATE, Loading, say_isolation};
use crate::fingerprint::{Fingerprint, FingerprintBuilder};
use crate::postgres::{FlowAddress, WaitMonitor};
use crate::stream::{FileFormat, ReadOptions};
use crate::task::{Capability, FieldConflict, Ledger, Level, Task, TaskContext, TaskError};
use crate::tasks::appended::IfLoaded;
use crate::tasks::bad_rows::{BadRows, Rejected};
use crate::tasks::counts::Counts;
use crate::tasks::csv_fields::{as_written, reads_csv};
use crate::tasks::polars::spec::Transform;
use columns::{ExtraColumn, MissingColumn};
use inferred::ToldSchema;
use known::{Known, Planned};
use mode::Mode;
use prepared::PreparedLoad;
use schema::TableSchema;
use send::Sending;
use stored::SessionSettings;

reads_csv! { as_written! {
/// Loads a file into a table of Postgres: CSV, NDJSON or Parquet, plain or compressed, or a sheet of Excel.
///
/// The load is one transaction: it makes the table if need be, makes room as `mode` says, copies the rows, writes one
/// row into the ledger `jitney_loads`, and commits. A load that the ledger knows changes nothing while its rows are there.
/// Columns go by name, whatever their order and case. `postgres.copy_in` is the server's COPY instead: by position, and
/// as often as it runs.
///
/// Quotes, escapes and line ends of a CSV file mean what they mean to `\copy`, and the server reads every value that no
/// step looks at. The differences from `\copy` of the same file are these. Blank lines are left out in a file of several
/// columns, where they are an error of `\copy`. A line of `\.` alone is refused, since it ends the data or is a value,
/// depending on the server's version. In columns of numbers, `boolean`, `date`, `timestamp`, `timestamptz` and `uuid`, an
/// empty field in quotes and one of blanks are NULL, and in `smallint`, `int` and `bigint` zeros after the point are left
/// out: `1.0` and `1.` are 1. `\copy` refuses all of these. A byte order mark at the start of a file is no part of its first
/// field, also with `header: false`. A value that a step of `transform` looks at is read by the step, and stored as it prints
/// it. An encoding that this program reads otherwise than the server is refused. A database in SQL_ASCII takes texts in UTF-8
/// alone from this task, and any bytes from `postgres.copy_in`. The transaction is READ COMMITTED, whatever
/// `default_transaction_isolation` says.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresLoad {
    /// The file: an output of an earlier task, or a path from the flow's folder.
    from: String,
    /// The table, with its schema if need be: `public.green_tripdata`. A name without quotes is read in small
    /// letters, as Postgres does; if there is no such table, the one with exactly this spelling is used. In double quotes,
    /// `'"My Table"'`, it is read letter for letter.
    table: String,
    /// How rows get into the table: `append`, `truncate`, `{replace_partition: {column: value}}`, or
    /// `{merge: {key: [columns], on_match: ignore|update}}`.
    #[serde(default)]
    mode: Mode,
    /// A file of SQL that creates the table; it runs when there is no such table.
    ddl: Option<String>,
    /// Columns and their Postgres types, to create the table with when there is none. Names are read in small letters,
    /// unless they are in double quotes: `'"VendorID"': bigint`. With `infer` the file tells the types, and also its
    /// `format`, `delimiter`, `encoding` and whether it has a `header`, as far as the task does not say them.
    schema: Option<TableSchema>,
    /// Steps between file and table: `filter`, `with_columns`, `rename`, `select`, `row_id` and more, as
    /// `polars.transform` has them.
    #[serde(default)]
    transform: Transform,
    /// What to do with a row that does not fit, or that the server refuses: `fail`, or
    /// `{reject: {max: 100, file: bad.csv}}`. With `reject` each batch of about 1 MB is a COPY of its own within a
    /// savepoint, all in one transaction; the server names the row that it refuses, and the others are sent again.
    /// The rows of a merge, and those of a table that refers to itself, has an AFTER trigger or one for whole statements,
    /// or is subject to a deferred constraint, are copied to a temporary table first and go from there into the table, in
    /// one statement if all is well; this about doubles what the server writes. What the table refuses then, such as a
    /// foreign key, another unique key or what a trigger raises, is found by halves: each bad row takes about two
    /// statements for every doubling of the number of rows. A row that a trigger refuses without the bad ones next to it is
    /// tried again until no more of them can be added; a load in which more than `max` remain fails.
    ///
    /// The load fails, or is retried, if the error is one of the server, the session or the SQL, even if a trigger raises
    /// it: SQLSTATE classes 08, 25, 40, 53, 57 and 58, and 55P03, XX001 and XX002; and 42, such as a missing right, unless
    /// a trigger raises it with RAISE. The table becomes as if the file had not had the rejected rows, except for the
    /// numbers of `serial` and identity columns that rows use up which are sent again. Where the sequence has fewer than a
    /// billion numbers left, the rows go through a temporary table too, and use up one number each.
    #[serde(default)]
    on_bad_row: BadRows,
    /// What to do with a column of the file that the table does not have: `fail` (or `error`), `ignore` it, or `add` it to
    /// the table, in the load's transaction, with the type that `schema` names or the whole file tells.
    #[serde(default)]
    on_extra_column: ExtraColumn,
    /// What to do when the file lacks a column of the table that may be NULL.
    #[serde(default)]
    on_missing_column: MissingColumn,
    /// What to do with a file that was loaded before: `skip` it, whatever the table holds by now; `load` it again; or
    /// `fail`. By default the table decides: a load whose rows are all there is left out, one whose rows are gone is
    /// done again, and an append that cannot tell which it is fails and says what it found.
    if_loaded: Option<IfLoaded>,
    /// The same as `if_loaded: load`.
    #[serde(default)]
    force: bool,
    /// The file's format: `csv`, `ndjson`, `json`, `parquet` or `excel` (`.xlsx`); by default what its name says. Postgres's own formats are read by
    /// `postgres.copy_in`.
    format: Option<FileFormat>,
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
}
} }

impl Task for PostgresLoad {
    const NAME: &'static str = "postgres.load";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPostgres];
    const FILES: &'static [&'static str] = &["from", "ddl", "url"];
    const DEFINITIONS: &'static [&'static str] = &["ddl"];
    const EXAMPLE: &'static str = "\
- id: load
  type: postgres.load
  from: \"{{ outputs.extract.uri }}\"
  table: public.green_tripdata
  ddl: ../sql/postgres/green_tripdata.sql
  mode: {replace_partition: {filename: green_tripdata_2019-01.csv}}
  transform:
    row_id: {columns: [VendorID, lpep_pickup_datetime, PULocationID, fare_amount]}";
    const LEDGER: Option<Ledger> = Some(probe::LEDGER);
    type Outputs = Loaded;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let both = self.force && self.if_loaded.is_some_and(|wanted| wanted != IfLoaded::Load);
        let forced = both.then(|| {
            FieldConflict::between(
                ["if_loaded", "force"],
                "`force: true` means `if_loaded: load`; leave one of them out",
            )
        });
        let table = TargetTable::conflict(&self.table);
        let encoding = encoding::conflict(self.encoding.as_ref());
        table.into_iter().chain(forced).chain(encoding).chain(self.reading_conflicts()).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<Loaded, TaskError> {
        // Of a table that is there, too, for which nothing else looks at them.
        self.schema.as_ref().and_then(TableSchema::columns).map_or(Ok(()), check_types)?;
        self.until_loaded(context).await
    }
}

impl Loading for PostgresLoad {
    fn from(&self) -> &str {
        &self.from
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn address(&self, context: &TaskContext) -> FlowAddress {
        FlowAddress::of(self.url.as_ref(), self.username.as_ref(), self.password.as_ref(), &context.files)
    }

    async fn load(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &WaitMonitor<'_>,
        source: &SourceFile,
        ledger: String,
        began: Instant,
    ) -> Result<Loaded, TaskError> {
        let ddl = self.ddl_text(context)?;
        let told = self.told_for_new_table(transaction, context, (watch, source)).await?;
        let create = self.create(ddl.as_deref(), told.as_ref());
        let target = watch.over("looking for the table", Target::find(transaction, &self.table, &create)).await?;
        watch.over("looking at the partition's value", self.mode.check_value(transaction, &target)).await?;
        let partition = self.mode.partition()?;
        let key = self.key(context, (&target, source), partition.as_ref(), ledger);
        watch.over("waiting for another load", self.acquire_load_lock(transaction, context, &key)).await?;
        let planned = Planned { target: &target, source, key: &key };
        let looking = self.already_there(transaction, context, &planned);
        let note = match watch.over("asking what is loaded", looking).await? {
            Known::Done(loaded) => return Ok(loaded),
            Known::New(note) => note,
        };
        let (this, target, changes) = self.as_told(transaction, context, (watch, source), (target, told)).await?;
        let (this, target) = (&*this, &target);
        let rejects = self.on_bad_row != BadRows::Fail;
        self.mode.check(target, rejects)?;
        if let Some(what) = self.mode.temporary_for(rejects) {
            watch.over("asking for the user's rights", ledger::check_temporary(transaction, what)).await?;
        }
        let session = watch.over("asking for the session's settings", SessionSettings::of(transaction)).await?;
        say_isolation(context, &session.default_isolation);
        encoding::check(this.encoding.as_ref(), &session)?;
        let (prepared, pipeline) = PreparedLoad::open(this, context, (target, source), session)?;
        if rejects && prepared.stage.is_none() {
            // What is only checked at the end is no row's any more.
            savepoint::over(watch, CHECKING, transaction.batch_execute(IMMEDIATE)).await?;
        }
        let making_room = self.mode.prepare(transaction, target, &prepared.fields, prepared.stage.as_ref());
        let table = watch.over("making room for the rows", making_room).await?;
        let relation = Mode::relation(target, prepared.stage.as_ref());
        let sending = Sending { transaction, watch, table: &table, relation, prepared: &prepared };
        let mut rejected = Rejected::start(&self.on_bad_row, &source.name, context)?;
        let mut sent = sending.run(pipeline, &mut rejected).await?;
        let (sent_rows, refused) = (sent.stored + sent.kept_out, rejected.count());
        let loaded = Box::pin(this.merged(&sending, &mut sent, &mut rejected)).await?;
        sent.expect_rows(sent_rows.saturating_sub(rejected.count() - refused), &prepared.row_counts)?;
        if !rejects && target.nature.has_deferred {
            sending.check_deferred().await?;
        }
        sending.restore_role().await?;
        let checking = self.mode.check_stored(transaction, target, loaded);
        watch.over("counting the rows of the partition", checking).await?;
        let skipped = sent.read.saturating_sub(loaded + rejected.count());
        let counts = Counts { read: sent.read, loaded, rejected: rejected.count(), skipped };
        let seconds = began.elapsed().as_secs_f64();
        let recording = ledger::record(
            transaction,
            context,
            (source, &key),
            counts,
            (seconds, self.mode.changes_rows(), &sent.parts),
        );
        watch.over("writing to the ledger", recording).await?;
        let rejected_uri = rejected.uri().map(str::to_owned);
        let advice = watch.over("looking for an index", self.mode.advice(transaction, target)).await?;
        let advice = advice.map(|advice| (Level::Info, advice));
        let (rows_kept_out, rows_there) = (sent.kept_out, sent.already_there);
        let rows_left_out = skipped.saturating_sub(rows_kept_out + rows_there);
        let mut done =
            Loaded { rejected_uri, rows_left_out, rows_kept_out, ..Loaded::of(&self.table, source, counts, seconds) };
        done.notes.extend(note.into_iter().chain(changes).chain(sent.notes(&rejected)).chain(advice));
        Ok(done)
    }
}

impl PostgresLoad {
    fn ddl_text(&self, context: &TaskContext) -> Result<Option<String>, TaskError> {
        let Some(name) = &self.ddl else { return Ok(None) };
        let path = context.input_file("ddl", name)?;
        std::fs::read_to_string(&path)
            .map(|text| Some(text.trim_start_matches('\u{feff}').to_owned()))
            .map_err(|error| TaskError::permanent(format!("cannot read the DDL file `{name}`")).caused_by(error))
    }

    fn create<'a>(&'a self, ddl: Option<&'a str>, told: Option<&'a ToldSchema>) -> CreateTable<'a> {
        match (&self.ddl, ddl, self.schema.as_ref().and_then(TableSchema::columns)) {
            (Some(name), Some(text), _) => CreateTable::File { name, text },
            (_, _, Some(columns)) => CreateTable::Columns(columns),
            _ => told.map_or(CreateTable::Never, |told| CreateTable::Columns(&told.columns)),
        }
    }

    /// What decides which rows come into the table.
    fn fingerprint(&self) -> Fingerprint {
        let columns = self.schema.as_ref().and_then(TableSchema::columns);
        let rows = (&self.mode, columns, &self.transform, &self.on_bad_row);
        let columns = (&self.columns, self.header.unwrap_or(true), self.on_extra_column, self.on_missing_column);
        let former = format!("{rows:?} {columns:?} {}", self.csv().former_definition(self.format));
        FingerprintBuilder::default()
            .with("mode", &self.mode, &Mode::Append)
            .with_some("schema", self.schema.as_ref())
            .with_part("transform", self.transform.definition())
            .with("on_bad_row", &self.on_bad_row, &BadRows::Fail)
            .with("on_extra_column", &self.on_extra_column, &ExtraColumn::Fail)
            .with("on_missing_column", &self.on_missing_column, &MissingColumn::Fail)
            .with_some("format", self.format)
            .with_part("csv", self.csv().definition())
            .fingerprint(&former)
    }

    fn key(
        &self,
        context: &TaskContext,
        (target, source): (&Target, &SourceFile),
        partition: Option<&(&str, String)>,
        ledger: String,
    ) -> LedgerKey {
        LedgerKey {
            ledger,
            target: target.table.sql_name.clone(),
            partition: partition.map_or_else(|| source.address.short.clone(), |(_, value)| value.clone()),
            address: source.address.clone(),
            flow: context.flow.to_string(),
            source_sha256: source.sha256.clone(),
            definition: self.fingerprint(),
        }
    }

    /// What does not go together in how the file is read.
    fn reading_conflicts(&self) -> Vec<FieldConflict> {
        let format = self.format.unwrap_or_else(|| FileFormat::of(&self.from));
        self.csv().conflicts(format, if self.format.is_some() { "format" } else { "from" })
    }

    fn options(&self, source: &SourceFile) -> Result<ReadOptions, TaskError> {
        self.csv().options(source.name.clone(), self.format)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fingerprint(settings: &str) -> [String; 2] {
        let settings: Value = serde_yaml::from_str(settings).unwrap();
        serde_json::from_value::<PostgresLoad>(settings).unwrap().fingerprint().known().map(str::to_owned)
    }

    const ALL: &str = r#"
from: a.csv
table: t
mode: {merge: {key: [id], on_match: update}}
schema: {id: int, at: timestamp}
on_bad_row: {reject: {max: 5}}
on_extra_column: ignore
on_missing_column: empty
format: csv
header: false
columns: [id, at]
delimiter: ";"
quote: "'"
escape: "\\"
null_string: ["NULL", "-"]
encoding: LATIN1
comment: '#'
skip_lines: 2
trim: true
decimal: ","
thousands: "."
date_format: "%d.%m.%Y"
timestamp_format: "%d.%m.%Y %H:%M"
true_values: [ja]
false_values: [nein]
transform:
  schema: {id: bigint}
  filter: id > 0
  with_columns: {b: id + 1}
  cast: {b: int}
  rename: {b: c}
  select: [id, c]
  dedupe: {columns: [id], keep: last}
  sql: SELECT * FROM self
  row_id: {columns: [id]}
  expect:
    - {not_null: [id], on_fail: warn}
    - {unique: [id]}
    - {between: {column: id, min: 1}}
    - {in: {column: id, values: [1]}}
    - {row_count: {min: 1}}
    - {freshness: {column: at, max_age: 36h}}
"#;

    /// Ledgers hold these: another value here means that loaded files are loaded again.
    #[test]
    fn fingerprints_are_those_that_ledgers_hold() {
        assert_eq!(
            ["{from: a.csv, table: t}", ALL].map(fingerprint),
            [
                [
                    "b6fbf9b49b8dc2252d8a4c02e90c36696b684081df61fca5e089f186e93b95e9",
                    "28c78fb7624f67abda68dbabd9d49da5ffd5ab08f3b47d661f495ef98c6e6108",
                ],
                [
                    "985d8d1fe10dc7060c2de6a6e03926079d3d058d307cc03a5eab8b79dec4fb5a",
                    "21cffaff3ea16b68c3212e38d328ea422e0a654ac2c92b5d330d555cad38aa11",
                ],
            ]
        );
    }
}
