//! The fields of a form that asks for inputs: those of a flow, or of a pause.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::Input;
use crate::flow::input::{InputType, ResolvedInputs, to_argument};
use crate::text::plain;

/// A field of a form.
pub(super) struct InputField {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) kind: &'static str,
    pub(super) element: Element,
    pub(super) value: String,
    /// The choices, and whether each is chosen.
    pub(super) choices: Vec<(String, bool)>,
    pub(super) is_required: bool,
    pub(super) example: String,
    /// What values are allowed, in a few words.
    pub(super) hint: String,
    /// What is wrong with the value.
    pub(super) error: String,
}

/// How a value is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Select,
    Radio,
    Checkboxes,
    TextArea,
    /// A line of text, of this type in HTML; with choices it offers them.
    Line(&'static str),
    File,
}

/// The fields of the inputs that are wanted, with the values that were given, else those that are known.
pub(super) fn of(
    inputs: &[Input],
    resolved: &ResolvedInputs,
    given: &[(String, String)],
    findings: &[Diagnostic],
) -> Vec<InputField> {
    let wanted = inputs.iter().enumerate().filter(|(_, input)| !resolved.inactive.contains(&input.id));
    wanted.map(|(index, input)| field(index, input, resolved, given, findings)).collect()
}

/// The findings that are about no field.
pub(super) fn others(fields: &[InputField], findings: &[Diagnostic]) -> Vec<String> {
    let is_shown = |finding: &&Diagnostic| !fields.iter().any(|field| is_about(finding, &field.id));
    findings.iter().filter(is_shown).map(Diagnostic::sentence).collect()
}

fn is_about(finding: &Diagnostic, id: &str) -> bool {
    finding.message.starts_with(&format!("input `{id}`"))
}

fn field(
    index: usize,
    input: &Input,
    resolved: &ResolvedInputs,
    given: &[(String, String)],
    findings: &[Diagnostic],
) -> InputField {
    let own = given.iter().rev().find(|(name, _)| *name == input.id).map(|(_, value)| value.clone());
    let known = resolved.values.get(&input.id).filter(|value| !value.is_null());
    let missing = resolved.missing.iter().find(|missing| missing.index == index);
    let prefill = missing.and_then(|missing| missing.prefill.as_ref()).or(input.prefill.as_ref());
    let is_hidden = matches!(input.kind, InputType::Secret | InputType::File);
    let value = own.or_else(|| known.or(prefill).map(to_argument)).filter(|_| !is_hidden).unwrap_or_default();
    let mut choices =
        resolved.choices.get(&input.id).or(missing.map(|missing| &missing.choices)).cloned().unwrap_or_default();
    if input.kind == InputType::Bool {
        choices = vec!["true".to_owned(), "false".to_owned()];
    }
    let chosen = chosen(input, &value);
    let is_chosen = |choice: String| (chosen.contains(&choice), choice);
    let finding = findings.iter().find(|finding| is_about(finding, &input.id));
    InputField {
        id: input.id.clone(),
        title: input.title().to_owned(),
        description: input.description.clone().unwrap_or_default(),
        kind: input.kind.name(),
        element: element(input, !choices.is_empty()),
        choices: choices.into_iter().map(is_chosen).map(|(is, choice)| (choice, is)).collect(),
        value,
        is_required: input.required && input.defaults.is_none(),
        example: input.example().to_owned(),
        hint: hint(input),
        error: finding.map(|finding| error(finding, &input.id)).unwrap_or_default(),
    }
}

/// The values among the choices that are chosen.
fn chosen(input: &Input, value: &str) -> Vec<String> {
    if input.kind != InputType::Multiselect {
        return vec![value.to_owned()];
    }
    match serde_json::from_str::<Value>(value) {
        Ok(Value::Array(items)) => items.iter().map(plain).collect(),
        _ => value.split(',').map(|item| item.trim().to_owned()).collect(),
    }
}

fn element(input: &Input, has_choices: bool) -> Element {
    match input.kind {
        InputType::Select if input.allow_custom_value => Element::Line("text"),
        InputType::Select if input.is_radio => Element::Radio,
        InputType::Select | InputType::Bool => Element::Select,
        InputType::Multiselect if has_choices && !input.allow_custom_value => Element::Checkboxes,
        InputType::Json | InputType::Yaml | InputType::Array => Element::TextArea,
        InputType::File => Element::File,
        InputType::Secret => Element::Line("password"),
        InputType::Date => Element::Line("date"),
        InputType::Email => Element::Line("email"),
        _ => Element::Line("text"),
    }
}

fn hint(input: &Input) -> String {
    let bound = |word: &str, bound: Option<String>| bound.map(|bound| format!("{word} {bound}"));
    let parts = [
        bound("at least", input.min.as_ref().map(plain)),
        bound("at most", input.max.as_ref().map(plain)),
        bound("not before", input.after.clone()),
        bound("not after", input.before.clone()),
        bound("matches", input.validator.as_ref().map(|pattern| format!("`{pattern}`"))),
        bound("ends in", Some(input.allowed_file_extensions.join(", ")).filter(|all| !all.is_empty())),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A finding below its field, which need not be named again.
fn error(finding: &Diagnostic, id: &str) -> String {
    let message = finding.message.strip_prefix(&format!("input `{id}`")).unwrap_or(&finding.message);
    let message = message.trim_start_matches(':').trim();
    if message.starts_with("has no value") { "a value is needed".to_owned() } else { message.to_owned() }
}
