//! What can be known about a flow's expressions before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::expression::{check as check_calls, references as names_in};
use crate::flow::{Flow, Step, input};
use crate::task::{TaskType, is_template};

/// The first words that an expression may begin with.
const ROOTS: &[&str] = &[
    "inputs",
    "outputs",
    "vars",
    "flow",
    "execution",
    "labels",
    "task",
    "taskrun",
    "trigger",
    "tasks",
    "parent",
    "parents",
    "envs",
    "globals",
    "workingDir",
    "item",
];

/// Malformed templates, and references to what is not there: an input, a variable, a task that does not run before,
/// an output that its task does not give.
/// Nothing is known of the tasks in `broken`, which have findings of their own.
pub(super) fn references(flow: &Flow, broken: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut all = BTreeSet::new();
    let blocks = [&flow.steps, &flow.errors, &flow.finally, &flow.after];
    blocks.into_iter().for_each(|steps| collect_ids(steps, &mut all));
    let mut checker = Checker {
        flow,
        broken,
        all,
        before: BTreeMap::new(),
        looped: BTreeSet::new(),
        isolated: BTreeMap::new(),
        findings: Vec::new(),
    };
    for (index, check) in flow.checks.iter().enumerate() {
        checker.at(&check.condition, &["checks", &index.to_string(), "condition"]);
        checker.at(&check.message, &["checks", &index.to_string(), "message"]);
    }
    blocks[..3].iter().for_each(|steps| checker.steps(steps));
    for (index, output) in flow.outputs.iter().enumerate() {
        checker.at(&output.value, &["outputs", &index.to_string(), "value"]);
    }
    for (index, sla) in flow.sla.iter().enumerate() {
        checker.at(sla.assertion.as_ref().unwrap_or(&Value::Null), &["sla", &index.to_string(), "assert"]);
    }
    checker.steps(&flow.after);
    checker.findings.extend(input::check(flow));
    checker.findings
}

fn collect_ids<'a>(steps: &'a [Step], into: &mut BTreeSet<&'a str>) {
    for step in steps {
        into.insert(step.id.as_str());
        step.branches.iter().for_each(|(_, branch)| collect_ids(branch, into));
    }
}

