//! The result of a load as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::description::Description;
use crate::id::ExecutionId;
use crate::journal::State;

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

/// One object; without an execution nothing was loaded.
pub(super) fn json(
    description: &Description,
    (table, flow): (&str, &str),
    saved: Option<&Path>,
    ended: Option<(&ExecutionId, &State)>,
) -> Value {
    let mut result = Map::new();
    let mut tell = |name: &str, value: Value| drop(result.insert(name.to_owned(), value));
    tell("table", json!(table));
    tell("file", Value::Object(description.summary()));
    tell("schema", Value::Object(description.schema().0));
    tell("notes", description.notes().collect());
    if let Some((id, state)) = ended {
        tell("execution", json!(id));
        tell("state", json!(state.status));
        let task = state.tasks.iter().find(|(run, _)| run.as_str() == "load").map(|(_, task)| task);
        tell("error", json!(task.and_then(|task| task.error.as_ref()).map(|error| &error.message)));
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
