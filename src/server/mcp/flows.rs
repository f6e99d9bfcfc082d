//! Tools about flows: list, read, validate, explain, draw and save them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tool::{McpResult, McpTool, ToolError, brief, findings, flow, page};
use crate::blocking::run_blocking;
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::catalog::CatalogEntry;
use crate::engine::lookup::missing;
use crate::engine::without_passwords;
use crate::flow::graph::FlowGraph;
use crate::flow::{Flow, ParsedFlow, from_yaml, parse};
use crate::secret::hide_literals;
use crate::server::App;
use crate::server::access::Role;
use crate::task::documentation::{description, first_sentence};
use crate::tasks;

/// The most lines of a flow that are shown at a time.
const MAX_LINES: usize = 400;
/// The most tasks that are explained.
const MAX_TASKS: usize = 60;
/// What stands for a password in a text.
const MASK: &str = "***";

/// Lists flows: what they are for, what starts them, and whether their files have errors.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFlows {
    /// A text in the namespace, the id or the description.
    text: Option<String>,
    /// The most flows, 30 by default and 100 at most.
    limit: Option<usize>,
}

impl McpTool for ListFlows {
    const NAME: &'static str = "list_flows";
    const TITLE: &'static str = "List flows";

    async fn call(self, app: Arc<App>) -> McpResult {
        let text = self.text.unwrap_or_default().to_lowercase();
        let most = self.limit.unwrap_or(30).clamp(1, 100);
        let about = |entry: &CatalogEntry| entry.flow.description.clone().unwrap_or_default();
        let has = |entry: &CatalogEntry| {
            format!("{}.{} {}", entry.namespace, entry.id, about(entry)).to_lowercase().contains(&text)
        };
        let found: Vec<_> = app.catalog.list().into_iter().filter(|entry| has(entry)).collect();
        let shown: Vec<Value> = found.iter().take(most).map(|entry| summary(entry)).collect();
        let mut result = page("flows", &shown, found.len().saturating_sub(most) as u64);
        let problems: Vec<String> = app.catalog.problems().iter().take(10).map(Diagnostic::sentence).collect();
        if !problems.is_empty() {
            result.insert("problems_of_files".to_owned(), json!(problems));
        }
        Ok(Value::Object(result))
    }
}

fn summary(entry: &CatalogEntry) -> Value {
    let flow = &entry.flow;
    let triggers: Vec<String> =
        flow.triggers.iter().map(|trigger| format!("{} ({})", trigger.id, trigger.common.kind)).collect();
    json!({
        "namespace": entry.namespace, "id": entry.id,
        "description": brief(flow.description.as_deref().unwrap_or_default(), 200),
        "triggers": triggers, "inputs": flow.inputs.iter().map(|input| &input.id).collect::<Vec<_>>(),
        "has_errors": entry.is_broken, "disabled": flow.disabled,
    })
}

/// Reads the YAML of a flow, its inputs and what is wrong with it. Passwords in it are replaced by `***`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFlow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
    /// The first line that is shown, 1 by default.
    from_line: Option<usize>,
}

impl McpTool for ReadFlow {
    const NAME: &'static str = "read_flow";
    const TITLE: &'static str = "Read flow";

    async fn call(self, app: Arc<App>) -> McpResult {
        let entry = flow(&app, &self.namespace, &self.id)?;
        let text = run_blocking(|| readable(&entry));
        let lines: Vec<&str> = text.lines().collect();
        let from = self.from_line.unwrap_or(1).max(1) - 1;
        let shown: Vec<&str> = lines.iter().skip(from).take(MAX_LINES).copied().collect();
        let more = lines.len().saturating_sub(from + shown.len());
        let mut result = Map::new();
        result.insert("yaml".to_owned(), json!(shown.join("\n")));
        if more > 0 {
            let next = from + shown.len() + 1;
            result.insert("more".to_owned(), json!(format!("{more} more lines: call again with `from_line` {next}")));
        }
        result.insert("revision".to_owned(), json!(entry.revision));
        result.insert("file".to_owned(), json!(entry.file.display().to_string()));
        result.extend(findings(&entry.findings));
        Ok(Value::Object(result))
    }
}

/// The text of a flow's file without passwords.
fn readable(entry: &CatalogEntry) -> String {
    if entry.is_broken { hide_literals(entry.text()) } else { without_passwords(&entry.flow.document) }
}

/// Checks the YAML of a flow without saving it: every problem with its line, its column and what to do about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateFlow {
    /// The YAML of one flow.
    yaml: String,
}

impl McpTool for ValidateFlow {
    const NAME: &'static str = "validate_flow";
    const TITLE: &'static str = "Validate flow";

    async fn call(self, app: Arc<App>) -> McpResult {
        let all = run_blocking(|| {
            let ParsedFlow { flow, mut findings } = parse("flow.yaml", &self.yaml, tasks::ALL);
            findings.extend(flow.iter().flat_map(|flow| missing(flow, &*app.catalog)));
            findings
        });
        let is_valid = !all.iter().any(Diagnostic::is_error);
        let mut result = Map::new();
        result.insert("valid".to_owned(), json!(is_valid));
        result.extend(findings(&all));
        if !is_valid {
            let next = "correct the lines that the findings name and validate again; `read_documentation` describes a task type";
            result.insert("next".to_owned(), json!(next));
        }
        Ok(Value::Object(result))
    }
}

