//! `postgres.copy_in`: a file into a table by the server's own COPY.

use std::pin::pin;
use std::time::Instant;

use bytes::Bytes;
use futures_util::SinkExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_postgres::{Error, Transaction};

use super::copy_format::CopyFormat;
use super::ledger::{self, LedgerKey};
use super::loaded::Loaded;
use super::source::SourceFile;
use super::table::TargetTable;
use super::transaction::{Loading, say_isolation};
use crate::diagnostic::Diagnostic;
use crate::fingerprint::Fingerprint;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::postgres::{FlowAddress, WaitMonitor, explain};
use crate::stream::bytes::FileBytes as Blocks;
use crate::stream::{Encoding, Text, UnpackLimits, bom_conflict, looks_like_utf16, unread_encoding};
use crate::task::{Capability, FieldConflict, Level, Task, TaskContext, TaskError};
use crate::tasks::counts::Counts;

/// Blocks that wait to be sent.
const READ_AHEAD: usize = 2;

/// Copies a file into a table, as Postgres's `COPY … FROM STDIN` does: fields go into columns by their position, the
/// format is `TEXT` unless it is named, no line is a header unless `header` says so, and the same file twice is in the
/// table twice. A byte order mark of UTF-8 is part of the first field. `postgres.load` goes by column names, checks and transforms rows, and loads a file once.
///
/// The copy is one transaction, which also writes a row into the ledger `jitney_loads`. A compressed file is unpacked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyIn {
    /// The file: an output of an earlier task, or a path from the flow's folder.
    from: String,
    /// The table, with its schema if need be: `public.green_tripdata`; read as `postgres.load` reads it.
    table: String,
    /// The columns that the file's fields go into, in the file's order; by default all of the table, in its order.
    columns: Option<Vec<String>>,
    /// The file's format: `TEXT` (by default), `CSV` or `BINARY`.
    #[serde(default)]
    format: CopyFormat,
    /// Whether the first line is a header, which is passed over.
    #[serde(default)]
    header: bool,
    /// The character between fields: by default a tab, and a comma in CSV.
    delimiter: Option<char>,
    /// What stands for NULL: by default `\N`, and an empty field without quotes in CSV.
    #[serde(alias = "nullString")]
    null_string: Option<String>,
    /// The quoting character of CSV.
    quote: Option<char>,
    /// The character before a quote inside quotes; by default the quote itself.
    escape: Option<char>,
    /// The columns of a CSV file in which `null_string` is a text.
    #[serde(alias = "forceNotNull")]
    force_not_null: Option<Vec<String>>,
    /// The columns of a CSV file in which `null_string` is NULL, even in quotes.
    #[serde(alias = "forceNull")]
    force_null: Option<Vec<String>>,
    /// The file's encoding, such as `LATIN1` or `UTF-16`; by default UTF-8. With `SQL_ASCII` the server takes the bytes
    /// as they are.
    #[schemars(with = "Option<String>")]
    encoding: Option<Encoding>,
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
}

impl Task for CopyIn {
    const NAME: &'static str = "postgres.copy_in";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPostgres];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.jdbc.postgresql.CopyIn"];
    const FILES: &'static [&'static str] = &["from", "url"];
    const EXAMPLE: &'static str = "\
- id: copy
  type: postgres.copy_in
  from: \"{{ outputs.extract.uri }}\"
  table: public.zones_staging
  format: CSV
  header: true
  columns: [location_id, borough, zone, service_zone]
";
    type Outputs = Loaded;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let text = [
            ("header", self.header),
            ("delimiter", self.delimiter.is_some()),
            ("null_string", self.null_string.is_some()),
            ("encoding", self.encoding.is_some()),
        ];
        let csv = [
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("force_not_null", self.force_not_null.is_some()),
            ("force_null", self.force_null.is_some()),
        ];
        let idle = self.format.conflicts(text, csv);
        TargetTable::conflict(&self.table).into_iter().chain(idle).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<Loaded, TaskError> {
        self.until_loaded(context).await
    }
}

