//! `jitney backfill list|show|pause|resume|cancel|retry`

use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;

use super::board::picture;
use super::preview::{inputs_line, words};
use super::{go, invalid, secrets_of, shown_path, silent_runner, with_secrets};
use crate::cli::calendar::Mark;
use crate::cli::inputs::pair;
use crate::cli::out::{out, outln};
use crate::cli::{Exit, Invalid, flows};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::{Beat, Grain, PartitionRun, Partitioned, Slot, Standing, is_driven};
use crate::engine::executor::{Executor, Options};
use crate::engine::{EngineError, Runner};
use crate::flow::Flow;
use crate::id::BackfillId;
use crate::journal::{Backfill, BackfillEnd, Journal, Wish};
use crate::tasks;

#[derive(Args)]
pub(super) struct Listing {
    /// Only those of this flow
    #[arg(long)]
    flow: Option<String>,
    /// How many, the newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Named {
    /// The backfill, or the beginning of its id [default: the newest]
    id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Again {
    /// The backfill, or the beginning of its id [default: the newest]
    id: Option<String>,
    /// An input that the journal does not keep; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// Print JSON when it has ended
    #[arg(long)]
    json: bool,
}

pub(super) fn list(listing: &Listing, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let found = runner.journal.backfills(listing.flow.as_deref(), listing.limit)?;
    if listing.json {
        outln!("{}", serde_json::json!(found));
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        eprintln!("There are no backfills yet. Try: jitney backfill FLOW --from 2019-01 --to 2019-12 --dry-run");
        return Ok(Exit::Ok);
    }
    let mut table = crate::cli::table(["id", "flow", "state", "from", "to", "in", "failed", "asked for"]);
    for backfill in found {
        let Some(backfill) = runner.journal.backfill(&backfill.id)? else { continue };
        let cells = runner.cells(&backfill)?;
        let is_in =
            cells.iter().filter(|cell| matches!(cell.standing, Standing::Loaded { .. } | Standing::Skipped { .. }));
        table.add_row([
            backfill.id.to_string(),
            backfill.flow.clone(),
            state(settings, &backfill).to_owned(),
            backfill.spec.from.clone(),
            backfill.spec.to.clone(),
            format!("{} of {}", is_in.count(), cells.len()),
            cells.iter().filter(|cell| cell.standing.is_failed()).count().to_string(),
            backfill.created.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    outln!("{}", table.trim_fmt());
    Ok(Exit::Ok)
}

pub(super) fn show(named: &Named, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let backfill = find(&runner.journal, named.id.as_deref())?;
    let cells = runner.cells(&backfill)?;
    if named.json {
        outln!("{}", go::to_json(&backfill, &cells));
        return Ok(Exit::Ok);
    }
    let flow = flows::read(Path::new(&backfill.spec.file)).map(|(flow, _)| flow);
    let (zone, grain) = flow.map_or((chrono_tz::Tz::UTC, Grain::Month), |flow| go::seen_in(&flow, &backfill));
    outln!("backfill {}  {}  {}", backfill.id, backfill.flow, state(settings, &backfill));
    out!("{}", picture(&cells, zone, grain));
    for (cell, partition) in cells.iter().zip(&backfill.partitions) {
        let execution = cell.execution.as_ref().map(ToString::to_string).unwrap_or_default();
        let (sign, inputs) = (Mark::of(&cell.standing).sign(), inputs_line(partition));
        outln!("  {sign} {:<12} {:<24} {execution:<16}  {inputs}", cell.partition, words(&cell.standing));
        if let Standing::Failed { message, .. } = &cell.standing {
            outln!("      {}", message.replace('\n', "\n      "));
        }
    }
    out!("{}", go::summary(&cells));
    Ok(Exit::Ok)
}

pub(super) fn pause(named: &Named, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let id = find(&runner.journal, named.id.as_deref())?.id;
    if !runner.journal.wish_backfill(&id, Wish::Pause)? {
        return Err(ended(&id).into());
    }
    let words = if is_driven(settings, &id) { "what is under way comes to its end" } else { "no process runs it" };
    eprintln!("Backfill {id} is paused: {words}. Go on with: jitney backfill resume {id}");
    Ok(Exit::Ok)
}

pub(super) async fn resume(again: Again, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let backfill = find(&runner.journal, again.id.as_deref())?;
    let id = backfill.id.clone();
    if !runner.journal.wish_backfill(&id, Wish::Run)? {
        return Err(ended(&id).into());
    }
    if is_driven(settings, &id) {
        eprintln!("Backfill {id} goes on, in the process that runs it.");
        return Ok(Exit::Ok);
    }
    go_on(runner, backfill, again).await
}

pub(super) async fn cancel(named: &Named, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let backfill = find(&runner.journal, named.id.as_deref())?;
    let id = &backfill.id;
    if !runner.journal.wish_backfill(id, Wish::Cancel)? {
        return Err(ended(id).into());
    }
    if is_driven(settings, id) {
        eprintln!("Backfill {id} is being cancelled: what is under way is stopped and rolled back.");
        return Ok(Exit::Ok);
    }
    kill_left(runner.clone(), &backfill)?;
    runner.journal.end_backfill(id, BackfillEnd::Cancelled, Utc::now())?;
    eprintln!("Backfill {id} is cancelled. What it had loaded stays.");
    Ok(Exit::Ok)
}

/// Executions that a dead process left open are closed, so that nobody takes them up again.
fn kill_left(runner: Runner, backfill: &Backfill) -> anyhow::Result<()> {
    let executor = Executor::open(runner, Options::new(tasks::ALL))?;
    for cell in executor.runner().cells(backfill)? {
        let is_open = matches!(cell.standing, Standing::Running | Standing::Stopped);
        let killed = cell.execution.filter(|_| is_open).map(|id| executor.kill(&id));
        // Any other error: it has ended meanwhile, or another process works on it.
        if let Some(Err(EngineError::Journal(error))) = killed {
            return Err(error.into());
        }
    }
    Ok(())
}

pub(super) async fn retry(again: Again, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let runner = silent_runner(settings)?;
    let backfill = find(&runner.journal, again.id.as_deref())?;
    let id = &backfill.id;
    if is_driven(settings, id) {
        let help = "wait until it has ended; one failed partition does not stop the others";
        return Err(Invalid::from(Diagnostic::error(format!("backfill {id} is under way")).help(help)).into());
    }
    let is_in = |standing: &Standing| matches!(standing, Standing::Loaded { .. } | Standing::Skipped { .. });
    let open = runner.cells(&backfill)?.iter().filter(|cell| !is_in(&cell.standing)).count();
    if open == 0 {
        eprintln!("Every partition of backfill {id} is in; there is nothing to run again.");
        return Ok(Exit::Ok);
    }
    runner.journal.retry_backfill(id, Utc::now())?;
    let backfill = find(&runner.journal, Some(id.as_str()))?;
    go_on(runner, backfill, again).await
}

/// Runs the rest of a backfill in this process, with the flow as its file has it now.
async fn go_on(runner: Runner, backfill: Backfill, again: Again) -> anyhow::Result<Exit> {
    let (flow, _) = flows::read(Path::new(&shown_path(&backfill.spec.file)))?;
    let given = with_secrets(&backfill.spec.inputs, &again.input)?;
    let secrets = secrets_of(&flow, &given);
    let flow = Arc::new(flow);
    let runs = runs_of(&runner, &flow, &backfill, &given)?;
    go::go(runner, flow, &backfill, runs, secrets, again.json).await
}

fn runs_of(
    runner: &Runner,
    flow: &Flow,
    backfill: &Backfill,
    given: &[(String, String)],
) -> anyhow::Result<Vec<PartitionRun>> {
    let beat = Beat::find(flow, backfill.spec.trigger.as_deref(), backfill.spec.every.as_deref()).map_err(invalid)?;
    let slot = |partition: &crate::journal::Partition| Slot { date: partition.date, label: partition.label.clone() };
    let slots: Vec<Slot> = backfill.partitions.iter().map(slot).collect();
    Ok(Partitioned { flow, beat: &beat, given }.runs(runner, &slots).map_err(Invalid)?)
}

fn ended(id: &BackfillId) -> Invalid {
    let finding = Diagnostic::error(format!("backfill {id} has ended"));
    Invalid::from(finding.help(format!("`jitney backfill retry {id}` runs again what is not in")))
}

/// RUNNING and PAUSED while it goes on, STOPPED when its process has gone, else how it ended.
fn state(settings: &Settings, backfill: &Backfill) -> &'static str {
    match (backfill.outcome, backfill.wish) {
        (Some(end), _) => end.as_str(),
        (None, Wish::Pause) => "PAUSED",
        (None, _) if is_driven(settings, &backfill.id) => "RUNNING",
        (None, _) => "STOPPED",
    }
}

/// The backfill that a prefix names.
///
/// # Errors
/// [`Invalid`] when none or several begin so.
fn find(journal: &Journal, prefix: Option<&str>) -> anyhow::Result<Backfill> {
    let ids = match prefix {
        Some(prefix) => journal.backfill_ids_with_prefix(prefix)?,
        None => journal.backfills(None, 1)?.into_iter().map(|backfill| backfill.id).collect(),
    };
    let lost = || invalid("the journal has lost the backfill");
    match (ids.as_slice(), prefix) {
        ([id], _) => Ok(journal.backfill(id)?.ok_or_else(lost)?),
        ([], Some(prefix)) => {
            let finding = Diagnostic::error(format!("there is no backfill `{prefix}`"));
            Err(Invalid::from(finding.help("`jitney backfill list` lists them")).into())
        }
        ([], None) => Err(invalid("there are no backfills yet").into()),
        (several, prefix) => {
            let ids: Vec<&str> = several.iter().map(BackfillId::as_str).collect();
            let finding = Diagnostic::error(format!("several backfills begin with `{}`", prefix.unwrap_or_default()));
            Err(Invalid::from(finding.help(format!("give more of the id: {}", ids.join(", ")))).into())
        }
    }
}
