//! Parses and checks the declarations of inputs.

use serde_json::Value;

use super::{Input, InputType, limits::pattern_of};
use crate::diagnostic::Diagnostic;
use crate::flow::parse::is_name;
use crate::flow::{Document, findings};
use crate::task::{has_template, read};
use crate::text::plain;

use InputType::{Array, Date, Datetime, Duration, Email, File, Float, Int, Multiselect, Secret, Select, Time, Uri};

const FIELDS: &[(&str, &[InputType])] = &[
    ("values", &[Select, Multiselect]),
    ("expression", &[Select, Multiselect]),
    ("allowCustomValue", &[Select, Multiselect]),
    ("autoSelectFirst", &[Select]),
    ("isRadio", &[Select]),
    ("itemType", &[Array, Multiselect]),
    ("validator", &[InputType::String, Secret, Uri, Email, Select]),
    ("min", &[Int, Float, Duration]),
    ("max", &[Int, Float, Duration]),
    ("after", &[Date, Time, Datetime]),
    ("before", &[Date, Time, Datetime]),
    ("allowedFileExtensions", &[File]),
];

pub(in crate::flow) fn type_fields() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    FIELDS.iter().map(|(field, kinds)| (*field, kinds.iter().flat_map(|kind| kind.names()).collect()))
}

/// Reads a flow's inputs. Those with an error are left out.
pub(in crate::flow) fn read_all(document: &Document, items: &[Value]) -> (Vec<Input>, Vec<Diagnostic>) {
    let (mut inputs, mut findings) = (Vec::<Input>::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        let path = ["inputs".to_owned(), index.to_string()];
        let below = |field: &str| [&path[..], &[field.to_owned()]].concat();
        findings.extend(findings::all(document, &path, item, |value| read::<Input>(value).map(drop)));
        let Ok(input) = read::<Input>(item) else { continue };
        let name = if item.get("id").is_some() { "id" } else { "name" };
        if name == "name" {
            let finding = Diagnostic::warning("`name` is deprecated: use `id`").help("rename it to `id`");
            findings.push(document.locate_key(&below("name"), finding));
        }
        if let Some(message) = name_conflict(&input, &inputs) {
            findings.push(document.locate(&below(name), Diagnostic::error(message)));
            continue;
        }
        let problems = input.problems(item);
        let is_valid = !problems.iter().any(|(_, finding)| finding.is_error());
        findings.extend(problems.into_iter().map(|(field, finding)| match item.get(field) {
            Some(_) => document.locate(&below(field), finding),
            None => document.locate(&path, finding),
        }));
        if is_valid {
            inputs.push(input);
        }
    }
    (inputs, findings)
}

/// The inputs of a text that may not be a whole flow, for help: those that can be read.
pub fn outline(file: &str, text: &str) -> Vec<Input> {
    let Ok(document) = Document::parse(file, text) else { return Vec::new() };
    let items = document.value.get("inputs").and_then(Value::as_array).cloned().unwrap_or_default();
    read_all(&document, &items).0
}

/// Why an input cannot have its name.
fn name_conflict(input: &Input, others: &[Input]) -> Option<String> {
    let id = &input.id;
    if !is_name(id) || id.contains("..") || id.ends_with('.') {
        return Some(format!("`{id}` is not a valid input name: use letters, digits, `-`, `_`, and `.` between them"));
    }
    if others.iter().any(|other| other.id == *id) {
        return Some(format!("there are two inputs called `{id}`"));
    }
    let is_inside = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    let other = others.iter().find(|other| is_inside(id, &other.id) || is_inside(&other.id, id))?;
    Some(format!("`{id}` and `{}` cannot both be inputs: one would be nested in the other", other.id))
}

