//! `duckdb.query`

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::program::{ResultFile, ask};
use crate::postgres::sql::statements;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::tasks::fetch::{FetchMode, MAX_ROWS, ResultSet};
use crate::tasks::script::inputs::Inputs;
use crate::tasks::script::workspace::Workspace;

/// Runs SQL statements on DuckDB, in memory or on a database file, and can output or store the rows that they return.
///
/// It runs in its own folder, `{{ workingDir }}`, which contains the `inputFiles`. Addresses of stored files in the
/// SQL, such as `{{ outputs.extract.uri }}`, are replaced by the paths of copies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DuckDbQuery {
    /// One or several statements, with semicolons between them.
    sql: String,
    /// The database: `jdbc:duckdb:`, the default, is a database in memory; `jdbc:duckdb:/data/taxi.db` is a file.
    /// Relative paths are relative to the flow's folder; a path must not contain backslashes.
    #[serde(default)]
    url: String,
    /// Files for the working folder: a map from names to contents or addresses in storage, or a list of addresses.
    #[serde(default, alias = "input_files")]
    input_files: Value,
    /// Files written by the SQL to keep, by patterns such as `*.parquet`; later tasks find their addresses in the
    /// output `outputFiles`.
    #[serde(default, alias = "output_files")]
    output_files: Vec<String>,
    /// Values for the SQL: a list for `$1`, `$2`…, or a map for `:name`.
    #[serde(default)]
    parameters: Value,
    /// Whether all statements run in one transaction. Writing to several databases requires `false`.
    #[serde(default = "yes")]
    transaction: bool,
    /// What to do with the rows: `NONE`, `FETCH` them all as `rows`, `FETCH_ONE` as `row`, or `STORE` them as a file of
    /// one JSON object per line.
    #[serde(default, alias = "fetchType", alias = "fetch_type")]
    fetch: FetchMode,
    /// Deprecated; use `fetch: STORE`.
    #[serde(default)]
    store: bool,
    /// Deprecated; use `fetch: FETCH_ONE`.
    #[serde(default, alias = "fetch_one")]
    fetch_one: bool,
}

fn yes() -> bool {
    true
}

/// What the statements gave.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The last result.
    #[serde(flatten)]
    last: ResultSet,
    /// The result of each statement that returns rows, in order; empty with `fetch: NONE`.
    outputs: Vec<ResultSet>,
    /// Rows inserted, updated, deleted or copied by all statements.
    affected: u64,
    /// The addresses of the files of `outputFiles`.
    output_files: BTreeMap<String, String>,
}

impl Task for DuckDbQuery {
    const NAME: &'static str = "duckdb.query";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPython, Capability::InstallsPackages];
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.jdbc.duckdb.Queries", "io.kestra.plugin.jdbc.duckdb.Query", "duckdb.queries"];
    const SQL: &'static [&'static str] = &["sql"];
    const FILES: &'static [&'static str] = &["inputFiles", "url"];
    const EXAMPLE: &'static str = "\
- id: brands
  type: duckdb.query
  inputFiles: {products.csv: \"brand,price\\na,1\\na,3\\nb,5\\n\"}
  sql: SELECT brand, avg(price) AS price FROM 'products.csv' GROUP BY brand ORDER BY brand
  fetch: STORE";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let workspace = Workspace::make(context).await?;
        let mut inputs = Inputs::new(context, &workspace);
        inputs.add(&self.input_files)?;
        let sql = self.filled(&inputs.localize(&self.sql))?;
        let request = self.request(context, &workspace, &sql)?;
        inputs.add_text(workspace.root().join("request.json"), request.to_string());
        inputs.place().await?;
        let reply = ask(context, &workspace, &sql).await?;
        context.info_once(format!("using DuckDB {}", reply.version));
        let results = reply.outputs.iter().enumerate();
        let outputs: Vec<ResultSet> = results
            .map(|(index, written)| self.result(context, written, index + 1, reply.outputs.len()))
            .collect::<Result<_, _>>()?;
        let output_files = workspace.take(context, &self.output_files)?;
        let last = outputs.last().cloned().unwrap_or_default();
        Ok(Outputs { last, outputs, affected: reply.affected, output_files })
    }
}

