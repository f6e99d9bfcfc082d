//! From a document to a flow, with every problem at once.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::flow::findings::{self, offer};
use crate::flow::{Concurrency, Document, Flow, Input, Step, Trigger, check, input};
use crate::id::FlowId;
use crate::task::{TaskType, read};

/// The keys of a flow.
pub(super) const FLOW_KEYS: &[&str] = &[
    "id",
    "namespace",
    "description",
    "labels",
    "inputs",
    "variables",
    "tasks",
    "errors",
    "finally",
    "triggers",
    "concurrency",
    "disabled",
];

/// Keys that Kestra has and this version has not.
const NOT_YET: &[&str] = &["outputs", "afterExecution", "pluginDefaults", "retry", "sla", "checks", "revision"];

/// What came of a flow's text.
#[derive(Debug)]
pub struct Parsed {
    /// The flow; none when there is an error.
    pub flow: Option<Flow>,
    /// Errors and warnings, in the order of the text.
    pub findings: Vec<Diagnostic>,
}

/// Reads a flow. `file` is the path as the user named it; nothing is read from it here.
pub fn parse(file: &str, text: &str, tasks: &'static [TaskType]) -> Parsed {
    let document = match Document::parse(file, text) {
        Ok(document) => document,
        Err(finding) => return Parsed { flow: None, findings: vec![*finding] },
    };
    let mut parser =
        Parser { document: &document, tasks, findings: Vec::new(), ids: BTreeSet::new(), broken: BTreeSet::new() };
    let parts = parser.flow();
    let (mut findings, broken) = (parser.findings, parser.broken);
    let flow = parts.map(|parts| parts.into_flow(document));
    if let Some(flow) = &flow {
        findings.extend(check::references(flow, &broken));
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    let broken = findings.iter().any(Diagnostic::is_error);
    Parsed { flow: flow.filter(|_| !broken), findings }
}

pub(super) struct Parser<'a> {
    pub(super) document: &'a Document,
    pub(super) tasks: &'static [TaskType],
    pub(super) findings: Vec<Diagnostic>,
    pub(super) ids: BTreeSet<String>,
    /// Tasks of an unknown type.
    pub(super) broken: BTreeSet<String>,
}

struct Parts {
    id: String,
    namespace: String,
    description: Option<String>,
    labels: Map<String, Value>,
    inputs: Vec<Input>,
    variables: Map<String, Value>,
    steps: Vec<Step>,
    errors: Vec<Step>,
    finally: Vec<Step>,
    triggers: Vec<Trigger>,
    concurrency: Option<Concurrency>,
    disabled: bool,
}

impl Parts {
    fn into_flow(self, document: Document) -> Flow {
        let folder = Path::new(&document.file).parent().map(Path::to_path_buf).unwrap_or_default();
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
            triggers: self.triggers,
            concurrency: self.concurrency,
            disabled: self.disabled,
            folder,
            document,
        }
    }
}

impl Parser<'_> {
    fn flow(&mut self) -> Option<Parts> {
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
        let errors = map.get("errors").map_or_else(Vec::new, |tasks| self.steps(tasks, &["errors".to_owned()]));
        let finally = map.get("finally").map_or_else(Vec::new, |tasks| self.steps(tasks, &["finally".to_owned()]));
        let triggers = self.triggers(map.get("triggers"), &inputs);
        let description = map.get("description").and_then(Value::as_str).map(str::to_owned);
        let concurrency = self.concurrency(map.get("concurrency"));
        let disabled = map.get("disabled").and_then(Value::as_bool).unwrap_or_default();
        Some(Parts {
            id: id?,
            namespace: namespace?,
            description,
            labels,
            inputs,
            variables,
            steps,
            errors,
            finally,
            triggers,
            concurrency,
            disabled,
        })
    }

    fn unknown_key(&mut self, key: &str) {
        let finding = if NOT_YET.contains(&key) {
            Diagnostic::error(format!("`{key}` is not supported yet"))
                .help(format!("a flow may have `{}`", FLOW_KEYS.join("`, `")))
        } else {
            Diagnostic::error(format!("unknown key `{key}`")).help(offer(key, FLOW_KEYS))
        };
        self.findings.push(self.document.locate_key(&[key.to_owned()], finding));
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
                Diagnostic::error(format!("`{key}` is not a name")).help("use letters, digits, `-`, `_` and `.`");
            self.findings.push(self.document.locate(&[key.to_owned()], finding));
        }
        name.map(str::to_owned)
    }

    fn map(&mut self, map: &Map<String, Value>, key: &str) -> Map<String, Value> {
        match map.get(key) {
            Some(Value::Object(found)) => found.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => {
                self.findings
                    .push(self.document.locate(&[key.to_owned()], Diagnostic::error(format!("`{key}` is not a map"))));
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
            Some(Value::Object(map)) => map.clone(),
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| Some((item.get("key")?.as_str()?.to_owned(), item.get("value")?.clone())))
                .collect(),
            Some(_) => {
                let finding = Diagnostic::error("`labels` is neither a map nor a list of {key, value}");
                self.findings.push(self.document.locate(path, finding));
                Map::new()
            }
        }
    }

    fn inputs(&mut self, value: Option<&Value>) -> Vec<Input> {
        let items = self.list(value, "inputs");
        let (inputs, findings) = input::read_all(self.document, &items);
        self.findings.extend(findings);
        inputs
    }

    fn concurrency(&mut self, value: Option<&Value>) -> Option<Concurrency> {
        let (value, path) = (value.filter(|value| !value.is_null())?, ["concurrency".to_owned()]);
        let found = findings::all(self.document, &path, value, |value| read::<Concurrency>(value).map(drop));
        self.findings.extend(found);
        let concurrency = read::<Concurrency>(value).ok()?;
        if concurrency.limit == 0 {
            let finding = Diagnostic::error("with a `limit` of 0 nothing would ever run").help("write 1 or more");
            self.findings.push(self.document.locate(&below(&path, "limit"), finding));
        }
        Some(concurrency)
    }

    pub(super) fn list(&mut self, value: Option<&Value>, key: &str) -> Vec<Value> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(_) => {
                self.findings
                    .push(self.document.locate(&[key.to_owned()], Diagnostic::error(format!("`{key}` is not a list"))));
                Vec::new()
            }
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !text.starts_with('.')
}

/// The path of what stands under a key.
pub(super) fn below(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}