struct Checker<'a> {
    flow: &'a Flow,
    broken: &'a BTreeSet<String>,
    /// Every task of the flow.
    all: BTreeSet<&'a str>,
    /// The tasks that run before the current one.
    before: BTreeMap<&'a str, &'static TaskType>,
    /// The tasks inside of loops that are over.
    looped: BTreeSet<&'a str>,
    /// The tasks inside of loops that keep them to themselves, and these loops.
    isolated: BTreeMap<&'a str, &'a str>,
    findings: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn steps(&mut self, steps: &'a [Step]) {
        for step in steps {
            self.fields(step, false);
            if let Some(condition) = &step.common.run_if {
                let key = if self.flow.document.value.pointer(&pointer(&step.path, "runIf")).is_some() {
                    "runIf"
                } else {
                    "when"
                };
                self.value(condition, step.path.iter().cloned().chain([key.to_owned()]).collect());
            }
            if !step.task.late.is_empty() {
                // It says how far it has come while it runs.
                self.before.insert(step.id.as_str(), step.task);
            }
            for (_, branch) in &step.branches {
                self.steps(branch);
                if ["for_each", "each_parallel"].contains(&step.task.name) {
                    collect_ids(branch, &mut self.looped);
                }
            }
            self.fields(step, true);
            if step.task.name == "loop" {
                self.isolate(step);
            }
            self.before.insert(step.id.as_str(), step.task);
        }
    }

    /// The fields that are rendered before the task runs, or those rendered late.
    fn fields(&mut self, step: &'a Step, late: bool) {
        let Value::Object(fields) = &step.fields else { return };
        for (key, value) in fields.iter().filter(|(key, _)| step.task.late.contains(&key.as_str()) == late) {
            self.value(value, step.path.iter().cloned().chain([key.clone()]).collect());
        }
    }

    fn isolate(&mut self, step: &'a Step) {
        let mut inside = BTreeSet::new();
        step.branches.iter().for_each(|(_, branch)| collect_ids(branch, &mut inside));
        for id in inside {
            self.before.remove(id);
            self.isolated.insert(id, step.id.as_str());
        }
    }

    fn at(&mut self, value: &Value, path: &[&str]) {
        self.value(value, path.iter().map(|part| (*part).to_owned()).collect());
    }

    fn value(&mut self, value: &Value, path: Vec<String>) {
        let below = |key: String| path.iter().cloned().chain([key]).collect();
        match value {
            Value::String(text) if is_template(text) => self.template(text, &path),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.value(item, below(index.to_string())));
            }
            Value::Object(map) => map.iter().for_each(|(key, item)| self.value(item, below(key.clone()))),
            _ => {}
        }
    }

    fn template(&mut self, text: &str, path: &[String]) {
        let names = names_in(text);
        for error in check_calls(text).err().unwrap_or_default() {
            let mut finding = Diagnostic::error(error.message);
            if names.is_err() {
                finding = finding.help("write `{{ inputs.name }}` or `{{ outputs.task.field }}`");
            }
            self.findings.push(self.flow.document.locate_text(path, &error.culprit, finding));
        }
        for name in names.unwrap_or_default() {
            if let Some((message, help)) = self.problem(&name) {
                let finding = Diagnostic::error(message).help(help);
                self.findings.push(self.flow.document.locate_text(path, &name, finding));
            }
        }
    }

    fn problem(&self, reference: &str) -> Option<(String, String)> {
        let mut parts = reference.split('.');
        let (root, name, field) = (parts.next()?, parts.next(), parts.next());
        let known: Vec<&str> = match root {
            "inputs" => match reference.split_once('.') {
                Some((_, rest)) if input::is_named(&self.flow.inputs, rest) => return None,
                _ => self.flow.inputs.iter().map(|input| input.id.as_str()).collect(),
            },
            "vars" => self.flow.variables.keys().map(String::as_str).collect(),
            "outputs" => return self.output_problem(reference, name?, field),
            root if ROOTS.contains(&root) => return None,
            other => return Some((format!("`{other}` is not defined"), choice(other, ROOTS))),
        };
        let name = name?;
        (!known.contains(&name)).then(|| (format!("`{reference}` is not defined"), choice(name, &known)))
    }

    fn output_problem(&self, reference: &str, task: &str, field: Option<&str>) -> Option<(String, String)> {
        let Some(kind) = self.before.get(task) else {
            if self.broken.contains(task) {
                return None;
            }
            if let Some(around) = self.isolated.get(task) {
                let help = format!("name it in the loop's `outputs`, and take it from `outputs.{around}.outputs`");
                return Some((format!("`{reference}`: task `{task}` is inside of the loop `{around}`"), help));
            }
            let known: Vec<&str> = self.before.keys().copied().collect();
            let (problem, help) = match self.all.contains(task) {
                true => ("does not run before this one", format!("move `{task}` up, before this task")),
                false => ("is not in the flow", choice(task, &known)),
            };
            return Some((format!("`{reference}`: task `{task}` {problem}"), help));
        };
        // What a task with sub-tasks gives depends on its decision; what stands in a loop is seen by value from outside.
        if kind.is_flowable() || self.looped.contains(task) {
            return None;
        }
        let schema = (kind.outputs)();
        let outputs = schema.get("properties").and_then(Value::as_object)?;
        let field = field?;
        let known: Vec<&str> = outputs.keys().map(String::as_str).collect();
        let open = schema.get("additionalProperties").is_some_and(|open| *open != Value::Bool(false));
        (!open && !known.contains(&field))
            .then(|| (format!("`{reference}`: `{}` gives no output `{field}`", kind.name), choice(field, &known)))
    }
}

fn pointer(path: &[String], key: &str) -> String {
    path.iter().map(String::as_str).chain([key]).map(|part| format!("/{part}")).collect()
}

fn choice(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is nothing of that kind here".to_owned(),
        None => format!("there is `{}`", known.join("`, `")),
    }
}
