//! The references between inputs: checked before anything runs, and the order in which values are resolved.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Input, InputType};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::expression::{check as check_calls, mentions, references};
use crate::flow::{Document, Flow, members};
use crate::task::is_template;

/// What the expressions of inputs may begin with.
const ROOTS: &[&str] = &["inputs", "vars", "flow", "labels"];

/// Whether what follows `inputs.` names an input, a part of one, or a group of them.
pub(in crate::flow) fn is_named(inputs: &[Input], rest: &str) -> bool {
    inputs.iter().any(|input| is_within(rest, &input.id) || is_within(&input.id, rest))
}

/// Whether a dotted name is another one, or begins with it.
fn is_within(name: &str, outer: &str) -> bool {
    name.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// All that is wrong with the expressions of a flow's inputs, and with what they depend on.
pub(in crate::flow) fn check(flow: &Flow, invalid: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (index, input) in flow.inputs.iter().enumerate() {
        let path = ["inputs".to_owned(), index.to_string()];
        for (field_path, text) in input.expressions() {
            let path: Vec<String> = path.iter().cloned().chain(field_path).collect();
            findings.extend(expression_findings(flow, input, invalid, &path, text));
        }
        findings.extend(unknown_dependencies(flow, input, invalid, &path));
    }
    if findings.is_empty() { cycle(&flow.document, &flow.inputs).into_iter().collect() } else { findings }
}

fn expression_findings(
    flow: &Flow,
    input: &Input,
    invalid: &BTreeSet<String>,
    path: &[String],
    text: &str,
) -> Vec<Diagnostic> {
    let malformed = check_calls(text).err().unwrap_or_default();
    let malformed = malformed.into_iter().map(|error| (error.culprit, Diagnostic::error(error.message)));
    let names = references(text).unwrap_or_default();
    let is_broken =
        |name: &str| name.strip_prefix("inputs.").is_some_and(|rest| invalid.iter().any(|id| is_within(rest, id)));
    let unknown = names.into_iter().filter(|name| !is_broken(name)).filter_map(|name| {
        let finding = unknown_name(flow, input, &name)?;
        Some((name, finding))
    });
    let locate = |(culprit, finding): (String, Diagnostic)| flow.document.locate_text(path, &culprit, finding);
    malformed.chain(unknown).chain(exposed_secret(flow, input, path, text)).map(locate).collect()
}

/// A secret input in the value of one that is shown and kept. A condition may look at it.
fn exposed_secret(flow: &Flow, input: &Input, path: &[String], text: &str) -> Option<(String, Diagnostic)> {
    if input.kind == InputType::Secret || path.iter().any(|part| part == "dependsOn") {
        return None;
    }
    let is_secret = |name: &String| {
        let mut secrets = flow.inputs.iter().filter(|other| other.kind == InputType::Secret);
        name.strip_prefix("inputs.").is_some_and(|name| secrets.any(|secret| is_within(&secret.id, name)))
    };
    let name = mentions(text).unwrap_or_default().into_iter().find(is_secret)?;
    let finding = Diagnostic::error(format!("`{name}` is secret, but `{}` is displayed and stored", input.id));
    Some((name, finding.help("make it a SECRET, too, or combine the two values in a task")))
}

fn unknown_name(flow: &Flow, input: &Input, name: &str) -> Option<Diagnostic> {
    let (root, rest) = name.split_once('.').unwrap_or((name, ""));
    let undefined = |message: String, help: String| Some(Diagnostic::error(message).help(help));
    match root {
        "inputs" if rest.is_empty() => None,
        "inputs" if is_within(rest, &input.id) => {
            undefined(format!("`{name}` is the input itself"), "refer to another input, or write a value".to_owned())
        }
        "inputs" if !is_named(&flow.inputs, rest) => {
            let known = flow.inputs.iter().map(|input| input.id.as_str()).filter(|id| *id != input.id);
            undefined(format!("`{name}` is not defined"), offer(rest, &known.collect::<Vec<_>>()))
        }
        "vars" if !rest.is_empty() => {
            let name_of = rest.split('.').next().unwrap_or(rest);
            let known: Vec<&str> = flow.variables.keys().map(String::as_str).collect();
            let is_known = flow.variables.contains_key(name_of);
            if is_known { None } else { undefined(format!("`{name}` is not defined"), offer(name_of, &known)) }
        }
        root if ROOTS.contains(&root) => members::unknown(name)
            .and_then(|unknown| undefined(format!("`{}` is not defined", unknown.name), unknown.help)),
        root => undefined(
            format!("`{root}` is not available before the flow runs"),
            "expressions in inputs may refer to other inputs, `vars`, `flow` and `labels`".to_owned(),
        ),
    }
}

fn unknown_dependencies(flow: &Flow, input: &Input, invalid: &BTreeSet<String>, path: &[String]) -> Vec<Diagnostic> {
    let dependencies = input.depends_on.iter().flat_map(|depends| depends.inputs.iter().enumerate());
    let is_known = |id: &String| invalid.contains(id) || flow.inputs.iter().any(|other| other.id == *id);
    let unknown = dependencies.filter(|(_, id)| **id == input.id || !is_known(id));
    let finding = |(index, id): (usize, &String)| {
        let known: Vec<&str> = flow.inputs.iter().map(|other| other.id.as_str()).filter(|id| *id != input.id).collect();
        let field_path = ["dependsOn".to_owned(), "inputs".to_owned(), index.to_string()];
        let path: Vec<String> = path.iter().cloned().chain(field_path).collect();
        let message = format!("`{}` cannot depend on `{id}`, which is not another input", input.id);
        flow.document.locate(&path, Diagnostic::error(message).help(offer(id, &known)))
    };
    unknown.map(finding).collect()
}

fn cycle(document: &Document, inputs: &[Input]) -> Option<Diagnostic> {
    let sorted = order(inputs);
    let unsorted: Vec<usize> = (0..inputs.len()).filter(|index| !sorted.contains(index)).collect();
    let first = *unsorted.first()?;
    // Each unsorted input needs another unsorted one, so following them must reach a cycle.
    let mut chain = vec![first];
    while let Some(next) = inputs[*chain.last()?].needs(inputs).into_iter().find(|need| unsorted.contains(need)) {
        if let Some(start) = chain.iter().position(|seen| *seen == next) {
            chain.drain(..start);
            chain.push(next);
            break;
        }
        chain.push(next);
    }
    let ids: Vec<&str> = chain.iter().map(|index| inputs[*index].id.as_str()).collect();
    let finding = Diagnostic::error(format!("these inputs depend on each other: `{}`", ids.join("` → `")))
        .help("give one of them a value that depends on no other");
    Some(document.locate(&["inputs".to_owned(), chain.first()?.to_string()], finding))
}

fn offer(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "none is defined".to_owned(),
        None => format!("there is `{}`", known.join("`, `")),
    }
}

