//! Executions of other flows, as triggers see them.

use chrono::{DateTime, Duration, FixedOffset, NaiveTime};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::filter::ExecutionFilter;
use crate::duration::DurationSpec;
use crate::journal::ExecutionState;

/// The state of an execution in a condition: those that there are, and Kestra's SKIPPED, in which none ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UpstreamStatus {
    /// Written down, not started.
    Created,
    /// Waits for others to end.
    Queued,
    /// Under way.
    Running,
    /// Waits for somebody.
    Paused,
    /// Restarted.
    Restarted,
    /// Will be tried again.
    Retrying,
    /// Was tried again, by another execution.
    Retried,
    /// Is being stopped.
    Killing,
    /// Was stopped.
    Killed,
    /// Was skipped because others were running.
    Cancelled,
    /// Had nothing to do.
    Skipped,
    /// Ended well, except for a part that may fail.
    Warning,
    /// Ended badly.
    Failed,
    /// Ended well.
    Success,
}

impl From<ExecutionState> for UpstreamStatus {
    fn from(state: ExecutionState) -> Self {
        match state {
            ExecutionState::Created => Self::Created,
            ExecutionState::Queued => Self::Queued,
            ExecutionState::Running => Self::Running,
            ExecutionState::Paused => Self::Paused,
            ExecutionState::Restarted => Self::Restarted,
            ExecutionState::Retrying => Self::Retrying,
            ExecutionState::Retried => Self::Retried,
            ExecutionState::Killing => Self::Killing,
            ExecutionState::Killed => Self::Killed,
            ExecutionState::Cancelled => Self::Cancelled,
            ExecutionState::Warning => Self::Warning,
            ExecutionState::Failed => Self::Failed,
            ExecutionState::Success => Self::Success,
        }
    }
}

impl UpstreamStatus {
    /// The states that an execution can end in.
    pub(super) fn final_states() -> Vec<Self> {
        vec![Self::Success, Self::Warning, Self::Failed, Self::Killed, Self::Cancelled, Self::Skipped]
    }

    fn successful_states() -> Vec<Self> {
        vec![Self::Success, Self::Warning]
    }
}

/// An execution of another flow.
#[derive(Clone, Debug)]
pub struct UpstreamExecution {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// How far the execution is.
    pub status: UpstreamStatus,
    /// Its labels.
    pub labels: Map<String, Value>,
}

/// Executions of other flows that must all have ended.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Preconditions {
    /// A name under which the progress is stored.
    #[serde(default)]
    pub id: String,
    /// The flows.
    #[serde(default)]
    pub flows: Vec<UpstreamFlow>,
    /// Executions selected by filters instead of by flow; each filter must match one.
    #[serde(default, rename = "where")]
    pub filters: Vec<ExecutionFilter>,
    /// The time window in which they must all end; by default a day from the first one.
    #[serde(default)]
    pub time_window: TimeWindow,
    /// Whether the progress is reset once the trigger has started its flow; true by default.
    #[serde(default = "yes")]
    pub reset_on_success: bool,
}

impl Preconditions {
    /// Whether this execution is one of those that are waited for.
    pub fn matches(&self, upstream: &UpstreamExecution) -> bool {
        self.flows.iter().any(|flow| flow.matches(upstream)) || self.filters.iter().any(|all| all.matches(upstream))
    }

    /// Whether there is one for each that is waited for.
    pub fn are_met<'a>(&self, ended: impl Iterator<Item = &'a UpstreamExecution> + Clone) -> bool {
        self.flows.iter().all(|flow| ended.clone().any(|end| flow.matches(end)))
            && self.filters.iter().all(|all| ended.clone().any(|end| all.matches(end)))
    }
}

fn yes() -> bool {
    true
}

/// A flow that must have ended.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpstreamFlow {
    /// Its namespace.
    pub namespace: String,
    /// Its id; any flow of the namespace when there is none.
    pub flow_id: Option<String>,
    /// How it must have ended; `SUCCESS` or `WARNING` by default.
    #[serde(default = "UpstreamStatus::successful_states")]
    pub states: Vec<UpstreamStatus>,
    /// Labels that its execution must have.
    #[serde(default)]
    pub labels: Map<String, Value>,
}

