//! The types of inputs, and how a value of each is read from a text or from YAML.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::duration::DurationSpec;
use crate::flow::document::from_yaml;
use crate::text::{MAX_DEPTH, nests_too_deeply, not_json, plain};

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
    /// Some of `values`.
    Multiselect,
    /// A list of values of one `itemType`.
    Array,
    /// `2020-04-01`.
    Date,
    /// `2020-04-01T00:00:00`, with a zone or in UTC.
    Datetime,
    /// `14:30:00`.
    Time,
    /// A length of time: `15s`, `2m`, `PT15S`.
    Duration,
    /// A file. A run gets its own copy, and its address in storage as the value.
    File,
    /// A JSON value.
    Json,
    /// A YAML value.
    Yaml,
    /// An address or a path.
    Uri,
    /// An e-mail address.
    Email,
    /// A text that is never shown or stored.
    Secret,
}

impl InputType {
    /// The type's name in a flow.
    pub fn name(self) -> &'static str {
        self.descriptors().0
    }

    /// Every name of the type in a flow.
    pub(super) fn names(self) -> Vec<&'static str> {
        match self {
            Self::Bool => vec!["BOOL", "BOOLEAN"],
            Self::Select => vec!["SELECT", "ENUM"],
            other => vec![other.name()],
        }
    }

    /// What help calls a value of this type.
    pub fn noun(self) -> &'static str {
        self.descriptors().1
    }

    /// A value of this type.
    pub(super) fn example(self) -> &'static str {
        self.descriptors().2
    }

    /// Name, noun and example.
    const fn descriptors(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::String => ("STRING", "TEXT", "VALUE"),
            Self::Int => ("INT", "WHOLE NUMBER", "10"),
            Self::Float => ("FLOAT", "NUMBER", "0.5"),
            Self::Bool => ("BOOL", "true|false", "true"),
            Self::Select => ("SELECT", "CHOICE", "VALUE"),
            Self::Multiselect => ("MULTISELECT", "CHOICES", "VALUE,VALUE"),
            Self::Array => ("ARRAY", "LIST", "VALUE,VALUE"),
            Self::Date => ("DATE", "DATE", "2020-04-01"),
            Self::Datetime => ("DATETIME", "TIME", "2020-04-01T00:00:00Z"),
            Self::Time => ("TIME", "TIME OF DAY", "14:30"),
            Self::Duration => ("DURATION", "DURATION", "15s"),
            Self::File => ("FILE", "PATH", "PATH"),
            Self::Json => ("JSON", "JSON", "{\"key\": \"value\"}"),
            Self::Yaml => ("YAML", "YAML", "{key: value}"),
            Self::Uri => ("URI", "ADDRESS", "ADDRESS"),
            Self::Email => ("EMAIL", "E-MAIL", "name@example.com"),
            Self::Secret => ("SECRET", "SECRET", "VALUE"),
        }
    }

    /// Whether its values come from a list.
    pub fn has_choices(self) -> bool {
        matches!(self, Self::Select | Self::Multiselect)
    }

    /// Whether the value is a list.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Array | Self::Multiselect)
    }

    /// The typed value of what was given.
    pub(super) fn read(self, provided: &Value, item: Option<Self>) -> Result<Value, String> {
        match self {
            Self::Json => {
                from_text(provided, "JSON", |text| serde_json::from_str(text).map_err(|error| not_json(&error)))
            }
            Self::Yaml => from_text(provided, "YAML", from_yaml),
            Self::Multiselect | Self::Array => list(provided, item.unwrap_or(Self::String)),
            Self::Secret => text(provided).map(Value::from),
            scalar => scalar.read_scalar(text(provided)?.as_str()),
        }
    }

    fn read_scalar(self, provided: &str) -> Result<Value, String> {
        let text = provided.trim();
        let value = match self {
            Self::Int => whole_number(text),
            Self::Float => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
            Self::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(Value::from(true)),
                "false" | "no" | "off" => Some(Value::from(false)),
                _ => None,
            },
            Self::Date => date(text).map(|date| Value::from(date.to_string())),
            Self::Datetime => moment(text).map(|_| Value::from(text)),
            Self::Time => time(text).map(|time| Value::from(time.format("%H:%M:%S%.f").to_string())),
            Self::Duration => return duration(text),
            Self::Email => is_email(text).then(|| Value::from(text)),
            Self::Uri | Self::File => (!text.is_empty() && !text.contains('\n')).then(|| Value::from(text)),
            _ => Some(Value::from(provided)),
        };
        value.ok_or_else(|| format!("`{provided}` {}", self.mismatch()))
    }

    fn mismatch(self) -> &'static str {
        match self {
            Self::Int => "is not a whole number",
            Self::Float => "is not a number",
            Self::Bool => "is neither true nor false",
            Self::Date => "is not a date such as 2020-04-01",
            Self::Datetime => "is not a time such as 2020-04-01T00:00:00",
            Self::Time => "is not a time of day such as 14:30",
            Self::Email => "is not an e-mail address such as name@example.com",
            Self::File => "is not a path",
            _ => "is not an address",
        }
    }

    /// Where a date, a time or a moment stands among others of its type.
    pub(super) fn as_instant(self, text: &str) -> Option<DateTime<Utc>> {
        match self {
            Self::Date => date(text).map(|date| date.and_time(NaiveTime::MIN).and_utc()),
            Self::Time => time(text).map(|time| NaiveDate::default().and_time(time).and_utc()),
            _ => moment(text),
        }
    }
}

