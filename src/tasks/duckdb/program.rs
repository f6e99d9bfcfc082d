//! The program that speaks with DuckDB, and what it says.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::process::{ProgramSpec, exit_description, run_and_collect};
use crate::secret::Redactor;
use crate::task::{TaskContext, TaskError};
use crate::tasks::script::environment::{Environment, python};
use crate::tasks::script::workspace::Workspace;

/// The program that speaks with DuckDB.
const PROGRAM: &str = include_str!("run.py");
/// What stands for what DuckDB leaves out of a line that it quotes.
const CUT: &str = "...";
/// What it needs; `pytz` is for moments with a time zone.
const PACKAGES: [&str; 2] = ["duckdb", "pytz"];

/// What the program says in `result.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    /// DuckDB's version.
    pub(super) version: String,
    of: usize,
    statement: usize,
    /// Rows inserted, updated, deleted or copied.
    pub(super) affected: u64,
    /// The rows of each statement that returned any columns.
    pub(super) outputs: Vec<ResultFile>,
    error: Option<DuckdbError>,
}

/// The rows of one statement in a file.
#[derive(Debug, Deserialize)]
pub(super) struct ResultFile {
    /// One JSON object per line.
    pub(super) file: PathBuf,
    /// The number of rows that the statement returned.
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
struct DuckdbError {
    kind: String,
    message: String,
}

/// Has the program run what `request.json` says, with this SQL in it.
///
/// # Errors
/// When DuckDB cannot be had, or refuses.
pub(super) async fn ask(context: &TaskContext, workspace: &Workspace, sql: &str) -> Result<Reply, TaskError> {
    let python = python_with_duckdb(context).await?;
    let root = workspace.root().display().to_string();
    // Isolated (`-I`), so that an input file called json.py is data and not a module.
    let program = workspace.guard(ProgramSpec::of(context, python, workspace.folder()));
    let program = program.with(["-I", "-c", PROGRAM, &root]);
    let (status, said) = run_and_collect(&program, &context.cancel).await?;
    let broken = || TaskError::transient(format!("DuckDB {}: {}", exit_description(status), said.join("\n")));
    if !status.success() {
        return Err(broken());
    }
    let reply = fs::read(workspace.root().join("result.json")).map_err(|error| broken().caused_by(error))?;
    let reply: Reply = serde_json::from_slice(&reply).map_err(|error| broken().caused_by(error))?;
    match &reply.error {
        Some(error) => {
            let message = whole_lines(error.message.trim(), sql, &context.settings.redactor);
            Err(refused(&DuckdbError { message, kind: error.kind.clone() }, reply.statement, reply.of))
        }
        None => Ok(reply),
    }
}

/// A Python that knows DuckDB: the environment that was made for it, else the machine's own, else one to be made.
async fn python_with_duckdb(context: &TaskContext) -> Result<PathBuf, TaskError> {
    let environment = Environment::of(context, &PACKAGES.map(str::to_owned)).await?;
    if !environment.is_ready() {
        let python = python(context)?;
        let question = ProgramSpec::of(context, &python, context.files.folder());
        let import = format!("import {}", PACKAGES.join(", "));
        let (status, _) = run_and_collect(&question.with(["-I", "-c", &import]), &context.cancel).await?;
        if status.success() {
            return Ok(python);
        }
        environment.make().await?;
    }
    Ok(environment.programs().join("python"))
}

/// DuckDB's message, in which it quotes a part of a long line: that part shows no part of a secret.
fn whole_lines(message: &str, sql: &str, redactor: &Redactor) -> String {
    let quoted = |line: &str| {
        let (number, shown) = line.strip_prefix("LINE ")?.split_once(": ")?;
        let body = shown.strip_prefix(CUT).unwrap_or(shown);
        let body = body.strip_suffix(CUT).unwrap_or(body);
        let mut parts = sql.match_indices(body).map(|(at, _)| redactor.part(sql, at..at + body.len())).peekable();
        let first = parts.peek().cloned().unwrap_or_default();
        let part = parts.find(|part| part != body).unwrap_or(first);
        (body != shown).then(|| format!("LINE {number}: {CUT}{part}{CUT}"))
    };
    message.lines().map(|line| quoted(line).unwrap_or_else(|| line.to_owned())).collect::<Vec<_>>().join("\n")
}

fn refused(error: &DuckdbError, statement: usize, of: usize) -> TaskError {
    let place = match (statement, of) {
        (0, _) | (_, 1) => "the SQL failed".to_owned(),
        (number, of) => format!("statement {number} of {of} failed"),
    };
    let message = format!("{place}: {}", error.message.trim());
    let passes = ["set lock on file", "Could not establish connection", "Failed to download"];
    if error.message.contains("Failed to download extension") {
        return TaskError::transient(message).help(
            "DuckDB downloads extensions from the internet; built-in ones (json, parquet, icu) need neither INSTALL nor LOAD. \
             Without internet access, install the extension beforehand for this user",
        );
    }
    if error.kind == "HTTPException" || passes.iter().any(|sign| error.message.contains(sign)) {
        return TaskError::transient(message);
    }
    let failed = TaskError::permanent(message);
    if error.kind == "OverflowError" {
        return failed.help("use `fetch: STORE` for results of this size, or COPY … TO a file of `outputFiles`");
    }
    if error.message.contains("ransaction") && of > 1 {
        return failed.help("set `transaction: false` to run the statements one by one");
    }
    failed
}
