//! `postgres.copy_out`: rows of Postgres as a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::pin::pin;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::copy_format::CopyFormat;
use super::table::{TargetTable, readable};
use crate::postgres::name::quote_name;
use crate::postgres::sql::{Statement, quote, statements};
use crate::postgres::{FlowAddress, PostgresSession, connect_once, explain_in};
use crate::storage::StoredFile;
use crate::task::{Capability, FieldConflict, OutageTracker, Task, TaskContext, TaskError};

/// Writes a table or the result of a query to a file, by `COPY … TO STDOUT`: fast, and in flat memory. As with COPY, the
/// format is `TEXT`, without a header, unless something else is named; the name of a CSV file does so.
///
/// A table, or a query that begins with `SELECT`, is read again when the connection breaks. Dates and times are written in
/// ISO 8601, whatever the `DateStyle` of the database is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyOut {
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
    /// One query. Either this or `table`.
    sql: Option<String>,
    /// A table or view, with its schema if need be: `public.zones`; read as `postgres.load` reads it.
    table: Option<String>,
    /// The columns of the table to write, by default all.
    #[serde(default)]
    columns: Vec<String>,
    /// Values for the query: a list for `$1`, `$2`…, or a map for `:name`.
    #[serde(default)]
    parameters: Value,
    /// The file's name, by default `data` with an ending that fits. If it ends with `.csv` or `.csv.gz`, the file is CSV
    /// with a header, unless `format` and `header` say otherwise.
    name: Option<String>,
    /// Whether to compress with gzip; a name that ends with `.gz` says so too.
    #[serde(default)]
    compress: bool,
    /// The file's format: `TEXT` (by default), `CSV` (by default if `name` says so) or `BINARY`.
    format: Option<CopyFormat>,
    /// Whether the first line names the columns; by default only in CSV whose `name` says that it is.
    header: Option<bool>,
    /// The character between fields; by default a comma, or a tab in text format.
    delimiter: Option<String>,
    /// What stands for a missing value; by default nothing, or `\N` in text format.
    #[serde(alias = "nullString")]
    null_string: Option<String>,
    /// The quoting character of CSV.
    quote: Option<String>,
    /// The character before a quote inside quotes.
    escape: Option<String>,
    /// The columns of a CSV file whose values are always quoted, except NULL; `["*"]` for all.
    #[serde(default, alias = "forceQuote")]
    force_quote: Vec<String>,
    /// The file's encoding, such as `LATIN1`; by default UTF-8.
    encoding: Option<String>,
}

/// The endings of files that COPY does not write.
const OTHER_FORMATS: &[&str] =
    &["avro", "bz2", "json", "jsonl", "ndjson", "orc", "parquet", "pq", "xls", "xlsx", "xz", "zip", "zst", "zstd"];

/// The file that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CopyOutOutputs {
    /// The file, for the `from` of later tasks.
    uri: String,
    /// Rows written, without the header.
    row_count: u64,
    /// The same under Kestra's name.
    #[serde(rename = "rowCount")]
    row_count_too: u64,
    /// The file's size in bytes, compressed if it is.
    bytes: u64,
}

impl Task for CopyOut {
    const NAME: &'static str = "postgres.copy_out";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPostgres];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.jdbc.postgresql.CopyOut"];
    const SQL: &'static [&'static str] = &["sql"];
    const FILES: &'static [&'static str] = &["url"];
    const EXAMPLE: &'static str = "\
- id: report
  type: postgres.copy_out
  sql: SELECT zone, count(*) AS trips FROM trips JOIN zones USING (location_id) GROUP BY zone ORDER BY trips DESC
  name: trips_by_zone.csv.gz
