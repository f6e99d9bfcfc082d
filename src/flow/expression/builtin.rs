//! The definition of filters and functions: a name, parameters and a plain function.

use serde_json::Value;

use super::ast::CallExpr;
use super::eval::Evaluator;
use super::limits::MAX_OUTPUT_BYTES;
use super::value::{kind, to_text};
use crate::diagnostic::nearest;

/// What a filter or function gives, or what is wrong in plain words.
pub(super) type BuiltinResult = Result<Value, String>;

/// The last parameter of those that take any number of arguments.
const MORE: &str = "…";

/// A filter or a function.
pub(super) struct Builtin {
    pub(super) name: &'static str,
    /// In the order of positions.
    parameters: &'static [&'static str],
    /// How many of them, from the first, must be given.
    required: usize,
    /// Whether it makes something of null; any other filter lets it pass.
    pub(super) takes_null: bool,
    pub(super) run: fn(&BuiltinCall) -> BuiltinResult,
}

impl Builtin {
    pub(super) const fn new(
        name: &'static str,
        parameters: &'static [&'static str],
        required: usize,
        run: fn(&BuiltinCall) -> BuiltinResult,
    ) -> Self {
        Self { name, parameters, required, takes_null: false, run }
    }

    pub(super) const fn takes_null(mut self) -> Self {
        self.takes_null = true;
        self
    }

    /// Its name with its parameters; those in brackets may be left out.
    pub(super) fn signature(&self) -> String {
        let parameter = |(at, name): (usize, &&str)| match at < self.required {
            true => (*name).to_owned(),
            false => format!("[{name}]"),
        };
        let parameters: Vec<String> = self.parameters.iter().enumerate().map(parameter).collect();
        format!("{}({})", self.name, parameters.join(", "))
    }

    /// The position of each argument among the parameters.
    pub(super) fn positions(&self, invocation: &CallExpr) -> Result<Vec<usize>, String> {
        let mut taken = Vec::new();
        for (position, argument) in invocation.arguments.iter().enumerate() {
            let position = match &argument.name {
                None if position < self.parameters.len() || self.parameters.last() == Some(&MORE) => position,
                None => return Err(format!("takes {}, not {}", self.arity(), invocation.arguments.len())),
                Some(name) => self.position(name).ok_or_else(|| self.unknown_parameter(name))?,
            };
            if taken.contains(&position) {
                let name = self.parameters.get(position).unwrap_or(&MORE);
                return Err(format!("the argument `{name}` is specified twice"));
            }
            taken.push(position);
        }
        match (0..self.required).find(|position| !taken.contains(position)) {
            Some(position) => {
                Err(format!("the argument `{}` is missing", self.parameters.get(position).unwrap_or(&MORE)))
            }
            None => Ok(taken),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| *parameter == name)
    }

    fn arity(&self) -> String {
        match (self.required, self.parameters.len()) {
            (_, 0) => "no arguments".to_owned(),
            (_, 1) => format!("one argument (`{}`)", self.parameters.join("`, `")),
            (_, max) => format!("at most {max} arguments (`{}`)", self.parameters.join("`, `")),
        }
    }

    fn unknown_parameter(&self, name: &str) -> String {
        match nearest(name, self.parameters.iter().copied()) {
            Some(near) => format!("there is no argument `{name}`; did you mean `{near}`?"),
            None => format!("there is no argument `{name}`; it takes {}", self.arity()),
        }
    }
}

/// A filter or function at work.
pub(super) struct BuiltinCall<'c> {
    pub(super) builtin: &'c Builtin,
    /// What is before the `|`; null for a function.
    pub(super) input: &'c Value,
    /// By position; none where not given.
    pub(super) arguments: Vec<Option<Value>>,
    pub(super) evaluator: &'c Evaluator<'c>,
}

impl BuiltinCall<'_> {
    /// An argument that was given and is not null.
    pub(super) fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.get(self.builtin.position(name)?)?.as_ref().filter(|value| !value.is_null())
    }

    /// An argument as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.argument(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is a text, not {}", kind(other))),
        }
    }

    /// An argument as text that cannot be left out.
    pub(super) fn required_text(&self, name: &str) -> Result<&str, String> {
        self.text(name)?.ok_or_else(|| format!("`{name}` is null"))
    }

    /// An argument as whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, String> {
        match self.argument(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(format!("`{name}` is a whole number, not {}", kind(value))),
            },
        }
    }

    /// An argument as a count of things.
    pub(super) fn count(&self, name: &str) -> Result<usize, String> {
        let number = self.integer(name)?.ok_or_else(|| format!("`{name}` is null"))?;
        usize::try_from(number).map_err(|_| format!("`{name}` cannot be {number}"))
    }

    /// An argument as yes or no.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.argument(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(format!("`{name}` is true or false, not {}", kind(other))),
        }
    }

    /// The input as text; lists and maps are none.
    pub(super) fn input_text(&self) -> Result<String, String> {
        match self.input {
            Value::Array(_) | Value::Object(_) => Err(format!("it needs a text, not {}", kind(self.input))),
            other => Ok(to_text(other)),
        }
    }

    /// The input as list.
    pub(super) fn input_list(&self) -> Result<&[Value], String> {
        match self.input {
            Value::Array(items) => Ok(items),
            other => Err(format!("it needs a list, not {}", kind(other))),
        }
    }

    /// Refuses to make a text of more bytes than a text may have.
    pub(super) fn check_text_size(&self, size: usize) -> Result<(), String> {
        if size > MAX_OUTPUT_BYTES {
            Err(format!("the text becomes larger than {} MiB", MAX_OUTPUT_BYTES >> 20))
        } else {
            Ok(())
        }
    }

    /// Counts work that a text's length does not show.
    pub(super) fn spend(&self, units: usize) -> Result<(), String> {
        self.evaluator.budget.spend(units)
    }
}
