//! What is odd about a backfill that can run.

use chrono::{DateTime, Utc};

use super::dates::may_read_date;
use super::partition_run::PartitionRun;
use crate::flow::Flow;
use crate::text::count;

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