";
    type Outputs = CopyOutOutputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let one = match (&self.sql, &self.table) {
            (None, None) => Some(FieldConflict::between(["sql", "table"], "either `sql` or `table` is needed")),
            (Some(_), Some(_)) => Some(FieldConflict::between(["table", "sql"], "give either `sql` or `table`")),
            _ => None,
        };
        let columns = (self.table.is_none() && !self.columns.is_empty()).then(|| {
            FieldConflict::between(["columns", "table"], "`sql` names its columns itself; leave `columns` out")
        });
        let name = self.name.as_deref().and_then(misleading);
        let table = self.table.iter().filter_map(|table| TargetTable::conflict(table));
        table.chain(one).chain(columns).chain(name).chain(self.idle()).collect()
    }

    async fn run(&self, context: &TaskContext) -> Result<CopyOutOutputs, TaskError> {
        if let Some(sql) = &self.sql {
            single(sql, &self.parameters)?;
        }
        let address =
            FlowAddress::of(self.url.as_ref(), self.username.as_ref(), self.password.as_ref(), &context.files);
        let stored = context.output_file(&self.file_name())?;
        let mut outage = OutageTracker::none(&context.settings);
        loop {
            let session = match connect_once(context, Some(&address)).await {
                Err(problem) => {
                    outage.wait(context, problem).await?;
                    continue;
                }
                Ok(session) => session,
            };
            let work = async {
                session.print_iso_dates().await?;
                let source = self.source(&session).await?;
                let query = single(&source, &self.parameters)?;
                let query = query.inside("COPY (", &format!(") TO STDOUT ({})", self.options(&session).await?));
                self.copy(&session, context, &query, &stored).await
            };
            match session.unless_cancelled(&context.cancel, "copying rows out of Postgres", work).await {
                Err(problem) if self.only_reads() => outage.wait(context, problem).await?,
                ended => return ended,
            }
            context.progress.reset();
        }
    }
}

/// The one statement of a text.
fn single<'a>(source: &'a str, parameters: &Value) -> Result<Statement<'a>, TaskError> {
    let mut all = statements("sql", source, parameters).map_err(TaskError::permanent)?;
    match (all.pop(), all.len()) {
        (Some(query), 0) => Ok(query),
        (_, others) => {
            Err(TaskError::permanent(format!("`sql` holds {} statements", if others == 0 { 0 } else { others + 1 }))
                .help("postgres.copy_out writes the result of exactly one query"))
        }
    }
}

impl CopyOut {
    async fn source(&self, session: &PostgresSession) -> Result<String, TaskError> {
        match (&self.sql, &self.table) {
            (None, Some(table)) => {
                let (columns, table) = readable(&session.client, table, &self.columns).await?;
                Ok(format!("SELECT {columns} FROM {table}"))
            }
            (sql, _) => Ok(sql.clone().unwrap_or_default()),
        }
    }

    /// Whether a repeat changes nothing; a `WITH` may hold an UPDATE.
    fn only_reads(&self) -> bool {
        let first = |sql: &String| sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        self.sql.as_ref().is_none_or(first)
    }

    fn is_named_csv(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default().to_ascii_lowercase();
        name.ends_with(".csv") || name.ends_with(".csv.gz")
    }

    fn format(&self) -> CopyFormat {
        self.format.unwrap_or(if self.is_named_csv() { CopyFormat::Csv } else { CopyFormat::Text })
    }

    fn has_header(&self) -> bool {
        self.header.unwrap_or(self.format() == CopyFormat::Csv && self.is_named_csv())
    }

    /// What the format has no use for.
    fn idle(&self) -> impl Iterator<Item = FieldConflict> {
        let text = [
            ("header", self.header == Some(true)),
            ("delimiter", self.delimiter.is_some()),
            ("null_string", self.null_string.is_some()),
            ("encoding", self.encoding.is_some()),
        ];
        let csv = [
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("force_quote", !self.force_quote.is_empty()),
        ];
        self.format().conflicts(text, csv)
    }

    /// The columns that are always quoted, for SQL.
    async fn quoted(&self, session: &PostgresSession) -> Result<Option<String>, TaskError> {
        Ok(match (&self.table, self.force_quote.as_slice()) {
            (_, []) => None,
            (_, [all]) if all == "*" => Some("FORCE_QUOTE *".to_owned()),
            (Some(table), names) => Some(format!("FORCE_QUOTE ({})", readable(&session.client, table, names).await?.0)),
            (None, names) => {
                let names = names.iter().map(|name| quote_name(name)).collect::<Vec<_>>().join(", ");
                Some(format!("FORCE_QUOTE ({names})"))
            }
        })
    }

