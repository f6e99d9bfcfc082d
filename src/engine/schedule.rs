//! When schedules are due: functions of a trigger and of moments that the caller names. They read no clock but to give up
//! on conditions that take too long.

use std::time::{Duration as Time, Instant};

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::flow::expression::{Host, Names};
use crate::flow::trigger::{ConditionContext, CronTimes, Recover, Schedule, Trigger, TriggerKind};

/// The most moments that are tried in search of one at which a trigger's conditions hold: each hour of eleven years.
const MAX_TRIED: usize = 100_000;

/// The most moments that are looked at to list those that come next.
const MAX_LOOKED_AT: usize = 1_000;

/// The longest that a search evaluates conditions.
const LONGEST: Time = Time::from_secs(60);

/// A moment that expressions may ask for, and nothing else.
pub(super) struct ClockHost(pub(super) DateTime<Utc>);

impl Host for ClockHost {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(self.0)
    }
}

/// The first moment after this one at which a trigger starts its flow; none when it is no schedule, or when its
/// conditions hold at none of the next 100,000 moments.
///
/// # Errors
/// When a condition cannot be decided.
pub fn next(trigger: &Trigger, after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String> {
    let Some(times) = trigger.times() else { return Ok(None) };
    first(trigger, times, std::iter::successors(times.next(after), |moment| times.next(*moment)))
}

/// The next moments after this one at which a trigger starts its flow, as far as a short look finds them.
pub fn upcoming(trigger: &Trigger, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let Some(times) = trigger.times() else { return Vec::new() };
    let moments = std::iter::successors(times.next(after), |moment| times.next(*moment)).take(MAX_LOOKED_AT);
    held(trigger, times, moments).map_while(Result::ok).take(count).collect()
}

/// The last moment before this one at which a trigger started its flow.
///
/// # Errors
/// When a condition cannot be decided.
pub fn previous(trigger: &Trigger, before: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String> {
    let Some(times) = trigger.times() else { return Ok(None) };
    first(trigger, times, std::iter::successors(times.previous(before), |moment| times.previous(*moment)))
}

/// Every moment from `from` on and before `to` at which a trigger starts its flow, in order.
pub fn between(
    trigger: &Trigger,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = Result<DateTime<Utc>, String>> + '_ {
    trigger.times().into_iter().flat_map(move |times| held(trigger, times, times.between(from, to)))
}

/// The most moments that are due at a time; the others are when these have been dealt with.
pub(super) const MAX_DUE: usize = 25;

/// The moments for which executions start now, at most `MAX_DUE`, when `last` is the latest one that has been dealt with: all that have
/// come since, less what the trigger's `recoverMissedSchedules` leaves out and what is later than its
/// `lateMaximumDelay`. What came within `grace` of now is not missed, but on time.
///
/// # Errors
/// When a condition cannot be decided.
pub fn due(
    trigger: &Trigger,
    last: DateTime<Utc>,
    now: DateTime<Utc>,
    grace: Duration,
) -> Result<Vec<DateTime<Utc>>, String> {
    let TriggerKind::Schedule(schedule, _) = &trigger.on else { return Ok(Vec::new()) };
    let nanosecond = Duration::nanoseconds(1);
    let mut from = last + nanosecond;
    if schedule.recover_missed_schedules == Some(Recover::None) {
        from = from.max(now - grace);
    }
    if let Some(earliest) = earliest(schedule, now) {
        from = from.max(earliest);
    }
    if schedule.recover_missed_schedules == Some(Recover::Last) {
        let latest = previous(trigger, now + nanosecond)?;
        return Ok(latest.into_iter().filter(|moment| *moment >= from).collect());
    }
    between(trigger, from, now + nanosecond).take(MAX_DUE).collect()
}

fn earliest(schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let delay = Duration::from_std(schedule.late_maximum_delay?.0).ok()?;
    now.checked_sub_signed(delay)
}

/// What expressions know as `trigger` when a schedule starts its flow for a moment.
pub fn facts(times: Option<&CronTimes>, date: DateTime<Utc>) -> Value {
    let Some(times) = times else { return json!({"date": date.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)}) };
    let stamp = |moment: Option<DateTime<Utc>>| moment.map(|moment| times.format_local(moment));
    json!({"date": times.format_local(date), "next": stamp(times.next(date)), "previous": stamp(times.previous(date))})
}

fn first(
    trigger: &Trigger,
    times: &CronTimes,
    moments: impl Iterator<Item = DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, String> {
    held(trigger, times, moments.take(MAX_TRIED)).next().transpose()
}

/// The moments at which a trigger's conditions hold.
fn held(
    trigger: &Trigger,
    times: &CronTimes,
    moments: impl Iterator<Item = DateTime<Utc>>,
) -> impl Iterator<Item = Result<DateTime<Utc>, String>> {
    let begun = Instant::now();
    moments.filter_map(move |moment| match holds(trigger, times, moment) {
        Ok(true) => Some(Ok(moment)),
        Ok(false) if trigger.conditions.is_empty() || begun.elapsed() < LONGEST => None,
        Ok(false) => Some(Err(format!(
            "its conditions take too long: within {} s, they held at no date up to {moment}",
            LONGEST.as_secs()
        ))),
        Err(error) => Some(Err(error)),
    })
}

fn holds(trigger: &Trigger, times: &CronTimes, moment: DateTime<Utc>) -> Result<bool, String> {
    if trigger.conditions.is_empty() {
        return Ok(true);
    }
    let names = Names::from_iter([("trigger".to_owned(), json!({"date": times.format_local(moment)}))]);
    let date = moment.with_timezone(&times.zone()).fixed_offset();
    trigger.is_met(&ConditionContext { date, upstream: None, names: &names, host: &ClockHost(moment) })
}
