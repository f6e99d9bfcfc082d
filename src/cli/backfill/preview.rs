//! What a backfill would run, and how each partition stands before it, on paper.

use serde_json::json;

use crate::cli::out::{errln, outln};
use crate::engine::backfill::{BackfillError, BackfillPlan, BackfillRequest};
use crate::journal::BackfillPartition;
use crate::text::{plain, visible_line};

/// The preview for other programs.
pub(super) fn print_json(asked: &BackfillRequest, preview: &BackfillPlan, warnings: &[String]) {
    let (flow, namespace, partitions) = (&asked.flow.id, &asked.flow.namespace, &preview.decisions);
    outln!("{}", json!({"flow": flow, "namespace": namespace, "warnings": warnings, "partitions": partitions}));
}

/// Says what runs; partitions in a row of which the same is to be said share a line.
///
/// # Errors
/// When the flow has no such schedule.
pub(super) fn print(asked: &BackfillRequest, preview: &BackfillPlan) -> Result<(), BackfillError> {
    let (spec, schedule) = (&asked.spec, asked.schedule()?);
    let by = schedule.trigger().map(|trigger| format!(" by `{}`", trigger.id)).unwrap_or_default();
    let inputs: Vec<String> = spec.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    errln!("{}{by}, {} to {}   {}", asked.flow.id, spec.from, spec.to, visible_line(&inputs.join(" ")));
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
    let most = asked.at_a_time();
    let why = if most < spec.parallel { ", as the flow's `concurrency` allows no more" } else { "" };
    let pace = if runs > 1 { format!(", {most} at a time{why}") } else { String::new() };
    errln!("{runs} of {all} {many} to run{pace}.");
    Ok(())
}

/// The inputs of a partition on one line.
pub(super) fn inputs_line(partition: &BackfillPartition) -> String {
    let inputs = partition.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value)));
    visible_line(&inputs.collect::<Vec<_>>().join(" ")).into_owned()
}
