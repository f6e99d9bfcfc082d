//! An attempt of a task of the registry in the environment of this process.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use jitney::config::{CliOverrides, Settings};
use jitney::task::{Level, Outputs, TaskContext, TaskError};
use jitney::tasks;
use serde_json::Value;

/// The lines that an attempt logged.
pub type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// Says that a test was left out; with `JITNEY_TEST_STRICT=1` that is a failure.
#[allow(dead_code, reason = "not all test programs leave tests out")]
pub fn skip(why: &str) {
    assert!(std::env::var("JITNEY_TEST_STRICT").as_deref() != Ok("1"), "{why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the harness, which would keep the lines of a test that ends well to itself.
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {test}: {why}\n").as_bytes()).unwrap();
}

/// As `super::context`, with this process's environment, more variables, and a log that is kept.
pub fn context(home: &Path, more: &[(&str, &str)]) -> (TaskContext, Lines) {
    let mut context = super::context(home);
    let mut environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let overrides = CliOverrides { home: Some(home.to_owned()), postgres: None };
    context.settings = Arc::new(Settings::from_environment(overrides, environment).unwrap());
    let lines = Lines::default();
    let kept = lines.clone();
    context.log = Arc::new(move |_, level, line| kept.lock().unwrap().push((level, line.to_owned())));
    (context, lines)
}

/// Runs a task by its name.
pub async fn run(context: TaskContext, kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    let task = tasks::find(kind).unwrap();
    (task.run)(fields, Arc::new(context)).await
}
