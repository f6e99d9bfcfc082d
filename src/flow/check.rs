//! Checks a flow's expressions before anything runs: syntax, calls, and references. Steps are visited in the order in
//! which they run, so that an output is known only after its task.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::duration::Timeout;
use crate::flow::expression::{check as check_calls, references as names_in, rendered};
use crate::flow::parse::{InvalidParts, below};
use crate::flow::{Flow, Step, injection, input};
use crate::task::{Capability, TaskType, has_template, is_template};
use crate::text::{MAX_DEPTH, plain};

/// Each finding costs a search in the text.
const MAX_FINDINGS: usize = 200;

/// Malformed templates, and references to inputs, variables, tasks and outputs that do not exist at that point.
/// References to `invalid` parts are not reported: those have findings already.
pub(super) fn references(flow: &Flow, invalid: &InvalidParts) -> Vec<Diagnostic> {
    let mut all = BTreeSet::new();
    let blocks = [&flow.steps, &flow.errors, &flow.finally, &flow.after];
    blocks.into_iter().for_each(|steps| collect_ids(steps, &mut all));
    let mut checker = ReferenceChecker::new(flow, invalid, all);
    for (index, check) in flow.checks.iter().enumerate() {
        checker.check_at(&check.condition, &["checks", &index.to_string(), "condition"]);
        checker.check_at(&check.message, &["checks", &index.to_string(), "message"]);
    }
    blocks[..3].iter().for_each(|steps| checker.steps(steps));
    for (index, output) in flow.outputs.iter().enumerate() {
        checker.check_at(&output.value, &["outputs", &index.to_string(), "value"]);
    }
    for (index, sla) in flow.sla.iter().enumerate() {
        checker.check_at(sla.assertion.as_ref().unwrap_or(&Value::Null), &["sla", &index.to_string(), "assert"]);
    }
    checker.steps(&flow.after);
    invalid.values.iter().for_each(|(value, path)| checker.value(value, path.clone()));
    let mut findings = checker.findings;
    findings.extend(input::check(flow, &invalid.inputs));
    findings.extend(injection::warnings(flow));
    findings
}

fn collect_ids<'a>(steps: &'a [Step], into: &mut BTreeSet<&'a str>) {
    for step in steps {
        into.insert(step.id.as_str());
        step.branches.iter().for_each(|(_, branch)| collect_ids(branch, into));
    }
}

/// The values of the loops around a task; `None` if they are only known at run time.
pub(super) type LoopValues = Option<BTreeSet<String>>;

pub(super) struct ReferenceChecker<'a> {
    pub(super) flow: &'a Flow,
    pub(super) invalid: &'a InvalidParts,
    /// All tasks of the flow.
    pub(super) all: BTreeSet<&'a str>,
    /// The tasks that run before the current one.
    pub(super) before: BTreeMap<&'a str, &'static TaskType>,
    /// Tasks in loops, whose outputs are keyed by the loop's values.
    pub(super) loop_values: BTreeMap<&'a str, LoopValues>,
    /// Tasks in loops that do not expose inner outputs, and these loops.
    pub(super) isolated: BTreeMap<&'a str, &'a str>,
    /// The depth of nested `render()` of variables.
    rendering: usize,
    /// The variables rendered by the current template.
    rendered: BTreeSet<String>,
    findings: Vec<Diagnostic>,
}

