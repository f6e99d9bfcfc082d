//! Times and durations as pages write them.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock;
use crate::engine::live::ProgressSnapshot;
use crate::text::{count, plain, shortened, size, thousands};

/// The most letters of a value that a list shows.
const MAX_VALUE_LENGTH: usize = 60;

/// A moment: relative within a day, else local.
#[derive(Clone, Debug)]
pub(super) struct ShownTime {
    /// For the browser, which shows it in its own zone.
    pub(super) iso: String,
    /// For readers without a script, in the server's zone.
    pub(super) shown: String,
    /// The same with its zone.
    pub(super) full: String,
}

impl Serialize for ShownTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.iso)
    }
}

impl ShownTime {
    pub(super) fn of(moment: DateTime<Utc>) -> Self {
        let local = moment.with_timezone(&Local);
        let iso = moment.to_rfc3339_opts(SecondsFormat::Millis, true);
        let full = local.format("%Y-%m-%d %H:%M:%S %:z").to_string();
        Self { iso, shown: relative(moment, clock::now(), &local), full }
    }
}

fn relative(moment: DateTime<Utc>, now: DateTime<Utc>, local: &DateTime<Local>) -> String {
    let away = now - moment;
    let seconds = away.num_seconds().abs();
    let amount = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => return local.format("%Y-%m-%d %H:%M").to_string(),
    };
    if away < chrono::TimeDelta::zero() { format!("in {amount}") } else { format!("{amount} ago") }
}

/// `40 ms`, `0.2 s`, `3 min 04 s`, `2 h 05 min`
pub(super) fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    match seconds {
        0 if took.as_millis() < 100 => format!("{} ms", took.as_millis()),
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `402,118 rows · 612,000 rows/s`, `41.0 of 61.0 MB · 18.0 MB/s`
pub(super) fn progress_text(progress: &ProgressSnapshot) -> String {
    let rate = |amount: u64| (amount as f64 / progress.seconds.max(0.1)) as u64;
    let bytes = match (progress.bytes, progress.total_bytes) {
        (0, _) => None,
        (bytes, 0) => Some(size(bytes)),
        (bytes, total) => Some(format!("{} of {}", size(bytes), size(total))),
    };
    let done = match progress.rows {
        0 => bytes.map(|bytes| format!("{bytes} · {}/s", size(rate(progress.bytes)))),
        rows => Some(format!("{} · {} rows/s", count(rows, "row"), thousands(rate(rows)))),
    };
    progress.waiting.as_ref().map(|what| format!("waits for {what}")).or(done).unwrap_or_default()
}

/// Filters that templates use.
#[expect(unreachable_pub, reason = "the macro makes a public function")]
pub(super) mod filters {
    use askama::filters::Safe;

    /// A text in which what stands between backticks is code.
    #[askama::filter_fn]
    pub(crate) fn code(text: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
        let text = super::escaped(&text.to_string());
        let parts: Vec<&str> = text.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Ok(Safe(text));
        }
        let part = |(index, part): (usize, &&str)| {
            if index % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() }
        };
        Ok(Safe(parts.iter().enumerate().map(part).collect()))
    }

    /// A text that begins with a capital letter where its first word is one.
    #[askama::filter_fn]
    pub(crate) fn sentence(text: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<String> {
        let text = text.to_string();
        let is_word =
            text.split_once(' ').is_some_and(|(word, _)| word.chars().all(|letter| letter.is_ascii_lowercase()));
        let capital = text.chars().next().filter(|_| is_word).map(|first| first.to_ascii_uppercase());
        Ok(match capital {
            Some(first) => format!("{first}{}", &text[1..]),
            None => text,
        })
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, letter| {
        match letter {
            '&' => escaped.push_str("&#38;"),
            '<' => escaped.push_str("&#60;"),
            '>' => escaped.push_str("&#62;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
        escaped
    })
}

/// A number with its thousands separated; in JSON a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Amount(pub(super) u64);

impl Display for Amount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&thousands(self.0))
    }
}

/// A number of bytes with a unit that fits; in JSON a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct ByteCount(pub(super) u64);

impl Display for ByteCount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&size(self.0))
    }
}

/// `name=value` for each of some inputs or labels that has a value.
pub(super) fn pairs(values: &Map<String, Value>) -> Vec<String> {
    let given = values.iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| format!("{name}={}", shortened(&plain(value), MAX_VALUE_LENGTH))).collect()
}

/// The same for a list, which has no room for addresses and paths.
pub(super) fn short_pairs(values: &Map<String, Value>) -> Vec<String> {
    let is_address = |value: &Value| value.as_str().is_some_and(|text| text.starts_with('/') || text.contains("://"));
    let short = values.iter().filter(|(_, value)| !is_address(value));
    pairs(&short.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_that_fit() {
        let seconds = [0.04, 59.94, 184.0, 7500.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(seconds, ["40 ms", "59.9 s", "3 min 04 s", "2 h 05 min"]);
    }
}
