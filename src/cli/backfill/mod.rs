//! `jitney backfill`

mod board;
mod control;
mod go;
mod preview;
mod start;

use std::path::Path;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::inputs::from_here;
use crate::cli::{Exit, Invalid};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{EngineError, Runner};
use crate::flow::Flow;
use crate::flow::input::{self, InputType};
use crate::journal::Journal;
use crate::postgres::resolve;
use crate::secret::hide_address_passwords;
use crate::text::plain;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: start::Asked,
}

#[derive(Subcommand)]
enum Command {
    /// The backfills, the newest first
    List(control::Listing),
    /// One backfill: every partition and how it stands
    Show(control::Named),
    /// Begin no more partitions until it is resumed
    Pause(control::Named),
    /// Go on with one that is paused, or whose process has gone
    Resume(control::Again),
    /// Stop what is under way, and begin no more partitions
    Cancel(control::Named),
    /// Run the partitions again that failed, were stopped or were not begun
    Retry(control::Again),
}

pub(super) use preview::words;

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    match arguments.command {
        None => start::run(arguments.start, settings).await,
        Some(Command::List(listing)) => control::list(&listing, settings),
        Some(Command::Show(named)) => control::show(&named, settings),
        Some(Command::Pause(named)) => control::pause(&named, settings),
        Some(Command::Resume(again)) => control::resume(again, settings).await,
        Some(Command::Cancel(named)) => control::cancel(&named, settings).await,
        Some(Command::Retry(again)) => control::retry(again, settings).await,
    }
}

/// A runner that shows nothing: what many executions do at a time is told by their partitions.
///
/// # Errors
/// [`Invalid`] when the address of `--postgres` cannot be read; else when the journal cannot be opened.
pub(super) fn silent_runner(settings: &Arc<Settings>) -> anyhow::Result<Runner> {
    if settings.postgres.is_some() {
        resolve(settings, None).map_err(|finding| Invalid::from(*finding))?;
    }
    let journal = Arc::new(Journal::open(&settings.journal())?);
    Ok(Runner::new(settings.clone(), journal, Arc::new(|_| {})))
}

/// What stands for a value that the journal does not keep.
const HIDDEN: &str = "***";

/// Values for inputs as text, paths from the folder that the user is in.
pub(super) fn given_here(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let given: Vec<(String, Value)> =
        given.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    from_here(flow, &given).into_iter().map(|(name, value)| (name, plain(&value))).collect()
}

/// Values for inputs as the journal may keep them.
fn without_secrets(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let is_secret = |name: &str| flow.inputs.iter().any(|input| input.id == name && input.kind == InputType::Secret);
    let hide = |(name, value): &(String, String)| {
        let value = if is_secret(name) { HIDDEN.to_owned() } else { hide_address_passwords(value).to_string() };
        (name.clone(), value)
    };
    given.iter().map(hide).collect()
}

/// Values for inputs as they were given, from those that the journal kept and those that are given again.
///
/// # Errors
/// [`Invalid`] when one that was not kept is not given again.
fn with_secrets(kept: &[(String, String)], again: &[(String, String)]) -> Result<Vec<(String, String)>, Invalid> {
    let restore = |(name, value): &(String, String)| {
        let given = again.iter().rev().find(|(other, _)| other == name);
        match given {
            Some(given) => Ok(given.clone()),
            None if value.contains(HIDDEN) => {
                let finding = Diagnostic::error(format!("the journal does not keep the secret in input `{name}`"));
                Err(Invalid::from(finding.help(format!("give it again: `-i {name}=VALUE`"))))
            }
            None => Ok((name.clone(), value.clone())),
        }
    };
    kept.iter().map(restore).collect()
}

/// Those of the inputs that the journal does not keep.
fn secrets_of(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let is_secret = |name: &str, value: &str| input::is_secret(&flow.inputs, name, &value.into());
    given.iter().filter(|(name, value)| is_secret(name, value)).cloned().collect()
}

pub(super) fn invalid(message: impl Into<String>) -> Invalid {
    Invalid::from(Diagnostic::error(message))
}

/// The flow's file as messages name it, from the folder that the user is in.
fn shown_path(file: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    Path::new(file).strip_prefix(&here).map_or_else(|_| file.to_owned(), |path| path.display().to_string())
}

/// The error of an engine that another process keeps from a backfill.
fn explained(error: EngineError, id: &crate::id::BackfillId) -> anyhow::Error {
    match error {
        EngineError::Taken(lock) if lock.as_str().starts_with("backfill-") => invalid(format!(
            "backfill {id} is under way in another process; `jitney backfill show {id}` tells how it stands"
        ))
        .into(),
        other => other.into(),
    }
}
