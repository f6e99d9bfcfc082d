//! `jitney backfill`

mod control;
mod execute;
mod preview;
mod progress;
mod start;

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::inputs::with_absolute_paths;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::engine::backfill::BackfillError;
use crate::engine::{EngineError, LockName, Runner};
use crate::flow::Flow;
use crate::id::BackfillId;
use crate::journal::{Journal, JournalError};
use crate::postgres::resolve;
use crate::text::plain;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<BackfillCommand>,
    #[command(flatten)]
    start: start::StartArguments,
}

#[derive(Subcommand)]
enum BackfillCommand {
    /// List the backfills, newest first
    List(control::ListArguments),
    /// Show a backfill: every partition and its state
    Show(control::BackfillArgument),
    /// Start no more partitions until the backfill is resumed
    Pause(control::OpenBackfill),
    /// Resume a backfill that is paused or interrupted
    Resume(control::ResumeArguments),
    /// Stop the running partitions and start no more
    Cancel(control::OpenBackfill),
    /// Run again the partitions that failed, were stopped or were never started
    Retry(control::RetryArguments),
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    match arguments.command {
        None => start::run(arguments.start, settings).await,
        Some(BackfillCommand::List(listing)) => control::list(&listing, settings),
        Some(BackfillCommand::Show(named)) => control::show(&named, settings),
        Some(BackfillCommand::Pause(open)) => control::pause(&open, settings),
        Some(BackfillCommand::Resume(resuming)) => control::resume(resuming, settings).await,
        Some(BackfillCommand::Cancel(open)) => control::cancel(&open, settings).await,
        Some(BackfillCommand::Retry(retrying)) => control::retry(retrying, settings).await,
    }
}

/// A runner without a display: the progress of a backfill is shown by partition.
///
/// # Errors
/// [`InvalidFlow`] when the address of `--postgres` cannot be read; else when the journal cannot be opened.
pub(super) fn silent_runner(settings: &Arc<Settings>) -> anyhow::Result<Runner> {
    runner_over(Journal::open, settings)
}

/// The same, for reading only.
///
/// # Errors
/// As [`silent_runner`].
pub(super) fn reading_runner(settings: &Arc<Settings>) -> anyhow::Result<Runner> {
    runner_over(Journal::open_to_read, settings)
}

fn runner_over(open: fn(&Path) -> Result<Journal, JournalError>, settings: &Arc<Settings>) -> anyhow::Result<Runner> {
    if settings.postgres.is_some() {
        resolve(settings, None).map_err(|finding| InvalidFlow::from(*finding))?;
    }
    let journal = Arc::new(open(&settings.journal())?);
    Ok(Runner::new(settings.clone(), journal, Arc::new(|_| {})))
}

/// Values of inputs as text, with paths resolved from the current folder.
pub(super) fn texts_with_absolute_paths(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let given: Vec<(String, Value)> =
        given.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    with_absolute_paths(flow, &given).into_iter().map(|(name, value)| (name, plain(&value))).collect()
}

/// The error with the exit code that it stands for.
pub(super) fn explain(error: BackfillError) -> anyhow::Error {
    match error {
        BackfillError::Invalid(findings) => InvalidFlow(findings).into(),
        BackfillError::Conflict(finding) => InvalidFlow::from(*finding).into(),
        BackfillError::Target(error) => error.into(),
        BackfillError::Engine(error) => crate::cli::exit::explain(error),
        BackfillError::NotFound(_) => anyhow::Error::from(error),
    }
}

/// The error of running a backfill; one that runs in another process is reported as such.
fn run_error(error: EngineError, id: &BackfillId) -> anyhow::Error {
    match error {
        EngineError::Locked(LockName::Backfill(_)) => {
            let message = format!("backfill {id} is running in another process");
            explain(BackfillError::conflict(message, format!("`jitney backfill show {id}` shows its state")))
        }
        other => other.into(),
    }
}
