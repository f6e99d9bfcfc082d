//! `postgres.query`: a user's SQL.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::Instant;

use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use crate::postgres::sql::{Statement, statements};
use crate::postgres::value::PgValue;
use crate::postgres::{
    FlowAddress, LOST, PostgresSession, TransactionOutcome, WaitMonitor, connect_for, explain, explain_in, outcome,
};
use crate::task::{Capability, ErrorClass, Task, TaskContext, TaskError};
use crate::tasks::fetch::{FetchMode, MAX_ROWS, ResultSet};

/// Runs SQL statements on Postgres, by default all in one transaction, and can give or store the rows they return.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresQuery {
    /// The server, such as `postgres://user:password@host:5432/database` or `jdbc:postgresql://host:5432/database`.
    /// `--postgres` wins over it. Without any address jitney starts a private server of its own.
    url: Option<String>,
    /// The user that logs in; wins over the address's.
    username: Option<String>,
    /// The user's password; wins over the address's.
    password: Option<String>,
    /// One or several statements, with semicolons between them. Either this or `file`.
    sql: Option<String>,
    /// A file of statements, relative to the flow's own folder.
    file: Option<String>,
    /// Values for the SQL: a list for `$1`, `$2`…, or a map for `:name`. Texts are quoted, lists become arrays.
    #[serde(default)]
    parameters: Value,
    /// Whether several statements take effect together or not at all. `VACUUM` and similar statements need `false`.
    #[serde(default = "yes")]
    transaction: bool,
    /// What to do with the rows: `NONE`, `FETCH` them all as `rows`, `FETCH_ONE` as `row`, or `STORE` them as a file
    /// of one JSON object per line. The file holds every digit of `numeric`, `json` and `jsonb` values. In `rows` and `row`,
    /// a column of `numeric` is one of numbers if each of its values has 15 digits or fewer, zeros at the ends not counted,
    /// and one of texts otherwise; numbers within `json` and `jsonb` are doubles or 64-bit integers, and JSON's `null` is
    /// NULL. Columns need names of their own. Where rows are kept, the session's `DateStyle` is ISO; otherwise the session has the
    /// settings of its database and user.
    #[serde(default, alias = "fetchType")]
    fetch: FetchMode,
    /// An older word for `fetch: STORE`.
    #[serde(default)]
    store: bool,
    /// An older word for `fetch: FETCH_ONE`.
    #[serde(default, alias = "fetchOne")]
    fetch_one: bool,
}

fn yes() -> bool {
    true
}

/// What the statements gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The last result.
    #[serde(flatten)]
    last: ResultSet,
    /// The result of each statement that returns rows, in order; empty with `fetch: NONE`.
    outputs: Vec<ResultSet>,
    /// Rows inserted, updated, deleted or merged by all statements.
    affected: u64,
    /// Seconds from the first statement to the commit.
    seconds: f64,
}

impl Task for PostgresQuery {
    const NAME: &'static str = "postgres.query";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPostgres];
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.jdbc.postgresql.Queries", "io.kestra.plugin.jdbc.postgresql.Query"];
    const SQL: &'static [&'static str] = &["sql"];
    const FILES: &'static [&'static str] = &["file", "url"];
    const DEFINITIONS: &'static [&'static str] = &["file"];
    const EXAMPLE: &'static str = "\
- id: trips
  type: postgres.query
  sql: SELECT count(*) AS trips FROM green_tripdata WHERE filename = :file
  parameters: {file: green_tripdata_2019-01.csv}
  fetch: FETCH_ONE
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let (name, source) = self.source(context)?;
        let all = statements(&name, &source, &self.parameters).map_err(TaskError::permanent)?;
        if all.is_empty() {
            return Err(TaskError::permanent(format!("there is no SQL statement in `{name}`")));
        }
        let address =
            FlowAddress::of(self.url.as_ref(), self.username.as_ref(), self.password.as_ref(), &context.files);
        let session = connect_for(context, Some(&address)).await?;
        let work = async {
            if self.keeps() != FetchMode::Nothing {
                session.print_iso_dates().await?;
            }
            self.execute(&session, context, &address, &all).await
        };
        let outputs = session.unless_cancelled(&context.cancel, "the query", work).await;
        session.take_notices().iter().for_each(|notice| context.info(notice));
        outputs.map_err(|problem| self.leaves(problem, &all))
    }
}

impl PostgresQuery {
    /// What the SQL is called, and the SQL.
    fn source(&self, context: &TaskContext) -> Result<(String, String), TaskError> {
        match (&self.sql, &self.file) {
            (Some(sql), None) => Ok(("sql".to_owned(), sql.clone())),
            (None, Some(file)) => {
                let text = fs::read_to_string(context.input_file("file", file)?);
                let text =
                    text.map_err(|error| TaskError::permanent(format!("cannot read `{file}`")).caused_by(error))?;
                Ok((file.clone(), text))
            }
            _ => Err(TaskError::permanent("`postgres.query` needs either `sql` or `file`")),
        }
    }

