//! Walks a document and collects the edits of Kestra's names.

use serde_json::{Map, Value};

use super::NameEdit;
use super::canonical::canonical_name;
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::document::Document;
use crate::flow::parse::below;
use crate::flow::trigger::condition::ConditionType;
use crate::flow::trigger::{TRIGGER_FIELDS, TriggerCommon, TriggerType};
use crate::flow::{COMMON_FIELDS, CommonFields};
use crate::task::{Branch, TaskType, read};

const TASK_RUNNERS: [(&str, &str); 2] =
    [("io.kestra.plugin.core.runner.Process", "process"), ("io.kestra.plugin.scripts.runner.docker.Docker", "docker")];

const INPUT_TYPES: [(&str, &str); 2] = [("BOOLEAN", "BOOL"), ("ENUM", "SELECT")];

const TASK_LISTS: [&str; 4] = ["tasks", "errors", "finally", "afterExecution"];

const JDBC: &str = "jdbc:postgresql://";

pub(super) struct FlowConverter<'a> {
    document: &'a Document,
    tasks: &'static [TaskType],
    pub(super) edits: Vec<NameEdit>,
    pub(super) skipped: Vec<Diagnostic>,
    kinds: Vec<TypeNames>,
}

struct TypeNames {
    path: Vec<String>,
    old: String,
    new: String,
}

impl<'a> FlowConverter<'a> {
    pub(super) fn new(document: &'a Document, tasks: &'static [TaskType]) -> Self {
        Self { document, tasks, edits: Vec::new(), skipped: Vec::new(), kinds: Vec::new() }
    }

    pub(super) fn flow(&mut self) {
        let document = self.document;
        let Some(flow) = document.value.as_object() else { return };
        for key in TASK_LISTS {
            self.tasks(flow.get(key), &[key.to_owned()]);
        }
        for (index, trigger) in list(flow.get("triggers")) {
            self.trigger(trigger, &["triggers".to_owned(), index]);
        }
        for (index, input) in list(flow.get("inputs")) {
            self.rename(input, &["inputs".to_owned(), index], &INPUT_TYPES);
        }
        let defaults = self.defaults(flow);
        for TypeNames { path, old, new } in std::mem::take(&mut self.kinds) {
            if old != new && !defaults.kept.iter().any(|default| old.starts_with(default.as_str())) {
                self.edit(path, false, &old, &new);
            }
        }
        for TypeNames { path, old, new } in defaults.renamed {
            self.edit(path, false, &old, &new);
        }
    }

    fn tasks(&mut self, value: Option<&Value>, path: &[String]) {
        for (index, task) in list(value) {
            self.task(task, &below(path, &index));
        }
    }

    fn task(&mut self, value: &Value, path: &[String]) {
        let Value::Object(map) = value else { return };
        let Some(name) = map.get("type").and_then(Value::as_str) else { return };
        let Some(task) = self.tasks.iter().find(|task| task.is(name)) else { return self.unknown(name, path) };
        self.kind(path, name, task.name);
        let (common, own): (Map<_, _>, Map<_, _>) =
            map.clone().into_iter().partition(|(key, _)| COMMON_FIELDS.contains(&key.as_str()));
        let schema = schemars::schema_for!(CommonFields).to_value();
        self.fields(path, &Value::Object(common), &schema, |value| read::<CommonFields>(value).map(drop));
        let own = Value::Object(own);
        self.fields(path, &own, &(task.schema)().to_value(), task.check);
        for key in ["taskRunner", "task_runner"] {
            if let Some(runner) = map.get(key) {
                self.rename(runner, &below(path, key), &TASK_RUNNERS);
            }
        }
        if task.name.starts_with("postgres.") {
            self.address(map, path);
        }
        self.branches(task, map, path);
    }

    fn branches(&mut self, task: &TaskType, map: &Map<String, Value>, path: &[String]) {
        let error_branches = [Branch::List("errors"), Branch::List("finally")];
        for branch in task.branches.iter().chain(if task.is_flowable() { &error_branches[..] } else { &[] }) {
            match *branch {
                Branch::List(name) => self.tasks(map.get(name), &below(path, name)),
                Branch::One(name) => map.get(name).into_iter().for_each(|task| self.task(task, &below(path, name))),
                Branch::Cases(name) => {
                    let cases = map.get(name).and_then(Value::as_object);
                    for (key, tasks) in cases.into_iter().flatten() {
                        self.tasks(Some(tasks), &below(&below(path, name), key));
                    }
                }
                Branch::Graph(name) => {
                    for (index, item) in list(map.get(name)) {
                        if let Some(task) = item.get("task") {
                            self.task(task, &below(&below(&below(path, name), &index), "task"));
                        }
                    }
                }
            }
        }
    }

    fn trigger(&mut self, value: &Value, path: &[String]) {
        let Value::Object(map) = value else { return };
        let Some(name) = map.get("type").and_then(Value::as_str) else { return };
        let Some(kind) = TriggerType::find(name) else { return self.unknown(name, path) };
        self.kind(path, name, kind.name);
        let (common, own): (Map<_, _>, Map<_, _>) =
            map.clone().into_iter().partition(|(key, _)| TRIGGER_FIELDS.contains(&key.as_str()));
        let schema = schemars::schema_for!(TriggerCommon).to_value();
        self.fields(path, &Value::Object(common), &schema, |value| read::<TriggerCommon>(value).map(drop));
        self.fields(path, &Value::Object(own), &(kind.schema)().to_value(), kind.check);
        for key in ["conditions", "scheduleConditions", "when"] {
            self.conditions(map.get(key), &below(path, key), 0);
        }
    }

