//! `jitney backfill list|show|pause|resume|cancel|retry`

use clap::Args;
use std::path::Path;
use std::sync::Arc;

use super::preview::inputs_line;
use super::progress::calendar_of;
use super::{execute, explain, reading_runner, silent_runner};
use crate::cli::calendar::CalendarMark;
use crate::cli::executions::{of_flow, parse_prefix};
use crate::cli::inputs::parse_pair;
use crate::cli::next_steps::shown_path;
use crate::cli::out::{self, errln, out, outln};
use crate::cli::server::is_served;
use crate::cli::table::Table;
use crate::cli::target::{self, OnTargetChange};
use crate::cli::{ExitStatus, InvalidFlow, flows};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::{BackfillError, BackfillRequest, Granularity, PartitionStatus, is_running, state};
use crate::engine::executor::{Executor, ExecutorOptions};
use crate::engine::{EngineError, Runner};
use crate::id::BackfillId;
use crate::journal::{Backfill, DesiredState, ExecutionQuery, Journal};
use crate::tasks;

const LIST_HELP: &str = "`jitney backfill list` lists all backfills";

#[derive(Args)]
pub(super) struct ListArguments {
    /// List only backfills of this flow: its id, or namespace.id
    #[arg(long)]
    flow: Option<String>,
    /// How many to list, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct BackfillArgument {
    /// The id of the backfill, or a prefix of it [default: the newest]
    id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct OpenBackfill {
    /// The id of the backfill, or a prefix of it [default: the running one]
    id: Option<String>,
}

#[derive(Args)]
pub(super) struct ResumeArguments {
    /// The id of the backfill, or a prefix of it [default: the newest that has not ended]
    id: Option<String>,
    #[command(flatten)]
    flags: RunFlags,
}

#[derive(Args)]
#[command(after_help = "Partitions that failed run again, with the flow as its file is now.")]
pub(super) struct RetryArguments {
    /// The id of the backfill, or a prefix of it [default: the newest]
    id: Option<String>,
    #[command(flatten)]
    flags: RunFlags,
}

#[derive(Args)]
pub(super) struct RunFlags {
    /// A secret input of the flow, which the journal does not store; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = parse_pair)]
    input: Vec<(String, String)>,
    #[command(flatten)]
    retarget: OnTargetChange,
    /// Print the backfill as JSON when it ends
    #[arg(long)]
    json: bool,
}

pub(super) fn list(listing: &ListArguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let runner = reading_runner(settings)?;
    let search = |query: &ExecutionQuery| Ok::<_, anyhow::Error>(runner.journal.backfills(query, listing.limit, 0)?.1);
    let found = of_flow(listing.flow.as_deref(), search, |backfill| &backfill.namespace)?;
    if listing.json {
        outln!("{}", serde_json::json!(found));
        return Ok(ExitStatus::Ok);
    }
    if let Some(flow) = listing.flow.as_ref().filter(|_| found.is_empty()) {
        errln!("The flow `{flow}` has no backfills. To list all backfills: jitney backfill list");
        return Ok(ExitStatus::Ok);
    }
    if found.is_empty() {
        errln!("There are no backfills yet. Try: jitney backfill FLOW --from 2019-01 --to 2019-12 --dry-run");
        return Ok(ExitStatus::Ok);
    }
    let mut table = Table::new(["id", "flow", "state", "from", "to", "loaded", "failed", "created"])
        .breaking(&["flow"])
        .spilling(&["created"]);
    for backfill in found {
        let Some(backfill) = runner.journal.backfill(&backfill.id)? else { continue };
        let cells = runner.partition_states(&backfill)?;
        let is_in = cells.iter().filter(|cell| cell.status.is_complete());
        table.add_row([
            backfill.id.to_string(),
            backfill.flow.clone(),
            state(settings, &backfill).to_owned(),
            backfill.spec.from.clone(),
            backfill.spec.to.clone(),
            format!("{} of {}", is_in.count(), cells.len()),
            cells.iter().filter(|cell| cell.status.is_failed()).count().to_string(),
            backfill.created.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    out::table(&table);
    Ok(ExitStatus::Ok)
}

pub(super) fn show(named: &BackfillArgument, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let runner = reading_runner(settings)?;
    let backfill = find(&runner.journal, named.id.as_deref())?;
    let cells = runner.partition_states(&backfill)?;
    if named.json {
        outln!("{}", execute::to_json(&backfill, &cells));
        return Ok(ExitStatus::Ok);
    }
    let flow = flows::read(Path::new(&backfill.spec.file)).map(|(flow, _)| flow);
    let (zone, granularity) =
        flow.map_or((chrono_tz::Tz::UTC, Granularity::Month), |flow| execute::display_schedule(&flow, &backfill));
    outln!("backfill {}  {}  {}", backfill.id, backfill.flow, state(settings, &backfill));
    if let Some(problem) = &backfill.problem {
        outln!("  on hold: {problem}");
    }
    out!("{}", calendar_of(&cells, zone, granularity));
    for (cell, partition) in cells.iter().zip(&backfill.partitions) {
        let execution = cell.execution.as_ref().map(ToString::to_string).unwrap_or_default();
        let (sign, inputs) = (CalendarMark::of(&cell.status).sign(), inputs_line(partition));
        outln!("  {sign} {:<12} {:<24} {execution:<16}  {inputs}", cell.partition, cell.status.to_string());
        if let PartitionStatus::Failed { message, .. } = &cell.status {
            outln!("      {}", message.replace('\n', "\n      "));
        }
    }
    out!("{}", execute::summary(&cells));
    Ok(ExitStatus::Ok)
}

pub(super) fn pause(open: &OpenBackfill, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let runner = silent_runner(settings)?;
    let id = find_running(&runner, open.id.as_deref())?.id;
    let is_running = runner.set_desired_state(&id, DesiredState::Pause).map_err(explain)?;
    let effect = if is_running { "running executions continue to their end" } else { "no process runs it" };
    let postgres = target::postgres_flag(settings);
    errln!("Backfill {id} is paused: {effect}. Resume with: jitney backfill resume {id}{postgres}");
    Ok(ExitStatus::Ok)
}

pub(super) async fn resume(resuming: ResumeArguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let ResumeArguments { id, flags } = resuming;
    let runner = silent_runner(settings)?;
    let newest_open = || Ok::<_, anyhow::Error>(open(&runner.journal)?.into_iter().next());
    let id = match id {
        None => newest_open()?.map(|backfill| backfill.id.to_string()),
        named => named,
    };
    let backfill = find(&runner.journal, id.as_deref())?;
    let id = backfill.id.clone();
    reject_inputs_for_server(&runner, &backfill, &flags)?;
    check_target(&runner, &backfill, flags.retarget).await?;
    if runner.set_desired_state(&id, DesiredState::Run).map_err(explain)? {
        errln!("Backfill {id} resumes in the process that runs it.");
        return Ok(ExitStatus::Ok);
    }
    run_rest(runner, backfill, flags).await
}

pub(super) async fn cancel(open: &OpenBackfill, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let executor = Executor::open(silent_runner(settings)?, ExecutorOptions::new(tasks::ALL))?;
    let backfill = find_running(executor.runner(), open.id.as_deref())?;
    let id = &backfill.id;
    if executor.cancel_backfill(&backfill, clock::now()).map_err(explain)? {
        errln!("Backfill {id} is being cancelled: running executions are stopped, and their loads rolled back.");
    } else {
        errln!("Backfill {id} is cancelled. What it loaded is kept.");
    }
    Ok(ExitStatus::Ok)
}

pub(super) async fn retry(retrying: RetryArguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let RetryArguments { id, flags } = retrying;
    let runner = silent_runner(settings)?;
    let backfill = find(&runner.journal, id.as_deref())?;
    let id = &backfill.id;
    if !runner.has_partitions_to_retry(&backfill).map_err(explain)? {
        errln!("Every partition of backfill {id} is loaded; there is nothing to retry.");
        return Ok(ExitStatus::Ok);
    }
    reject_inputs_for_server(&runner, &backfill, &flags)?;
    check_target(&runner, &backfill, flags.retarget).await?;
    runner.journal.retry_backfill(id, clock::now())?;
    let backfill = find(&runner.journal, Some(id.as_str()))?;
    run_rest(runner, backfill, flags).await
}

/// Checks that a backfill is resumed in this process with the target that it was started with, or moves it to the present
/// one if `--retarget` says so.
async fn check_target(runner: &Runner, backfill: &Backfill, on_change: OnTargetChange) -> anyhow::Result<()> {
    let id = &backfill.id;
    if is_running(&runner.settings, id) || is_run_by_server(runner, backfill) {
        if on_change.retarget {
            let finding = Diagnostic::error(format!(
                "backfill {id} is running in another process, with the settings of that process"
            ));
            return Err(InvalidFlow::from(finding.help("stop that process before you use `--retarget`")).into());
        }
        return Ok(());
    }
    match runner.check_target(&format!("backfill {id}"), backfill.spec.target.as_ref()) {
        Err(EngineError::TargetMismatch { .. }) if on_change.retarget => {
            runner.retarget_backfill(backfill).await.map_err(crate::cli::exit::explain)
        }
        checked => checked.map_err(crate::cli::exit::explain),
    }
}

/// Rejects inputs for a backfill that the server runs, since it does not receive them.
fn reject_inputs_for_server(runner: &Runner, backfill: &Backfill, flags: &RunFlags) -> Result<(), InvalidFlow> {
    let Some((name, _)) = flags.input.first().filter(|_| is_run_by_server(runner, backfill)) else { return Ok(()) };
    let finding = Diagnostic::error(format!(
        "the backfill is run by the server, which does not receive `{name}` from this command"
    ));
    let address = format!("/api/v1/backfills/{}/resume", backfill.id);
    Err(finding.help(format!("send it to the server: POST {address} with {{\"inputs\": {{\"{name}\": …}}}}")).into())
}

fn is_run_by_server(runner: &Runner, backfill: &Backfill) -> bool {
    backfill.spec.by_server && is_served(&runner.settings)
}

/// Runs the remaining partitions of a backfill, with the flow as its file is now: in this process, unless the backfill
/// belongs to a running server.
async fn run_rest(runner: Runner, backfill: Backfill, flags: RunFlags) -> anyhow::Result<ExitStatus> {
    if is_run_by_server(&runner, &backfill) {
        errln!("Backfill {} resumes in the server.", backfill.id);
        return Ok(ExitStatus::Ok);
    }
    let (flow, _) = flows::read(Path::new(&shown_path(&backfill.spec.file)))?;
    let request = BackfillRequest::resume(&runner, Arc::new(flow), &backfill, &flags.input).map_err(explain)?;
    execute::execute(runner, request, &backfill, flags.json).await
}

/// The backfill whose id begins with a prefix; without one, the running backfill, or else the only one that has not
/// ended.
///
/// # Errors
/// [`InvalidFlow`] when there is none, or several are possible.
fn find_running(runner: &Runner, prefix: Option<&str>) -> anyhow::Result<Backfill> {
    if prefix.is_some() {
        return find(&runner.journal, prefix);
    }
    let (running, others): (Vec<_>, Vec<_>) =
        open(&runner.journal)?.into_iter().partition(|backfill| is_running(&runner.settings, &backfill.id));
    let candidates = if running.is_empty() { others } else { running };
    match candidates.as_slice() {
        [one] => find(&runner.journal, Some(one.id.as_str())),
        [] => {
            let finding = Diagnostic::error("no backfill is running");
            Err(InvalidFlow::from(finding.help(LIST_HELP)).into())
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|backfill| backfill.id.as_str()).collect();
            let finding = Diagnostic::error(format!("{} backfills have not ended", several.len()));
            Err(InvalidFlow::from(finding.help(format!("specify one of them: {}", ids.join(", ")))).into())
        }
    }
}

/// The backfills that have not ended, the newest first.
fn open(journal: &Journal) -> anyhow::Result<Vec<Backfill>> {
    let (_, all) = journal.backfills(&ExecutionQuery::default(), u32::MAX, 0)?;
    Ok(all.into_iter().filter(|backfill| backfill.outcome.is_none()).collect())
}

/// The backfill whose id begins with a prefix; without one, the newest.
///
/// # Errors
/// [`InvalidFlow`] when no id or several ids begin with it.
fn find(journal: &Journal, prefix: Option<&str>) -> anyhow::Result<Backfill> {
    let ids = match prefix {
        Some(prefix) => journal.backfill_ids_with_prefix(&parse_prefix(prefix, LIST_HELP)?)?,
        None => {
            journal.backfills(&ExecutionQuery::default(), 1, 0)?.1.into_iter().map(|backfill| backfill.id).collect()
        }
    };
    let lost = || BackfillError::invalid("the backfill is missing from the journal");
    match (ids.as_slice(), prefix) {
        ([id], _) => Ok(journal.backfill(id)?.ok_or_else(lost).map_err(explain)?),
        ([], Some(prefix)) => {
            let finding = Diagnostic::error(format!("there is no backfill `{prefix}`"));
            Err(InvalidFlow::from(finding.help(LIST_HELP)).into())
        }
        ([], None) => Err(explain(BackfillError::invalid("there are no backfills yet"))),
        (several, prefix) => {
            let ids: Vec<&str> = several.iter().map(BackfillId::as_str).collect();
            let finding =
                Diagnostic::error(format!("the ids of several backfills begin with `{}`", prefix.unwrap_or_default()));
            Err(InvalidFlow::from(finding.help(format!("use a longer prefix: {}", ids.join(", ")))).into())
        }
    }
}
