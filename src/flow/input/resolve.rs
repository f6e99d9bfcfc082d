//! Resolves the inputs of a run: provided values, and defaults of the others.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dependencies::order;
use super::public_host::PublicHost;
use super::{Input, InputType, nest};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::Flow;
use crate::flow::expression::{Host, Names, evaluate_condition, render};
use crate::task::is_template;
use crate::text::plain;

/// The inputs of a run, as far as they can be resolved.
#[derive(Debug, Default)]
pub struct ResolvedInputs {
    /// The typed values by id; null for inactive inputs, and for optional ones without a value.
    pub values: Map<String, Value>,
    /// Required inputs without a value; inputs that depend on them are unresolved.
    pub missing: Vec<MissingInput>,
    /// Invalid values and defaults.
    pub findings: Vec<Diagnostic>,
    /// Values provided for inactive inputs.
    pub warnings: Vec<Diagnostic>,
    /// The inputs that are not wanted, since what they depend on does not hold.
    pub inactive: Vec<String>,
    /// The choices of the inputs that have any, by id.
    pub choices: BTreeMap<String, Vec<String>>,
}

/// A required input without a value.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingInput {
    /// The input's place among the flow's.
    pub index: usize,
    /// The choices, if the type has any.
    pub choices: Vec<String>,
    /// The initial text of a prompt.
    pub prefill: Option<Value>,
}

/// Resolves all inputs of a flow. Values are texts, as from a command line, or typed.
///
/// # Errors
/// Every problem at once: an unknown name, a value that does not fit, a required input without a value.
pub fn resolve<V: Clone + Into<Value>>(
    flow: &Flow,
    provided: &[(String, V)],
    host: &dyn Host,
) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let ResolvedInputs { values, missing, mut findings, .. } = resolve_partial(flow, provided, host);
    findings.extend(missing.iter().map(|missing_input| missing_input.as_finding(&flow.inputs)));
    if findings.is_empty() { Ok(values) } else { Err(findings) }
}

/// As [`resolve`], for a caller that can prompt for what is missing.
pub fn resolve_partial<V: Clone + Into<Value>>(
    flow: &Flow,
    provided: &[(String, V)],
    host: &dyn Host,
) -> ResolvedInputs {
    re_resolve(flow, &Map::new(), provided, host)
}

/// As [`resolve_partial`], for an execution that continues: `recorded` values stay unless they are provided again.
pub fn re_resolve<V: Clone + Into<Value>>(
    flow: &Flow,
    recorded: &Map<String, Value>,
    provided: &[(String, V)],
    host: &dyn Host,
) -> ResolvedInputs {
    let provided: Vec<(&str, Value)> =
        provided.iter().map(|(name, value)| (name.as_str(), value.clone().into())).collect();
    let mut resolver = InputResolver {
        flow,
        provided,
        host,
        unresolved: Vec::new(),
        resolved: Map::new(),
        invalid: Vec::new(),
        choices: BTreeMap::new(),
    };
    let mut resolution = ResolvedInputs::default();
    for index in order(&flow.inputs) {
        let id = &flow.inputs[index].id;
        let recorded_value = recorded.get(id).filter(|_| !resolver.provided.iter().any(|(name, _)| name == id));
        match recorded_value.map_or_else(|| resolver.input(index), |value| InputValue::Value(value.clone())) {
            InputValue::Value(value) => drop(resolver.resolved.insert(flow.inputs[index].id.clone(), value)),
            InputValue::Inactive(warning) => {
                resolution.warnings.extend(warning);
                resolution.inactive.push(id.clone());
                resolver.resolved.insert(flow.inputs[index].id.clone(), Value::Null);
            }
            InputValue::Missing(missing_input) => {
                resolver.unresolved.push(index);
                resolution.missing.push(missing_input);
            }
            InputValue::Invalid(finding) => {
                resolver.unresolved.push(index);
                resolver.invalid.push((index, finding));
            }
            InputValue::Deferred => resolver.unresolved.push(index),
        }
    }
    resolution.missing.sort_by_key(|missing_input| missing_input.index);
    resolver.invalid.sort_by_key(|(index, _)| *index);
    resolution.findings = resolver.provided.iter().filter_map(|(name, _)| unknown_input(&flow.inputs, name)).collect();
    resolution.findings.extend(resolver.invalid.into_iter().map(|(_, finding)| finding));
    resolution.choices = resolver.choices;
    let mut resolved = resolver.resolved;
    let in_order = flow.inputs.iter().filter_map(|input| resolved.remove_entry(&input.id));
    resolution.values = in_order.collect();
    resolution
}

