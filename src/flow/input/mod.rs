//! A flow's inputs. `definition.rs` parses and checks declarations, `kind.rs` parses a value by its type, `limits.rs` checks
//! it against the constraints of its input, `dependencies.rs` orders inputs by the references between them, and
//! `resolve.rs` computes the values of a run: provided ones, and the defaults of the others.

mod definition;
mod dependencies;
mod kind;
mod limits;
mod public_host;
mod resolve;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::secret::hide_passwords;
use crate::text::plain;

pub use definition::outline;
pub(super) use definition::{read_all, type_fields};
pub(super) use dependencies::{check, is_named};
pub use kind::InputType;
pub use resolve::{
    MissingInput, ResolvedInputs, re_resolve, resolve, resolve_partial, resolve_partial_without_host,
    resolve_without_host,
};

/// One input.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Input {
    /// The name: `-i name=value`, and `inputs.name` in expressions. A name with dots nests: `db.host` is
    /// `inputs.db.host`.
    #[serde(alias = "name")]
    pub id: String,
    /// What values are allowed.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// Whether a run must have it; true by default.
    #[serde(default = "yes")]
    pub required: bool,
    /// The value when none is given. It may be an expression over `vars`, other inputs and functions such as `now()`.
    pub defaults: Option<Value>,
    /// What a question begins with, to be kept or changed. It is never used without being asked for.
    pub prefill: Option<Value>,
    /// When the input is wanted at all: which inputs it depends on, and a condition.
    pub depends_on: Option<DependsOn>,
    /// A short name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The choices of a `SELECT` or `MULTISELECT`.
    #[serde(default)]
    pub values: Vec<String>,
    /// An expression that gives the choices, instead of `values`.
    pub expression: Option<String>,
    /// Whether a `SELECT` or `MULTISELECT` takes other values too.
    #[serde(default)]
    pub allow_custom_value: bool,
    /// Whether the first choice of a `SELECT` is its default.
    #[serde(default)]
    pub auto_select_first: bool,
    /// Whether a form shows the choices of a `SELECT` side by side.
    #[serde(default)]
    pub is_radio: bool,
    /// The type of each item of an `ARRAY` or `MULTISELECT`.
    pub item_type: Option<InputType>,
    /// A regular expression that a text must match as a whole.
    pub validator: Option<String>,
    /// The smallest `INT`, `FLOAT` or `DURATION`.
    pub min: Option<Value>,
    /// The largest `INT`, `FLOAT` or `DURATION`.
    pub max: Option<Value>,
    /// The earliest `DATE`, `TIME` or `DATETIME`.
    pub after: Option<String>,
    /// The latest `DATE`, `TIME` or `DATETIME`.
    pub before: Option<String>,
    /// How the name of a `FILE` may end, such as `.csv`.
    #[serde(default)]
    pub allowed_file_extensions: Vec<String>,
}

/// When an input is wanted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependsOn {
    /// The inputs that it depends on. Without a `condition`, each of them must have a value.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// An expression. While it does not hold, the input is not asked for, and is null.
    pub condition: Option<Value>,
}

fn yes() -> bool {
    true
}

impl Input {
    /// The typed value of what was given, which must be one of `choices` where the type has choices.
    ///
    /// # Errors
    /// In plain words, which never repeat a secret.
    pub fn accept(&self, provided: &Value, choices: &[String]) -> Result<Value, String> {
        let value = self.kind.read(provided, self.item_type)?;
        self.check_limits(&value, choices)?;
        Ok(value)
    }

    /// What people call it: its short name, else its id.
    pub fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.id)
    }

    /// A value of the right kind, to show how one is given.
    pub fn example(&self) -> &str {
        self.values.first().map_or(self.kind.example(), String::as_str)
    }
}

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

/// Values as expressions see them: `db.host` becomes `host` within `db`.
pub fn nest(values: &Map<String, Value>) -> Map<String, Value> {
    let mut nested = Map::new();
    for (id, value) in values {
        let mut group = &mut nested;
        let mut parts: Vec<&str> = id.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let inner = group.entry(part).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            let Value::Object(inner) = inner else { return Map::new() };
            group = inner;
        }
        group.insert(last.to_owned(), value.clone());
    }
    nested
}

/// Whether a value may be neither shown nor stored: that of a `SECRET`, and one that holds an address with a password.
pub fn is_secret(inputs: &[Input], name: &str, value: &Value) -> bool {
    is_declared_secret(inputs, name) || redact_passwords(value) != *value
}

/// Whether an input is a `SECRET`.
pub fn is_declared_secret(inputs: &[Input], name: &str) -> bool {
    inputs.iter().any(|input| input.id == name && input.kind == InputType::Secret)
}

/// All texts in a value.
pub fn strings_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings_in).collect(),
        Value::Object(map) => map.values().flat_map(strings_in).collect(),
        _ => Vec::new(),
    }
}

/// A value whose addresses show no passwords.
pub fn redact_passwords(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(hide_passwords(text)),
        Value::Array(items) => items.iter().map(redact_passwords).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), redact_passwords(value))).collect())
        }
        other => other.clone(),
    }
}

/// A value as `-i` takes it: a text as it is, a list of plain texts with commas, anything else as JSON.
pub fn to_argument(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().all(|item| item.as_str().is_some_and(|text| !text.contains(','))) => {
            items.iter().map(plain).collect::<Vec<_>>().join(",")
        }
        other => plain(other),
    }
}
