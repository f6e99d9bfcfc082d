//! Runs a backfill in this process and reports how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::progress::{BackfillProgress, calendar_of};
use super::run_error;
use crate::cli::ExitStatus;
use crate::cli::format::seconds;
use crate::cli::next_steps;
use crate::cli::out::{err, errln, outln};
use crate::cli::signals::SignalGuard;
use crate::engine::Runner;
use crate::engine::backfill::{
    BackfillRequest, BackfillRun, Granularity, OnShutdown, PartitionRun, PartitionSchedule, PartitionState,
    PartitionStatus, RunOutcome, rows,
};
use crate::engine::executor::{Executor, ExecutorOptions};
use crate::flow::Flow;
use crate::journal::{Backfill, BackfillEnd};
use crate::tasks;
use crate::text;

/// The maximum number of names on one line of the summary.
const MAX_NAMED: usize = 24;

/// Runs a backfill until it has ended or the user stops it.
///
/// # Errors
/// When the engine cannot continue, or another process runs the backfill; failed partitions are not an error here.
pub(super) async fn execute(
    runner: Runner,
    request: BackfillRequest,
    backfill: &Backfill,
    as_json: bool,
) -> anyhow::Result<ExitStatus> {
    let (zone, granularity) = display_schedule(&request.flow, backfill);
    let options =
        ExecutorOptions { parallel: backfill.spec.parallel.max(1) as usize, ..ExecutorOptions::new(tasks::ALL) };
    let executor = Executor::open(runner, options)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    let _watch = SignalGuard::new(move || {
        token.cancel();
        errln!("  stopping; press Ctrl-C again to exit immediately");
    });
    let secrets = request.secrets();
    let runs: BTreeMap<String, PartitionRun> =
        request.runs.into_iter().map(|run| (run.key.label.clone(), run)).collect();
    let mut progress = BackfillProgress::new(as_json, zone, granularity);
    progress.print(&format!("backfill {}", backfill.id));
    let began = std::time::Instant::now();
    let (flow, on_shutdown) = (request.flow, OnShutdown::Kill);
    let run = BackfillRun { executor: &executor, flow, backfill, runs, secrets, stop, on_shutdown };
    let outcome = run.run(&mut |cells, desired| progress.show(cells, desired)).await;
    progress.clear();
    executor.stop(Duration::from_secs(5)).await;
    let outcome = outcome.map_err(|error| run_error(error, &backfill.id))?;
    let cells = executor.runner().partition_states(backfill)?;
    if as_json {
        let ended = executor.journal().backfill(&backfill.id)?;
        outln!("{}", to_json(ended.as_ref().unwrap_or(backfill), &cells));
    } else {
        err!("{}", calendar_of(&cells, zone, granularity));
        err!("{}", summary(&cells));
        errln!("{}", outcome_message(&executor, backfill, outcome, &cells, began.elapsed()));
    }
    Ok(match outcome {
        RunOutcome::Ended(BackfillEnd::Success) => ExitStatus::Ok,
        RunOutcome::Ended(BackfillEnd::Failed) => ExitStatus::Failed,
        RunOutcome::Ended(BackfillEnd::Cancelled) | RunOutcome::Interrupted => ExitStatus::Cancelled,
    })
}

/// The time zone and granularity in which partitions are shown; months in UTC if the flow no longer has the schedule.
pub(super) fn display_schedule(flow: &Flow, backfill: &Backfill) -> (Tz, Granularity) {
    let schedule = PartitionSchedule::find(flow, backfill.spec.trigger.as_deref(), backfill.spec.every.as_deref());
    let first = backfill.partitions.first().map(|partition| partition.date).unwrap_or_default();
    schedule.map_or((Tz::UTC, Granularity::Month), |schedule| (schedule.times().zone(), schedule.granularity(first)))
}

/// The counts of partitions by state and of rows, and the failed partitions grouped by reason.
pub(super) fn summary(cells: &[PartitionState]) -> String {
    let count = |is: fn(&PartitionStatus) -> bool| cells.iter().filter(|cell| is(&cell.status)).count();
    let rows = rows(cells);
    let already = count(|status| matches!(status, PartitionStatus::Loaded { already: true, .. }));
    let ended_well = count(|status| matches!(status, PartitionStatus::Loaded { already: false, .. }));
    // A flow that loads nothing has loaded no partition either.
    let word = if ended_well > 0 && already == 0 && rows == 0 { "done" } else { "loaded" };
    let parts = [
        (ended_well, word),
        (already, "already loaded"),
        (count(PartitionStatus::is_failed), "failed"),
        (count(|status| *status == PartitionStatus::Stopped), "stopped"),
        (count(|status| *status == PartitionStatus::Running), "running"),
        (count(|status| *status == PartitionStatus::Waiting), "pending"),
        (count(|status| matches!(status, PartitionStatus::Skipped { .. })), "skipped"),
    ];
    let parts = parts.iter().filter(|(count, word)| *count > 0 || *word == "loaded");
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    let mut text = format!("{}; {} in all\n", parts.join(", "), text::count(rows, "row"));
    let mut failed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for cell in cells {
        if let PartitionStatus::Failed { reason, .. } = &cell.status {
            failed.entry(reason).or_default().push(&cell.partition);
        }
    }
    for (reason, names) in failed {
        let more = names.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names: Vec<&str> = names.into_iter().take(MAX_NAMED).collect();
        text.push_str(&format!("  failed: {reason}   {}{more}\n", names.join(", ")));
    }
    text
}

fn outcome_message(
    executor: &Executor,
    backfill: &Backfill,
    outcome: RunOutcome,
    cells: &[PartitionState],
    took: Duration,
) -> String {
    let (settings, took) = (&executor.runner().settings, seconds(took));
    let messages = cells.iter().filter_map(|cell| match &cell.status {
        PartitionStatus::Failed { message, .. } => Some(message),
        _ => None,
    });
    let is_unreachable =
        settings.postgres.is_some() && messages.into_iter().any(|text| next_steps::mentions_postgres_option(text));
    let again = |verb: &str| {
        next_steps::resume_command(&format!("jitney backfill {verb} {}", backfill.id), is_unreachable, settings)
    };
    match outcome {
        RunOutcome::Ended(BackfillEnd::Success) => format!("SUCCESS in {took}"),
        RunOutcome::Ended(BackfillEnd::Cancelled) => {
            format!("CANCELLED after {took}. Load what is missing: {}", again("retry"))
        }
        RunOutcome::Interrupted => {
            format!(
                "Stopped. Running loads were rolled back; changes made by scripts remain. Resume with: {}",
                again("resume")
            )
        }
        RunOutcome::Ended(BackfillEnd::Failed) => {
            let failed = cells.iter().find(|cell| cell.status.is_failed());
            let execution = failed.and_then(|cell| cell.execution.as_ref());
            let logs = execution.map(|id| format!("Logs: jitney executions logs {id}   ")).unwrap_or_default();
            format!("FAILED in {took}\n{logs}Retry what failed: {}", again("retry"))
        }
    }
}

/// A backfill as JSON.
pub(super) fn to_json(backfill: &Backfill, cells: &[PartitionState]) -> Value {
    json!({
        "id": backfill.id,
        "flow": backfill.flow,
        "namespace": backfill.namespace,
        "created": backfill.created,
        "ended": backfill.ended,
        "outcome": backfill.outcome,
        "wish": backfill.desired_state,
        "problem": backfill.problem,
        "spec": backfill.spec,
        "partitions": cells,
        "rows": rows(cells),
    })
}
