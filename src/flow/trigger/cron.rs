//! Cron expressions: which field is invalid, and the moments that a valid one matches.
//!
//! croner does the search. When a clock moves forward, a fixed time (`30 2 * * *`) that the day lacks runs at the first
//! moment after the gap, and an interval (`*/15 * * * *`) continues. When a clock moves back, a fixed time runs once, at
//! its first occurrence, and an interval continues in real time, so that every hour stays every hour.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::diagnostic::nearest;

/// The moments that a cron expression means in a time zone.
#[derive(Clone, Debug)]
pub struct CronTimes {
    cron: Arc<Cron>,
    zone: Tz,
}

/// What is wrong with a cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// What is wrong.
    pub message: String,
    /// The part of the expression that is.
    pub culprit: String,
    /// What to write instead.
    pub help: String,
}

struct CronField {
    name: &'static str,
    values: &'static str,
    highest: u32,
}

const SECOND: CronField = CronField { name: "second", values: "0 to 59", highest: 59 };
const FIELDS: [CronField; 5] = [
    CronField { name: "minute", values: "0 to 59", highest: 59 },
    CronField { name: "hour", values: "0 to 23", highest: 23 },
    CronField { name: "day of month", values: "1 to 31, or L for the last", highest: 31 },
    CronField { name: "month", values: "1 to 12, or JAN to DEC", highest: 12 },
    CronField { name: "day of week", values: "0 to 7, or SUN to SAT; 0 and 7 are Sunday", highest: 7 },
];

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl CronTimes {
    /// Reads an expression of five fields, or of six with seconds first.
    ///
    /// # Errors
    /// When a field is wrong, or the moment never comes, such as 31 February.
    pub fn parse_expression(text: &str, with_seconds: bool, zone: Tz) -> Result<Self, CronError> {
        let text = text.trim();
        let expression = match text.strip_prefix('@') {
            Some(_) => nickname(text)?,
            None => text.to_owned(),
        };
        let with_seconds = with_seconds && !text.starts_with('@');
        let key = (expression, with_seconds);
        if let Some(cron) = cache().get(&key).and_then(Weak::upgrade) {
            return Ok(Self { cron, zone });
        }
        let times = Self { cron: Arc::new(parse(text, &key.0, with_seconds)?), zone };
        if times.next(DateTime::UNIX_EPOCH).is_none() {
            return Err(CronError {
                message: format!("`{text}` never occurs"),
                culprit: text.to_owned(),
                help: "no month has such a day; `L` is the last day of any month".to_owned(),
            });
        }
        let mut cache = cache();
        cache.retain(|_, cron| cron.strong_count() > 0);
        cache.insert(key, Arc::downgrade(&times.cron));
        Ok(times)
    }

    /// The first moment after this one.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_next_occurrence(&self.zone.from_utc_datetime(&after.naive_utc()), false);
        found.ok().map(|moment| moment.to_utc())
    }

    /// The last moment before this one.
    pub fn previous(&self, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_previous_occurrence(&self.zone.from_utc_datetime(&before.naive_utc()), false);
        found.ok().map(|moment| moment.to_utc())
    }

    /// Every moment from `from` on and before `to`, in order.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        let first = from.checked_sub_signed(chrono::Duration::nanoseconds(1)).and_then(|before| self.next(before));
        std::iter::successors(first, |moment| self.next(*moment)).take_while(move |moment| *moment < to)
    }

    /// The time zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// A moment as expressions see it: with the zone's offset, so that its day is the schedule's day.
    pub fn format_local(&self, moment: DateTime<Utc>) -> String {
        if self.zone == Tz::UTC {
            return moment.to_rfc3339_opts(SecondsFormat::Millis, true);
        }
        moment.with_timezone(&self.zone).to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// The time zone of a name.
///
/// # Errors
/// In plain words, with the nearest name.
pub fn zone(name: &str) -> Result<Tz, (String, String)> {
    name.parse::<Tz>().map_err(|_| {
        let help = match nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name such as `Europe/Paris`, `America/New_York` or `UTC`".to_owned(),
        };
        (format!("there is no time zone `{name}`"), help)
    })
}

