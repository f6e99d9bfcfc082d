//! JSON as values of a server's arrays and composite types, in the server's notation, as Postgres's
//! `json_populate_record` fills them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::json;

/// The dimensions that an array of Postgres may have.
const MAX_DIMENSIONS: usize = 6;
/// The longest text that is made of a value: each level of nesting may double quotes and backslashes.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// What a column's type is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum TypeShape {
    /// Not of other types: its values are texts that only the server reads.
    Scalar,
    /// `double precision`.
    Double,
    /// `json` or `jsonb`, which take JSON as it stands.
    Json,
    /// An array of this type.
    Array(Arc<Self>),
    /// A composite type.
    Composite(Attributes),
}

/// The attributes of a composite type, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    shapes: Vec<Arc<TypeShape>>,
    places: HashMap<Vec<u8>, usize>,
}

impl FromIterator<(String, Arc<TypeShape>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, Arc<TypeShape>)>>(attributes: I) -> Self {
        let mut all = Self::default();
        for (name, shape) in attributes {
            all.places.insert(name.into_bytes(), all.shapes.len());
            all.shapes.push(shape);
        }
        all
    }
}

impl TypeShape {
    /// Whether there is a composite type in it.
    pub(super) fn has_composite(&self) -> bool {
        match self {
            Self::Scalar | Self::Double | Self::Json => false,
            Self::Array(item) => item.has_composite(),
            Self::Composite(_) => true,
        }
    }

    /// Whether it is an array of `double precision`.
    pub(super) fn is_array_of_doubles(&self) -> bool {
        matches!(self, Self::Array(item) if **item == Self::Double)
    }

    /// A valid JSON value as text that the server reads: `{1,2}` for an array, `("1","x")` for an object, what is in
    /// the quotes of a string; none for `null`.
    ///
    /// # Errors
    /// When the server would read another value; the end of a sentence about the value.
    pub(super) fn text_of<'a>(&self, value: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, &'static str> {
        let text = match (self, value.first()) {
            (Self::Json, _) if value != b"null" => Cow::Borrowed(value),
            // `{}` would be an array without items.
            (Self::Array(_), Some(b'{')) => return Err("holds a JSON object where its type has an array"),
            (Self::Array(item), Some(b'[')) => Cow::Owned(item.array(value)?),
            (Self::Composite(attributes), Some(b'{')) => Cow::Owned(attributes.record(value)?),
            _ => return Ok(json::text_value(value)),
        };
        if text.len() > MAX_TEXT_BYTES { Err("is larger than 64 MiB as a value of its type") } else { Ok(Some(text)) }
    }

    /// A JSON array as an array of this type. As for the server, the first items tell how many dimensions there are.
    fn array(&self, value: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (mut dimensions, mut first) = (1, first_item(value));
        while first.starts_with(b"[") {
            dimensions += 1;
            if dimensions > MAX_DIMENSIONS {
                return Err("has more than the 6 dimensions that an array can have");
            }
            first = first_item(first);
        }
        // The server makes an empty array of it, which it does not read in braces within braces.
        if dimensions > 1 && lengths_without_items(value, MAX_DIMENSIONS).is_some() {
            return Ok(b"{}".to_vec());
        }
        let mut out = Vec::with_capacity(value.len());
        self.push_array(value, dimensions, &mut out)?;
        Ok(out)
    }

    fn push_array(&self, value: &[u8], dimensions: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
        out.push(b'{');
        for (index, item) in json::items(value).into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match item.first() {
                Some(b'[') if dimensions > 1 => self.push_array(item, dimensions - 1, out)?,
                Some(b'"' | b'{' | b'[') => push_quoted(self.text_of(item)?, b"NULL", b'\\', out),
                _ if *self == Self::Json => push_quoted(self.text_of(item)?, b"NULL", b'\\', out),
                _ => out.extend_from_slice(&json::text_value(item).unwrap_or(Cow::Borrowed(b"NULL"))),
            }
        }
        out.push(b'}');
        Ok(())
    }
}

/// The lengths of the dimensions of a JSON array that holds nothing but empty arrays, all of one shape.
fn lengths_without_items(value: &[u8], dimensions: usize) -> Option<Vec<usize>> {
    let below = |item: &[u8]| match dimensions {
        2.. if item.starts_with(b"[") => lengths_without_items(item, dimensions - 1),
        _ => None,
    };
    let items = json::items(value);
    let Some(first) = items.first() else { return Some(vec![0]) };
    let mut lengths = below(first)?;
    if !items.iter().skip(1).all(|item| below(item).as_ref() == Some(&lengths)) {
        return None;
    }
    lengths.push(items.len());
    Some(lengths)
}

