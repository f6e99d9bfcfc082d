//! Reading a task's fields from rendered values, as leniently as YAML authors expect.
//!
//! A template's result may come as `"5"` where a number is wanted, and a number may stand where text is wanted
//! (`month: 1`). Before anything is rendered, a template stands for whatever its field wants.

use std::sync::LazyLock;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// The message of the error that stands for "a template decides this later".
pub(super) const DECIDED_LATER: &str = "determined by a template when the task runs";

/// A value to deserialize from.
#[derive(Clone, Copy)]
pub(super) struct FieldValue<'a> {
    value: &'a Value,
    /// Whether templates are not rendered yet.
    unrendered: bool,
}

impl<'a> FieldValue<'a> {
    pub(super) fn new(value: &'a Value, unrendered: bool) -> Self {
        Self { value, unrendered }
    }

    fn text(self) -> Option<&'a str> {
        self.value.as_str()
    }

    fn is_later(self) -> bool {
        self.unrendered && self.text().is_some_and(is_template)
    }

    /// Whether a template may come to a list or a map.
    fn is_many_later(self) -> bool {
        self.is_later() && self.text().is_some_and(may_be_many)
    }

    fn child(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }
}

/// Whether a text holds a template expression or tag.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Whether a value holds one anywhere.
pub fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(map) => map.values().any(has_template),
        _ => false,
    }
}

/// Whether a text with templates may come to a list or a map: it begins with a template, or is JSON.
pub(super) fn may_be_many(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

impl<'a> IntoDeserializer<'a, Error> for FieldValue<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.is_later() {
                return visitor.$visit(1 as $number);
            }
            match self.text().and_then(|text| text.trim().parse::<$number>().ok()) {
                Some(number) => visitor.$visit(number),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.value {
                Value::Number(number) => visitor.visit_string(number.to_string()),
                Value::Bool(flag) => visitor.visit_string(flag.to_string()),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for FieldValue<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(|item| self.child(item)))),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| (key.as_str(), self.child(value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    }

    texts! { deserialize_char deserialize_str deserialize_string }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text() {
            _ if self.is_later() => visitor.visit_bool(false),
            Some("true" | "yes" | "on") => visitor.visit_bool(true),
            Some("false" | "no" | "off") => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_many_later() { Err(Error::custom(DECIDED_LATER)) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_many_later() { Err(Error::custom(DECIDED_LATER)) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            _ if self.is_later() => Err(Error::custom(DECIDED_LATER)),
            Value::Object(map) if map.len() == 1 => match map.iter().next() {
                Some((variant, value)) => visitor.visit_enum(Variant { variant, content: self.child(value) }),
                None => self.deserialize_any(visitor),
            },
            // A bare word is the word with nothing after it: its fields have their defaults.
            Value::String(variant) => visitor.visit_enum(Variant { variant, content: self.child(&NOTHING) }),
            Value::Bool(flag) => visitor.visit_enum(if *flag { "true" } else { "false" }.into_deserializer()),
            other => Err(Error::custom(format!("write one word, or a map with one key, in place of {other}"))),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// What follows a bare word.
static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

/// `{variant: content}`.
struct Variant<'a> {
    variant: &'a str,
    content: FieldValue<'a>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = FieldValue<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, FieldValue<'de>), Error> {
        Ok((seed.deserialize(self.variant.into_deserializer())?, self.content))
    }
}

impl<'de> VariantAccess<'de> for FieldValue<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            Value::Null => Ok(()),
            Value::Object(map) if map.is_empty() => Ok(()),
            _ => Err(Error::custom("this word takes no value: write it alone")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        text: String,
        count: Option<u16>,
        ratio: Option<f64>,
        flag: Option<bool>,
        mode: Option<Mode>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Plain,
        Merge { key: Vec<String> },
        Limited(Limits),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Limits {
        #[serde(default)]
        max: u8,
    }

    fn read(value: Value, unrendered: bool) -> Result<Example, String> {
        Example::deserialize(FieldValue::new(&value, unrendered)).map_err(|error| error.to_string())
    }

    #[test]
    fn scalars_convert_to_what_the_field_wants() {
        let example = read(json!({"text": 1, "count": "5", "ratio": "0.5", "flag": "true", "mode": "plain"}), false);
        let expected =
            Example { text: "1".into(), count: Some(5), ratio: Some(0.5), flag: Some(true), mode: Some(Mode::Plain) };
        assert_eq!(example, Ok(expected));
        let merged = read(json!({"text": "x", "mode": {"merge": {"key": ["a"]}}}), false).unwrap();
        assert_eq!(merged.mode, Some(Mode::Merge { key: vec!["a".into()] }));
    }

    #[test]
    fn a_bare_word_takes_the_defaults_of_its_fields() {
        let mode = |mode: Value| read(json!({"text": "x", "mode": mode}), false).map(|example| example.mode);
        assert_eq!(mode(json!("limited")), Ok(Some(Mode::Limited(Limits { max: 0 }))));
        assert_eq!(mode(json!({"limited": {"max": 3}})), Ok(Some(Mode::Limited(Limits { max: 3 }))));
        assert_eq!(mode(json!("merge")), Err("missing field `key`".to_owned()));
        assert_eq!(mode(json!({"plain": {}})), Ok(Some(Mode::Plain)));
        assert!(mode(json!({"plain": {"max": 3}})).unwrap_err().contains("takes no value"));
    }

    #[test]
    fn a_template_stands_for_anything_until_it_is_rendered() {
        let template = json!({"text": "x", "count": "{{ n }}", "flag": "{{ f }}"});
        assert!(read(template.clone(), true).is_ok());
        assert!(read(template, false).unwrap_err().contains("invalid type: string"));
        assert_eq!(read(json!({"text": "x", "mode": "{{ m }}"}), true).unwrap_err(), DECIDED_LATER);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(read(json!({"text": "x", "count": 70000}), false).is_err());
        assert!(read(json!({"text": ["x"]}), false).is_err());
        assert!(read(json!({"text": "x", "other": 1}), false).unwrap_err().starts_with("unknown field `other`"));
    }
}