impl<'a> ReferenceChecker<'a> {
    fn new(flow: &'a Flow, invalid: &'a InvalidParts, all: BTreeSet<&'a str>) -> Self {
        let (before, loop_values, isolated) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            flow,
            invalid,
            all,
            before,
            loop_values,
            isolated,
            rendering: 0,
            rendered: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    fn steps(&mut self, steps: &'a [Step]) {
        for step in steps {
            self.fields(step, false);
            if let Some(condition) = &step.common.run_if {
                let key = if self.flow.document.value.pointer(&pointer(&step.path, "runIf")).is_some() {
                    "runIf"
                } else {
                    "when"
                };
                self.condition(condition, below(&step.path, key));
            }
            if let Some(Timeout::Later(timeout)) = &step.common.timeout {
                self.template(timeout, &below(&step.path, "timeout"));
            }
            if !step.task.deferred.is_empty() {
                // Its deferred fields see its own outputs so far.
                self.before.insert(step.id.as_str(), step.task);
            }
            if step.task.has(Capability::OutputsByValue) {
                self.enter_loop(step);
            }
            step.branches.iter().for_each(|(_, branch)| self.steps(branch));
            self.fields(step, true);
            if step.task.has(Capability::IsolatesOutputs) {
                self.isolate_outputs(step);
            }
            self.before.insert(step.id.as_str(), step.task);
        }
    }

    /// The fields that are rendered before the task runs, or those rendered late.
    fn fields(&mut self, step: &'a Step, late: bool) {
        let Value::Object(fields) = &step.fields else { return };
        for (key, value) in fields.iter().filter(|(key, _)| step.task.deferred.contains(&key.as_str()) == late) {
            match key.as_str() {
                "condition" => self.condition(value, below(&step.path, key)),
                _ => self.value(value, below(&step.path, key)),
            }
        }
    }

    fn enter_loop(&mut self, step: &'a Step) {
        let values = step.fields.get("values").or_else(|| step.fields.get("value"));
        let values: LoopValues = match values {
            Some(Value::Array(items)) if !items.iter().any(has_template) => Some(items.iter().map(plain).collect()),
            _ => None,
        };
        let mut inner_ids = BTreeSet::new();
        step.branches.iter().for_each(|(_, branch)| collect_ids(branch, &mut inner_ids));
        for id in inner_ids {
            let enclosing = self.loop_values.entry(id).or_insert_with(|| Some(BTreeSet::new()));
            *enclosing =
                enclosing.take().zip(values.clone()).map(|(enclosing, own)| enclosing.into_iter().chain(own).collect());
        }
    }

    fn isolate_outputs(&mut self, step: &'a Step) {
        let mut inner_ids = BTreeSet::new();
        step.branches.iter().for_each(|(_, branch)| collect_ids(branch, &mut inner_ids));
        for id in inner_ids {
            self.before.remove(id);
            self.isolated.insert(id, step.id.as_str());
        }
    }

    fn check_at(&mut self, value: &Value, path: &[&str]) {
        self.value(value, path.iter().map(|part| (*part).to_owned()).collect());
    }

    /// Warns about conditions that are plain text, which is true: braces are missing, or do not enclose all of it.
    fn condition(&mut self, value: &Value, path: Vec<String>) {
        if let Value::String(text) = value
            && !is_template(text)
            && ["==", "!=", ">", "<", " is ", " and ", " or ", "."].iter().any(|sign| text.contains(sign))
        {
            let finding = Diagnostic::warning("this condition is a text without an expression, so it is always true");
            let finding = finding.help(format!("write `\"{{{{ {} }}}}\"`", text.trim()));
            self.report(self.flow.document.locate(&path, finding));
        }
        if let Value::String(text) = value
            && let Some(outside) = text_outside(text)
        {
            let finding = Diagnostic::warning(format!(
                "`{outside}` is outside the expression and turns it into a text, so the condition is always true"
            ));
            self.report(self.flow.document.locate(&path, finding.help("write the whole condition inside `{{ }}`")));
        }
        self.value(value, path);
    }

    fn value(&mut self, value: &Value, path: Vec<String>) {
        match value {
            Value::String(text) if is_template(text) => self.template(text, &path),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.value(item, below(&path, &index.to_string())));
            }
            Value::Object(map) => map.iter().for_each(|(key, item)| self.value(item, below(&path, key))),
            _ => {}
        }
    }

    fn template(&mut self, text: &str, path: &[String]) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let names = names_in(text);
        for error in check_calls(text).err().unwrap_or_default() {
            let mut finding = Diagnostic::error(error.message);
            if names.is_err() && !finding.message.contains(" tag") && !finding.message.contains("write ") {
                finding = finding.help("write `{{ inputs.name }}` or `{{ outputs.task.field }}`");
            }
            self.report(self.flow.document.locate_after(path, &error.before, &error.culprit, finding));
        }
        let rendered = rendered(text).unwrap_or_default();
        for finding in self.problems(&names.unwrap_or_default(), path) {
            self.report(finding);
        }
        for name in names_in(text).unwrap_or_default() {
            match self.rendering == 0 && !rendered.contains(&name) {
                true => self.warn_unrendered(&name, path),
                // `render()` is recursive.
                false => self.variable(&name),
            }
        }
    }

    /// Checks a rendered variable as if its text were written here.
    fn variable(&mut self, name: &str) {
        let Some((path, value)) = self.flow_variable(name) else { return };
        // Deeper nesting is an error at run time.
        if self.rendering >= MAX_DEPTH || !has_template(value) || !self.rendered.insert(name.to_owned()) {
            return;
        }
        self.rendering += 1;
        self.value(value, path);
        self.rendering -= 1;
        if self.rendering == 0 {
            self.rendered.clear();
        }
    }

    fn warn_unrendered(&mut self, name: &str, path: &[String]) {
        if self.flow_variable(name).is_some_and(|(_, value)| has_template(value)) {
            let finding = Diagnostic::warning(format!("`{name}` contains a template, which is not rendered here"));
            let finding = finding.help(format!("`{{{{ render({name}) }}}}` renders it"));
            self.report(self.flow.document.locate_text(path, name, finding));
        }
    }

    /// The value of `vars.name.part`, and its path.
    fn flow_variable(&self, name: &str) -> Option<(Vec<String>, &'a Value)> {
        let mut path = vec!["variables".to_owned()];
        let mut parts = name.strip_prefix("vars.")?.split('.');
        let variables: &'a Map<String, Value> = &self.flow.variables;
        let first = parts.next()?;
        let mut value = variables.get(first)?;
        path.push(first.to_owned());
        for part in parts {
            let Some(inner) = value.get(part) else { break };
            value = inner;
            path.push(part.to_owned());
        }
        Some((path, value))
    }

    fn report(&mut self, finding: Diagnostic) {
        // A variable is checked each time it is rendered.
        if self.findings.len() < MAX_FINDINGS && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn is_in_variable(&self) -> bool {
        self.rendering > 0
    }
}

/// Text before or after the templates, such as typographic quotes or the rest of a comparison.
fn text_outside(text: &str) -> Option<&str> {
    let begin = ["{{", "{%", "{#"].iter().filter_map(|sign| text.find(sign)).min()?;
    let end = ["}}", "%}", "#}"].iter().filter_map(|sign| text.rfind(sign)).max()?;
    let (before, after) = (text.get(..begin)?.trim(), text.get(end + 2..)?.trim());
    [before, after].into_iter().find(|outside| !outside.is_empty())
}

fn pointer(path: &[String], key: &str) -> String {
    path.iter().map(String::as_str).chain([key]).map(|part| format!("/{part}")).collect()
}
