//! Values of fields that say how a CSV file is read.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

/// A quoting character, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Quote(pub Option<char>);

impl TryFrom<String> for Quote {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (first, None) => Ok(Self(first)),
            _ if text == "none" => Ok(Self(None)),
            _ => Err(format!("`{text}` is not a valid quoting character; write one character, or `none`")),
        }
    }
}

/// One text or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            _ => Err(D::Error::custom("write a text or a list of texts")),
        };
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::Array(items) => items.into_iter().map(text).collect::<Result<_, _>>().map(Self),
            one => text(one).map(|text| Self(vec![text])),
        }
    }
}
