//! `postgres.load`: a file into a table, in one transaction, once.

mod as_stored;
mod bisect;
mod columns;
mod elsewhere;
mod encode;
mod encoding;
mod formats;
mod held_back;
mod key;
mod known;
mod load_lock;
mod locate;
mod merge;
mod mode;
mod numeric;
mod partition;
mod pipeline;
mod prepared;
mod probe;
mod refused;
mod savepoint;
mod send;
mod spelling;
mod stored;
mod together;
mod unknown_columns;
mod violated;

use std::sync::Arc;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_postgres::Transaction;

use super::create::check_types;
use super::ledger::{self, Key};
use super::loaded::Loaded;
use super::source::Source;
use super::table::Table;
use super::target::{CreateTable, Target};
use super::transaction::{CHECKING, IMMEDIATE, Loading, say_isolation};
use crate::fingerprint::{Fingerprint, FingerprintBuilder};
use crate::postgres::{FlowAddress, WaitMonitor};
use crate::stream::{ColumnType, Format, ReadOptions, Reader};
use crate::task::{FieldConflict, Ledger, Level, Progress, Task, TaskContext, TaskError};
use crate::tasks::appended::IfLoaded;
use crate::tasks::bad_rows::{BadRows, Rejected};
use crate::tasks::counts::Counts;
use crate::tasks::csv_fields::{as_written, reads_csv};
use crate::tasks::polars::expression::is_same_name;
use crate::tasks::polars::plan::Plan;
use crate::tasks::polars::spec::Transform;
use as_stored::AsStored;
use columns::{ExtraColumn, MissingColumn};
use known::{Known, Planned};
use mode::Mode;
use prepared::PreparedLoad;
use send::Sending;
use stored::Session;
use unknown_columns::with_unknown_columns;

reads_csv! { as_written! {
/// Loads a file into a table of Postgres: CSV, NDJSON or Parquet, plain or compressed.
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The file: an output of an earlier task, or a path from the flow's folder.
    from: String,
    /// The table, with its schema if need be: `public.green_tripdata`. A name without quotes is read in small
    /// letters, as Postgres does; where there is no such table, the one that is spelled so is meant. In double quotes,
    /// `'"My Table"'`, it is read letter for letter.
    table: String,
    /// How rows get into the table: `append`, `truncate`, `{replace_partition: {column: value}}`, or
    /// `{merge: {key: [columns], on_match: ignore|update}}`.
    #[serde(default)]
    mode: Mode,
    /// A file of SQL that creates the table; it runs when there is no such table.
    ddl: Option<String>,
    /// Columns and their Postgres types, to create the table with when there is none. Names are read in small letters,
    /// unless they are in double quotes: `'"VendorID"': bigint`.
    schema: Option<Map<String, Value>>,
    /// Steps between file and table: `filter`, `with_columns`, `rename`, `select`, `row_id` and more, as
    /// `polars.transform` has them.
    #[serde(default)]
    transform: Transform,
    /// What to do with a row that does not fit, or that the server refuses: `fail`, or
    /// `{reject: {max: 100, file: bad.csv}}`. With `reject` each batch of about 1 MB is a COPY of its own behind a
    /// savepoint, all in one transaction; the server names the row that it refuses, and the others are sent again.
    /// The rows of a merge, and those of a table that refers to itself, has an AFTER trigger or one for whole statements,
    /// or is subject to a deferred constraint, are copied to a temporary table first and go from there into the table, in
    /// one statement if all is well; this about doubles what the server writes. What the table refuses then, such as a
    /// foreign key, another unique key or what a trigger raises, is found by halves: each bad row takes about two
    /// statements for every doubling of the number of rows. A row that a trigger refuses without the bad ones beside it is
    /// tried again until no more of them can be added; a load in which more than `max` remain fails.
    ///
    /// The load fails, or is retried, if the error is one of the server, the session or the SQL, even if a trigger raises
    /// it: SQLSTATE classes 08, 25, 40, 53, 57 and 58, and 55P03, XX001 and XX002; and 42, such as a missing right, unless
    /// a trigger raises it with RAISE. The table becomes as if the file had not had the rejected rows, except for the
    /// numbers of `serial` and identity columns that rows use up which are sent again. Where the sequence has fewer than a
    /// billion numbers left, the rows go through a temporary table too, and use up one number each.
    #[serde(default)]
    on_bad_row: BadRows,
    /// What to do with a column of the file that the table does not have.
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
    /// The file's format: `csv`, `ndjson`, `json` or `parquet`; by default what its name says. Postgres's own formats are read by
    /// `postgres.copy_in`.
    format: Option<Format>,
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
}
} }

impl Task for Load {
    const NAME: &'static str = "postgres.load";
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
        let table = Table::conflict(&self.table);
        let encoding = encoding::conflict(self.encoding.as_ref());
        table.into_iter().chain(forced).chain(encoding).chain(self.reading_conflicts()).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<Loaded, TaskError> {
        // Of a table that is there, too, for which nothing else looks at them.
        self.schema.as_ref().map_or(Ok(()), check_types)?;
        self.until_loaded(context).await
    }
}