fn nickname(text: &str) -> Result<String, CronError> {
    let found = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, expression)| (*expression).to_owned()).ok_or_else(|| {
        let names: Vec<&str> = NICKNAMES.iter().map(|(name, _)| *name).collect();
        let help = match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is `{}`", names.join("`, `")),
        };
        CronError { message: format!("there is no schedule `{text}`"), culprit: text.to_owned(), help }
    })
}

/// Parsed expressions in use, by text and `withSeconds`: each takes several kB, and thousands of flows share a few.
type CronCache = HashMap<(String, bool), Weak<Cron>>;

fn cache() -> MutexGuard<'static, CronCache> {
    static CACHE: LazyLock<Mutex<CronCache>> = LazyLock::new(Mutex::default);
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse(text: &str, expression: &str, with_seconds: bool) -> Result<Cron, CronError> {
    check_fields(expression, with_seconds)?;
    let parts = expression.split_whitespace().zip(fields(with_seconds)).map(|(part, field)| field.with_ranges(part));
    let expression = parts.collect::<Vec<String>>().join(" ");
    parser(with_seconds).parse(&expression).map_err(|error| CronError {
        message: format!("`{text}` is not a cron expression: {error}"),
        culprit: text.to_owned(),
        help: "write minute, hour, day of month, month and day of week: `0 9 1 * *`".to_owned(),
    })
}

fn parser(with_seconds: bool) -> CronParser {
    let seconds = if with_seconds { Seconds::Required } else { Seconds::Disallowed };
    CronParser::builder().seconds(seconds).year(Year::Disallowed).build()
}

fn fields(with_seconds: bool) -> impl Iterator<Item = &'static CronField> {
    with_seconds.then_some(&SECOND).into_iter().chain(&FIELDS)
}

impl CronField {
    /// The steps that only say where they begin, with their end: minute `0/10` is `0-59/10`.
    fn with_ranges(&self, part: &str) -> String {
        let is_single_value = |first: &str| {
            let is_name = first.len() == 3 && first.chars().all(|c| c.is_ascii_alphabetic());
            is_name || (!first.is_empty() && first.chars().all(|c| c.is_ascii_digit()))
        };
        let expanded = |item: &str| match item.split_once('/') {
            Some((first, step)) if is_single_value(first) => format!("{first}-{}/{step}", self.highest),
            _ => item.to_owned(),
        };
        part.split(',').map(expanded).collect::<Vec<String>>().join(",")
    }
}

/// Parses each field alone, so that the error can name it.
fn check_fields(expression: &str, with_seconds: bool) -> Result<(), CronError> {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let fields: Vec<&CronField> = fields(with_seconds).collect();
    if parts.len() != fields.len() {
        return Err(wrong_count(expression, parts.len(), fields.len()));
    }
    for (place, (part, field)) in parts.iter().zip(&fields).enumerate() {
        let mut isolated = vec!["*"; fields.len()];
        let expanded = field.with_ranges(part);
        isolated[place] = &expanded;
        if is_too_big(part) || parser(with_seconds).parse(&isolated.join(" ")).is_err() {
            let CronField { name, values, .. } = field;
            return Err(CronError {
                message: format!("`{part}` is not a valid {name}"),
                culprit: (*part).to_owned(),
                help: format!(
                    "write {values}; `*` means every one, `1,3` a list, `1-5` a range, `*/5` every fifth; this is field {} of {}",
                    place + 1,
                    fields.len()
                ),
            });
        }
    }
    Ok(())
}

/// Out of range for any field; checked here so as not to depend on the parser's limits.
fn is_too_big(part: &str) -> bool {
    part.len() > 200 || part.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 4)
}

fn wrong_count(expression: &str, actual: usize, expected: usize) -> CronError {
    let help = match (actual, expected) {
        (6, 5) => "if the first field is the seconds, add `withSeconds: true`; there is no field for years".to_owned(),
        (5, 6) => "`withSeconds: true` requires the seconds as first field: `0 0 9 1 * *`".to_owned(),
        (_, 6) => "write second, minute, hour, day of month, month and day of week: `0 0 9 1 * *`".to_owned(),
        _ => "write minute, hour, day of month, month and day of week: `0 9 1 * *`".to_owned(),
    };
    let fields = if actual == 1 { "field" } else { "fields" };
    CronError {
        message: format!("this cron expression has {actual} {fields} instead of {expected}"),
        culprit: expression.to_owned(),
        help,
    }
}
