//! The types of triggers: a plain struct each, whose doc comments are the user's documentation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::duration::DurationSpec;
use crate::flow::trigger::upstream::{Preconditions, UpstreamStatus};

/// Starts the flow at the times of a cron expression.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Schedule {
    /// Minute, hour, day of month, month, day of week: `0 9 1 * *`. Or `@hourly`, `@daily`, `@midnight`, `@weekly`,
    /// `@monthly`, `@yearly`, `@annually`.
    pub cron: String,
    /// Whether `cron` has six fields, the first of them seconds.
    #[serde(default)]
    pub with_seconds: bool,
    /// The time zone of `cron`, such as `America/New_York`; UTC by default. A time that a clock change skips runs at
    /// the next time that exists; a time that it repeats runs once.
    pub timezone: Option<String>,
    /// What to do about times that were missed while no server was running.
    pub recover_missed_schedules: Option<Recover>,
    /// How late an execution may start; later ones are skipped.
    pub late_maximum_delay: Option<DurationSpec>,
    /// The period to backfill. Accepted for older flows; use `jitney backfill` instead.
    pub backfill: Option<ScheduleBackfill>,
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
pub struct ScheduleBackfill {
    /// The first moment.
    pub start: String,
    /// The end, exclusive; now by default.
    pub end: Option<String>,
}

/// Starts the flow when its address is called: `POST /api/v1/executions/webhook/{namespace}/{flow}/{key}`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The secret part of the address: letters and digits that are hard to guess. A server that other machines can
    /// reach rejects keys of fewer than 16 characters.
    pub key: String,
}

/// The least letters of a webhook's key that nobody guesses.
pub const MIN_KEY_LENGTH: usize = 16;

impl Webhook {
    /// Whether the key is so short that somebody might guess it.
    pub fn is_easily_guessed(&self) -> bool {
        self.key.chars().count() < MIN_KEY_LENGTH
    }
}

/// Starts the flow when executions of other flows have ended.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlowEnd {
    /// The final states of the other execution that start the flow; all by default.
    #[serde(default = "UpstreamStatus::final_states")]
    pub states: Vec<UpstreamStatus>,
    /// Several flows that must all have ended within a time window.
    pub preconditions: Option<Preconditions>,
}

/// Polls an address, and starts the flow when a condition on the response holds: `trigger.statusCode`,
/// `trigger.headers` and `trigger.body` are the response.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpPoll {
    /// The address.
    pub uri: String,
    /// GET by default.
    #[serde(default = "get")]
    pub method: String,
    /// Headers of the request.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The request's body.
    pub body: Option<String>,
    /// The polling interval.
    #[serde(default = "one_minute")]
    pub interval: DurationSpec,
    /// An expression on `response.statusCode`, `response.headers` and `response.body`; without one, every status below
    /// 400 starts the flow.
    #[serde(alias = "responseCondition")]
    pub condition: Option<Value>,
}

fn get() -> String {
    "GET".to_owned()
}

fn one_minute() -> DurationSpec {
    DurationSpec(Duration::from_secs(60))
}
