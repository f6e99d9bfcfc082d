//! A flow's inputs: their types, and the check of what a run is given.

use chrono::{NaiveDate, NaiveDateTime};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, nearest};
use crate::secret::hide_address_passwords;
use crate::text::plain;

/// The names of the types of inputs and outputs.
pub const TYPES: &[&str] = &[
    "STRING",
    "INT",
    "FLOAT",
    "BOOL",
    "BOOLEAN",
    "SELECT",
    "MULTISELECT",
    "ENUM",
    "DATETIME",
    "DATE",
    "TIME",
    "DURATION",
    "FILE",
    "JSON",
    "YAML",
    "URI",
    "SECRET",
    "ARRAY",
    "EMAIL",
];

/// One input.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Input {
    /// The name: `-i name=value`, and `inputs.name` in expressions.
    pub id: String,
    /// What values are allowed.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// Whether a run must have it; true unless said otherwise.
    #[serde(default = "yes")]
    pub required: bool,
    /// The value when none is given.
    pub defaults: Option<Value>,
    /// A short name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The choices of a `SELECT`.
    #[serde(default)]
    pub values: Vec<String>,
    /// Whether a `SELECT` takes other values too.
    #[serde(default)]
    pub allow_custom_value: bool,
    /// A regular expression that a `STRING` must match as a whole.
    pub validator: Option<String>,
    /// The smallest `INT` or `FLOAT`.
    pub min: Option<f64>,
    /// The largest `INT` or `FLOAT`.
    pub max: Option<f64>,
}

fn yes() -> bool {
    true
}

/// The types of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum InputType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    #[serde(alias = "BOOLEAN")]
    Bool,
    /// One of `values`.
    #[serde(alias = "ENUM")]
    Select,
    /// `2020-04-01`.
    Date,
    /// `2020-04-01T00:00:00`.
    Datetime,
    /// An address.
    Uri,
    /// A text that is never shown or stored.
    Secret,
}

impl Input {
    /// What is wrong with the definition itself.
    ///
    /// # Errors
    /// In plain words.
    pub fn check_definition(&self) -> Result<(), String> {
        if self.kind == InputType::Select && self.values.is_empty() {
            return Err(format!("`{}` is a SELECT without `values`", self.id));
        }
        if let Some(pattern) = &self.validator {
            Regex::new(pattern).map_err(|_| format!("the validator of `{}` is not a regular expression", self.id))?;
        }
        match &self.defaults {
            Some(value) => {
                self.accept(&plain(value)).map(drop).map_err(|message| format!("its default does not fit: {message}"))
            }
            None => Ok(()),
        }
    }

    /// The typed value of a text.
    fn accept(&self, text: &str) -> Result<Value, String> {
        let id = &self.id;
        let value = match self.kind {
            InputType::Int => {
                text.parse::<i64>().map(Value::from).map_err(|_| format!("`{id}`: `{text}` is not a whole number"))?
            }
            InputType::Float => {
                text.parse::<f64>().map(Value::from).map_err(|_| format!("`{id}`: `{text}` is not a number"))?
            }
            InputType::Bool => text
                .parse::<bool>()
                .map(Value::from)
                .map_err(|_| format!("`{id}`: `{text}` is neither true nor false"))?,
            InputType::Date => {
                text.parse::<NaiveDate>().map_err(|_| format!("`{id}`: `{text}` is not a date such as 2020-04-01"))?;
                Value::from(text)
            }
            InputType::Datetime => {
                let plain = text.trim_end_matches('Z');
                plain
                    .parse::<NaiveDateTime>()
                    .map_err(|_| format!("`{id}`: `{text}` is not a time such as 2020-04-01T00:00:00"))?;
                Value::from(text)
            }
            InputType::String | InputType::Select | InputType::Uri | InputType::Secret => Value::from(text),
        };
        self.check_value(text, &value)?;
        Ok(value)
    }