type DefinitionProblem = (&'static str, Diagnostic);

impl Input {
    /// What is wrong with the definition, and the field that it is about.
    fn problems(&self, item: &Value) -> Vec<DefinitionProblem> {
        let mut problems = self.misplaced(item);
        if problems.is_empty() {
            problems.extend(self.invalid_limits());
            problems.extend(self.missing_parts());
        }
        if problems.is_empty() {
            problems.extend(self.invalid_value("defaults", self.defaults.as_ref()));
            problems.extend(self.invalid_value("prefill", self.prefill.as_ref()));
        }
        problems
    }

    fn misplaced(&self, item: &Value) -> Vec<DefinitionProblem> {
        let is_invalid =
            |(field, kinds): &&(&'static str, &[InputType])| item.get(*field).is_some() && !kinds.contains(&self.kind);
        let finding = |(field, kinds): &(&'static str, &[InputType])| {
            let known: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let finding = Diagnostic::error(format!("`{field}` has no effect for {}", self.kind.name()));
            (*field, finding.help(format!("it is for {}", known.join(", "))))
        };
        FIELDS.iter().filter(is_invalid).map(finding).collect()
    }

    fn invalid_limits(&self) -> Vec<DefinitionProblem> {
        let mut problems = Vec::new();
        if self.validator.as_ref().is_some_and(|pattern| pattern_of(pattern).is_err()) {
            let message = format!("the validator of `{}` is not a regular expression", self.id);
            problems.push(("validator", Diagnostic::error(message)));
        }
        let what = if self.kind == Duration { "a duration" } else { "a number" };
        for (field, bound) in [("min", &self.min), ("max", &self.max)] {
            if let Some(bound) = bound.as_ref().filter(|bound| self.size(bound).is_none()) {
                problems.push((field, Diagnostic::error(format!("`{field}`: `{}` is not {what}", plain(bound)))));
            }
        }
        for (field, bound) in [("after", &self.after), ("before", &self.before)] {
            let is_invalid = |bound: &&String| self.kind.as_instant(bound).is_none();
            if let Some(bound) = bound.as_ref().filter(is_invalid) {
                let message = format!("`{field}`: `{bound}` is not of type {}", self.kind.name());
                problems.push((field, Diagnostic::error(message).help(format!("write {}", self.kind.example()))));
            }
        }
        problems
    }

    fn missing_parts(&self) -> Vec<DefinitionProblem> {
        let mut problems = Vec::new();
        let (id, kind) = (&self.id, self.kind.name());
        if self.kind.has_choices() && self.values.is_empty() && self.expression.is_none() && !self.allow_custom_value {
            problems.push(("values", Diagnostic::error(format!("`{id}` is a {kind} without `values`"))));
        }
        if self.expression.is_some() && !self.values.is_empty() {
            let message = format!("`{id}` has both `values` and `expression`");
            problems.push(("expression", Diagnostic::error(message).help("remove one of the two")));
        }
        match self.item_type {
            None if self.kind == Array => {
                let finding = Diagnostic::error(format!("`{id}` is an ARRAY without `itemType`"));
                problems.push(("itemType", finding.help("add `itemType: STRING`, or another type")));
            }
            Some(kind) if kind.is_list() || matches!(kind, File | Secret | Select) => {
                problems
                    .push(("itemType", Diagnostic::error(format!("the items of a list cannot be {}", kind.name()))));
            }
            _ => {}
        }
        problems
    }

    /// Checks a literal default now; one with a template is checked when it is rendered.
    fn invalid_value(&self, field: &'static str, value: Option<&Value>) -> Option<DefinitionProblem> {
        let value = value.filter(|value| !value.is_null())?;
        if has_template(value) {
            return None;
        }
        if self.kind == Secret {
            let finding = Diagnostic::warning(format!("the secret `{}` is written in the flow in plain text", self.id));
            return Some((field, finding.help("read it with `{{ secret('NAME') }}`, or give it with `-i`")));
        }
        if self.expression.is_some() {
            return None;
        }
        let message = self.accept(value, &self.values).err()?;
        let what = if field == "prefill" { "prefill" } else { "default" };
        Some((field, Diagnostic::error(format!("its {what} is not valid: `{}`: {message}", self.id))))
    }
}
