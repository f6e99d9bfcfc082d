//! What of a backfill depends on the date of its partitions: an input that must, and a flow that does not at all.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::calendar::PartitionSchedule;
use super::partition_run::PartitionRun;
use crate::diagnostic::Diagnostic;
use crate::flow::Flow;
use crate::flow::expression::mentions;
use crate::flow::input::texts;
use crate::journal::PARTITION_LABEL;
use crate::task::is_template;
use crate::text::count;

/// Refuses values that are the same for every date, given for inputs which the schedule sets by the date: each partition
/// would load the data of another one.
///
/// # Errors
/// One finding for each such input.
pub(super) fn check_given(schedule: &PartitionSchedule, given: &[(String, String)]) -> Result<(), Vec<Diagnostic>> {
    let Some(trigger) = schedule.trigger() else { return Ok(()) };
    let is_by_date = |name: &str| trigger.common.inputs.get(name).is_some_and(depends_on_date);
    let wrong = |(name, value): &(String, String)| {
        let hides = is_by_date(name) && !depends_on_date(&Value::from(value.as_str()));
        hides.then(|| {
            let message = format!(
                "input `{name}` is `{value}`, but the schedule `{}` sets it from each partition's date",
                trigger.id
            );
            Diagnostic::error(message).help(format!("leave `{name}` out; the first and the last date say what runs"))
        })
    };
    let findings: Vec<Diagnostic> = given.iter().filter_map(wrong).collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Whether a value for an input may be another one for another date.
fn depends_on_date(value: &Value) -> bool {
    let is_date = |name: &str| name == "*" || name.split('.').next() == Some("trigger");
    any_template(value, |text| {
        text.contains("now(") || mentions(text).map_or(true, |names| names.iter().any(|name| is_date(name)))
    })
}

/// What is odd about the partitions of a backfill, though it can run.
pub(super) fn warnings(flow: &Flow, runs: &[PartitionRun], now: DateTime<Utc>) -> Vec<String> {
    [all_alike(flow, runs), in_the_future(runs, now)].into_iter().flatten().collect()
}

/// Executions that cannot differ, because neither inputs nor tasks know the date.
fn all_alike(flow: &Flow, runs: &[PartitionRun]) -> Option<String> {
    let (first, others) = runs.split_first()?;
    let is_same = others.iter().all(|run| run.hypothetical.inputs == first.hypothetical.inputs);
    if others.is_empty() || !is_same || may_read_date(flow) {
        return None;
    }
    let executions = count(runs.len() as u64, "execution");
    Some(format!(
        "the {executions} all do the same: their inputs are equal, and no task of `{}` reads `trigger.date`",
        flow.id
    ))
}

/// Whether a task of the flow may know for which date it runs. The partition's name is among the labels, and flows that
/// it starts, which may inherit these, are not looked into.
pub fn may_read_date(flow: &Flow) -> bool {
    let starts_flows = flow.all_steps().iter().any(|step| step.task.starts_flows());
    let label = format!("labels.{PARTITION_LABEL}");
    let names_it = |name: &str| {
        name == "*" || name == "labels" || name == label || name == "trigger" || name.starts_with("trigger.")
    };
    let reads = |text: &str| mentions(text).map_or(true, |names| names.iter().any(|name| names_it(name)));
    // What a trigger makes of the date is among the inputs.
    let mut parts = flow.document.value.as_object().into_iter().flatten().filter(|(key, _)| *key != "triggers");
    starts_flows || parts.any(|(_, value)| any_template(value, reads))
}

fn in_the_future(runs: &[PartitionRun], now: DateTime<Utc>) -> Option<String> {
    let later: Vec<&PartitionRun> = runs.iter().filter(|run| run.key.date > now).collect();
    let first = later.first()?;
    Some(format!(
        "{} of {} {} in the future, from {} on",
        later.len(),
        count(runs.len() as u64, "partition"),
        if later.len() == 1 { "is" } else { "are" },
        first.key.label
    ))
}

/// Whether a template anywhere in a value is such.
fn any_template(value: &Value, is_such: impl Fn(&str) -> bool) -> bool {
    texts(value).iter().any(|text| is_template(text) && is_such(text))
}