impl MissingInput {
    /// The finding of a caller that cannot prompt.
    pub fn as_finding(&self, inputs: &[Input]) -> Diagnostic {
        let Some(input) = inputs.get(self.index) else { return Diagnostic::error("an input has no value") };
        let label = input.description.as_deref().or(input.display_name.as_deref()).map(|label| format!(" ({label})"));
        let example = self.choices.first().map_or(input.example(), String::as_str);
        let quote = if example.contains([' ', '{']) { "'" } else { "" };
        Diagnostic::error(format!("input `{}` has no value{}", input.id, label.unwrap_or_default()))
            .help(format!("give it with `-i {quote}{}={example}{quote}`", input.id))
    }
}

enum InputValue {
    Value(Value),
    /// Its condition is not met.
    Inactive(Option<Diagnostic>),
    Missing(MissingInput),
    Invalid(Diagnostic),
    /// It needs one that is missing or wrong.
    Deferred,
}

struct InputResolver<'a> {
    flow: &'a Flow,
    provided: Vec<(&'a str, Value)>,
    host: &'a dyn Host,
    /// Inputs that have no value yet.
    unresolved: Vec<usize>,
    resolved: Map<String, Value>,
    invalid: Vec<(usize, Diagnostic)>,
    choices: BTreeMap<String, Vec<String>>,
}

impl InputResolver<'_> {
    fn input(&mut self, index: usize) -> InputValue {
        self.try_input(index).unwrap_or_else(InputValue::Invalid)
    }

    fn try_input(&mut self, index: usize) -> Result<InputValue, Diagnostic> {
        let input = &self.flow.inputs[index];
        let provided = self.provided(input);
        let is_blocked = input.needs(&self.flow.inputs).iter().any(|need| self.unresolved.contains(need));
        if is_blocked && (provided.is_none() || input.depends_on.is_some() || input.expression.is_some()) {
            return Ok(InputValue::Deferred);
        }
        if !self.is_active(index)? {
            let warning = provided
                .map(|_| Diagnostic::warning(format!("input `{}` is ignored: its condition does not hold", input.id)));
            return Ok(InputValue::Inactive(warning));
        }
        let choices = self.choices(index)?;
        if !choices.is_empty() {
            self.choices.insert(input.id.clone(), choices.clone());
        }
        if let Some(provided) = self.provided(input) {
            let accepted = input.accept(provided, &choices);
            return accepted
                .map(InputValue::Value)
                .map_err(|message| Diagnostic::error(format!("input `{}`: {message}", input.id)));
        }
        let first = choices.first().filter(|_| input.auto_select_first).map(|first| Value::from(first.as_str()));
        match self.render_field(index, &["defaults"], input.defaults.as_ref())?.or(first) {
            Some(default) => input.accept(&default, &choices).map(InputValue::Value).map_err(|message| {
                let finding = Diagnostic::error(format!("input `{}`: its default is not valid: {message}", input.id));
                self.at(index, &["defaults"], finding)
            }),
            None if input.required => {
                let prefill = self.render_field(index, &["prefill"], input.prefill.as_ref())?;
                Ok(InputValue::Missing(MissingInput { index, choices, prefill }))
            }
            None => Ok(InputValue::Value(Value::Null)),
        }
    }

    /// The last value provided. An empty one is no value for an optional input, except for texts.
    fn provided(&self, input: &Input) -> Option<&Value> {
        let provided = self.provided.iter().rev().find(|(name, _)| *name == input.id).map(|(_, value)| value)?;
        let is_text = matches!(input.kind, InputType::String | InputType::Secret);
        let is_absent = provided.is_null() || (!input.required && !is_text && provided.as_str() == Some(""));
        (!is_absent).then_some(provided)
    }

    fn is_active(&self, index: usize) -> Result<bool, Diagnostic> {
        let Some(depends) = &self.flow.inputs[index].depends_on else { return Ok(true) };
        let Some(condition) = &depends.condition else {
            return Ok(depends.inputs.iter().all(|id| self.resolved.get(id).is_some_and(|value| !value.is_null())));
        };
        let result = evaluate_condition(condition, &self.names(), &PublicHost(self.host));
        result.map_err(|error| self.at(index, &["dependsOn", "condition"], Diagnostic::error(error.message)))
    }

    fn choices(&self, index: usize) -> Result<Vec<String>, Diagnostic> {
        let input = &self.flow.inputs[index];
        let Some(expression) = &input.expression else { return Ok(input.values.clone()) };
        let expression =
            Value::from(if is_template(expression) { expression.clone() } else { format!("{{{{ {expression} }}}}") });
        let rendered = self.render_field(index, &["expression"], Some(&expression))?.unwrap_or_default();
        let list = match &rendered {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        match list {
            Value::Array(items) if !items.is_empty() || input.allow_custom_value => {
                Ok(items.iter().map(plain).collect())
            }
            _ => {
                let message = format!("the expression of `{}` does not return a list of choices", input.id);
                Err(self.at(index, &["expression"], Diagnostic::error(message)))
            }
        }
    }

    /// A value with its templates rendered; null is nothing.
    fn render_field(&self, index: usize, place: &[&str], value: Option<&Value>) -> Result<Option<Value>, Diagnostic> {
        let Some(value) = value else { return Ok(None) };
        let rendered = match self.flow.inputs[index].kind {
            InputType::Secret if place == ["defaults"] => render(value, &self.names(), self.host),
            _ => render(value, &self.names(), &PublicHost(self.host)),
        };
        let rendered = rendered.map_err(|error| self.at(index, place, Diagnostic::error(error.message)))?;
        Ok((!rendered.is_null()).then_some(rendered))
    }

    fn names(&self) -> Names {
        let names = json!({
            "inputs": nest(&self.resolved),
            "vars": self.flow.variables,
            "labels": self.flow.labels,
            "flow": {"id": self.flow.id, "namespace": self.flow.namespace, "revision": 1},
        });
        if let Value::Object(names) = names { names } else { Names::new() }
    }

    fn at(&self, index: usize, place: &[&str], finding: Diagnostic) -> Diagnostic {
        let mut path = vec!["inputs".to_owned(), index.to_string()];
        path.extend(place.iter().map(|part| (*part).to_owned()));
        self.flow.document.locate(&path, finding)
    }
}