impl Loading for Load {
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
        source: &Source,
        ledger: String,
        began: Instant,
    ) -> Result<Loaded, TaskError> {
        let ddl = self.ddl_text(context)?;
        let create = self.create(ddl.as_deref());
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
        let rejects = self.on_bad_row != BadRows::Fail;
        self.mode.check(&target, rejects)?;
        if let Some(what) = self.mode.temporary_for(rejects) {
            watch.over("asking for the user's rights", ledger::check_temporary(transaction, what)).await?;
        }
        let session = watch.over("asking for the session's settings", Session::of(transaction)).await?;
        say_isolation(context, &session.default_isolation);
        encoding::check(self.encoding.as_ref(), &session)?;
        let (prepared, pipeline) = PreparedLoad::open(self, context, (&target, source), session)?;
        if rejects && prepared.stage.is_none() {
            // What is only checked at the end is no row's any more.
            savepoint::over(watch, CHECKING, transaction.batch_execute(IMMEDIATE)).await?;
        }
        let making_room = self.mode.prepare(transaction, &target, &prepared.fields, prepared.stage.as_ref());
        let table = watch.over("making room for the rows", making_room).await?;
        let relation = Mode::relation(&target, prepared.stage.as_ref());
        let sending = Sending { transaction, watch, table: &table, relation, prepared: &prepared };
        let mut rejected = Rejected::start(&self.on_bad_row, &source.name, context)?;
        let mut sent = sending.run(pipeline, &mut rejected).await?;
        let (sent_rows, refused) = (sent.stored + sent.kept_out, rejected.count());
        let loaded = Box::pin(self.merged(&sending, &mut sent, &mut rejected)).await?;
        sent.expect_rows(sent_rows.saturating_sub(rejected.count() - refused), &prepared.row_counts)?;
        if !rejects && target.nature.has_deferred {
            sending.check_deferred().await?;
        }
        sending.restore_role().await?;
        let checking = self.mode.check_stored(transaction, &target, loaded);
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
        let advice = watch.over("looking for an index", self.mode.advice(transaction, &target)).await?;
        let advice = advice.map(|advice| (Level::Info, advice));
        let mut done = Loaded { rejected_uri, ..Loaded::of(&self.table, source, counts, seconds) };
        done.notes.extend(note.into_iter().chain(sent.notes(&rejected)).chain(advice));
        Ok(done)
    }
}

impl Load {
    fn ddl_text(&self, context: &TaskContext) -> Result<Option<String>, TaskError> {
        let Some(name) = &self.ddl else { return Ok(None) };
        let path = context.input_file("ddl", name)?;
        std::fs::read_to_string(&path)
            .map(|text| Some(text.trim_start_matches('\u{feff}').to_owned()))
            .map_err(|error| TaskError::permanent(format!("cannot read the DDL file `{name}`")).caused_by(error))
    }

    fn create<'a>(&'a self, ddl: Option<&'a str>) -> CreateTable<'a> {
        match (&self.ddl, ddl, &self.schema) {
            (Some(name), Some(text), _) => CreateTable::File { name, text },
            (_, _, Some(columns)) => CreateTable::Columns(columns),
            _ => CreateTable::Never,
        }
    }

    /// What decides which rows come into the table.
    fn fingerprint(&self) -> Fingerprint {
        let rows = (&self.mode, &self.schema, &self.transform, &self.on_bad_row);
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
        (target, source): (&Target, &Source),
        partition: Option<&(&str, String)>,
        ledger: String,
    ) -> Key {
        Key {
            ledger,
            target: target.table.sql_name.clone(),
            partition: partition.map_or_else(|| source.address.short.clone(), |(_, value)| value.clone()),
            address: source.address.clone(),
            flow: context.flow.to_string(),
            source_sha256: source.sha256.clone(),
            definition: self.fingerprint(),
        }
    }

    /// The file, and what the steps make of it. Texts that no step looks at stay as they are, for the server to read.
    fn opened(
        &self,
        target: &Target,
        source: &Source,
        (progress, session): (Arc<Progress>, &Session),
    ) -> Result<(Reader, Plan), TaskError> {
        let mut reader = Reader::open(&source.file.path, &self.options(source)?, progress)?;
        if reader.is_empty() {
            return self.opened_empty(reader, target, source);
        }
        let types = |name: &str| match target.column_type(name) {
            Some(ColumnType::TimestampTz) if !session.is_utc => Some(ColumnType::Instant),
            kind => kind,
        };
        let is_left_out = |name: &str| {
            self.on_extra_column == ExtraColumn::Ignore && reader.is_ambiguous(name) && types(name).is_none()
        };
        let columns: Vec<_> = reader.columns().iter().filter(|(name, _)| !is_left_out(name)).cloned().collect();
        let needed = match self.on_extra_column {
            ExtraColumn::Ignore => {
                let needed = self.transform.needed(&columns, &types);
                needed.map_err(|error| reader.of_columns(with_unknown_columns(&columns, &types, &self.table, error)))?
            }
            ExtraColumn::Fail => Vec::new(),
        };
        // Without any column that the table has, it is the file that the error is about.
        let columns = if needed.is_empty() { columns } else { needed };
        let plan = self.transform.plan_for_texts(&columns, &types, &|found, wanted| reader.keeps(found, wanted));
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
    fn as_stored(&self, plan: &Plan, target: &Target) -> Option<AsStored> {
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
    fn opened_empty(&self, mut reader: Reader, target: &Target, source: &Source) -> Result<(Reader, Plan), TaskError> {
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
    fn wanted(&self, plan: &Plan, target: &Target) -> Vec<crate::stream::Column> {
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

    /// What does not go together in how the file is read.
    fn reading_conflicts(&self) -> Vec<FieldConflict> {
        let format = self.format.unwrap_or_else(|| Format::of(&self.from));
        self.csv().conflicts(format, if self.format.is_some() { "format" } else { "from" })
    }

    fn options(&self, source: &Source) -> Result<ReadOptions, TaskError> {
        self.csv().options(source.name.clone(), self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(settings: &str) -> [String; 2] {
        let settings: Value = serde_yaml::from_str(settings).unwrap();
        serde_json::from_value::<Load>(settings).unwrap().fingerprint().known().map(str::to_owned)
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