impl Loading for CopyIn {
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
        let table = watch.over("looking for the table", TargetTable::existing(transaction, &self.table)).await?;
        let sql = self.sql(&table)?;
        let key = LedgerKey {
            target: table.sql_name.clone(),
            partition: source.address.short.clone(),
            address: source.address.clone(),
            flow: context.flow.to_string(),
            source_sha256: source.sha256.clone(),
            definition: Fingerprint::of_text(&sql),
            ledger,
        };
        let looking = ledger::committed(transaction, &key, context, &table);
        if let Some(own) = watch.over("asking what is copied", looking).await? {
            let message = "an attempt before this one has copied the file, and could not say so any more";
            return Ok(Loaded::of(&self.table, source, own.counts, 0.0).noting(Level::Info, message));
        }
        let asking = "asking for the session's settings";
        let asked = async { role_and_isolation(transaction).await.map_err(|error| explain(asking, &error)) };
        let (role, isolation) = watch.over(asking, asked).await?;
        say_isolation(context, &isolation);
        let loaded = self.send(transaction, context, watch, (source, &sql)).await?;
        // A trigger may have left another one, without rights to the ledger.
        let setting_role = "setting the session's role";
        let set = format!("SET ROLE {role}");
        let set = async { transaction.batch_execute(&set).await.map_err(|error| explain(setting_role, &error)) };
        watch.over(setting_role, set).await?;
        let counts = Counts { read: loaded, loaded, rejected: 0, skipped: 0 };
        let seconds = began.elapsed().as_secs_f64();
        let recording = ledger::record(transaction, context, (source, &key), counts, (seconds, false, &[]));
        watch.over("writing to the ledger", recording).await?;
        Ok(Loaded::of(&self.table, source, counts, seconds))
    }
}

impl CopyIn {
    async fn send(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &WaitMonitor<'_>,
        (source, sql): (&SourceFile, &str),
    ) -> Result<u64, TaskError> {
        let doing = format!("copying into `{}`", self.table);
        let failed = |error: Error| explain(&doing, &error);
        watch.before_copy();
        let begun = async { transaction.copy_in::<_, Bytes>(sql).await.map_err(failed) };
        let mut sink = pin!(watch.over(&doing, begun).await?);
        let (sender, mut blocks) = mpsc::channel(READ_AHEAD);
        let reading = Reading {
            blocks: Blocks::open(&source.file.path, &source.name, UnpackLimits::default(), context.progress.clone())?,
            text: self.is_decoded_here().then(|| self.encoding.clone()),
            named: self.encoding.clone().filter(|_| self.format != CopyFormat::Binary),
            is_binary: self.format == CopyFormat::Binary,
            name: source.name.clone(),
        };
        let worker = tokio::task::spawn_blocking(move || reading.run(&sender));
        while let Some(block) = watch.unless_rejected(&doing, async { Ok(blocks.recv().await) }).await? {
            let sent = async { sink.send(block).await.map_err(failed) };
            watch.unless_rejected(&doing, watch.over(&doing, sent)).await?;
        }
        worker
            .await
            .map_err(|error| TaskError::permanent(format!("{doing} ended unexpectedly")).caused_by(error))??;
        let rows = watch.over(&doing, async { sink.finish().await.map_err(failed) }).await?;
        context.progress.add_rows(rows);
        Ok(rows)
    }

    /// Whether the server gets UTF-8, whatever the file is in. It reads most encodings itself, and takes the bytes as they
    /// are for SQL_ASCII.
    fn is_decoded_here(&self) -> bool {
        let in_postgres = self.encoding.as_ref().and_then(Encoding::in_postgres);
        self.format != CopyFormat::Binary && in_postgres.is_none_or(|name| name == "UTF8")
    }

    fn sql(&self, target: &TargetTable) -> Result<String, TaskError> {
        let columns = self.columns.as_ref().map(|columns| list(target, columns)).transpose()?;
        let columns = columns.map(|columns| format!(" {columns}")).unwrap_or_default();
        Ok(format!("COPY {}{columns} FROM STDIN ({})", target.sql_name, self.options(target)?))
    }

