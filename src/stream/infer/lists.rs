//! Where in a value of JSON the first list of objects stands. Nothing of the value is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How deep is looked.
const MAX_DEPTH: u8 = 4;

/// The keys that lead to it, joined by points; an empty text if the value itself is the list. None where there is none, or
/// where a key could not be written so.
pub(super) fn path(value: &[u8]) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_slice(value);
    ListFinder { depth: 0 }.deserialize(&mut deserializer).ok()?.path
}

struct ListFinder {
    depth: u8,
}

/// What a value is.
#[derive(Default)]
struct Found {
    is_object: bool,
    /// The keys that lead from it to a list of objects.
    path: Option<String>,
}

impl<'de> DeserializeSeed<'de> for ListFinder {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.depth > MAX_DEPTH {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Found::default());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ListFinder {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found { is_object: true, path: None };
        while let Some(key) = map.next_key::<String>()? {
            let within = map.next_value_seed(Self { depth: self.depth + 1 })?;
            let is_writable = !key.contains('.') && key.trim() == key && !key.is_empty();
            if let Some(rest) = within.path.filter(|_| found.path.is_none() && is_writable) {
                found.path = Some(if rest.is_empty() { key } else { format!("{key}.{rest}") });
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let first = items.next_element_seed(Self { depth: self.depth + 1 })?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found { is_object: false, path: first.filter(|first| first.is_object).map(|_| String::new()) })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Found::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Found::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Found::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Found::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Found::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_list_of_objects_is_found() {
        for (value, expected) in [
            (r#"[{"a": 1}]"#, Some("")),
            ("[1]", None),
            (r#"{"n": 2, "items": [{"id": 1}, {"id": 2}], "more": [{}]}"#, Some("items")),
            (r#"{"result": {"total": 1.5, "items": [{"id": null}]}}"#, Some("result.items")),
            (r#"{"a.b": [{}], "c": [{}]}"#, Some("c")),
            (r#"{"n": [1, {}]}"#, None),
            (r#"{"n": 123456789012345678901234567890, "x": true}"#, None),
        ] {
            assert_eq!(path(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }
}
