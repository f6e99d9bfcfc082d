//! The columns that a table is created with: as the task names them, or as the file tells them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Where the columns come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TableSchema {
    /// The file tells them.
    Infer,
    /// The task names them, with their Postgres types.
    Columns(Map<String, Value>),
}

impl TableSchema {
    /// The columns that the task names.
    pub(super) fn columns(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Infer => None,
            Self::Columns(columns) => Some(columns),
        }
    }
}

impl<'de> Deserialize<'de> for TableSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(columns) => Ok(Self::Columns(columns)),
            Value::String(text) if text == "infer" => Ok(Self::Infer),
            // A template that gives a map gives it as JSON.
            Value::String(text) if text.trim_start().starts_with('{') => {
                serde_json::from_str(&text).map(Self::Columns).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom(
                "expected columns with their types, such as `{id: bigint, name: text}`, or `infer`",
            )),
        }
    }
}

impl Serialize for TableSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Infer => serializer.serialize_str("infer"),
            Self::Columns(columns) => columns.serialize(serializer),
        }
    }
}

impl JsonSchema for TableSchema {
    fn schema_name() -> Cow<'static, str> {
        "TableSchema".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let columns = serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}});
        schemars::json_schema!({"anyOf": [{"const": "infer"}, columns]})
    }

    fn inline_schema() -> bool {
        true
    }
}
