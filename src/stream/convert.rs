//! Numbers, dates and booleans in notations that databases do not read, rewritten.
//! Nothing is computed, so that every digit stays.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, TimeZone};
use serde::Deserialize;

use super::ColumnType;

/// How the values of a text file are written.
#[derive(Clone, Debug, Default)]
pub struct Conversions {
    /// Between a number's whole part and its decimals; a point if there is none.
    pub decimal: Option<char>,
    /// Between groups of three digits of a number.
    pub thousands: Option<char>,
    /// How dates are written.
    pub date: Option<TimeFormat>,
    /// How timestamps are written.
    pub timestamp: Option<TimeFormat>,
    /// Texts that are true, in addition to the usual ones.
    pub true_values: Vec<String>,
    /// Texts that are false, in addition to the usual ones.
    pub false_values: Vec<String>,
}

impl Conversions {
    /// Whether values of a column of this type are rewritten.
    pub fn apply_to(&self, kind: ColumnType) -> bool {
        match kind {
            ColumnType::Int(_) | ColumnType::Float | ColumnType::Real | ColumnType::Numeric => {
                self.decimal.is_some() || self.thousands.is_some()
            }
            ColumnType::Date => self.date.is_some(),
            ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant => self.timestamp.is_some(),
            ColumnType::Bool => !self.true_values.is_empty() || !self.false_values.is_empty(),
            ColumnType::Text | ColumnType::Json | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => {
                false
            }
        }
    }

    /// A value as databases read it; `None` if it is not written as it should be. What is blank stays so.
    pub fn convert<'a>(&self, text: &'a [u8], kind: ColumnType) -> Option<Cow<'a, [u8]>> {
        if !self.apply_to(kind) || text.trim_ascii().is_empty() {
            return Some(Cow::Borrowed(text));
        }
        let text = std::str::from_utf8(text).ok()?.trim();
        let converted = match kind {
            ColumnType::Bool => Cow::Borrowed(self.boolean(text)),
            ColumnType::Date => Cow::Owned(self.date.as_ref()?.date(text)?),
            ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant => {
                Cow::Owned(self.timestamp.as_ref()?.timestamp(text)?)
            }
            _ => Cow::Owned(self.number(text)?),
        };
        Some(match converted {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// Why a value is not converted, as the end of a sentence that starts with it.
    pub fn mismatch(&self, kind: ColumnType) -> String {
        let format = |format: &Option<TimeFormat>| format.as_ref().map(|format| format.0.clone()).unwrap_or_default();
        match kind {
            ColumnType::Date => format!("is not a date of the format `{}`", format(&self.date)),
            ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant => {
                format!("is not a timestamp of the format `{}`", format(&self.timestamp))
            }
            _ => {
                let decimal = self.decimal.unwrap_or('.');
                let groups = self.thousands.map(|mark| format!(" and groups of three digits by `{mark}`"));
                format!("is not a number with decimals after `{decimal}`{}", groups.unwrap_or_default())
            }
        }
    }

    fn boolean<'a>(&self, text: &'a str) -> &'a str {
        let is_in = |values: &[String]| values.iter().any(|value| value.trim() == text);
        match () {
            () if is_in(&self.true_values) => "true",
            () if is_in(&self.false_values) => "false",
            () => text,
        }
    }

    /// A number with a point and without groups. Words such as `NaN` stay as they are.
    fn number(&self, text: &str) -> Option<String> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if unsigned.chars().all(|letter| letter.is_ascii_alphabetic()) {
            return Some(text.to_owned());
        }
        let mantissa_ends = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
        let (mantissa, exponent) = unsigned.split_at(mantissa_ends);
        let (whole, decimals) = match mantissa.split_once(self.decimal.unwrap_or('.')) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (mantissa, None),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let whole = match self.thousands {
            Some(mark) if whole.contains(mark) => without_groups(whole, mark)?,
            _ => whole.to_owned(),
        };
        let power = exponent.get(1..).map(|power| power.strip_prefix(['-', '+']).unwrap_or(power));
        let is_number = is_digits(&whole)
            && decimals.is_none_or(is_digits)
            && whole.len() + decimals.map_or(0, str::len) > 0
            && power.is_none_or(|power| !power.is_empty() && is_digits(power));
        let sign = text.get(..text.len() - unsigned.len())?;
        let decimals = decimals.map(|decimals| format!(".{decimals}")).unwrap_or_default();
        is_number.then(|| format!("{sign}{whole}{decimals}{exponent}"))
    }
}

/// The digits of a number, of which only the first group may have less than three. `0.123` has no groups: it is written
/// with another character before its decimals.
fn without_groups(whole: &str, mark: char) -> Option<String> {
    let mut groups = whole.split(mark);
    let first = groups.next().filter(|group| (1..=3).contains(&group.len()) && !group.starts_with('0'))?;
    groups.try_fold(first.to_owned(), |digits, group| (group.len() == 3).then(|| digits + group))
}

/// How dates or timestamps are written, in the words of strptime: `%d.%m.%Y %H:%M`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeFormat(String);

