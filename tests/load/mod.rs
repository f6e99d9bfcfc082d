//! `postgres.load` and `postgres.copy_in` against a real server: what is in the table afterwards, what is counted, what an error says, and that
//! a failed load leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

mod again;
mod appends;
mod assigned;
mod bad_rows;
mod collations;
mod columns;
mod composites;
mod copy_in;
mod costs;
mod damaged;
mod empty;
mod encodings;
mod faults;
mod folders;
mod held;
mod inferred;
mod keys;
mod merges;
mod modes;
mod months;
mod names;
mod positions;
mod references;
mod relations;
mod row_ids;
mod same_as_copy;
mod sequences;
mod settings;
mod shapes;
mod step_casts;
mod step_semantics;
mod together;
mod types;
mod workbooks;

use crate::common::{line, postgres};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jitney::id::ExecutionId;
use jitney::task::{Outputs, TaskContext, TaskError};
use jitney::tasks;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::{Client, SimpleQueryMessage};

/// An empty database and an empty folder, which stands for the flow's.
struct Place {
    folder: TempDir,
    url: String,
    client: Client,
}

impl Place {
    async fn new(name: &str) -> Self {
        let url = postgres::database(&format!("load_{name}")).await;
        let client = postgres::client(&url).await;
        client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
        Self { folder: tempfile::tempdir().unwrap(), url, client }
    }

    /// A database with the result of some SQL.
    async fn with(name: &str, sql: &str) -> Self {
        let place = Self::new(name).await;
        place.run(sql).await;
        place
    }

    /// The same place for another user, whose password is `x`.
    fn of_user(self, name: &str) -> Self {
        let (_, rest) = self.url.split_once('@').unwrap();
        Self { url: format!("postgres://{name}:x@{rest}"), ..self }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn context(&self) -> TaskContext {
        postgres::context(self.path(), &self.url).0
    }

    /// Runs the task with these fields.
    async fn load(&self, yaml: &str) -> Result<Outputs, TaskError> {
        run(yaml, self.context()).await
    }

    /// Runs the task in an execution of its own; also what it logged.
    async fn load_in(&self, execution: &str, yaml: &str) -> (Result<Outputs, TaskError>, String) {
        self.run_in(execution, 1, "postgres.load", yaml).await
    }

    /// Runs an attempt of a task in an execution; also what it logged.
    async fn run_in(
        &self,
        execution: &str,
        attempt: u32,
        name: &str,
        yaml: &str,
    ) -> (Result<Outputs, TaskError>, String) {
        let (context, lines) = postgres::context(self.path(), &self.url);
        let context = TaskContext { execution: ExecutionId::new(execution), attempt, ..context };
        let outputs = run_task(name, yaml, context).await;
        let lines: Vec<String> =
            lines.lock().unwrap().iter().map(|(level, line)| format!("{} {line}", level.as_str())).collect();
        (outputs, lines.join("\n"))
    }

    /// The words of the error that the load must end with.
    async fn refused(&self, yaml: &str) -> String {
        match self.load(yaml).await {
            Ok(outputs) => panic!("the load went through: {outputs:?}"),
            Err(error) => error.to_string(),
        }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// The rows of a query, each as its fields with a blank between them, sorted, each on a line.
    async fn rows(&self, sql: &str) -> String {
        let messages = self.client.simple_query(sql).await.unwrap();
        let mut lines: Vec<String> = messages.iter().filter_map(line).collect();
        lines.sort();
        lines.join("\n")
    }

    /// The rows of table `t`.
    async fn t(&self) -> String {
        self.rows("SELECT * FROM t").await
    }

    /// What the ledger says: partition, rows read, loaded, rejected and skipped of each load.
    async fn ledger(&self) -> String {
        if self.rows("SELECT to_regclass('jitney_loads')").await == "NULL" {
            return String::new();
        }
        self.rows("SELECT partition, rows_read, rows_loaded, rows_rejected, rows_skipped FROM jitney_loads").await
    }
}

async fn run(yaml: &str, context: TaskContext) -> Result<Outputs, TaskError> {
    run_task("postgres.load", yaml, context).await
}

async fn run_task(name: &str, yaml: &str, context: TaskContext) -> Result<Outputs, TaskError> {
    let fields: Value = serde_yaml::from_str(yaml).unwrap();
    let task = tasks::find(name).unwrap();
    let outputs = (task.run)(fields, Arc::new(context)).await?;
    if outputs.contains_key("rows_skipped") {
        let [read, loaded, rejected, skipped] = counts(&outputs);
        assert_eq!(read, loaded + rejected + skipped, "the counts of {outputs:?} do not add up");
    }
    Ok(outputs)
}

/// Rows read, loaded, rejected and skipped.
fn counts(outputs: &Outputs) -> [u64; 4] {
    ["rows_read", "rows_loaded", "rows_rejected", "rows_skipped"].map(|name| outputs[name].as_u64().unwrap())
}

fn line(message: &SimpleQueryMessage) -> Option<String> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    Some((0..row.len()).map(|index| row.get(index).unwrap_or("NULL")).collect::<Vec<_>>().join(" "))
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A file of so many rows, `id,note`, some megabytes for a hundred thousand of them.
fn many_rows(rows: usize) -> String {
    (1..=rows).fold("id,note\n".to_owned(), |mut text, id| {
        let _ = writeln!(text, "{id},a note that takes some room {id}");
        text
    })
}

#[track_caller]
fn assert_says(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
}
