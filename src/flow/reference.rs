//! Resolves the names in a template: inputs, variables, tasks and outputs, with a suggestion for each unknown one.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::check::ReferenceChecker;
use crate::flow::{input, members};
use crate::task::Capability;

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
    "workingDir",
    "item",
];

struct ReferenceProblem {
    name: String,
    message: String,
    help: String,
}

impl ReferenceChecker<'_> {
    pub(super) fn problems(&self, names: &[String], path: &[String]) -> Vec<Diagnostic> {
        let dashed_names: Vec<(&String, String)> =
            names.iter().filter_map(|name| Some((name, self.dashed_name(name, path)?))).collect();
        let mut findings = Vec::new();
        for (_, whole) in &dashed_names {
            let (root, name) = whole.split_once('.').unwrap_or((whole, ""));
            let finding = Diagnostic::error(format!("`{whole}` is parsed as a subtraction"));
            let finding = finding.help(format!("write `{root}['{name}']`"));
            findings.push(self.flow.document.locate_text(path, whole, finding));
        }
        let is_fragment = |name: &String| {
            let root = name.split('.').next().unwrap_or_default();
            dashed_names.iter().any(|(cut, whole)| *cut == name || whole.split('-').skip(1).any(|part| part == root))
        };
        for ReferenceProblem { name, message, help } in
            names.iter().filter(|name| !is_fragment(name)).filter_map(|name| self.problem(name))
        {
            let finding = Diagnostic::error(message).help(help);
            findings.push(self.flow.document.locate_any(path, &spellings(&name), finding));
        }
        findings
    }

    /// `outputs.my` of `outputs.my-task`, which parses as a subtraction: the whole name, if it is written so.
    fn dashed_name(&self, name: &str, path: &[String]) -> Option<String> {
        let (root, rest) = name.split_once('.')?;
        let first = rest.split('.').next()?;
        let known: Vec<&str> = match root {
            "outputs" => self.all.iter().copied().collect(),
            "inputs" => self.flow.inputs.iter().map(|input| input.id.as_str()).collect(),
            "vars" => self.flow.variables.keys().map(String::as_str).collect(),
            "tasks" => self.all.iter().copied().collect(),
            _ => return None,
        };
        if known.contains(&first) {
            return None;
        }
        let has_prefix = |known: &&&str| known.strip_prefix(first).is_some_and(|rest| rest.starts_with('-'));
        let candidates = known.iter().filter(has_prefix).map(|known| format!("{root}.{known}"));
        candidates.into_iter().find(|whole| self.flow.document.find_text(path, whole).is_some())
    }

    fn problem(&self, reference: &str) -> Option<ReferenceProblem> {
        let mut parts = reference.split('.');
        let (root, name, field) = (parts.next()?, parts.next(), parts.next());
        let known: Vec<&str> = match root {
            "inputs" => return self.input_problem(reference),
            "vars" => self.flow.variables.keys().map(String::as_str).collect(),
            "outputs" => return self.output_problem(name?, field),
            "tasks" => return self.state_problem(name?, field),
            root if ROOTS.contains(&root) => {
                return members::unknown(reference).map(|unknown| undefined(unknown.name, unknown.help));
            }
            other => {
                let message = format!("`{other}` is not defined");
                return Some(ReferenceProblem { name: reference.to_owned(), message, help: self.suggest_root(other) });
            }
        };
        let name = name?;
        let help = match known.as_slice() {
            [] => format!("declare it: `variables: {{{name}: …}}`"),
            known => choice(name, known),
        };
        (!known.contains(&name)).then(|| undefined(format!("{root}.{name}"), help))
    }

    /// `tasks.name.state` is the only field of a task.
    fn state_problem(&self, task: &str, field: Option<&str>) -> Option<ReferenceProblem> {
        let name = format!("tasks.{task}");
        if !self.all.contains(task) && !self.invalid.tasks.contains(task) {
            let known: Vec<&str> = self.all.iter().copied().collect();
            return Some(ReferenceProblem {
                message: format!("`{name}`: task `{task}` is not in the flow"),
                name,
                help: choice(task, &known),
            });
        }
        let field = field.filter(|field| *field != "state")?;
        Some(undefined(format!("{name}.{field}"), format!("there is `{name}.state`")))
    }

    fn input_problem(&self, reference: &str) -> Option<ReferenceProblem> {
        let (_, rest) = reference.split_once('.')?;
        if input::is_named(&self.flow.inputs, rest) || self.invalid.is_input(rest) {
            return None;
        }
        let known: Vec<&str> = self.flow.inputs.iter().map(|input| input.id.as_str()).collect();
        let name = rest.split('.').next().unwrap_or(rest);
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `inputs: [{{id: {name}, type: STRING}}]`"),
        };
        Some(undefined(format!("inputs.{rest}"), help))
    }

    /// Suggests `inputs.x` for a bare `x`, and the like.
    fn suggest_root(&self, word: &str) -> String {
        if self.flow.inputs.iter().any(|input| input.id == word) {
            return format!("did you mean `inputs.{word}`?");
        }
        if self.flow.variables.contains_key(word) {
            return format!("did you mean `vars.{word}`?");
        }
        if self.before.contains_key(word) {
            return format!("did you mean `outputs.{word}`?");
        }
        match word {
            "variables" => "did you mean `vars`?".to_owned(),
            "env" => "did you mean `envs`?".to_owned(),
            _ => choice(word, ROOTS),
        }
    }

    fn output_problem(&self, task: &str, field: Option<&str>) -> Option<ReferenceProblem> {
        let name = format!("outputs.{task}");
        let Some(kind) = self.task_type(task) else {
            if self.invalid.tasks.contains(task) {
                return None;
            }
            if let Some(enclosing) = self.isolated.get(task) {
                let help =
                    format!("add it to the `outputs` of the loop, and read it from `outputs.{enclosing}.outputs`");
                let message = format!("`{name}`: task `{task}` is inside the loop `{enclosing}`");
                return Some(ReferenceProblem { name, message, help });
            }
            if self.invalid.disabled.contains(task) {
                let help = format!("enable `{task}`, or give a fallback: `{name}.… ?? …`");
                return Some(ReferenceProblem { message: format!("`{name}`: task `{task}` is disabled"), name, help });
            }
            let known: Vec<&str> = self.before.keys().copied().collect();
            let user = if self.is_in_variable() { "a task that renders this" } else { "this one" };
            let (problem, help) = match self.all.contains(task) {
                true => (format!("does not run before {user}"), format!("move `{task}` before {}", pronoun(user))),
                false => ("is not in the flow".to_owned(), choice(task, &known)),
            };
            return Some(ReferenceProblem { message: format!("`{name}`: task `{task}` {problem}"), name, help });
        };
        let schema = (kind.outputs)();
        let field = field?;
        let outputs = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> = outputs.into_iter().flat_map(|outputs| outputs.keys().map(String::as_str)).collect();
        let open = schema.get("additionalProperties").is_some_and(|open| *open != Value::Bool(false));
        let is_map = schema.get("type").and_then(Value::as_str) == Some("object");
        if open || !is_map || known.contains(&field) || self.is_loop_value(task, field) {
            return None;
        }
        let name = format!("{name}.{field}");
        Some(ReferenceProblem {
            message: format!("`{name}`: `{}` has no output `{field}`", kind.name),
            help: if known.is_empty() { format!("`{}` has no outputs", kind.name) } else { choice(field, &known) },
            name,
        })
    }

    /// The type of a task that has run before. Some outputs have a second name, `x_merge`, as in Kestra.
    fn task_type(&self, task: &str) -> Option<&'static crate::task::TaskType> {
        let merged = || {
            let kind = self.before.get(task.strip_suffix("_merge")?)?;
            kind.has(Capability::MergesOutputs).then_some(kind)
        };
        self.before.get(task).or_else(merged).copied()
    }

    /// Whether a task is in a loop with this value, by which its outputs are keyed.
    fn is_loop_value(&self, task: &str, field: &str) -> bool {
        self.loop_values.get(task).is_some_and(|values| values.as_ref().is_none_or(|values| values.contains(field)))
    }
}

fn undefined(name: String, help: String) -> ReferenceProblem {
    ReferenceProblem { message: format!("`{name}` is not defined"), name, help }
}

fn pronoun(user: &str) -> &str {
    if user == "this one" { "this task" } else { "it" }
}

/// The spellings of a dotted name, the full one first.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    let parts: Vec<&str> = name.split('.').collect();
    if let [root, rest @ ..] = parts.as_slice() {
        let rest = rest.join(".");
        all.extend([format!("{root}['{rest}']"), format!("{root}[\"{rest}\"]")]);
    }
    all.extend((2..parts.len()).rev().filter_map(|length| Some(parts.get(..length)?.join("."))));
    if let [root, second, ..] = parts.as_slice() {
        all.extend([format!("{root}['{second}']"), format!("{root}[\"{second}\"]")]);
    }
    all
}

fn choice(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no task runs before this one".to_owned(),
        None => format!("there is `{}`", known.join("`, `")),
    }
}