/// Resolves inputs that belong to no flow, such as those of a pause, whose defaults are literal.
///
/// # Errors
/// Every problem at once, as [`resolve`].
pub fn resolve_without_host(
    inputs: &[Input],
    provided: &[(String, String)],
) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let ResolvedInputs { values, missing, mut findings, .. } = resolve_partial_without_host(inputs, provided);
    findings.extend(missing.iter().map(|missing_input| missing_input.as_finding(inputs)));
    if findings.is_empty() { Ok(values) } else { Err(findings) }
}

/// As [`resolve_without_host`], for a caller that can prompt for what is missing.
pub fn resolve_partial_without_host(inputs: &[Input], provided: &[(String, String)]) -> ResolvedInputs {
    let findings = provided.iter().filter_map(|(name, _)| unknown_input(inputs, name)).collect();
    let mut resolution = ResolvedInputs { findings, ..ResolvedInputs::default() };
    for (index, input) in inputs.iter().enumerate() {
        if !input.values.is_empty() {
            resolution.choices.insert(input.id.clone(), input.values.clone());
        }
        let text =
            provided.iter().rev().find(|(name, _)| *name == input.id).map(|(_, text)| Value::from(text.as_str()));
        let accepted = text.or_else(|| input.defaults.clone()).map(|value| input.accept(&value, &input.values));
        match accepted {
            Some(Ok(value)) => drop(resolution.values.insert(input.id.clone(), value)),
            Some(Err(message)) => {
                resolution.findings.push(Diagnostic::error(format!("input `{}`: {message}", input.id)));
            }
            None if input.required => {
                let (choices, prefill) = (input.values.clone(), input.prefill.clone());
                resolution.missing.push(MissingInput { index, choices, prefill });
            }
            None => drop(resolution.values.insert(input.id.clone(), Value::Null)),
        }
    }
    resolution
}

fn unknown_input(inputs: &[Input], name: &str) -> Option<Diagnostic> {
    let known: Vec<&str> = inputs.iter().map(|input| input.id.as_str()).collect();
    if known.contains(&name) {
        return None;
    }
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "the flow has no inputs".to_owned(),
        None => format!("the flow has `{}`", known.join("`, `")),
    };
    Some(Diagnostic::error(format!("the flow has no input `{name}`")).help(help))
}