    fn check_value(&self, text: &str, value: &Value) -> Result<(), String> {
        let id = &self.id;
        if self.kind == InputType::Select
            && !self.allow_custom_value
            && !self.values.iter().any(|choice| choice == text)
        {
            let near =
                nearest(text, self.values.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
            return Err(format!(
                "`{id}`: `{text}` is none of `{}`{}",
                self.values.join("`, `"),
                near.unwrap_or_default()
            ));
        }
        if let Some(pattern) = &self.validator
            && !Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
        {
            return Err(format!("`{id}`: `{text}` does not match `{pattern}`"));
        }
        let number = value.as_f64();
        if let Some((number, min)) = number.zip(self.min).filter(|(number, min)| number < min) {
            return Err(format!("`{id}`: {number} is less than {min}"));
        }
        if let Some((number, max)) = number.zip(self.max).filter(|(number, max)| number > max) {
            return Err(format!("`{id}`: {number} is more than {max}"));
        }
        Ok(())
    }
}

/// Checks what a run is given against what its flow wants.
///
/// # Errors
/// Every problem at once: an unknown name, a value that does not fit, a required input without a value.
pub fn resolve(inputs: &[Input], given: &[(String, String)]) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let mut findings: Vec<Diagnostic> = given.iter().filter_map(|(name, _)| unknown(inputs, name)).collect();
    let mut values = Map::new();
    for input in inputs {
        let given = given.iter().rev().find(|(name, _)| *name == input.id).map(|(_, text)| text.clone());
        let text = given.or_else(|| input.defaults.as_ref().map(plain));
        match text {
            Some(text) => match input.accept(&text) {
                Ok(value) => drop(values.insert(input.id.clone(), value)),
                Err(message) => findings.push(Diagnostic::error(format!("input {message}"))),
            },
            None if input.required => findings.push(missing(input)),
            None => drop(values.insert(input.id.clone(), Value::Null)),
        }
    }
    if findings.is_empty() { Ok(values) } else { Err(findings) }
}

/// Whether a value may be neither shown nor stored: that of a `SECRET`, and an address with a password in it.
pub fn is_secret(inputs: &[Input], name: &str, value: &Value) -> bool {
    let is_declared = inputs.iter().any(|input| input.id == name && input.kind == InputType::Secret);
    is_declared || value.as_str().is_some_and(|text| hide_address_passwords(text) != text)
}

fn unknown(inputs: &[Input], name: &str) -> Option<Diagnostic> {
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

fn missing(input: &Input) -> Diagnostic {
    let example = input.values.first().map_or("VALUE", String::as_str);
    let what = input.description.as_deref().or(input.display_name.as_deref()).map(|what| format!(" ({what})"));
    Diagnostic::error(format!("input `{}` has no value{}", input.id, what.unwrap_or_default()))
        .help(format!("give it with `-i {}={example}`", input.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inputs() -> Vec<Input> {
        let definitions = json!([
            {"id": "taxi", "type": "SELECT", "values": ["yellow", "green"]},
            {"id": "year", "type": "INT", "min": 2009, "defaults": 2019},
            {"id": "note", "type": "STRING", "required": false, "validator": "[a-z]+"},
        ]);
        serde_json::from_value(definitions).unwrap()
    }

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn values_get_their_types_and_defaults_fill_in() {
        let values = resolve(&inputs(), &given(&[("taxi", "green")])).unwrap();
        assert_eq!(Value::Object(values), json!({"taxi": "green", "year": 2019, "note": null}));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let findings = resolve(&inputs(), &given(&[("taxi", "gren"), ("yeer", "1"), ("note", "A1"), ("year", "2000")]))
            .unwrap_err();
        let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "the flow has no input `yeer`",
                "input `taxi`: `gren` is none of `yellow`, `green`; did you mean `green`?",
                "input `year`: 2000 is less than 2009",
                "input `note`: `A1` does not match `[a-z]+`",
            ]
        );
        assert_eq!(findings[0].help.as_deref(), Some("did you mean `year`?"));
        let findings = resolve(&inputs(), &[]).unwrap_err();
        assert_eq!(findings[0].help.as_deref(), Some("give it with `-i taxi=yellow`"));
    }
}