    fn options(&self, target: &TargetTable) -> Result<String, TaskError> {
        let encoding = match &self.encoding {
            _ if self.format == CopyFormat::Binary => None,
            Some(encoding) if !self.is_decoded_here() => encoding.in_postgres(),
            _ => Some("UTF8"),
        };
        let texts = [
            ("DELIMITER", self.delimiter.map(String::from)),
            ("NULL", self.null_string.clone()),
            ("QUOTE", self.quote.map(String::from)),
            ("ESCAPE", self.escape.map(String::from)),
            ("ENCODING", encoding.map(str::to_owned)),
        ];
        let texts = texts.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", quote(&value?))));
        let mut options = vec![format!("FORMAT {}", format!("{:?}", self.format).to_lowercase())];
        options.extend(self.header.then(|| "HEADER true".to_owned()));
        options.extend(texts);
        for (key, columns) in [("FORCE_NOT_NULL", &self.force_not_null), ("FORCE_NULL", &self.force_null)] {
            if let Some(columns) = columns {
                options.push(format!("{key} {}", list(target, columns)?));
            }
        }
        Ok(options.join(", "))
    }
}

/// The session's role, as SET ROLE takes it, and the isolation level of transactions that do not name one.
async fn role_and_isolation(transaction: &Transaction<'_>) -> Result<(String, String), Error> {
    let sql = "SELECT current_setting('role'), current_setting('default_transaction_isolation')";
    let row = transaction.query_one(sql, &[]).await?;
    let role = match row.try_get(0)? {
        "none" => "NONE".to_owned(),
        role => quote_name(role),
    };
    Ok((role, row.try_get(1)?))
}

/// The table's columns of these names, for SQL.
fn list(target: &TargetTable, columns: &[String]) -> Result<String, TaskError> {
    let names = columns.iter().map(|name| target.own_name(name).map(quote_name));
    Ok(format!("({})", names.collect::<Result<Vec<_>, _>>()?.join(", ")))
}

/// A file on its way to the server.
struct Reading {
    blocks: Blocks,
    /// The encoding of a file that is decoded here.
    text: Option<Option<Encoding>>,
    /// The encoding that the task names.
    named: Option<Encoding>,
    is_binary: bool,
    name: String,
}

impl Reading {
    /// Gives the blocks as long as somebody wants them.
    fn run(self, sender: &mpsc::Sender<Bytes>) -> Result<(), TaskError> {
        let mut is_first = !self.is_binary;
        let mut source = match self.text {
            Some(encoding) => CopiedFile::Text(Box::new(Text::new(self.blocks, encoding).keeping_mark())),
            None => CopiedFile::AsItIs(self.blocks),
        };
        while let Some(block) = source.next()? {
            if std::mem::take(&mut is_first) {
                check_encoding(&self.name, self.named.as_ref(), &block)?;
            }
            if sender.blocking_send(Bytes::from(block)).is_err() {
                return Err(TaskError::cancelled("the copy was stopped"));
            }
        }
        Ok(())
    }
}

/// Whether the first bytes of a text are in the encoding that the task names, or in UTF-8.
fn check_encoding(name: &str, named: Option<&Encoding>, start: &[u8]) -> Result<(), TaskError> {
    let utf16 = || {
        let (found, read_as) = (looks_like_utf16(start)?, named.map_or("UTF-8", Encoding::name));
        let message = format!("the file is {found}, and is read as {read_as}");
        Some(Box::new(Diagnostic::error(message).help(format!("say so: `encoding: {found}`"))))
    };
    match unread_encoding(start).or_else(|| bom_conflict(named, start)).or_else(utf16) {
        Some(found) => Err(TaskError::from(Diagnostic { file: name.to_owned(), line: 1, column: 1, ..*found })),
        None => Ok(()),
    }
}

enum CopiedFile {
    AsItIs(Blocks),
    Text(Box<Text>),
}

impl CopiedFile {
    fn next(&mut self) -> Result<Option<Vec<u8>>, TaskError> {
        Ok(match self {
            Self::AsItIs(blocks) => blocks.next_block(Vec::new())?,
            Self::Text(text) => text.next_block(Vec::new())?,
        })
    }
}
