//! The result of a load as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::description::Description;
use super::words::{as_options, values_as_options};
use crate::cli::InvalidFlow;
use crate::config::Settings;
use crate::id::ExecutionId;
use crate::journal::ExecutionState;
use crate::journal::State;
use crate::task::TaskError;

/// The outputs of the task that are passed on.
const OUTPUTS: &[&str] = &[
    "server",
    "rows_read",
    "rows_loaded",
    "rows_rejected",
    "rows_skipped",
    "already_loaded",
    "rejected_uri",
    "bytes",
    "seconds",
];

/// One object about what ended before anything was loaded.
pub(super) fn failed(settings: &Settings, error: &anyhow::Error) -> Value {
    let (message, help) = match (error.downcast_ref::<InvalidFlow>(), error.downcast_ref::<TaskError>()) {
        (Some(InvalidFlow(findings)), _) => {
            let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
            (messages.join("; "), findings.iter().find_map(|finding| finding.help.clone()))
        }
        (_, Some(error)) => (error.message.clone(), error.help.clone()),
        (None, None) => (format!("{error:#}"), None),
    };
    let clean = |text: &str| settings.redactor.clean(text);
    json!({"state": ExecutionState::Failed, "error": clean(&message), "help": help.map(|help| clean(&help))})
}

/// One object; without an execution nothing was loaded.
pub(super) fn json(
    description: &Description,
    (table, flow): (&str, &str),
    saved: Option<&Path>,
    ended: Option<(&ExecutionId, &State, &[String])>,
) -> Value {
    let mut result = Map::new();
    let mut tell = |name: &str, value: Value| drop(result.insert(name.to_owned(), value));
    tell("table", json!(table));
    tell("file", Value::Object(description.summary()));
    tell("schema", Value::Object(description.schema().0));
    let warnings = ended.map(|(_, _, warnings)| warnings).unwrap_or_default();
    tell("notes", description.notes().chain(warnings.iter().cloned()).map(Value::from).collect());
    if let Some((id, state, _)) = ended {
        tell("execution", json!(id));
        tell("state", json!(state.status));
        let task = state.tasks.iter().find(|(run, _)| run.as_str() == "load").map(|(_, task)| task);
        let error = task.and_then(|task| task.error.as_ref());
        tell("error", json!(error.map(|error| values_as_options(&error.message))));
        tell("help", json!(error.and_then(|error| error.help.as_deref()).map(as_options)));
        for name in OUTPUTS {
            if let Some(value) = task.and_then(|task| task.outputs.get(*name)) {
                tell(name, value.clone());
            }
        }
    }
    tell("flow", json!(flow));
    tell("saved", json!(saved.map(|file| file.display().to_string())));
    Value::Object(result)
}