impl DuckDbQuery {
    /// The SQL with its parameters in it. Without parameters DuckDB gets the text as it stands.
    fn filled(&self, sql: &str) -> Result<String, TaskError> {
        let parameters = match &self.parameters {
            Value::Null => return Ok(sql.to_owned()),
            Value::Array(list) => list.iter().map(as_text).collect(),
            Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), as_text(value))).collect(),
            other => return Err(TaskError::permanent(format!("`parameters` must be a list or a map, not {other}"))),
        };
        let all = statements("sql", sql, &parameters).map_err(TaskError::permanent)?;
        // On a line of its own, the semicolon is safe from a comment at the statement's end.
        Ok(all.into_iter().map(|statement| statement.text + "\n;").collect())
    }

    fn request(&self, context: &TaskContext, workspace: &Workspace, sql: &str) -> Result<Value, TaskError> {
        Ok(json!({
            "database": self.database(context, workspace)?,
            "sql": sql,
            "fetch": self.fetch.or_deprecated(self.store, self.fetch_one),
            "transaction": self.transaction,
            "most_fetched": MAX_ROWS,
            "rows": workspace.root().join("rows"),
        }))
    }

    /// What DuckDB opens. It takes a backslash for a slash, and so would open another file than the one that was looked at.
    fn database(&self, context: &TaskContext, workspace: &Workspace) -> Result<String, TaskError> {
        let url = workspace.fill(&self.url);
        let path = match database(&url) {
            DuckDbDatabase::Named(name) => return Ok(name.to_owned()),
            DuckDbDatabase::File(file) if url == self.url && context.files.is_literal(&self.url) => {
                context.files.path(file)
            }
            DuckDbDatabase::File(file) => match Path::new(file).strip_prefix(workspace.folder()) {
                Ok(below) => workspace.place(&below.to_string_lossy())?,
                Err(_) => context.named_path("url", file)?,
            },
        };
        let text = path.display().to_string();
        if text.contains(['\\', '\0']) {
            let error = TaskError::permanent(format!("`url` names the file {text}, but DuckDB reads `\\` as `/`"));
            return Err(error.help("write a path with `/` and without backslashes"));
        }
        Ok(text)
    }

    fn result(
        &self,
        context: &TaskContext,
        written: &ResultFile,
        number: usize,
        of: usize,
    ) -> Result<ResultSet, TaskError> {
        let mut result = ResultSet { size: written.size, ..ResultSet::default() };
        match self.fetch.or_deprecated(self.store, self.fetch_one) {
            FetchMode::Nothing => {}
            FetchMode::All => result.rows = Some(read_rows(&written.file)?),
            FetchMode::First => result.row = read_rows(&written.file)?.into_iter().next(),
            FetchMode::File => {
                let name = if of == 1 { "rows.ndjson".to_owned() } else { format!("rows-{number}.ndjson") };
                let stored = context.output_file(&name)?;
                fs::rename(&written.file, &stored.path)
                    .map_err(|error| TaskError::permanent("cannot store the rows").caused_by(error))?;
                result.uri = Some(stored.uri);
            }
        }
        Ok(result)
    }
}

/// A list or map as the text that DuckDB reads as one.
fn as_text(value: &Value) -> Value {
    if value.is_array() || value.is_object() { Value::String(value.to_string()) } else { value.clone() }
}

/// What DuckDB opens.
enum DuckDbDatabase<'a> {
    /// One in memory, or far away.
    Named(&'a str),
    File(&'a str),
}

/// The database of an address.
fn database(url: &str) -> DuckDbDatabase<'_> {
    let url = url.trim();
    let name = url.strip_prefix("jdbc:").unwrap_or(url);
    match name.strip_prefix("duckdb:").unwrap_or(name) {
        "" | ":memory:" => DuckDbDatabase::Named(":memory:"),
        remote if remote.starts_with("md:") => DuckDbDatabase::Named(remote),
        file => DuckDbDatabase::File(file),
    }
}

fn read_rows(file: &Path) -> Result<Vec<Map<String, Value>>, TaskError> {
    let unreadable = |error: std::io::Error| TaskError::permanent("cannot read the rows").caused_by(error);
    let lines = BufReader::new(File::open(file).map_err(unreadable)?).lines();
    let row = |line: Result<String, std::io::Error>| {
        serde_json::from_str(&line.map_err(unreadable)?).map_err(|error| unreadable(error.into()))
    };
    lines.map(row).collect()
}