impl UpstreamFlow {
    /// Whether this execution is one that is waited for.
    pub fn matches(&self, upstream: &UpstreamExecution) -> bool {
        self.namespace == upstream.namespace
            && self.flow_id.as_ref().is_none_or(|id| *id == upstream.flow)
            && self.states.contains(&upstream.status)
            && has_labels(upstream, &self.labels)
    }
}

/// Whether an execution has all of these labels.
pub(super) fn has_labels(upstream: &UpstreamExecution, labels: &Map<String, Value>) -> bool {
    use crate::text::plain;
    labels.iter().all(|(key, expected)| upstream.labels.get(key).is_some_and(|label| plain(label) == plain(expected)))
}

/// A window of time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TimeWindow {
    /// `DURATION_WINDOW`: from the first flow's end, or in steps of `window`. `SLIDING_WINDOW`: the last `window`.
    /// `DAILY_TIME_DEADLINE`: each day until `deadline`. `DAILY_TIME_WINDOW`: each day from `startTime` to `endTime`.
    #[serde(default, rename = "type")]
    pub kind: WindowKind,
    /// How long the window is; a day by default.
    pub window: Option<DurationSpec>,
    /// How much later than midnight windows of `DURATION_WINDOW` begin.
    pub window_advance: Option<DurationSpec>,
    /// The end of `DAILY_TIME_DEADLINE`, such as `09:00:00Z`.
    pub deadline: Option<NaiveTimeText>,
    /// The begin of `DAILY_TIME_WINDOW`.
    pub start_time: Option<NaiveTimeText>,
    /// The end of `DAILY_TIME_WINDOW`.
    pub end_time: Option<NaiveTimeText>,
}

/// The kinds of windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WindowKind {
    /// Windows of one length, one after another.
    #[default]
    DurationWindow,
    /// The time that has just passed.
    SlidingWindow,
    /// From midnight to a time of day.
    DailyTimeDeadline,
    /// Between two times of day.
    DailyTimeWindow,
}

/// A time of day: `09:00`, `09:00:00`, `09:00:00Z` or `09:00:00+02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct NaiveTimeText {
    /// The time.
    pub time: NaiveTime,
    /// The zone's offset, where one is written.
    pub offset: Option<FixedOffset>,
}

impl NaiveTimeText {
    /// Reads a time of day.
    ///
    /// # Errors
    /// A description of the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not a time of day such as 09:00 or 09:00:00+02:00");
        let (time, offset) = match text.find(['+', '-', 'Z', 'z']) {
            Some(at) => text.split_at_checked(at).ok_or_else(invalid)?,
            None => (text, ""),
        };
        let offset = match offset {
            "" => None,
            "Z" | "z" => Some(FixedOffset::east_opt(0).ok_or_else(invalid)?),
            other => Some(other.parse::<FixedOffset>().map_err(|_| invalid())?),
        };
        let time = time.trim();
        let read = |format| NaiveTime::parse_from_str(time, format);
        let time = read("%H:%M:%S%.f").or_else(|_| read("%H:%M")).map_err(|_| invalid())?;
        Ok(Self { time, offset })
    }

    /// The moment of this time on the day of `moment`.
    fn on(&self, moment: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
        let seen = moment.with_timezone(&self.offset.unwrap_or(*moment.offset()));
        seen.with_time(self.time).earliest().unwrap_or(seen)
    }

    /// The time of day of `moment`, in the time zone of this trigger.
    pub fn of(&self, moment: DateTime<FixedOffset>) -> NaiveTime {
        moment.with_timezone(&self.offset.unwrap_or(*moment.offset())).time()
    }
}

