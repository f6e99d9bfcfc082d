//! A value that Postgres sends as text, as JSON of the type that it means.

use std::fmt::{self, Display, Formatter};

use serde_json::{Number, Value};
use tokio_postgres::types::{Kind, Type};

/// A value of a result. It prints as JSON that holds every digit.
#[derive(Clone, Debug, PartialEq)]
pub enum PgValue {
    /// What JSON's types hold.
    Value(Value),
    /// A `numeric`, with all of its digits.
    Numeric(String),
    /// A `json` or `jsonb`, as the server prints it.
    Json(String),
    /// An array.
    List(Vec<Self>),
}

impl PgValue {
    /// Reads a value: numbers and booleans as such, JSON and arrays as structures, dates and times in ISO 8601, bytes as
    /// `\x` and hexadecimal digits, and everything else as the text that the server prints.
    pub fn from_text(kind: &Type, text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Value(Value::Null) };
        match kind.kind() {
            Kind::Array(element) => {
                ArrayText { rest: text, element }.read().unwrap_or_else(|| Self::Value(Value::from(text)))
            }
            Kind::Domain(base) => Self::from_text(base, Some(text)),
            _ => match *kind {
                // NaN and infinities are no numbers of JSON.
                Type::NUMERIC if text.ends_with(|last: char| last.is_ascii_digit()) => Self::Numeric(text.to_owned()),
                Type::JSON | Type::JSONB => Self::Json(text.to_owned()),
                _ => Self::Value(scalar(kind, text)),
            },
        }
    }

    /// Whether each `numeric` in it is a number that a double holds, as JSON's numbers are read.
    pub fn is_of_doubles(&self) -> bool {
        match self {
            Self::Numeric(text) => exact_number(text).is_some(),
            Self::List(items) => items.iter().all(Self::is_of_doubles),
            Self::Value(_) | Self::Json(_) => true,
        }
    }

    /// The value for expressions: each `numeric` as a number, or as its text.
    pub fn into_value(self, as_numbers: bool) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Numeric(text) => {
                exact_number(&text).filter(|_| as_numbers).unwrap_or_else(|| Value::from(text.as_str()))
            }
            Self::Json(text) => serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str())),
            Self::List(items) => items.into_iter().map(|item| item.into_value(as_numbers)).collect(),
        }
    }
}

impl Display for PgValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Numeric(text) => f.write_str(text),
            // `json` keeps the line breaks between its parts, which would end the line of a file.
            Self::Json(text) => f.write_str(&text.replace(['\n', '\r'], " ")),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { '[' } else { ',' })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
        }
    }
}

fn scalar(kind: &Type, text: &str) -> Value {
    let read = match *kind {
        Type::BOOL => Some(Value::Bool(text == "t")),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => text.parse::<i64>().ok().map(Value::from),
        Type::FLOAT4 | Type::FLOAT8 => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => iso_time(text).map(Value::String),
        _ => None,
    };
    read.unwrap_or_else(|| Value::from(text))
}

/// The number, if JSON's can hold every digit of it: a double keeps any fifteen.
fn exact_number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    let float = text.parse().ok().filter(|_| text.contains('.') && significant(text) <= 15);
    float.and_then(Number::from_f64).map(Value::Number)
}

fn significant(text: &str) -> usize {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').len()
}

/// `2020-04-01 00:44:02+02` as `2020-04-01T00:44:02+02:00`; none for `infinity` and years before Christ.
fn iso_time(text: &str) -> Option<String> {
    let (date, time) = text.split_once(' ').filter(|(_, time)| !time.contains(' '))?;
    let offset_is_short = time.len() > 3 && matches!(time.as_bytes().get(time.len() - 3), Some(b'+' | b'-'));
    Some(format!("{date}T{time}{}", if offset_is_short { ":00" } else { "" }))
}

/// The text form of an array: `{1,NULL,"a,b"}`, nested, perhaps after its bounds (`[0:1]=`).
struct ArrayText<'a> {
    rest: &'a str,
    element: &'a Type,
}

