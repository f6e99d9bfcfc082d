//! Templates in a flow's values: `{{ inputs.taxi }}`, in the dialect of Pebble that Kestra uses.
//!
//! The interpreter is our own because no available crate implements the language: minijinja lacks `??`, `? :` and
//! `elseif`, gives `~` and filters other precedences, and counts loops from 1. `lexer.rs`, `parser.rs` and `grammar.rs`
//! build the tree of `ast.rs`; `eval.rs` evaluates expressions with `operators.rs`, and `render.rs` executes tags.
//! Filters, functions and predicates (`is …`) are tables of plain functions. Anything impure goes through [`Host`], and
//! `limits.rs` guarantees that every template terminates.
//!
//! All conditions share one rule of truth, [`is_truthy`], where Pebble has several.

mod analysis;
mod ast;
mod builtin;
mod date;
mod eval;
mod filters;
mod functions;
mod grammar;
mod host;
mod interpolation;
mod lexer;
mod limits;
mod operators;
mod parser;
mod predicates;
mod render;
mod value;

use std::time::Instant;

use serde_json::{Map, Value};

use crate::task::is_template;
use limits::Budget;

pub(super) use filters::names as filter_names;
pub(super) use functions::names as function_names;
pub use host::{Host, NoHost};
pub use value::is_truthy;

/// The names that an expression may use, by their first word.
pub type Names = Map<String, Value>;

/// Every function of expressions with its parameters, those in brackets optional, in order.
pub fn functions() -> Vec<String> {
    sorted(functions::signatures())
}

/// Every filter of expressions with the parameters that it takes after its input, in order.
pub fn filters() -> Vec<String> {
    sorted(filters::signatures())
}

fn sorted(signatures: impl Iterator<Item = String>) -> Vec<String> {
    let mut signatures: Vec<String> = signatures.collect();
    signatures.sort();
    signatures
}

/// A template that cannot be used: what is wrong with it, and the part of it that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// The text to point at: a part of the template on one line, or the whole template.
    pub culprit: String,
    /// What is before the culprit on its line, where it is this very place that is meant.
    pub before: String,
}

impl ExpressionError {
    /// What is wrong with a part of a template, wherever it stands.
    pub fn new(message: String, culprit: &str) -> Self {
        Self { message, culprit: culprit.to_owned(), before: String::new() }
    }

    /// A template that cannot be read from byte `at` on.
    fn malformed(text: &str, at: usize, message: &str) -> Self {
        let rest = text.get(at..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default().trim();
        let culprit = if line.is_empty() { text.trim().lines().last().unwrap_or_default().trim() } else { line };
        let before = text.get(..at).unwrap_or_default().rsplit('\n').next().unwrap_or_default();
        let before = if line.is_empty() { "" } else { before };
        Self {
            message: format!("this template is malformed: {message}"),
            culprit: culprit.to_owned(),
            before: before.to_owned(),
        }
    }
}

impl std::fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExpressionError {}

/// The value with every template in it rendered. A text that is one `{{ … }}` and nothing else keeps the type of its
/// result; any other becomes text, in which lists and maps are JSON and null is empty.
///
/// # Errors
/// When a template is malformed, names what is not there, or takes more than it may.
pub fn render(value: &Value, names: &Names, host: &dyn Host) -> Result<Value, ExpressionError> {
    render_until(value, names, host, Instant::now() + limits::TASK_TIMEOUT)
}

/// The same in the little time of a condition, or of somebody who waits for an answer.
///
/// # Errors
/// As [`render()`].
pub fn render_interactive(value: &Value, names: &Names, host: &dyn Host) -> Result<Value, ExpressionError> {
    render_until(value, names, host, Instant::now() + limits::CONDITION_TIMEOUT)
}

fn render_until(value: &Value, names: &Names, host: &dyn Host, end: Instant) -> Result<Value, ExpressionError> {
    let text = |text: &str| -> Result<Value, ExpressionError> {
        let template = parser::parse(text)?;
        Ok(eval::evaluate(&template, names, host, &Budget::until(end))?)
    };
    match value {
        Value::String(template) if is_template(template) => text(template),
        Value::Array(items) => items.iter().map(|item| render_until(item, names, host, end)).collect(),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let key = if is_template(key) { value::to_text(&text(key)?) } else { key.clone() };
                render_until(value, names, host, end).map(|value| (key, value))
            };
            Ok(Value::Object(map.iter().map(entry).collect::<Result<_, ExpressionError>>()?))
        }
        other => Ok(other.clone()),
    }
}

/// Whether a condition holds, by the rules of [`is_truthy`].
///
/// # Errors
/// As [`render()`].
pub fn evaluate_condition(condition: &Value, names: &Names, host: &dyn Host) -> Result<bool, ExpressionError> {
    Ok(is_truthy(&render_interactive(condition, names, host)?))
}

/// The dotted names that the templates of a text need, such as `outputs.extract.uri`; `a['b']` is `a.b`. Left out are
/// names that the text binds itself, and those that `??`, `is defined` or `default` make optional.
///
/// # Errors
/// When a template is malformed.
pub fn references(text: &str) -> Result<Vec<String>, ExpressionError> {
    Ok(analysis::references(&parser::parse(text)?))
}

/// Every dotted name that the templates of a text may look at, the optional ones too; `*` stands for any name, where
/// `render()` or `printContext()` is called.
///
/// # Errors
/// When a template is malformed.
pub fn mentions(text: &str) -> Result<Vec<String>, ExpressionError> {
    Ok(analysis::mentions(&parser::parse(text)?))
}

/// The dotted names whose values the templates of a text render in their turn: what `render()` is given.
///
/// # Errors
/// When a template is malformed.
pub fn rendered(text: &str) -> Result<Vec<String>, ExpressionError> {
    Ok(analysis::rendered(&parser::parse(text)?))
}

/// The dotted names whose values the templates of a text write out, except for those that a filter makes harmless: one of
/// these, or one whose results mean nothing in any language.
///
/// # Errors
/// When a template is malformed.
pub fn interpolated(text: &str, harmless: &[&str]) -> Result<Vec<String>, ExpressionError> {
    Ok(interpolation::names(&parser::parse(text)?, harmless))
}

/// The expressions of a shell's text that end with `shellQuote` and stand within quotes already, where it protects nothing.
///
/// # Errors
/// When a template is malformed.
pub fn quoted_twice(text: &str) -> Result<Vec<String>, ExpressionError> {
    Ok(interpolation::quoted_twice(&parser::parse(text)?))
}

/// Whether the templates of a text can be used: they are well-formed, and every filter, function and test is there
/// and gets arguments that it takes.
///
/// # Errors
/// All that is wrong.
pub fn check(text: &str) -> Result<(), Vec<ExpressionError>> {
    let template = parser::parse(text).map_err(|error| vec![error])?;
    let wrong = analysis::wrong_calls(&template);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