impl<'de> Deserialize<'de> for NaiveTimeText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl TimeWindow {
    /// Begin and end of the window that a moment falls into; none when it falls into none.
    pub fn window_at(&self, moment: DateTime<FixedOffset>) -> Option<(DateTime<FixedOffset>, DateTime<FixedOffset>)> {
        let length = |span: Option<DurationSpec>| span.and_then(|span| Duration::from_std(span.0).ok());
        let window = length(self.window).filter(|window| *window > Duration::zero()).unwrap_or(Duration::days(1));
        let midnight = moment.with_time(NaiveTime::MIN).earliest()?;
        let (from, to) = match self.kind {
            WindowKind::SlidingWindow => {
                (moment.checked_sub_signed(window)?, moment.checked_add_signed(Duration::nanoseconds(1))?)
            }
            WindowKind::DurationWindow => {
                let first = midnight.checked_add_signed(length(self.window_advance).unwrap_or_default())?;
                let seconds = window.num_seconds().max(1);
                let passed = (moment - first).num_seconds().div_euclid(seconds);
                let from = first.checked_add_signed(Duration::try_seconds(passed.checked_mul(seconds)?)?)?;
                (from, from.checked_add_signed(window)?)
            }
            WindowKind::DailyTimeDeadline => (midnight, self.deadline?.on(moment)),
            WindowKind::DailyTimeWindow => (self.start_time?.on(moment), self.end_time?.on(moment)),
        };
        (from <= moment && moment < to).then_some((from, to))
    }

    /// What is missing from the window's fields.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match self.kind {
            WindowKind::DailyTimeDeadline if self.deadline.is_none() => Some("deadline"),
            WindowKind::DailyTimeWindow if self.start_time.is_none() => Some("startTime"),
            WindowKind::DailyTimeWindow if self.end_time.is_none() => Some("endTime"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn window_at(window: Value, moment: &str) -> Option<(String, String)> {
        let window: TimeWindow = serde_json::from_value(window).unwrap();
        let (from, to) = window.window_at(moment.parse().unwrap())?;
        Some((from.format("%d %H:%M").to_string(), to.format("%d %H:%M").to_string()))
    }

    #[test]
    fn a_time_falls_into_its_window() {
        let at = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(window_at(json!({}), "2024-05-02T10:00:00Z"), at("02 00:00", "03 00:00"));
        let shifts = json!({"type": "DURATION_WINDOW", "window": "PT8H", "windowAdvance": "PT6H"});
        assert_eq!(window_at(shifts.clone(), "2024-05-02T15:00:00Z"), at("02 14:00", "02 22:00"));
        assert_eq!(window_at(shifts, "2024-05-02T03:00:00Z"), at("01 22:00", "02 06:00"));
        let deadline = json!({"type": "DAILY_TIME_DEADLINE", "deadline": "09:00:00Z"});
        assert_eq!(window_at(deadline.clone(), "2024-05-02T08:59:59Z"), at("02 00:00", "02 09:00"));
        assert_eq!(window_at(deadline, "2024-05-02T09:00:00Z"), None);
        let hours = json!({"type": "DAILY_TIME_WINDOW", "startTime": "06:00", "endTime": "09:00"});
        assert_eq!(window_at(hours, "2024-05-02T05:00:00Z"), None);
        assert_eq!(
            window_at(json!({"type": "SLIDING_WINDOW", "window": "1h"}), "2024-05-02T10:30:00Z").unwrap().0,
            "02 09:30"
        );
    }

    #[test]
    fn upstream_flows_match_by_namespace_id_state_and_labels() {
        let expected: UpstreamFlow =
            serde_json::from_value(json!({"namespace": "n", "flowId": "f", "labels": {"team": "data"}})).unwrap();
        let labels = json!({"team": "data", "x": 1}).as_object().unwrap().clone();
        let ended =
            UpstreamExecution { namespace: "n".into(), flow: "f".into(), status: UpstreamStatus::Warning, labels };
        assert!(expected.matches(&ended));
        assert!(!expected.matches(&UpstreamExecution { status: UpstreamStatus::Failed, ..ended.clone() }));
        assert!(!expected.matches(&UpstreamExecution { flow: "g".into(), ..ended.clone() }));
        assert!(!expected.matches(&UpstreamExecution { labels: Map::new(), ..ended }));
    }
}
