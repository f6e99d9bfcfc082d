//! Durations as users write them: `15s`, `2m`, `1h30m`, `10d`, or ISO 8601 (`PT15S`, `P1DT2H`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, read from text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationSpec(pub Duration);

/// Under its former name: ledgers hold hashes of this form, and a load that they know must stay known.
impl fmt::Debug for DurationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.0).finish()
    }
}

/// A text that is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration; write for example 15s, 2m, 1h30m, 10d or PT15S")]
pub struct DurationError(String);

impl FromStr for DurationSpec {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let upper = text.trim().to_uppercase();
        let seconds = match upper.strip_prefix('P') {
            Some(iso) => {
                let (days, time) = iso.split_once('T').unwrap_or((iso, ""));
                sum(days, &[('W', 604_800.0), ('D', 86_400.0)])
                    .zip(sum(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)]))
                    .map(|(days, time)| days + time)
                    .filter(|_| !iso.is_empty() && !iso.ends_with('T'))
            }
            None => {
                sum(&upper.replace("MS", "L"), &[('D', 86_400.0), ('H', 3600.0), ('M', 60.0), ('S', 1.0), ('L', 0.001)])
                    .filter(|_| !upper.is_empty())
            }
        };
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Self)
            .ok_or_else(|| DurationError(text.to_owned()))
    }
}

impl DurationSpec {
    /// The same as ISO 8601 has it: `PT1H30M`, `PT0.5S`.
    pub fn iso(self) -> String {
        let (whole, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        let mut text = String::from("PT");
        for (unit, amount) in [('H', whole / 3600), ('M', whole / 60 % 60)] {
            if amount > 0 {
                text += &format!("{amount}{unit}");
            }
        }
        let fraction = format!(".{nanos:09}");
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        if whole % 60 > 0 || !fraction.is_empty() || text == "PT" {
            text += &format!("{}{fraction}S", whole % 60);
        }
        text
    }
}

/// Adds up `12H30M`; none when something else is in the text.
fn sum(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = text[..end].parse().ok()?;
        let unit = text[end..].chars().next()?;
        total += number * units.iter().find(|(name, _)| *name == unit)?.1;
        text = &text[end + unit.len_utf8()..];
    }
    Some(total)
}

impl fmt::Display for DurationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// In seconds, however it was written.
impl Serialize for DurationSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for DurationSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What a duration looks like, roughly: for editors.
const PATTERN: &str = r"^\s*([Pp]([0-9.]+[WwDd])*([Tt]([0-9.]+[HhMmSs])+)?|([0-9.]+([DdHhMmSs]|[Mm][Ss]))+)\s*$";

impl JsonSchema for DurationSpec {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "duration", "pattern": PATTERN})
    }
}

/// A length of time, or an expression that gives one when its task starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// It is known.
    Fixed(DurationSpec),
    /// It is to be rendered.
    Later(String),
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text.contains("{{") {
            return Ok(Self::Later(text.into_owned()));
        }
        text.parse().map(Self::Fixed).map_err(D::Error::custom)
    }
}

impl JsonSchema for Timeout {
    fn schema_name() -> Cow<'static, str> {
        DurationSpec::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        DurationSpec::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_are_read() {
        for (text, seconds) in [
            ("15s", 15.0),
            ("2m", 120.0),
            ("1h30m", 5400.0),
            ("250ms", 0.25),
            ("10d", 864_000.0),
            ("PT15S", 15.0),
            ("PT0.5S", 0.5),
            ("P1DT2H", 93_600.0),
            ("pt1m", 60.0),
        ] {
            assert_eq!(text.parse::<DurationSpec>().map(|span| span.0.as_secs_f64()), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "15", "s", "P", "PT", "1x", "-5s", "1h 30m"] {
            assert!(text.parse::<DurationSpec>().is_err(), "{text:?} was read");
        }
    }
}
