//! Parses lists of tasks, recursively: a task's `BRANCHES` are taken out of its fields and become steps.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, offer};
use crate::flow::expression::mentions;
use crate::flow::findings;
use crate::flow::parse::{FlowParser, below, is_name};
use crate::flow::{Branches, COMMON_FIELDS, CommonFields, Step, WITHOUT_EFFECT, suggestion, visit_steps};
use crate::id::TaskId;
use crate::task::{Branch, Capability, TaskType, is_template, read};

impl FlowParser<'_> {
    pub(super) fn steps(&mut self, value: &Value, path: &[String]) -> Vec<Step> {
        let nothing = Vec::new();
        let Some(items) = value.as_array().or_else(|| value.is_null().then_some(&nothing)) else {
            self.findings.push(self.document.locate(
                path,
                Diagnostic::error("this is not a list of tasks").help("write a list of maps: `- {id: …, type: …}`"),
            ));
            return Vec::new();
        };
        if items.is_empty() {
            self.findings.push(
                self.document.locate(
                    path,
                    Diagnostic::error("this list of tasks is empty")
                        .help("add a task; `jitney tasks` lists the task types"),
                ),
            );
        }
        let steps = items.iter().enumerate().filter_map(|(index, item)| {
            let path: Vec<String> = path.iter().cloned().chain([index.to_string()]).collect();
            self.step(item, path)
        });
        let mut steps: Vec<Step> = steps.collect();
        // A server keeps thousands of flows in memory, and spare capacity would be most of it.
        steps.shrink_to_fit();
        steps
    }

    fn step(&mut self, value: &Value, path: Vec<String>) -> Option<Step> {
        let Value::Object(map) = value else {
            self.findings.push(self.document.locate(
                &path,
                Diagnostic::error("a task is a map with `id` and `type`").help("write `- {id: …, type: …}`"),
            ));
            return None;
        };
        let common_effectless: Vec<_> = WITHOUT_EFFECT.iter().map(|name| (*name, "it may be left out")).collect();
        let map = self.strip_ineffective(map.clone(), &common_effectless, &path);
        let (common, own_fields): (Map<_, _>, Map<_, _>) =
            map.into_iter().partition(|(key, _)| COMMON_FIELDS.contains(&key.as_str()));
        let common = Value::Object(common);
        let findings_of_common =
            findings::all(self.document, &path, &common, |value| read::<CommonFields>(value).map(drop));
        self.findings.extend(findings_of_common);
        self.check_id(&common, &path);
        let Some(task) = self.task_type(&common, &path) else {
            collect_tasks(value, &mut self.invalid.tasks);
            self.invalid.values.push((value.clone(), path));
            return None;
        };
        let own_fields = self.strip_ineffective(own_fields, task.without_effect, &path);
        let (branches, own_fields) = self.branches(task, own_fields, &path);
        let fields = Value::Object(own_fields);
        let of_common = ["runIf", "when", "timeout"].map(|name| common.get(name).unwrap_or(&Value::Null));
        let uses = uses(&[&[&fields], &of_common[..]].concat());
        self.findings.extend(findings::all_with_common_fields(
            self.document,
            &path,
            &fields,
            COMMON_FIELDS,
            task.check,
        ));
        let common = valid_common_fields(&common)?;
        if let Some(retry) = &common.retry {
            self.warn_unreachable_retry(retry, &below(&path, "retry"));
        }
        let (id, depends_on) = (TaskId::new(&common.id), Vec::new());
        let step = Step { id, task, fields, common, branches, depends_on, uses, path };
        if task.has(Capability::SharesFolder) {
            self.reject_pauses(&step);
        }
        if step.common.disabled {
            visit_steps(std::slice::from_ref(&step), &mut |inner| {
                self.invalid.disabled.insert(inner.id.to_string());
            });
            return None;
        }
        Some(step)
    }

    /// Removes fields without effect, with a warning.
    fn strip_ineffective(
        &mut self,
        mut map: Map<String, Value>,
        names: &[(&str, &str)],
        path: &[String],
    ) -> Map<String, Value> {
        for (name, help) in names {
            let (outer, inner) = name.split_once('.').map_or((None, *name), |(outer, inner)| (Some(outer), inner));
            let (parent, path) = match outer {
                Some(outer) => (map.get_mut(outer).and_then(Value::as_object_mut), below(path, outer)),
                None => (Some(&mut map), path.to_vec()),
            };
            if parent.is_some_and(|parent| parent.shift_remove(inner).is_some()) {
                let finding = Diagnostic::warning(format!("`{name}` has no effect here")).help(*help);
                self.findings.push(self.document.locate_key(&below(&path, inner), finding));
            }
        }
        map
    }

    fn check_id(&mut self, common: &Value, path: &[String]) {
        let Some(id) = common.get("id").and_then(Value::as_str) else { return };
        let path: Vec<String> = path.iter().cloned().chain(["id".to_owned()]).collect();
        if !is_name(id) {
            let finding =
                Diagnostic::error(format!("`{id}` is not a task id")).help("use letters, digits, `-` and `_`");
            self.findings.push(self.document.locate(&path, finding));
        } else if !self.ids.insert(id.to_owned()) {
            let finding = Diagnostic::error(format!("there are two tasks called `{id}`"));
            self.findings.push(
                self.document.locate(&path, finding.help("rename one of them: outputs are addressed by task id")),
            );
        }
    }

    fn task_type(&mut self, common: &Value, path: &[String]) -> Option<&'static TaskType> {
        let name = common.get("type").and_then(Value::as_str)?;
        let found = self.tasks.iter().find(|task| task.is(name));
        if found.is_none() {
            let help = suggestion::help(name, self.tasks);
            let path: Vec<String> = path.iter().cloned().chain(["type".to_owned()]).collect();
            self.findings
                .push(self.document.locate(&path, Diagnostic::error(format!("unknown task type `{name}`")).help(help)));
        }
        found
    }

    /// Tasks that share a folder restart together if their process stops, so none of them may wait for days.
    fn reject_pauses(&mut self, step: &Step) {
        let mut pauses = Vec::new();
        step.branches.iter().for_each(|(_, branch)| visit_steps(branch, &mut |inner| pauses.push(inner)));
        for pause in pauses.into_iter().filter(|inner| inner.task.has(Capability::Pauses)) {
            let finding = Diagnostic::error(format!("`{}` cannot pause inside `{}`", pause.id, step.id));
            let finding = finding.help("the tasks of a working directory run as a unit; pause before or after it");
            self.findings.push(self.document.locate(&below(&pause.path, "type"), finding));
        }
    }

    /// Splits a task's fields into branches and the rest.
    fn branches(
        &mut self,
        task: &'static TaskType,
        mut own_fields: Map<String, Value>,
        path: &[String],
    ) -> (Branches, Map<String, Value>) {
        let mut branches = Branches::new();
        let error_branches = [Branch::List("errors"), Branch::List("finally")];
        for branch in task.branches.iter().chain(if task.is_flowable() { &error_branches[..] } else { &[] }) {
            let (Branch::List(name) | Branch::One(name) | Branch::Cases(name) | Branch::Graph(name)) = *branch;
            let Some(value) = own_fields.get(name).cloned() else { continue };
            let path = below(path, name);
            let empty = match branch {
                Branch::List(_) => {
                    branches.push((name.to_owned(), self.steps(&value, &path)));
                    Value::Array(Vec::new())
                }
                Branch::One(_) => {
                    branches.push((name.to_owned(), self.step(&value, path).into_iter().collect()));
                    Value::Array(Vec::new())
                }
                Branch::Cases(_) => self.cases(name, &value, &path, &mut branches),
                Branch::Graph(_) => {
                    branches.push((name.to_owned(), self.graph(&value, &path)));
                    Value::Array(Vec::new())
                }
            };
            own_fields.insert(name.to_owned(), empty);
        }
        for name in ["errors", "finally"].iter().filter(|_| task.is_flowable()) {
            own_fields.shift_remove(*name);
        }
        (branches, own_fields)
    }

    /// A map of lists of tasks. Its keys stay in the task's fields: the task chooses among them.
    fn cases(&mut self, name: &str, value: &Value, path: &[String], branches: &mut Branches) -> Value {
        let Value::Object(cases) = value else {
            self.findings.push(
                self.document.locate(
                    path,
                    Diagnostic::error(format!("`{name}` is not a map of lists of tasks"))
                        .help("use the value as the key: `green: [{id: …, type: …}]`"),
                ),
            );
            return Value::Object(Map::new());
        };
        for (key, tasks) in cases {
            let steps = self.steps(tasks, &below(path, key));
            branches.push((format!("{name}.{key}"), steps));
        }
        Value::Object(cases.keys().map(|key| (key.clone(), Value::Array(Vec::new()))).collect())
    }

    /// A list of `{task, dependsOn}`.
    fn graph(&mut self, value: &Value, path: &[String]) -> Vec<Step> {
        let Value::Array(items) = value else {
            self.findings
                .push(self.document.locate(path, Diagnostic::error("this is not a list of {task, dependsOn}")));
            return Vec::new();
        };
        let mut steps = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = below(path, &index.to_string());
            let Some(task) = item.get("task") else {
                let finding = Diagnostic::error("`task` is missing")
                    .help("write `- task: {id: …, type: …}`, with `dependsOn` next to `task`");
                self.findings.push(self.document.locate(&path, finding));
                continue;
            };
            let dependencies = item.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
            let depends_on = dependencies.filter_map(Value::as_str).map(TaskId::new).collect();
            steps.extend(self.step(task, below(&path, "task")).map(|step| Step { depends_on, ..step }));
        }
        self.sort_by_dependencies(steps)
    }

    /// A topological order; steps in a cycle, or with unknown dependencies, are reported and left out.
    fn sort_by_dependencies(&mut self, mut rest: Vec<Step>) -> Vec<Step> {
        let (mut sorted, mut before) = (Vec::<Step>::new(), BTreeSet::new());
        while !rest.is_empty() {
            let is_ready = |step: &Step| step.depends_on.iter().all(|id| before.contains(id.as_str()));
            let Some(next) = rest.iter().position(is_ready) else { break };
            let next = rest.remove(next);
            before.insert(next.id.to_string());
            sorted.push(next);
        }
        let is_listed = |id: &TaskId| sorted.iter().chain(&rest).any(|step| step.id == *id);
        let unlisted: Vec<(&Step, &TaskId)> = rest
            .iter()
            .flat_map(|step| step.depends_on.iter().map(move |id| (step, id)))
            .filter(|(_, id)| !is_listed(id))
            .collect();
        let known: Vec<&str> = sorted.iter().chain(&rest).map(|step| step.id.as_str()).collect();
        for (step, id) in &unlisted {
            let finding = Diagnostic::error(format!("`{}` depends on `{id}`, which is not in this list", step.id));
            let finding = finding.help(offer(id.as_str(), &known));
            self.findings.push(self.document.locate_text(&depends_on(step), id.as_str(), finding));
        }
        if let Some(cycle) = cycle(&rest).filter(|_| unlisted.is_empty()) {
            let names: Vec<&str> = cycle.iter().map(|step| step.id.as_str()).collect();
            let message = format!("these tasks depend on each other: `{}` → `{}`", names.join("` → `"), names[0]);
            let finding = Diagnostic::error(message).help("remove one of the names from a `dependsOn`");
            self.findings.push(self.document.locate(&depends_on(cycle[0]), finding));
        }
        sorted
    }
}

