//! Builds a flow from a document, and collects every problem on the way: an invalid part is reported and replaced by an
//! empty one, so that the rest is still parsed and checked.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, nearest, offer};
use crate::flow::{
    Concurrency, Document, Flow, FlowCheck, FlowOutput, Input, RetrySpec, Sla, Step, Trigger, check, defaults, input,
    labels_of,
};
use crate::id::FlowId;
use crate::task::{TaskType, read};

pub(super) const FLOW_KEYS: &[&str] = &[
    "id",
    "namespace",
    "description",
    "labels",
    "inputs",
    "outputs",
    "variables",
    "tasks",
    "errors",
    "finally",
    "afterExecution",
    "triggers",
    "pluginDefaults",
    "concurrency",
    "retry",
    "sla",
    "checks",
    "disabled",
    "revision",
];

/// The result of parsing a flow.
#[derive(Debug)]
pub struct ParsedFlow {
    /// The flow; none when there is an error.
    pub flow: Option<Flow>,
    /// Errors and warnings, in the order of the text.
    pub findings: Vec<Diagnostic>,
}

/// Reads a flow. `file` is the path as the user named it; nothing is read from it here.
pub fn parse(file: &str, text: &str, tasks: &'static [TaskType]) -> ParsedFlow {
    let (mut document, mut findings) = match Document::parse_leniently(file, text) {
        Ok(read) => read,
        Err(finding) => return ParsedFlow { flow: None, findings: vec![*finding] },
    };
    adopt_misspelt_keys(&mut document);
    findings.extend(defaults::apply(&mut document, tasks));
    let mut parser =
        FlowParser { document: &document, tasks, findings, ids: BTreeSet::new(), invalid: InvalidParts::default() };
    let parts = parser.flow();
    let (mut findings, invalid) = (parser.findings, parser.invalid);
    let flow = parts.map(|parts| parts.into_flow(document, tasks));
    if let Some(flow) = &flow {
        findings.extend(check::references(flow, &invalid));
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    let has_errors = findings.iter().any(Diagnostic::is_error);
    ParsedFlow { flow: flow.filter(|_| !has_errors), findings }
}

/// Copies the value of a misspelt key to the key that was meant, so that it is checked too.
fn adopt_misspelt_keys(document: &mut Document) {
    let Some(map) = document.value.as_object() else { return };
    let unknown_keys = map.keys().filter(|key| !FLOW_KEYS.contains(&key.as_str()));
    let adopted = unknown_keys.filter_map(|key| {
        let meant = nearest(key, FLOW_KEYS.iter().copied()).filter(|meant| !map.contains_key(*meant))?;
        Some((key.clone(), meant, map.get(key)?.clone()))
    });
    for (key, meant, value) in adopted.collect::<Vec<_>>() {
        if let Some(map) = document.value.as_object_mut() {
            map.insert(meant.to_owned(), value);
        }
        document.redirect(vec![meant.to_owned()], vec![key]);
    }
}

pub(super) struct FlowParser<'a> {
    pub(super) document: &'a Document,
    pub(super) tasks: &'static [TaskType],
    pub(super) findings: Vec<Diagnostic>,
    pub(super) ids: BTreeSet<String>,
    pub(super) invalid: InvalidParts,
}

/// Parts with findings of their own: references to them are not reported again.
#[derive(Debug, Default)]
pub(super) struct InvalidParts {
    /// Tasks of an unknown type.
    pub(super) tasks: BTreeSet<String>,
    pub(super) inputs: BTreeSet<String>,
    pub(super) disabled: BTreeSet<String>,
    /// Tasks of an unknown type with their paths, whose templates are checked all the same.
    pub(super) values: Vec<(Value, Vec<String>)>,
}

impl InvalidParts {
    /// Whether what follows `inputs.` names such an input, or a part of one.
    pub(super) fn is_input(&self, rest: &str) -> bool {
        self.inputs
            .iter()
            .any(|id| rest.strip_prefix(id.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c != '.')))
    }
}

struct FlowParts {
    id: String,
    namespace: String,
    description: Option<String>,
    labels: Map<String, Value>,
    inputs: Vec<Input>,
    variables: Map<String, Value>,
    steps: Vec<Step>,
    errors: Vec<Step>,
    finally: Vec<Step>,
    after: Vec<Step>,
    triggers: Vec<Trigger>,
    outputs: Vec<FlowOutput>,
    concurrency: Option<Concurrency>,
    retry: Option<RetrySpec>,
    sla: Vec<Sla>,
    checks: Vec<FlowCheck>,
    disabled: bool,
}

impl FlowParts {
    fn into_flow(mut self, document: Document, tasks: &'static [TaskType]) -> Flow {
        self.inputs.shrink_to_fit();
        self.triggers.shrink_to_fit();
        let folder = Path::new(&document.file).parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
        Flow {
            id: FlowId::new(self.id),
            namespace: self.namespace,
            description: self.description,
            labels: self.labels,
            inputs: self.inputs,
            variables: self.variables,
            steps: self.steps,
            errors: self.errors,
            finally: self.finally,
            after: self.after,
            triggers: self.triggers,
            outputs: self.outputs,
            concurrency: self.concurrency,
            retry: self.retry,
            sla: self.sla,
            checks: self.checks,
            disabled: self.disabled,
            tasks,
            folder,
            document,
        }
    }
}

