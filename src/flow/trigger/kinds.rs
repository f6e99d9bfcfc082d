//! The types of triggers: a plain struct each, whose doc comments are the user's documentation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::duration::Span;
use crate::flow::trigger::upstream::{Preconditions, Status};

/// Starts the flow at the times of a cron expression.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Schedule {
    /// Minute, hour, day of month, month, day of week: `0 9 1 * *`. Or `@hourly`, `@daily`, `@midnight`, `@weekly`,
    /// `@monthly`, `@yearly`, `@annually`.
    pub cron: String,
    /// Whether `cron` has a sixth field, the second, in front.
    #[serde(default)]
    pub with_seconds: bool,
    /// The time zone of `cron`, such as `America/New_York`; UTC unless said otherwise. A time that a clock change skips
    /// runs at the next moment that exists; one that it repeats runs once.
    pub timezone: Option<String>,
    /// What is done about the times that passed while nothing was running.
    pub recover_missed_schedules: Option<Recover>,
    /// How late an execution may start; later ones are left out.
    pub late_maximum_delay: Option<Span>,
    /// The past to be made up for; it is asked for with `jitney backfill`, and read here for the sake of older flows.
    pub backfill: Option<Backfill>,
}

/// What is done about missed times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Recover {
    /// Each of them runs.
    #[default]
    All,
    /// The last one runs.
    Last,
    /// None runs.
    None,
}

/// A stretch of the past.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The first moment.
    pub start: String,
    /// The moment after the last; now unless said otherwise.
    pub end: Option<String>,
}

/// Starts the flow when somebody calls its address: `POST /api/v1/executions/webhook/{namespace}/{flow}/{key}`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The secret part of the address: letters and digits that nobody guesses.
    pub key: String,
}

/// Starts the flow when executions of other flows have ended.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlowEnd {
    /// How the other execution must have ended; any way unless said otherwise.
    #[serde(default = "Status::ends")]
    pub states: Vec<Status>,
    /// Several flows that must all have ended, within a window of time.
    pub preconditions: Option<Preconditions>,
}

/// Starts the flow for each file that arrives in a folder or under a `gs://` address: `trigger.uri` is its place,
/// `trigger.name` its name.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileArrival {
    /// The folder, or `gs://bucket/folder`. Its last part may be a pattern, as in `incoming/*.csv.gz`. A path without a
    /// root starts at the flow's own folder.
    #[serde(alias = "path")]
    pub from: String,
    /// How often to look.
    #[serde(default = "ten_seconds")]
    pub interval: Span,
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

impl FileArrival {
    /// The folder, and the pattern of the files' names.
    pub fn place(&self) -> (&str, &str) {
        match self.from.rsplit_once('/') {
            Some((folder, last)) if last.contains(['*', '?']) => (folder, last),
            None if self.from.contains(['*', '?']) => (".", &self.from),
            _ => (self.from.trim_end_matches('/'), "*"),
        }
    }

    /// Whether a file of this name, without folders, is meant.
    pub fn accepts(&self, name: &str) -> bool {
        is_like(self.place().1, name)
    }
}

/// Whether a name fits a pattern, in which `*` is any text and `?` any letter.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[place] => (at, place) = (at + 1, place + 1),
            // Let the last star take one letter more.
            _ => match star {
                Some((stars, taken)) => {
                    star = Some((stars, taken + 1));
                    (at, place) = (stars + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Asks an address again and again, and starts the flow when a condition on its answer holds: `trigger.statusCode`,
/// `trigger.headers` and `trigger.body` are the answer.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpPoll {
    /// The address.
    pub uri: String,
    /// GET unless said otherwise.
    #[serde(default = "get")]
    pub method: String,
    /// Headers of the request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The request's body.
    pub body: Option<String>,
    /// How often to ask.
    #[serde(default = "a_minute")]
    pub interval: Span,
    /// An expression on `response.statusCode`, `response.headers` and `response.body`; without one every answer below
    /// 400 starts the flow.
    #[serde(alias = "responseCondition")]
    pub condition: Option<Value>,
}

fn get() -> String {
    "GET".to_owned()
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_at_the_end_of_a_path() {
        let arrival = |from: &str| FileArrival { from: from.to_owned(), interval: ten_seconds() };
        assert_eq!(arrival("in/*.csv.gz").place(), ("in", "*.csv.gz"));
        assert_eq!(arrival("gs://b/in/").place(), ("gs://b/in", "*"));
        assert_eq!(arrival("*.csv").place(), (".", "*.csv"));
        let months = arrival("in/green_*_20??-*.csv");
        assert!(months.accepts("green_tripdata_2020-04.csv"));
        assert!(!months.accepts("green_tripdata_2020-04.csv.gz") && !months.accepts("x"));
        assert!(arrival("in").accepts("anything") && arrival("in/**a*").accepts("banana"));
    }
}
