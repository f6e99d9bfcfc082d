//! Prints the plan of a backfill: the state of each partition, and which run.

use serde_json::json;

use crate::cli::out::{errln, outln};
use crate::engine::backfill::{BackfillError, BackfillPlan, BackfillRequest};
use crate::journal::BackfillPartition;
use crate::text::{plain, visible_line};

/// The plan as JSON.
pub(super) fn print_json(request: &BackfillRequest, preview: &BackfillPlan, warnings: &[String]) {
    let (flow, namespace, partitions) = (&request.flow.id, &request.flow.namespace, &preview.decisions);
    outln!("{}", json!({"flow": flow, "namespace": namespace, "warnings": warnings, "partitions": partitions}));
}

/// Prints the plan as text. Consecutive partitions in the same state share a line.
///
/// # Errors
/// When the flow has no such schedule.
pub(super) fn print(request: &BackfillRequest, preview: &BackfillPlan) -> Result<(), BackfillError> {
    let (spec, schedule) = (&request.spec, request.schedule()?);
    let by = schedule.trigger().map(|trigger| format!(" by `{}`", trigger.id)).unwrap_or_default();
    let inputs: Vec<String> = spec.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    errln!("{}{by}, {} to {}   {}", request.flow.id, spec.from, spec.to, visible_line(&inputs.join(" ")));
    let (mut rest, mut rows) = (preview.decisions.as_slice(), Vec::new());
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|other| other.last == first.last && other.skipped == first.skipped).count();
        let (alike, after) = rest.split_at(count);
        rest = after;
        let name = match alike.last() {
            Some(last) if count > 1 => format!("{} … {} ({count})", first.partition, last.partition),
            _ => first.partition.clone(),
        };
        let next = if first.runs { "run" } else { "skip" };
        rows.push((name, first.last.as_str(), next));
    }
    let width = |of: fn(&(String, &str, &str)) -> usize| rows.iter().map(of).max().unwrap_or_default();
    let (names, states) = (width(|row| row.0.chars().count()), width(|row| row.1.chars().count()));
    for (name, last, next) in &rows {
        errln!("  {name:<names$}  {last:<states$}  {next}");
    }
    let (runs, all) = (preview.runs(), preview.decisions.len());
    let many = if all == 1 { "partition" } else { "partitions" };
    let most = request.at_a_time();
    let why = if most < spec.parallel { ", the limit of the flow's `concurrency`" } else { "" };
    let pace = if runs > 1 { format!(", {most} at a time{why}") } else { String::new() };
    errln!("{runs} of {all} {many} to run{pace}.");
    Ok(())
}

/// The inputs of a partition on one line.
pub(super) fn inputs_line(partition: &BackfillPartition) -> String {
    let inputs = partition.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value)));
    visible_line(&inputs.collect::<Vec<_>>().join(" ")).into_owned()
}
