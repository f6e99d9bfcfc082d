//! The names that expressions of a flow may use, as far as its text tells them.

use serde_json::Value;

use super::place::{find, value_of};
use crate::flow::expression::{filter_names, function_names};
use crate::flow::members::MEMBERS;
use crate::task::TaskType;
use crate::task::documentation::{FieldDoc, fields};

/// A name, what it is, and what it is for.
pub(super) struct Name {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) about: String,
}

impl Name {
    fn new(name: impl Into<String>, kind: impl Into<String>, about: impl Into<String>) -> Self {
        Self { name: name.into(), kind: kind.into(), about: about.into() }
    }
}

/// What users define under their own names.
const ROOTS: [(&str, &str); 5] = [
    ("inputs", "The inputs of the execution."),
    ("outputs", "The outputs of earlier tasks."),
    ("vars", "The flow's variables."),
    ("envs", "Variables of the environment."),
    ("labels", "The labels of the execution."),
];

/// The names that may follow what stands of an expression.
pub(super) fn following(text: &str, expression: &str, tasks: &[TaskType]) -> Vec<Name> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    let start = expression.rfind(|letter| !is_part(letter)).map_or(0, |at| at + 1);
    let (before, word) = (expression[..expression.ceil_char_boundary(start)].trim_end(), &expression[start..]);
    if before.ends_with('|') {
        return filter_names().map(|name| Name::new(name, "filter", "")).collect();
    }
    let parts: Vec<&str> = word.split('.').collect();
    match parts[..] {
        [] | [_] => roots(),
        ["inputs", _] => items(text, "inputs").into_iter().map(|(id, kind)| Name::new(id, kind, "")).collect(),
        ["vars", _] => keys(text, "variables").into_iter().map(|key| Name::new(key, "variable", "")).collect(),
        ["outputs", _] => known_tasks(text, tasks).into_iter().map(|(id, task)| Name::new(id, task.name, "")).collect(),
        ["outputs", id, ref inner @ .., _] => outputs(text, id, inner, tasks),
        [root, _] => members(root),
        _ => Vec::new(),
    }
}

fn roots() -> Vec<Name> {
    let own = ROOTS.iter().map(|(name, about)| Name::new(*name, "object", *about));
    let more =
        MEMBERS.iter().map(|(name, members)| Name::new(*name, "object", format!("It has {}.", members.join(", "))));
    own.chain(more).chain(function_names().map(|name| Name::new(name, "function", ""))).collect()
}

fn members(root: &str) -> Vec<Name> {
    let found = MEMBERS.iter().find(|(name, _)| *name == root);
    found.into_iter().flat_map(|(_, members)| members.iter().map(|member| Name::new(*member, "", ""))).collect()
}

/// The outputs of a task, or what is in one of them.
fn outputs(text: &str, id: &str, inner: &[&str], tasks: &[TaskType]) -> Vec<Name> {
    let Some((_, task)) = known_tasks(text, tasks).into_iter().find(|(known, _)| known == id) else {
        return Vec::new();
    };
    let schema: Value = (task.outputs)().to_value();
    let all = fields(&schema);
    let (mut depth, mut from) = (0, 0);
    for name in inner {
        let is_it = |field: &FieldDoc| field.depth == depth && field.name == *name;
        let Some(at) = all.iter().skip(from).position(is_it) else { return Vec::new() };
        (from, depth) = (from + at + 1, depth + 1);
    }
    let below = all.into_iter().skip(from).take_while(|field| field.depth >= depth);
    let own = below.filter(|field| field.depth == depth);
    own.map(|field| Name::new(field.name, field.kind, field.about)).collect()
}

/// All tasks with their types, wherever they stand.
fn known_tasks<'a>(text: &str, tasks: &'a [TaskType]) -> Vec<(String, &'a TaskType)> {
    let task = |(id, kind): (String, String)| Some((id, tasks.iter().find(|task| task.is(&kind))?));
    items(text, "").into_iter().filter_map(task).collect()
}

/// The id and the type of each list item of a section, or of all sections.
fn items(text: &str, section: &str) -> Vec<(String, String)> {
    let (mut found, mut current) = (Vec::new(), "");
    for (index, line) in text.lines().enumerate() {
        if let Some((key, _)) = line.split_once(':').filter(|_| line.starts_with(|letter: char| letter.is_alphabetic()))
        {
            current = key;
        }
        let begins = line.trim_start().starts_with("- ") && (section.is_empty() || current == section);
        let Some(column) = line.find(|letter: char| !" -".contains(letter)).filter(|_| begins) else { continue };
        let map = find(text, index + 1, line[..column].chars().count() + 2).maps.pop().unwrap_or_default();
        if let (Some(id), Some(kind)) = (value_of(&map, "id"), value_of(&map, "type")) {
            found.push((id.to_owned(), kind.to_owned()));
        }
    }
    found
}

/// The keys of a map of the flow.
fn keys(text: &str, section: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(at) = lines.iter().position(|line| line.trim_end() == format!("{section}:")) else { return Vec::new() };
    let first =
        lines.iter().skip(at + 1).position(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let Some(first) = first.map(|first| at + 1 + first) else { return Vec::new() };
    let column = lines[first].len() - lines[first].trim_start().len() + 1;
    let map = find(text, first + 1, column).maps.pop().unwrap_or_default();
    map.into_iter().map(|(key, _)| key).collect()
}