/// Explains a flow: its inputs, what starts it, and each task with what it does and whose outputs it uses.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainFlow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
}

impl McpTool for ExplainFlow {
    const NAME: &'static str = "explain_flow";
    const TITLE: &'static str = "Explain flow";

    async fn call(self, app: Arc<App>) -> McpResult {
        let entry = flow(&app, &self.namespace, &self.id)?;
        run_blocking(|| Ok(explained(&entry.flow)))
    }
}

fn explained(flow: &Flow) -> Value {
    // Defaults of secret inputs and keys of webhooks are no part of it.
    let value = from_yaml(&without_passwords(&flow.document)).unwrap_or_default();
    let part = |name: &str| value.get(name).cloned().unwrap_or_else(|| json!([]));
    let steps = flow.all_steps();
    let tasks: Vec<Value> = steps
        .iter()
        .take(MAX_TASKS)
        .map(|step| {
            json!({
                "id": step.id.as_str(), "type": step.task.name, "line": flow.document.line(&step.path),
                "does": first_sentence(&description(&(step.task.schema)().to_value())),
                "note": step.common.description, "uses_outputs_of": step.uses,
            })
        })
        .collect();
    let now = clock::now();
    let next = |trigger: &crate::flow::Trigger| Some((trigger.id.clone(), json!(trigger.times()?.next(now)?)));
    let next: Map<String, Value> = flow.triggers.iter().filter_map(next).collect();
    let mut result = Map::new();
    result.insert("description".to_owned(), json!(flow.description));
    result.insert("inputs".to_owned(), part("inputs"));
    result.insert("triggers".to_owned(), part("triggers"));
    if !next.is_empty() {
        result.insert("next_times".to_owned(), Value::Object(next));
    }
    result.extend(page("tasks", &tasks, steps.len().saturating_sub(MAX_TASKS) as u64));
    Value::Object(result)
}

/// Draws a flow as a graph: its tasks, their order and which outputs go where.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphFlow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
    /// `text` (default) or `mermaid`.
    #[serde(default)]
    format: DrawnAs,
}

/// What a graph is drawn as.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DrawnAs {
    #[default]
    Text,
    Mermaid,
}

impl McpTool for GraphFlow {
    const NAME: &'static str = "graph_flow";
    const TITLE: &'static str = "Draw flow";

    async fn call(self, app: Arc<App>) -> McpResult {
        let entry = flow(&app, &self.namespace, &self.id)?;
        let graph = FlowGraph::of(&entry.flow);
        let drawn = match self.format {
            DrawnAs::Text => graph.to_text(),
            DrawnAs::Mermaid => graph.to_mermaid(),
        };
        Ok(json!({"graph": drawn}))
    }
}

/// Saves a flow: a new one, or a new text of one that exists. Its file is written only if the flow is valid.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveFlow {
    /// The YAML of the whole flow, with its id and namespace.
    yaml: String,
    /// Whether a flow that exists is replaced; false by default.
    #[serde(default)]
    replace: bool,
}

impl SaveFlow {
    fn name(&self) -> (String, String) {
        if self.yaml.len() > crate::flow::MAX_FLOW_BYTES {
            return (String::new(), String::new());
        }
        let value = from_yaml(&self.yaml).unwrap_or_default();
        let part = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (part("namespace"), part("id"))
    }
}

impl McpTool for SaveFlow {
    const NAME: &'static str = "save_flow";
    const TITLE: &'static str = "Save flow";
    const ROLE: Role = Role::Editor;
    const IS_CHANGE: bool = true;

    fn target(&self) -> String {
        let (namespace, id) = self.name();
        format!("{namespace}.{id}")
    }

    async fn call(self, app: Arc<App>) -> McpResult {
        let (namespace, id) = run_blocking(|| self.name());
        let present = app.catalog.get(&namespace, &id);
        // The agent was shown it instead of a password.
        if self.yaml.contains(MASK) && present.as_ref().is_none_or(|entry| !entry.text().contains(MASK)) {
            let message = "the text has `***` where a password belongs; nothing was saved";
            return Err(
                ToolError::new(message).next("write `{{ secret('NAME') }}` there, and tell the user which secret")
            );
        }
        let parsed = run_blocking(|| parse("flow.yaml", &self.yaml, tasks::ALL));
        if parsed.flow.is_none() {
            let error = ToolError::from(crate::server::api::error::ApiError::findings(parsed.findings));
            return Err(error.next("correct the lines that the findings name; nothing was saved"));
        }
        let (catalog, is_new) = (app.catalog.clone(), present.is_none());
        let saving = move || if self.replace { catalog.save(&self.yaml) } else { catalog.create(&self.yaml) };
        let saved = run_blocking(saving).map_err(|error| {
            let exists = matches!(error, crate::engine::catalog::CatalogError::Exists(_));
            let error = ToolError::from(crate::server::api::error::ApiError::from(error));
            if exists { error.next("to replace it, read it first and call again with `replace: true`") } else { error }
        })?;
        let mut result = Map::new();
        result.insert("saved".to_owned(), json!(if is_new { "as a new flow" } else { "in place of the earlier text" }));
        result.insert("file".to_owned(), json!(saved.file.display().to_string()));
        result.insert("revision".to_owned(), json!(saved.revision));
        result.extend(findings(&saved.findings));
        Ok(Value::Object(result))
    }
}