/// A topological order of the inputs, without those in a cycle.
pub(super) fn order(inputs: &[Input]) -> Vec<usize> {
    let needs: Vec<Vec<usize>> = inputs.iter().map(|input| input.needs(inputs)).collect();
    let (mut sorted, mut is_sorted) = (Vec::new(), vec![false; inputs.len()]);
    loop {
        let is_ready = |index: &usize| !is_sorted[*index] && needs[*index].iter().all(|need| is_sorted[*need]);
        match (0..inputs.len()).find(is_ready) {
            Some(next) => {
                sorted.push(next);
                is_sorted[next] = true;
            }
            None => return sorted,
        }
    }
}

impl Input {
    /// The other inputs that must have their values before this one.
    pub(super) fn needs(&self, inputs: &[Self]) -> Vec<usize> {
        let names: Vec<String> =
            self.expressions().iter().flat_map(|(_, text)| mentions(text).unwrap_or_default()).collect();
        let depends: &[String] = self.depends_on.as_ref().map(|depends| depends.inputs.as_slice()).unwrap_or_default();
        let is_needed = |other: &Self| {
            let referenced = names.iter().filter_map(|name| name.strip_prefix("inputs."));
            depends.contains(&other.id)
                || referenced.into_iter().any(|name| is_within(name, &other.id) || is_within(&other.id, name))
        };
        // An expression over all inputs sees those declared before it.
        let sees_all = names.iter().any(|name| name == "*" || name == "inputs");
        let mut is_before = true;
        let mut needs = Vec::new();
        for (index, other) in inputs.iter().enumerate() {
            let is_self = other.id == self.id;
            is_before &= !is_self;
            if !is_self && (is_needed(other) || (sees_all && is_before)) {
                needs.push(index);
            }
        }
        needs
    }

    /// Every text with a template in it, and the path below the input where it stands.
    pub(super) fn expressions(&self) -> Vec<(Vec<String>, &str)> {
        let mut templates = Vec::new();
        let condition = self.depends_on.as_ref().and_then(|depends| depends.condition.as_ref());
        for (field_path, value) in [
            (vec!["defaults"], self.defaults.as_ref()),
            (vec!["prefill"], self.prefill.as_ref()),
            (vec!["dependsOn", "condition"], condition),
        ] {
            let field_path: Vec<String> = field_path.into_iter().map(str::to_owned).collect();
            value.into_iter().for_each(|value| collect_templates(value, field_path.clone(), &mut templates));
        }
        let choices = self.expression.as_deref().filter(|text| is_template(text));
        templates.extend(choices.map(|text| (vec!["expression".to_owned()], text)));
        templates
    }
}

fn collect_templates<'a>(value: &'a Value, field_path: Vec<String>, templates: &mut Vec<(Vec<String>, &'a str)>) {
    let below = |key: String| field_path.iter().cloned().chain([key]).collect();
    match value {
        Value::String(text) if is_template(text) => templates.push((field_path, text)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| collect_templates(item, below(index.to_string()), templates));
        }
        Value::Object(map) => map.iter().for_each(|(key, item)| collect_templates(item, below(key.clone()), templates)),
        _ => {}
    }
}