/// The common fields without invalid ones, which have been reported, so that the rest can be checked.
fn valid_common_fields(common: &Value) -> Option<CommonFields> {
    let error = match read::<CommonFields>(common) {
        Ok(common) => return Some(common),
        Err(error) => error,
    };
    let mut rest = common.clone();
    let is_reduced = rest.as_object_mut()?.shift_remove(error.path.first()?).is_some();
    if is_reduced { valid_common_fields(&rest) } else { None }
}

/// The ids of a task of unknown type and of the tasks in it.
fn collect_tasks(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let id = map.get("id").filter(|_| map.contains_key("type")).and_then(Value::as_str);
            into.extend(id.map(str::to_owned));
            map.values().for_each(|value| collect_tasks(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_tasks(item, into)),
        _ => {}
    }
}

/// The path of a step's `dependsOn`.
fn depends_on(step: &Step) -> Vec<String> {
    let item = step.path.split_last().map_or(&[][..], |(_, item)| item);
    below(item, "dependsOn")
}

/// Tasks that each depend on the next, and the last on the first.
fn cycle(stuck: &[Step]) -> Option<Vec<&Step>> {
    let mut path: Vec<&Step> = vec![stuck.first()?];
    loop {
        let last = path.last()?;
        let next = last.depends_on.iter().find_map(|id| stuck.iter().find(|step| step.id == *id))?;
        if let Some(begin) = path.iter().position(|step| step.id == next.id) {
            return Some(path.split_off(begin));
        }
        path.push(next);
    }
}

/// The tasks whose outputs these templates use; `None` if that is only known at run time.
fn uses(values: &[&Value]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    values.iter().try_for_each(|value| collect_outputs(value, &mut names))?;
    Some(names)
}

fn collect_outputs(value: &Value, into: &mut BTreeSet<String>) -> Option<()> {
    match value {
        Value::String(text) if is_template(text) => {
            for name in mentions(text).ok()? {
                let mut parts = name.split('.');
                match (parts.next(), parts.next()) {
                    (Some("outputs"), Some(task)) => drop(into.insert(task.to_owned())),
                    // Variables may hold templates that name anything.
                    (Some("outputs" | "vars" | "*"), _) => return None,
                    _ => {}
                }
            }
            Some(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_outputs(item, into)),
        Value::Object(map) => map.values().try_for_each(|item| collect_outputs(item, into)),
        _ => Some(()),
    }
}