    fn keeps(&self) -> FetchMode {
        self.fetch.or_deprecated(self.store, self.fetch_one)
    }

    /// A single statement is a transaction of its own, and some (VACUUM) can be in no other.
    fn is_together(&self, all: &[Statement<'_>]) -> bool {
        self.transaction && all.len() > 1
    }

    async fn execute(
        &self,
        session: &PostgresSession,
        context: &TaskContext,
        address: &FlowAddress,
        all: &[Statement<'_>],
    ) -> Result<Outputs, TaskError> {
        let clock = Instant::now();
        let (together, watch) = (self.is_together(all), session.watch(context));
        if together {
            watch.over("BEGIN of the SQL", control(session, "BEGIN")).await?;
        }
        watch.identify(&session.client, together).await?;
        let (mut outputs, mut affected) = (Vec::new(), 0);
        let fetch = self.keeps();
        for (index, statement) in all.iter().enumerate() {
            let step = StatementRun { session, context, statement, number: index + 1, of: all.len(), fetch };
            let done = watch.over(&step.name(), step.run()).await?;
            outputs.extend(done.result);
            affected += done.affected;
        }
        if together {
            commit(session, context, &watch, address).await?;
        }
        let last = outputs.last().cloned().unwrap_or_default();
        Ok(Outputs { last, outputs, affected, seconds: clock.elapsed().as_secs_f64() })
    }

    /// Adds what a connection that broke has left behind, as far as that is known.
    fn leaves(&self, problem: TaskError, all: &[Statement<'_>]) -> TaskError {
        if problem.code.as_deref() != Some(LOST) {
            return problem;
        }
        let left = if self.is_together(all) && !all.iter().any(|statement| ends_transaction(&statement.text)) {
            "the commit had not been sent, so that nothing of the SQL takes effect"
        } else {
            "whether the running statement took effect is not known: check before you repeat it"
        };
        let help = problem.help.as_deref().unwrap_or_default();
        let help = format!("{left}; {help}");
        problem.help(help)
    }
}

/// Whether a statement of the user's own may commit what came before it.
fn ends_transaction(sql: &str) -> bool {
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    ["commit", "end", "prepare"].contains(&word.to_ascii_lowercase().as_str())
}

async fn control(session: &PostgresSession, verb: &str) -> Result<(), TaskError> {
    session.client.batch_execute(verb).await.map_err(|error| explain(&format!("{verb} of the SQL"), &error))
}

/// Commits. If the connection breaks meanwhile, the server is asked over another one how it ended.
async fn commit(
    session: &PostgresSession,
    context: &TaskContext,
    watch: &WaitMonitor<'_>,
    address: &FlowAddress,
) -> Result<(), TaskError> {
    let doing = "COMMIT of the SQL";
    let number = watch.over(doing, outcome::number(&session.client)).await?;
    let Err(problem) = watch.over(doing, control(session, "COMMIT")).await else { return Ok(()) };
    if problem.class != ErrorClass::Transient {
        return Err(problem);
    }
    match outcome::of(context, address, number.as_deref()).await {
        TransactionOutcome::Committed => Ok(()),
        TransactionOutcome::RolledBack => {
            Err(TaskError { code: None, ..problem }.help("the server rolled the SQL back"))
        }
        TransactionOutcome::Unknown => {
            Err(TaskError::permanent(format!("{}; whether it was committed is not known", problem.message))
                .help("look into the tables before the SQL is repeated; the server could not be asked"))
        }
    }
}

/// One statement on its way.
struct StatementRun<'a> {
    session: &'a PostgresSession,
    context: &'a TaskContext,
    statement: &'a Statement<'a>,
    number: usize,
    of: usize,
    fetch: FetchMode,
}

/// The result of one statement.
struct Done {
    result: Option<ResultSet>,
    affected: u64,
}

impl StatementRun<'_> {
    async fn run(&self) -> Result<Done, TaskError> {
        let columns = self.columns().await?;
        let failed = |error| self.failed(&error);
        let client = &self.session.client;
        let mut messages = Box::pin(client.simple_query_raw(&self.statement.text).await.map_err(failed)?);
        let (mut rows, mut affected) = (None, 0);
        while let Some(message) = messages.try_next().await.map_err(failed)? {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows = Some(self.collector(&columns)?),
                SimpleQueryMessage::Row(row) => {
                    if let Some(rows) = &mut rows {
                        rows.add(&row)?;
                        self.context.progress.add_rows(1);
                    }
                }
                SimpleQueryMessage::CommandComplete(count) if rows.is_none() || self.changes_rows() => {
                    affected += count;
                }
                _ => {}
            }
        }
        let result = rows.filter(|_| self.fetch != FetchMode::Nothing).map(ResultCollector::finish).transpose()?;
        Ok(Done { result, affected })
    }