impl FlowParser<'_> {
    fn flow(&mut self) -> Option<FlowParts> {
        let map = self.document.value.as_object()?;
        for key in map.keys().filter(|key| !FLOW_KEYS.contains(&key.as_str())) {
            self.unknown_key(key);
        }
        let id = self.name(map, "id");
        let namespace = self.name(map, "namespace");
        let inputs = self.inputs(map.get("inputs"));
        let labels = self.labels(map.get("labels"));
        let variables = self.map(map, "variables");
        let steps = match map.get("tasks") {
            Some(tasks) => self.steps(tasks, &["tasks".to_owned()]),
            None => self.missing("tasks"),
        };
        let mut list = |key: &str| match map.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(tasks) => self.steps(tasks, &[key.to_owned()]),
        };
        let (errors, finally, after) = (list("errors"), list("finally"), list("afterExecution"));
        let triggers = self.triggers(map.get("triggers"), &inputs);
        let (outputs, sla, checks) = (self.outputs(map), self.sla(map), self.checks(map));
        let (concurrency, retry) = (self.concurrency(map), self.retry(map));
        Some(FlowParts {
            // A missing or invalid name has been reported.
            id: id.unwrap_or_default(),
            namespace: namespace.unwrap_or_default(),
            description: map.get("description").and_then(Value::as_str).map(str::to_owned),
            labels,
            inputs,
            variables,
            steps,
            errors,
            finally,
            after,
            triggers,
            outputs,
            concurrency,
            retry,
            sla,
            checks,
            disabled: self.flag(map, "disabled"),
        })
    }

    fn unknown_key(&mut self, key: &str) {
        let help = match key {
            "taskDefaults" => "it has been renamed to `pluginDefaults`".to_owned(),
            "listeners" => "use `afterExecution`, or a separate flow with a trigger of type `flow`".to_owned(),
            _ => offer(key, FLOW_KEYS),
        };
        let finding = Diagnostic::error(format!("unknown key `{key}`")).help(help);
        self.findings.push(self.document.locate_key(&[key.to_owned()], finding));
    }

    fn flag(&mut self, map: &Map<String, Value>, key: &str) -> bool {
        let flag = map.get(key).filter(|value| !value.is_null()).map(|value| read::<bool>(value).ok());
        if flag == Some(None) {
            let finding = Diagnostic::error(format!("`{key}` is not true or false"));
            self.findings.push(self.document.locate(&[key.to_owned()], finding));
        }
        flag.flatten().unwrap_or_default()
    }

    fn missing<T: Default>(&mut self, key: &str) -> T {
        self.findings.push(
            self.document.locate(&[], Diagnostic::error(format!("`{key}` is missing")).help(format!("add `{key}: …`"))),
        );
        T::default()
    }

    /// A flow's id or namespace.
    fn name(&mut self, map: &Map<String, Value>, key: &str) -> Option<String> {
        let Some(value) = map.get(key) else { return self.missing(key) };
        let name = value.as_str().filter(|name| is_name(name));
        if name.is_none() {
            let finding =
                Diagnostic::error(format!("`{key}` is not a valid name")).help("use letters, digits, `-`, `_` and `.`");
            self.findings.push(self.document.locate(&[key.to_owned()], finding));
        }
        name.map(str::to_owned)
    }

    fn map(&mut self, map: &Map<String, Value>, key: &str) -> Map<String, Value> {
        match map.get(key) {
            Some(Value::Object(map)) => map.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => {
                self.findings.push(self.document.locate(
                    &[key.to_owned()],
                    Diagnostic::error(format!("`{key}` is not a map")).help(format!("write `{key}: {{name: value}}`")),
                ));
                Map::new()
            }
        }
    }

    /// Labels are a map, or a list of `{key, value}`.
    fn labels(&mut self, value: Option<&Value>) -> Map<String, Value> {
        self.labels_at(value, &["labels".to_owned()])
    }

    pub(super) fn labels_at(&mut self, value: Option<&Value>, path: &[String]) -> Map<String, Value> {
        match value {
            None | Some(Value::Null) => Map::new(),
            Some(labels @ (Value::Object(_) | Value::Array(_))) => labels_of(labels),
            Some(_) => {
                let finding = Diagnostic::error("`labels` is neither a map nor a list of {key, value}")
                    .help("write `labels: {team: data}`");
                self.findings.push(self.document.locate(path, finding));
                Map::new()
            }
        }
    }

    fn inputs(&mut self, value: Option<&Value>) -> Vec<Input> {
        let items = self.list(value, "inputs");
        let (inputs, findings) = input::read_all(self.document, &items);
        let ids = items.iter().filter_map(|item| item.get("id").or_else(|| item.get("name"))?.as_str());
        let invalid = ids.filter(|id| !inputs.iter().any(|input| input.id == **id));
        self.invalid.inputs.extend(invalid.map(str::to_owned));
        self.findings.extend(findings);
        inputs
    }

    pub(super) fn list(&mut self, value: Option<&Value>, key: &str) -> Vec<Value> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => {
                self.findings.push(
                    self.document.locate(
                        &[key.to_owned()],
                        Diagnostic::error(format!("`{key}` is not a list"))
                            .help("write a list of maps: `- {id: …, type: …}`"),
                    ),
                );
                Vec::new()
            }
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !text.starts_with('.')
}

pub(super) fn below(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}