impl TimeFormat {
    /// # Errors
    /// When it does not tell a day.
    pub fn parse(format: &str) -> Result<Self, String> {
        let invalid = || {
            format!(
                "`{format}` does not tell a date; write it as for strptime, such as `%d.%m.%Y` or `%m/%d/%Y %I:%M:%S %p`"
            )
        };
        if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
            return Err(invalid());
        }
        let day = NaiveDate::from_ymd_opt(2001, 12, 31).unwrap_or_default();
        let noon = day.and_hms_opt(13, 14, 15).unwrap_or_default();
        let sample = FixedOffset::east_opt(7200).and_then(|zone| zone.from_local_datetime(&noon).single());
        let (parsed, mut written) = (Self(format.to_owned()), String::new());
        let is_written = sample.is_some_and(|sample| write!(written, "{}", sample.format(format)).is_ok());
        let found = parsed.timestamp(&written).filter(|_| is_written);
        if found.is_some_and(|found| found.starts_with("2001-12-31")) { Ok(parsed) } else { Err(invalid()) }
    }

    /// The format as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Only years of three or four digits are years: others are those of another format.
    fn is_plausible(day: NaiveDate) -> bool {
        (100..=9999).contains(&day.year())
    }

    fn date(&self, text: &str) -> Option<String> {
        let day = NaiveDate::parse_from_str(text, &self.0).ok().filter(|day| Self::is_plausible(*day))?;
        Some(day.to_string())
    }

    fn timestamp(&self, text: &str) -> Option<String> {
        if let Ok(timestamp_value) = DateTime::parse_from_str(text, &self.0) {
            let local = timestamp_value.naive_local();
            return Self::is_plausible(local.date()).then(|| format!("{local}{}", timestamp_value.offset()));
        }
        if let Ok(timestamp_value) = NaiveDateTime::parse_from_str(text, &self.0) {
            return Self::is_plausible(timestamp_value.date()).then(|| timestamp_value.to_string());
        }
        self.date(text).map(|day| format!("{day} 00:00:00"))
    }
}

impl TryFrom<String> for TimeFormat {
    type Error = String;

    fn try_from(format: String) -> Result<Self, String> {
        Self::parse(&format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(conversions: &Conversions, text: &str, kind: ColumnType) -> Option<String> {
        conversions.convert(text.as_bytes(), kind).map(|text| String::from_utf8(text.into_owned()).unwrap())
    }

    #[test]
    fn a_number_keeps_every_digit_and_nothing_is_guessed() {
        let german = Conversions { decimal: Some(','), thousands: Some('.'), ..Conversions::default() };
        let number = |text| converted(&german, text, ColumnType::Numeric);
        for (text, expected) in [
            ("1.234.567,890", "1234567.890"),
            ("-12,50", "-12.50"),
            (" +,5 ", "+.5"),
            ("12345678901234567890,1234567890", "12345678901234567890.1234567890"),
            ("1,5e-3", "1.5e-3"),
            ("1e3", "1e3"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            ("", ""),
            ("7", "7"),
        ] {
            assert_eq!(number(text).as_deref(), Some(expected), "{text:?}");
        }
        for text in [
            "1.5",
            "1.23,4",
            "1234.567",
            "1,234.5",
            "1,2,3",
            ",",
            "1e",
            "1e+",
            "1 2",
            "0x10",
            ".123",
            "1..234",
            "1,1.234",
            "0.123",
            "-00.123.456",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
        let french = Conversions { decimal: Some(','), thousands: Some('\u{202f}'), ..Conversions::default() };
        assert_eq!(converted(&french, "1\u{202f}234,5", ColumnType::Float).as_deref(), Some("1234.5"));
        assert_eq!(converted(&french, "1,5", ColumnType::Text).as_deref(), Some("1,5"));
    }

    #[test]
    fn dates_and_timestamps_are_those_of_the_format() {
        let formats = |format: &str| {
            let format = Some(TimeFormat::parse(format).unwrap());
            Conversions { date: format.clone(), timestamp: format, ..Conversions::default() }
        };
        let at = |format: &str, text: &str| converted(&formats(format), text, ColumnType::TimestampTz);
        let on = |format: &str, text: &str| converted(&formats(format), text, ColumnType::Date);
        assert_eq!(on("%d.%m.%Y", "1.4.2020").as_deref(), Some("2020-04-01"));
        assert_eq!(on("%d.%m.%y", "01.04.20").as_deref(), Some("2020-04-01"));
        assert_eq!(on("%d.%m.%Y", "01.04.20"), None, "a year of two digits");
        assert_eq!(on("%d.%m.%Y", "31.04.2020"), None);
        assert_eq!(on("%Y%m%d", "20200401").as_deref(), Some("2020-04-01"));
        assert_eq!(at("%m/%d/%Y %I:%M:%S %p", "04/01/2020 12:44:02 AM").as_deref(), Some("2020-04-01 00:44:02"));
        assert_eq!(at("%d.%m.%Y %H:%M", "01.04.2020 23:59").as_deref(), Some("2020-04-01 23:59:00"));
        assert_eq!(at("%d.%m.%Y", "01.04.2020").as_deref(), Some("2020-04-01 00:00:00"));
        assert_eq!(at("%d.%m.%Y %H:%M:%S%.f", "01.04.2020 00:00:00.125").as_deref(), Some("2020-04-01 00:00:00.125"));
        assert_eq!(at("%Y-%m-%dT%H:%M:%S%z", "2020-04-01T00:00:00+0530").as_deref(), Some("2020-04-01 00:00:00+05:30"));
        assert_eq!(at("%d.%m.%Y %H:%M", "01.04.2020 24:00"), None);
        for invalid in ["", "dd.mm.yyyy", "%d.%m", "%H:%M", "%Q", "%d.%m.%Y %"] {
            assert!(TimeFormat::parse(invalid).unwrap_err().contains("strptime"), "{invalid:?}");
        }
    }

    #[test]
    fn booleans_may_be_written_in_any_language() {
        let (true_values, false_values) = (vec!["ja".to_owned()], vec!["nein".to_owned(), "1".to_owned()]);
        let conversions = Conversions { true_values, false_values, ..Conversions::default() };
        for (text, expected) in [("ja", "true"), (" nein ", "false"), ("1", "false"), ("t", "t"), ("Ja", "Ja")] {
            assert_eq!(converted(&conversions, text, ColumnType::Bool).as_deref(), Some(expected));
        }
    }
}
