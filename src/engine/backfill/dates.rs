//! What of a backfill depends on the date of its partitions: an input that must, and a flow that need not.

use serde_json::Value;

use super::calendar::PartitionSchedule;
use crate::diagnostic::Diagnostic;
use crate::flow::Flow;
use crate::flow::expression::mentions;
use crate::flow::input::strings_in;
use crate::journal::PARTITION_LABEL;
use crate::task::{Capability, is_template};

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
            Diagnostic::error(message).help(format!("remove `{name}`; the period determines what runs"))
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

/// Whether a task of the flow may know for which date it runs. The partition's name is among the labels, and flows that
/// it starts, which may inherit these, are not looked into.
pub fn may_read_date(flow: &Flow) -> bool {
    let starts_flows = flow.all_steps().iter().any(|step| step.task.has(Capability::StartsFlows));
    let label = format!("labels.{PARTITION_LABEL}");
    let names_it = |name: &str| {
        name == "*" || name == "labels" || name == label || name == "trigger" || name.starts_with("trigger.")
    };
    let reads = |text: &str| mentions(text).map_or(true, |names| names.iter().any(|name| names_it(name)));
    // What a trigger makes of the date is among the inputs.
    let mut parts = flow.document.value.as_object().into_iter().flatten().filter(|(key, _)| *key != "triggers");
    starts_flows || parts.any(|(_, value)| any_template(value, reads))
}

/// Whether a template anywhere in a value is such.
fn any_template(value: &Value, is_such: impl Fn(&str) -> bool) -> bool {
    strings_in(value).iter().any(|text| is_template(text) && is_such(text))
}