impl Attributes {
    /// A JSON object as a value of the composite type. Of a key that comes twice the last one counts; one that names no
    /// attribute does not.
    fn record(&self, object: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut values: Vec<Option<Range<usize>>> = vec![None; self.shapes.len()];
        let each = |key: Range<usize>, value| {
            let name = object.get(key).and_then(json::text_value);
            let place = name.and_then(|name| self.places.get(name.as_ref()));
            if let Some(found) = place.and_then(|place| values.get_mut(*place)) {
                *found = Some(value);
            }
        };
        // The value was read as JSON before.
        let _ = json::object(object, 0, each);
        let mut out = vec![b'('];
        for (index, (shape, value)) in self.shapes.iter().zip(values).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let text = value.and_then(|value| object.get(value)).map_or(Ok(None), |value| shape.text_of(value))?;
            push_quoted(text, b"", b'"', &mut out);
        }
        out.push(b')');
        Ok(out)
    }
}

/// The first item of a valid array; empty if it has none.
fn first_item(array: &[u8]) -> &[u8] {
    let start = json::skip_whitespace(array, 1);
    array.get(start..).unwrap_or_default()
}

/// Appends a part of an array or a composite value in quotes; `escape` is before quotes within it.
fn push_quoted(text: Option<Cow<'_, [u8]>>, null: &[u8], escape: u8, out: &mut Vec<u8>) {
    let Some(text) = text else { return out.extend_from_slice(null) };
    out.push(b'"');
    for byte in text.iter() {
        match byte {
            b'"' => out.push(escape),
            b'\\' => out.push(b'\\'),
            _ => {}
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(item: TypeShape) -> TypeShape {
        TypeShape::Array(Arc::new(item))
    }

    fn composite(attributes: Vec<(&str, TypeShape)>) -> TypeShape {
        let attributes = attributes.into_iter().map(|(name, shape)| (name.to_owned(), Arc::new(shape)));
        TypeShape::Composite(attributes.collect())
    }

    fn text(shape: &TypeShape, value: &str) -> Option<String> {
        shape.text_of(value.as_bytes()).unwrap().map(|text| String::from_utf8(text.into_owned()).unwrap())
    }

    #[test]
    fn arrays_are_written_as_postgres_writes_them() {
        for (value, expected) in [
            (r#"[]"#, "{}"),
            (r#"[ 1 , null,-2e3, true ]"#, "{1,NULL,-2e3,true}"),
            (r#"[["a b", "c\"\\"], [{"x": [1]}]]"#, r#"{{"a b","c\"\\"},{"{\"x\": [1]}"}}"#),
            (r#"["", "null", "\u00e9"]"#, r#"{"","null","é"}"#),
            (r#"["a", ["b"]]"#, r#"{"a","[\"b\"]"}"#),
        ] {
            assert_eq!(text(&array(TypeShape::Scalar), value).unwrap(), expected);
        }
        let value = r#"[{"a":1}, null, "b", 1, [2]]"#;
        assert_eq!(text(&array(TypeShape::Json), value).unwrap(), r#"{"{\"a\":1}",NULL,"\"b\"","1","[2]"}"#);
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(array(TypeShape::Json).text_of(deep.as_bytes()).unwrap_err().contains("6 dimensions"));
    }

    #[test]
    fn objects_are_written_as_composite_values() {
        let inner = composite(vec![("n", TypeShape::Scalar), ("s", TypeShape::Scalar)]);
        let outer = composite(vec![("b", array(inner)), ("j", TypeShape::Json), ("t", TypeShape::Scalar)]);
        let cases = [
            ("null", None),
            ("{}", Some("(,,)")),
            (r#""(,,x)""#, Some("(,,x)")),
            (r#"{"t": "a\"b\\", "t": "", "j": "x", "other": 1}"#, Some(r#"(,"""x""","")"#)),
            (r#"{"\u0062": [{"n": 1}, null], "j": null}"#, Some(r#"("{""(\\""1\\"",)"",NULL}",,)"#)),
        ];
        for (value, expected) in cases {
            assert_eq!(text(&outer, value).as_deref(), expected, "{value}");
        }
        assert!(outer.text_of(br#"{"b": {}}"#).unwrap_err().contains("where its type has an array"));
    }

    #[test]
    fn the_size_of_a_value_is_limited() {
        let mut shape = composite(vec![("a", TypeShape::Scalar)]);
        let mut value = format!("{{\"a\": \"{}\"}}", "\\\"".repeat(1 << 20));
        for _ in 0..20 {
            shape = composite(vec![("a", shape)]);
            value = format!("{{\"a\": {value}}}");
        }
        assert!(shape.text_of(value.as_bytes()).unwrap_err().contains("64 MiB"));
    }
}