    fn conditions(&mut self, value: Option<&Value>, path: &[String], depth: usize) {
        for (index, condition) in list(value).take_while(|_| depth < 20) {
            let path = below(path, &index);
            let Some(name) = condition.get("type").and_then(Value::as_str) else { continue };
            match ConditionType::find(name) {
                Some(kind) => self.kind(&path, name, kind.name),
                None => self.unknown(name, &path),
            }
            self.conditions(condition.get("conditions"), &below(&path, "conditions"), depth + 1);
        }
    }

    fn kind(&mut self, path: &[String], name: &str, new: &str) {
        self.kinds.push(TypeNames { path: below(path, "type"), old: name.to_owned(), new: new.to_owned() });
    }

    fn fields(
        &mut self,
        path: &[String],
        fields: &Value,
        schema: &Value,
        check: impl Fn(&Value) -> Result<(), crate::task::FieldError>,
    ) {
        for key in fields.as_object().into_iter().flat_map(Map::keys) {
            if let Some(first) = canonical_name(fields, key, schema, &check) {
                self.edit(below(path, key), true, key, &first);
            }
        }
    }

    /// The `type` of a map, by a table.
    fn rename(&mut self, value: &Value, path: &[String], table: &[(&str, &str)]) {
        let name = value.get("type").and_then(Value::as_str);
        if let Some((old, new)) = table.iter().find(|(old, _)| Some(*old) == name) {
            self.kind(path, old, new);
        }
    }

    fn address(&mut self, map: &Map<String, Value>, path: &[String]) {
        let Some(rest) = map.get("url").and_then(Value::as_str).and_then(|url| url.strip_prefix(JDBC)) else { return };
        let path = below(path, "url");
        if rest.contains('?') {
            let finding = Diagnostic::warning("this address is unchanged: it has JDBC settings");
            self.skipped.push(self.document.locate(&path, finding.help("JDBC addresses are supported as they are")));
        } else {
            self.edit(path, false, JDBC, "postgres://");
        }
    }

    /// `pluginDefaults` match by type prefix. Each gets a short prefix that matches the same tasks and no others, or is
    /// kept, together with the types of its tasks.
    fn defaults(&mut self, flow: &Map<String, Value>) -> DefaultsConverter {
        let all = list(flow.get("pluginDefaults")).filter_map(|(index, item)| {
            let old = item.get("type").and_then(Value::as_str)?.to_owned();
            let new = common_prefix(&self.kinds, &old);
            Some(TypeNames { path: vec!["pluginDefaults".to_owned(), index, "type".to_owned()], old, new })
        });
        let mut renamed: Vec<TypeNames> = all.collect();
        let mut kept: Vec<String> = Vec::new();
        // Keeping one keeps the names of its tasks, which may break another, so repeat until all match.
        while let Some(misfit) = renamed.iter().position(|default| !matches_same_types(&self.kinds, default, &kept)) {
            let default = renamed.remove(misfit);
            let message =
                format!("`{}` is unchanged, and so are the types of the tasks that it applies to", default.old);
            let finding = Diagnostic::warning(message).help("no prefix of short names covers exactly these tasks");
            self.skipped.push(self.document.locate(&default.path, finding));
            kept.push(default.old);
        }
        renamed.retain(|default| default.old != default.new);
        DefaultsConverter { renamed, kept }
    }

    fn unknown(&mut self, name: &str, path: &[String]) {
        let finding = Diagnostic::warning(format!("`{name}` is unchanged: there is no equivalent task type"));
        let finding = match nearest(name, self.tasks.iter().map(|task| task.name)) {
            Some(near) => finding.help(format!("the nearest is `{near}`")),
            None => finding,
        };
        self.skipped.push(self.document.locate(&below(path, "type"), finding));
    }

    fn edit(&mut self, path: Vec<String>, is_key: bool, old: &str, new: &str) {
        self.edits.push(NameEdit { path, is_key, old: old.to_owned(), new: new.to_owned() });
    }
}

struct DefaultsConverter {
    renamed: Vec<TypeNames>,
    kept: Vec<String>,
}

/// The common prefix, in whole segments, of the short names of all types that begin with `old`.
fn common_prefix(kinds: &[TypeNames], old: &str) -> String {
    let mut names = kinds.iter().filter(|kind| kind.old.starts_with(old)).map(|kind| kind.new.as_str());
    let Some(first) = names.next() else { return old.to_owned() };
    let mut parts: Vec<&str> = first.split('.').collect();
    for name in names {
        let same = parts.iter().zip(name.split('.')).take_while(|(part, other)| *part == other).count();
        parts.truncate(same);
    }
    parts.join(".")
}

/// Whether a default matches the same types before and after the change.
fn matches_same_types(kinds: &[TypeNames], default: &TypeNames, kept: &[String]) -> bool {
    let is_kept = |name: &str| kept.iter().any(|default| name.starts_with(default.as_str()));
    !default.new.is_empty()
        && kinds.iter().all(|kind| {
            let after = if is_kept(&kind.old) { &kind.old } else { &kind.new };
            kind.old.starts_with(&default.old) == after.starts_with(&default.new)
        })
}

fn list(value: Option<&Value>) -> impl Iterator<Item = (String, &Value)> {
    let items = value.and_then(Value::as_array);
    items.into_iter().flatten().enumerate().map(|(index, item)| (index.to_string(), item))
}
