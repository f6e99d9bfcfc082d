//! An attempt of a task of the registry in the environment of this process.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use jitney::config::{Overrides, Settings};
use jitney::task::{Level, Outputs, TaskContext, TaskError};
use jitney::tasks;
use serde_json::Value;

#[path = "mod.rs"]
mod common;

/// The lines that an attempt logged.
pub type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// As `common::context`, with this process's environment, more variables, and a log that is kept.
pub fn context(home: &Path, more: &[(&str, &str)]) -> (TaskContext, Lines) {
    let mut context = common::context(home);
    let mut environment: std::collections::BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(more.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let overrides = Overrides { home: Some(home.to_owned()), postgres: None };
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