    async fn options(&self, session: &PostgresSession) -> Result<String, TaskError> {
        let format = match self.format() {
            CopyFormat::Csv => "FORMAT csv",
            CopyFormat::Text => "FORMAT text",
            CopyFormat::Binary => "FORMAT binary",
        };
        let texts = [
            ("DELIMITER", &self.delimiter),
            ("NULL", &self.null_string),
            ("QUOTE", &self.quote),
            ("ESCAPE", &self.escape),
            ("ENCODING", &self.encoding),
        ];
        let texts = texts.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", quote(value.as_deref()?))));
        let header = self.has_header().then(|| "HEADER true".to_owned());
        let quoted = self.quoted(session).await?;
        Ok(std::iter::once(format.to_owned()).chain(header).chain(texts).chain(quoted).collect::<Vec<_>>().join(", "))
    }

    fn file_name(&self) -> String {
        let ending = match self.format() {
            CopyFormat::Csv => "csv",
            CopyFormat::Text => "txt",
            CopyFormat::Binary => "bin",
        };
        let name = self.name.clone().unwrap_or_else(|| format!("data.{ending}"));
        if self.compress && !name.ends_with(".gz") { name + ".gz" } else { name }
    }

    async fn copy(
        &self,
        session: &PostgresSession,
        context: &TaskContext,
        query: &Statement<'_>,
        stored: &StoredFile,
    ) -> Result<CopyOutOutputs, TaskError> {
        let doing = "copying rows out of Postgres";
        let failed = |error| explain_in(doing, &error, query);
        let watch = session.watch(context);
        watch.identify(&session.client, false).await?;
        let begun = async { session.client.copy_out(&query.text).await.map_err(failed) };
        let mut chunks = pin!(watch.over(doing, begun).await?);
        let (sender, receiver) = mpsc::channel(256);
        let path = stored.path.clone();
        // Compressing and writing happen during the wait for the next rows.
        let writer = tokio::task::spawn_blocking(move || write(receiver, &path));
        // The server sends one message per row, and one more for the header or the binary format's trailer.
        let mut rows = 0u64;
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            rows += 1;
            context.progress.add_rows(1);
            if sender.send(Some(chunk)).await.is_err() {
                break;
            }
        }
        // Only this makes the file whole: a copy that fails or is stopped just drops its sender.
        let _ = sender.send(None).await;
        let written = writer.await.map_err(io::Error::other).and_then(|written| written);
        let bytes =
            written.map_err(|error| TaskError::permanent(format!("cannot write {}", stored.uri)).caused_by(error))?;
        let extra = u64::from(self.has_header() || self.format() == CopyFormat::Binary);
        let row_count = rows.saturating_sub(extra);
        Ok(CopyOutOutputs { uri: stored.uri.clone(), row_count, row_count_too: row_count, bytes })
    }
}

/// What is wrong with the name of a file, if it promises what COPY does not write.
fn misleading(name: &str) -> Option<FieldConflict> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    OTHER_FORMATS.contains(&ending.as_str()).then(|| {
        let message = format!("`{name}` cannot be written: the file is CSV, text or binary, packed with gzip or not");
        FieldConflict::between(["name"], message + "; a name may end in .csv or .csv.gz, for example")
    })
}

/// Writes what comes to the file, and gives its size. The file appears under its name once it is whole.
fn write(chunks: mpsc::Receiver<Option<Bytes>>, path: &Path) -> io::Result<u64> {
    let draft = path.with_added_extension("part");
    let mut file = BufWriter::with_capacity(1 << 16, File::create(&draft)?);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut encoder = GzEncoder::new(file, Compression::fast());
        pour(chunks, &mut encoder, &draft)?;
        file = encoder.finish()?;
    } else {
        pour(chunks, &mut file, &draft)?;
    }
    file.flush()?;
    fs::rename(&draft, path)?;
    Ok(fs::metadata(path)?.len())
}

/// Writes the chunks up to the mark of the end; without one the draft is of no use.
fn pour(mut chunks: mpsc::Receiver<Option<Bytes>>, output: &mut impl Write, draft: &Path) -> io::Result<()> {
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Some(chunk) => output.write_all(&chunk)?,
            None => return Ok(()),
        }
    }
    fs::remove_file(draft)?;
    Err(io::Error::other("the rows stopped coming"))
}
