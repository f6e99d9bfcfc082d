//! The tasks on BigQuery, against an emulator made by others. What it lacks, and how Google refuses, is asserted on the
//! wire: with a server in between that writes down what it is asked, and fails where it is told to.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod course;
mod credentials;
mod flows;
mod formats;
mod jobs;
mod one_load;
mod pages;
mod proxy;
mod query;
mod refusals;
mod staged;
mod wire;

use crate::common::{attempt, google};
use std::path::Path;

use jitney::task::{Outputs, TaskContext, TaskError};
use serde_json::{Value, json};

/// A context whose variables lead to the emulators, with more of them, and its log.
fn context(home: &Path, more: &[(&str, &str)]) -> Option<(TaskContext, attempt::Lines)> {
    let emulators = google::emulators()?;
    let mut all: Vec<(&str, &str)> = emulators.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(more);
    Some(attempt::context(home, &all))
}

/// The same for an execution of this name.
fn execution(home: &Path, name: &str) -> TaskContext {
    let (mut context, _) = context(home, &[]).unwrap();
    context.execution = jitney::id::ExecutionId::new(name);
    context
}

/// Runs a task against the emulators, each time in an execution of its own.
async fn run(home: &Path, kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    attempt::run(execution(home, &format!("e{}", uuid::Uuid::new_v4().simple())), kind, fields).await
}

/// A client for the tests' own requests.
fn client() -> reqwest::Client {
    jitney::web::client::client(std::time::Duration::from_secs(60)).unwrap()
}

/// An empty dataset of this test's own.
async fn dataset(home: &Path, name: &str) -> Option<String> {
    let emulators = google::emulators()?;
    let datasets = format!("{}/bigquery/v2/projects/test-project/datasets", emulators["BIGQUERY_EMULATOR_HOST"]);
    client().delete(format!("{datasets}/{name}?deleteContents=true")).send().await.unwrap();
    run(home, "bigquery.create_dataset", json!({"name": name})).await.unwrap();
    Some(name.to_owned())
}

/// A file in a bucket of the tests.
async fn upload(home: &Path, from: &Path, name: &str) -> String {
    run(home, "gcs.create_bucket", json!({"name": "test-bigquery", "if_exists": "SKIP"})).await.unwrap();
    let to = format!("gs://test-bigquery/{name}");
    run(home, "gcs.upload", json!({"from": from.to_str().unwrap(), "to": to})).await.unwrap();
    to
}

/// The first row of a query.
async fn ask(home: &Path, sql: &str) -> Value {
    let row = run(home, "bigquery.query", json!({"sql": sql, "fetch": "FETCH_ONE"})).await.unwrap();
    Value::Object(row["row"].as_object().unwrap().clone())
}

/// How many rows a table holds, as it says itself and not as a job does.
async fn rows(home: &Path, table: &str) -> u64 {
    ask(home, &format!("SELECT COUNT(*) AS n FROM {table}")).await["n"].as_u64().unwrap()
}

fn lines(lines: &attempt::Lines) -> String {
    lines.lock().unwrap().iter().map(|(_, line)| format!("{line}\n")).collect()
}