impl ArrayText<'_> {
    fn read(mut self) -> Option<PgValue> {
        if self.rest.starts_with('[') {
            self.rest = self.rest.split_once('=')?.1;
        }
        let value = self.items()?;
        self.rest.is_empty().then_some(value)
    }

    fn items(&mut self) -> Option<PgValue> {
        self.rest = self.rest.strip_prefix('{')?;
        let mut items = Vec::new();
        while !self.rest.starts_with('}') {
            items.push(self.item()?);
            self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
        }
        self.rest = self.rest.strip_prefix('}')?;
        Some(PgValue::List(items))
    }

    fn item(&mut self) -> Option<PgValue> {
        match self.rest.chars().next()? {
            '{' => self.items(),
            '"' => self.quoted().map(|text| PgValue::from_text(self.element, Some(&text))),
            _ => {
                let end = self.rest.find([',', '}'])?;
                let (plain, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(PgValue::from_text(self.element, Some(plain).filter(|plain| *plain != "NULL")))
            }
        }
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(letters.next()?.1),
                _ => text.push(letter),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn from_text(kind: &Type, text: Option<&str>) -> Value {
        PgValue::from_text(kind, text).into_value(true)
    }

    #[test]
    fn every_digit_is_printed() {
        let printed = |kind: &Type, text: &str| PgValue::from_text(kind, Some(text)).to_string();
        let cases = [
            (Type::NUMERIC, "1.10", "1.10"),
            (Type::NUMERIC, "0.00", "0.00"),
            (Type::NUMERIC, "12345678901234567890.10", "12345678901234567890.10"),
            (Type::NUMERIC, "NaN", "\"NaN\""),
            (Type::NUMERIC, "-Infinity", "\"-Infinity\""),
            (Type::JSONB, "{\"b\": 12345678901234567890.10}", "{\"b\": 12345678901234567890.10}"),
            (Type::JSON, "{\"a\":1.10,\n\"a\":2}", "{\"a\":1.10, \"a\":2}"),
            (Type::NUMERIC_ARRAY, "{{1.10,NULL},{2.0,NaN}}", "[[1.10,null],[2.0,\"NaN\"]]"),
            (Type::NUMERIC_ARRAY, "{}", "[]"),
        ];
        for (kind, text, json) in cases {
            assert_eq!(printed(&kind, text), json);
        }
    }

    #[test]
    fn numbers_stay_exact_or_stay_text() {
        let numeric = |text: &str| from_text(&Type::NUMERIC, Some(text));
        assert_eq!(numeric("701002.26"), json!(701002.26));
        assert_eq!(numeric("-1.50"), json!(-1.5));
        assert_eq!(numeric("35612"), json!(35612));
        assert_eq!(numeric("0.1234567890123456789"), json!("0.1234567890123456789"));
        assert_eq!(numeric("123456789012345678901234567890"), json!("123456789012345678901234567890"));
        assert_eq!(numeric("NaN"), json!("NaN"));
        assert_eq!(from_text(&Type::FLOAT8, Some("1e+06")), json!(1e6));
        assert_eq!(from_text(&Type::FLOAT8, Some("Infinity")), json!("Infinity"));
    }

    #[test]
    fn times_are_iso_and_bytes_are_hexadecimal() {
        assert_eq!(from_text(&Type::TIMESTAMP, Some("2020-04-01 00:44:02")), json!("2020-04-01T00:44:02"));
        assert_eq!(
            from_text(&Type::TIMESTAMPTZ, Some("2020-04-01 00:44:02.5+02")),
            json!("2020-04-01T00:44:02.5+02:00")
        );
        assert_eq!(
            from_text(&Type::TIMESTAMPTZ, Some("2020-04-01 00:44:02+05:30")),
            json!("2020-04-01T00:44:02+05:30")
        );
        assert_eq!(from_text(&Type::TIMESTAMP, Some("infinity")), json!("infinity"));
        assert_eq!(from_text(&Type::BYTEA, Some("\\xdead")), json!("\\xdead"));
        assert_eq!(from_text(&Type::BOOL, Some("f")), json!(false));
        assert_eq!(from_text(&Type::INT4, None), Value::Null);
    }

    #[test]
    fn arrays_nest_and_quote() {
        assert_eq!(from_text(&Type::INT4_ARRAY, Some("{{1,NULL},{3,4}}")), json!([[1, null], [3, 4]]));
        assert_eq!(
            from_text(&Type::TEXT_ARRAY, Some(r#"{a,"b,}\"","NULL",NULL,""}"#)),
            json!(["a", "b,}\"", "NULL", null, ""])
        );
        assert_eq!(from_text(&Type::INT4_ARRAY, Some("[0:1]={1,2}")), json!([1, 2]));
        assert_eq!(from_text(&Type::INT4_ARRAY, Some("{}")), json!([]));
    }
}