    /// The columns with their types, which the simple protocol does not tell.
    async fn columns(&self) -> Result<Vec<(String, Type)>, TaskError> {
        if self.fetch == FetchMode::Nothing {
            return Ok(Vec::new());
        }
        let prepared = self.session.client.prepare(&self.statement.text).await.map_err(|error| self.failed(&error))?;
        let columns = prepared.columns().iter().map(|column| (column.name().to_owned(), column.type_().clone()));
        let columns: Vec<_> = columns.collect();
        let is_again =
            |(index, (name, _)): &(usize, &(String, Type))| columns.iter().take(*index).any(|(other, _)| other == name);
        match columns.iter().enumerate().find(is_again) {
            Some((_, (name, _))) => {
                Err(TaskError::permanent(format!("{}: its result has two columns `{name}`", self.name()))
                    .help("give each a name of its own with AS"))
            }
            None => Ok(columns),
        }
    }

    fn collector<'a>(&self, columns: &'a [(String, Type)]) -> Result<ResultCollector<'a>, TaskError> {
        let mut collector =
            ResultCollector { fetch: self.fetch, columns, rows: Vec::new(), result: ResultSet::default(), file: None };
        if self.fetch == FetchMode::File {
            let name = if self.of == 1 { "rows.ndjson".to_owned() } else { format!("rows-{}.ndjson", self.number) };
            let stored = self.context.output_file(&name)?;
            collector.file = Some(BufWriter::new(File::create(&stored.path).map_err(unwritable)?));
            collector.result.uri = Some(stored.uri);
        }
        Ok(collector)
    }

    /// `SELECT` reports a count too, of rows that it did not change.
    fn changes_rows(&self) -> bool {
        let start = self.statement.text.trim_start().get(..6).unwrap_or_default().to_ascii_lowercase();
        ["insert", "update", "delete", "merge "].contains(&start.as_str())
    }

    fn name(&self) -> String {
        if self.of == 1 {
            "the SQL failed".to_owned()
        } else {
            format!("statement {} of {} failed", self.number, self.of)
        }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> TaskError {
        explain_in(&self.name(), error, self.statement)
    }
}

/// Takes the rows of one statement as they come.
struct ResultCollector<'a> {
    fetch: FetchMode,
    columns: &'a [(String, Type)],
    rows: Vec<Vec<PgValue>>,
    result: ResultSet,
    file: Option<BufWriter<File>>,
}

impl ResultCollector<'_> {
    fn add(&mut self, row: &SimpleQueryRow) -> Result<(), TaskError> {
        self.result.size += 1;
        match self.fetch {
            FetchMode::Nothing => {}
            FetchMode::First if self.result.size > 1 => {}
            FetchMode::First => self.rows.push(self.cells(row)),
            FetchMode::All if self.rows.len() == MAX_ROWS => {
                return Err(TaskError::permanent(format!("the SQL returns more than {MAX_ROWS} rows"))
                    .help("use `fetch: STORE` for results of this size, or postgres.copy_out"));
            }
            FetchMode::All => self.rows.push(self.cells(row)),
            FetchMode::File => {
                let cells = self.cells(row);
                if let Some(file) = &mut self.file {
                    write_line(file, self.columns, &cells).map_err(unwritable)?;
                }
            }
        }
        Ok(())
    }

    fn cells(&self, row: &SimpleQueryRow) -> Vec<PgValue> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(index, (_, kind))| PgValue::from_text(kind, row.try_get(index).ok().flatten())).collect()
    }

    fn finish(mut self) -> Result<ResultSet, TaskError> {
        if let Some(file) = &mut self.file {
            file.flush().map_err(unwritable)?;
        }
        let is_of_numbers =
            |index: usize| self.rows.iter().filter_map(|row| row.get(index)).all(PgValue::is_of_doubles);
        let are_numbers: Vec<bool> = (0..self.columns.len()).map(is_of_numbers).collect();
        let mut rows = self.rows.into_iter().map(|cells| {
            let named = self.columns.iter().zip(cells).zip(&are_numbers);
            named.map(|(((name, _), cell), is_number)| (name.clone(), cell.into_value(*is_number))).collect()
        });
        match self.fetch {
            FetchMode::All => self.result.rows = Some(rows.collect()),
            _ => self.result.row = rows.next(),
        }
        Ok(self.result)
    }
}

/// Writes a row as an object of JSON.
fn write_line(file: &mut impl Write, columns: &[(String, Type)], cells: &[PgValue]) -> std::io::Result<()> {
    for (index, ((name, _), cell)) in columns.iter().zip(cells).enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        write!(file, "{before}{}:{cell}", Value::from(name.as_str()))?;
    }
    file.write_all(if columns.is_empty() { b"{}\n" } else { b"}\n" })
}

fn unwritable(error: std::io::Error) -> TaskError {
    TaskError::permanent("cannot store the rows").caused_by(error)
}
