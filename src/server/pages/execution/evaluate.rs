//! The box that evaluates an expression over the execution.

use serde_json::{Map, Value};

use crate::id::ExecutionId;
use crate::journal::State;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::text::shortened;

/// The most letters of a result, and the most names that are offered.
const MAX_LETTERS: usize = 100_000;
const MAX_NAMES: usize = 300;

/// An expression and its value.
pub(super) struct Evaluation {
    pub(super) expression: String,
    /// Its value, or what is wrong with it.
    pub(super) result: Option<Result<String, String>>,
    /// Expressions that have a value here.
    pub(super) names: Vec<String>,
}

pub(super) fn of(
    app: &App,
    id: &ExecutionId,
    state: &State,
    parameters: &QueryParameters,
) -> Result<Evaluation, ApiError> {
    let expression = parameters.one("expression").unwrap_or_default().to_owned();
    let result = match expression.as_str() {
        "" => None,
        text => Some(app.executor.evaluate(id, text)?.map(|value| written(&value))),
    };
    Ok(Evaluation { expression, result, names: names(state) })
}

fn written(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    shortened(&text, MAX_LETTERS).into_owned()
}

fn names(state: &State) -> Vec<String> {
    let dotted = |prefix: &str, values: &Map<String, Value>| -> Vec<String> {
        let is_name = |name: &&String| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        values.keys().filter(is_name).map(|name| format!("{{{{ {prefix}.{name} }}}}")).collect()
    };
    let of_tasks = state.tasks.iter().flat_map(|(run, task)| dotted(&format!("outputs.{}", run.task()), &task.outputs));
    let fixed = ["execution.id", "execution.startDate", "trigger.date", "flow.id", "flow.namespace"];
    let fixed = fixed.iter().map(|name| format!("{{{{ {name} }}}}"));
    let mut names: Vec<String> =
        dotted("inputs", &state.created.inputs).into_iter().chain(of_tasks).chain(fixed).collect();
    names.extend(dotted("labels", &state.labels));
    names.dedup();
    names.truncate(MAX_NAMES);
    names
}
