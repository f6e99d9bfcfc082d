//! Flows that load the same whatever the date: their partitions cannot be told apart in the target.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::calendar::PartitionKey;
use super::dates::may_read_date;
use super::partition_run::{PartitionRun, Partitioned};
use crate::diagnostic::Diagnostic;
use crate::engine::Runner;
use crate::flow::Flow;
use crate::flow::input::InputType;

/// How far away a date is whose year, month and day differ from those of a partition.
const FAR: TimeDelta = TimeDelta::days(397);

/// Refuses a backfill of a flow that loads the same into the same place for every date: each partition would count as
/// loaded once one of them is.
///
/// # Errors
/// With the input that should be set from the date, if there is one.
pub(super) fn check_reads_date(
    of: &Partitioned<'_>,
    runner: &Runner,
    runs: &[PartitionRun],
) -> Result<(), Vec<Diagnostic>> {
    let Some(first) = runs.first() else { return Ok(()) };
    let loads = of.flow.all_steps().iter().any(|step| step.task.ledger.is_some());
    if !loads || may_read_date(of.flow) {
        return Ok(());
    }
    let others = others(of, runner, first);
    if others.is_empty() || others.iter().chain(runs).any(|run| run.hypothetical.inputs != first.hypothetical.inputs) {
        return Ok(());
    }
    let message = format!(
        "every partition would load the same: no input of `{}` is set from the date, and no task reads `trigger.date`",
        of.flow.id
    );
    Err(vec![Diagnostic::error(message).help(help(of.flow))])
}

impl Runner {
    /// The step that loads the same for other dates, if all that load do.
    pub(super) async fn fixed_load(&self, of: &Partitioned<'_>, run: &PartitionRun) -> Option<String> {
        let own = self.loads(of.flow, run).await;
        let first = own.first().map(|(step, _)| step.clone())?;
        let others = others(of, self, run);
        if others.is_empty() {
            return None;
        }
        for other in &others {
            if self.loads(of.flow, other).await != own {
                return None;
            }
        }
        Some(first)
    }

    /// Where the steps of a flow load to.
    async fn loads(&self, flow: &Flow, run: &PartitionRun) -> Vec<(String, Result<Value, String>)> {
        let resolved = self.dry_run(flow, &run.hypothetical, |task| task.ledger.map(|ledger| ledger.fields)).await;
        resolved.into_iter().map(|resolved| (resolved.step.id.to_string(), resolved.fields)).collect()
    }
}

/// The same run for the next date and for one far away; fewer where there are no such partitions.
fn others(of: &Partitioned<'_>, runner: &Runner, run: &PartitionRun) -> Vec<PartitionRun> {
    let after = |date: DateTime<Utc>| {
        let date = of.schedule.times().next(date)?;
        // Inputs that do not fit another date depend on it.
        of.run(runner, &PartitionKey { date, label: String::new() }).ok()
    };
    let both = [after(run.key.date), run.key.date.checked_add_signed(FAR).and_then(after)];
    both.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// What to write, by the names of the flow's inputs.
fn help(flow: &Flow) -> String {
    let inputs = || flow.inputs.iter().filter(|input| !matches!(input.kind, InputType::Uri | InputType::File));
    let has = |word: &str| inputs().any(|input| input.id.to_lowercase().contains(word));
    let format = |name: &str| match name.to_lowercase() {
        name if name.contains("year") => Some("yyyy"),
        name if name.contains("month") => Some(if has("year") { "MM" } else { "yyyy-MM" }),
        name if name.contains("date") => Some("yyyy-MM-dd"),
        name if name.contains("day") => Some(if has("month") { "dd" } else { "yyyy-MM-dd" }),
        name if name.contains("hour") => Some("HH"),
        _ => None,
    };
    let set = |name: &str, format: &str| format!("-i \"{name}={{{{ trigger.date | date('{format}') }}}}\"");
    let named: Vec<String> = inputs().filter_map(|input| Some(set(&input.id, format(&input.id)?))).collect();
    match (named.is_empty(), inputs().next()) {
        (false, _) => format!("set it from the date of each partition: {}", named.join(" ")),
        (true, Some(input)) => {
            format!("set an input from the date of each partition, such as {}", set(&input.id, "yyyy-MM"))
        }
        (true, None) => "let the tasks name the file and the partition with `trigger.date`".to_owned(),
    }
}