/// The text of a scalar.
fn text(provided: &Value) -> Result<String, String> {
    match provided {
        Value::Array(_) => Err("this must be a single value, not a list".to_owned()),
        Value::Object(_) => Err("this must be a single value, not a map".to_owned()),
        scalar => Ok(plain(scalar)),
    }
}

fn from_text(provided: &Value, what: &str, read: impl Fn(&str) -> Result<Value, String>) -> Result<Value, String> {
    let value = match provided {
        Value::String(text) if text.trim().is_empty() => Err(format!("this is empty; write {what}")),
        Value::String(text) => read(text),
        other => Ok(other.clone()),
    }?;
    if nests_too_deeply(&value) { Err(format!("this is nested more than {MAX_DEPTH} levels deep")) } else { Ok(value) }
}

/// A list, or a text that is one: in JSON, or with commas.
fn list(provided: &Value, item: InputType) -> Result<Value, String> {
    let items = match provided {
        Value::Array(items) => items.clone(),
        Value::String(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(|error| not_json(&error))?
        }
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        Value::Object(_) => return Err("this must be a list, not a map".to_owned()),
        scalar => vec![scalar.clone()],
    };
    items.iter().map(|value| item.read(value, None)).collect()
}

fn whole_number(text: &str) -> Option<Value> {
    let from_float = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
    text.parse::<i64>().ok().or_else(|| from_float().map(|number| number as i64)).map(Value::from)
}

fn duration(text: &str) -> Result<Value, String> {
    text.parse::<DurationSpec>().map(|span| Value::from(span.iso())).map_err(|error| error.to_string())
}

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

fn time(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok())
}

/// A moment with a zone; without one it is in UTC.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let plain = text.trim_end_matches('Z');
    zoned.or_else(|| {
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(plain, format).ok()).map(|time| time.and_utc())
    })
}

/// Whether mail could go there: one `@`, something before it, and a dotted name after it.
fn is_email(text: &str) -> bool {
    let is_valid_part =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "@,;<>\"".contains(c));
    text.rsplit_once('@').is_some_and(|(user, host)| {
        is_valid_part(user) && host.contains('.') && host.split('.').all(is_valid_part) && text.len() <= 254
    })
}

#[cfg(test)]
mod tests {
    use super::InputType::{self, *};
    use serde_json::{Value, json};

    fn read(kind: InputType, provided: impl Into<Value>) -> Result<Value, std::string::String> {
        kind.read(&provided.into(), None)
    }

    #[test]
    fn values_get_their_types_from_text_and_from_yaml() {
        for (kind, provided, expected) in [
            (String, json!(1), json!("1")),
            (Int, json!(" 7 "), json!(7)),
            (Int, json!(7.0), json!(7)),
            (Float, json!("1e3"), json!(1000.0)),
            (Bool, json!("True"), json!(true)),
            (Date, json!("2020-04-01"), json!("2020-04-01")),
            (Datetime, json!("2020-04-01T06:00:00+02:00"), json!("2020-04-01T06:00:00+02:00")),
            (Datetime, json!("2020-04-01 06:00"), json!("2020-04-01 06:00")),
            (Time, json!("6:05"), json!("06:05:00")),
            (Duration, json!("90s"), json!("PT1M30S")),
            (Duration, json!("P1DT0.5S"), json!("PT24H0.5S")),
            (Json, json!("{\"a\": [1]}"), json!({"a": [1]})),
            (Json, json!([1]), json!([1])),
            (Yaml, json!("a: [1, b]"), json!({"a": [1, "b"]})),
            (Array, json!("a, b"), json!(["a", "b"])),
            (Multiselect, json!("[\"a\", 1]"), json!(["a", "1"])),
            (Email, json!("a.b@c.org"), json!("a.b@c.org")),
        ] {
            assert_eq!(read(kind, provided.clone()), Ok(expected), "{kind:?} {provided}");
        }
        assert_eq!(Array.read(&json!("1, 2"), Some(Int)), Ok(json!([1, 2])));
    }

    #[test]
    fn mismatches_are_reported_in_plain_words() {
        for (kind, provided, message) in [
            (Int, json!("1.5"), "`1.5` is not a whole number"),
            (Float, json!("nan"), "`nan` is not a number"),
            (Date, json!("2020-04-31"), "`2020-04-31` is not a date such as 2020-04-01"),
            (Datetime, json!("2020-04-01"), "`2020-04-01` is not a time such as 2020-04-01T00:00:00"),
            (Time, json!("25:00"), "`25:00` is not a time of day such as 14:30"),
            (Duration, json!("15"), "`15` is not a duration; write for example 15s, 2m, 1h30m, 10d or PT15S"),
            (Email, json!("a@b"), "`a@b` is not an e-mail address such as name@example.com"),
            (Email, json!("a b@c.org"), "`a b@c.org` is not an e-mail address such as name@example.com"),
            (String, json!(["x"]), "this must be a single value, not a list"),
            (Json, json!("{a}"), "this is not JSON: key must be a string (line 1, column 2)"),
            (Array, json!("[1"), "this is not JSON: it ends before it is complete (line 1, column 2)"),
        ] {
            assert_eq!(read(kind, provided).unwrap_err(), message);
        }
    }
}
