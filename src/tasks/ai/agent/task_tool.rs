//! A task as a tool.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use crate::ai::ToolSpec;
use crate::task::{Capability, EngineServices, TaskContext, TaskError, TaskType};
use crate::tasks;

/// What stands in a field that the model chooses.
const CHOSEN: &str = "...";
/// The fields of a task that are not its type's own.
const COMMON: [&str; 3] = ["id", "type", "description"];

/// A task that the model may run.
pub(super) struct TaskTool {
    task: &'static TaskType,
    fields: Map<String, Value>,
    chosen: Vec<String>,
}

/// What is wrong with a task as a tool.
pub(super) fn problem(task: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| task.get(name).and_then(Value::as_str);
    let Some(id) = text("id") else { return Some("a task needs an `id`: it is the tool's name".to_owned()) };
    let Some(name) = text("type") else { return Some(format!("the task `{id}` needs a `type`")) };
    let Some(found) = tasks::find(name) else { return Some(format!("unknown task type `{name}`")) };
    if found.is_flowable() || found.has(Capability::Pauses) || found.has(Capability::StartsFlows) {
        return Some(format!("a task of type `{name}` cannot be a tool; for flows there is the type `flow`"));
    }
    // What the model chooses is not known yet, as a template is not.
    let later = own_fields(task).into_iter().map(|(name, value)| {
        let value = if value == CHOSEN { Value::from("{{ chosen }}") } else { value };
        (name, value)
    });
    let error = (found.check)(&Value::Object(later.collect())).err()?;
    Some(format!("the task `{id}`: {}: {}", error.path.join("."), error.message).replace("`: : ", "`: "))
}

fn own_fields(task: &Map<String, Value>) -> Map<String, Value> {
    let own = task.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl TaskTool {
    pub(super) fn of(task: &Map<String, Value>) -> Result<(Self, ToolSpec), TaskError> {
        if let Some(problem) = problem(task) {
            return Err(TaskError::permanent(problem));
        }
        let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
        let found = tasks::find(text("type")).ok_or_else(|| TaskError::permanent("unknown task type"))?;
        let (chosen, fields): (Map<_, _>, Map<_, _>) =
            own_fields(task).into_iter().partition(|(_, value)| value == CHOSEN);
        let schema = (found.schema)().to_value();
        let chosen: Vec<String> = chosen.into_iter().map(|(name, _)| name).collect();
        let properties = chosen.iter().map(|name| (name.clone(), property(&schema, name)));
        let spec = ToolSpec {
            name: text("id").to_owned(),
            description: match text("description") {
                "" => schema["description"].as_str().unwrap_or_default().to_owned(),
                given => given.to_owned(),
            },
            schema: json!({
                "type": "object", "properties": properties.collect::<Map<_, _>>(), "required": chosen,
                "additionalProperties": false,
            }),
        };
        Ok((Self { task: found, fields, chosen }, spec))
    }

    /// Runs the task; what it returns are its outputs.
    pub(super) async fn run(&self, arguments: &Map<String, Value>, context: &TaskContext) -> Result<String, TaskError> {
        let mut fields = self.fields.clone();
        for name in &self.chosen {
            let value = arguments.get(name).cloned();
            fields.insert(name.clone(), value.ok_or_else(|| TaskError::permanent(format!("`{name}` is missing")))?);
        }
        let inner = Arc::new(inner_context(context));
        let outputs = (self.task.run)(Value::Object(fields), inner.clone()).await?;
        if inner.has_warning() {
            context.warning.store(true, Ordering::Relaxed);
        }
        if let (Ok(mut all), Ok(new)) = (context.labels.lock(), inner.labels.lock()) {
            all.extend(new.clone());
        }
        Ok(Value::Object(outputs).to_string())
    }
}

/// A field's schema for the model: its type where that is a simple one, and what it is for.
fn property(schema: &Value, name: &str) -> Value {
    let field = &schema["properties"][name];
    let mut property = json!({"description": field["description"].as_str().unwrap_or_default()});
    let kinds = ["string", "integer", "number", "boolean", "array", "object"];
    let kind = match &field["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    };
    if let Some(kind) = kind.filter(|kind| kinds.contains(kind)) {
        property["type"] = kind.into();
    }
    if kind == Some("array") {
        property["items"] = json!({"type": "string"});
    }
    property
}

/// The context of a task that is used as a tool: that of the agent, with labels and a warning of its own.
fn inner_context(context: &TaskContext) -> TaskContext {
    let services = &context.services;
    TaskContext {
        flow: context.flow.clone(),
        namespace: context.namespace.clone(),
        execution: context.execution.clone(),
        task: context.task.clone(),
        run: context.run.clone(),
        attempt: context.attempt,
        files: context.files.clone(),
        pinned: Default::default(),
        storage: context.storage.clone(),
        settings: context.settings.clone(),
        cancel: context.cancel.clone(),
        progress: context.progress.clone(),
        labels: Default::default(),
        warning: Default::default(),
        said: context.said.clone(),
        log: context.log.clone(),
        services: EngineServices {
            subflows: services.subflows.clone(),
            folder: services.folder.clone(),
            pause: Default::default(),
            quota: services.quota.clone(),
            full: services.full.clone(),
        },
    }
}
