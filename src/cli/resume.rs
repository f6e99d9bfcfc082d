//! `jitney resume`

use std::sync::Arc;

use clap::Args;

use crate::cli::exit::explain;
use crate::cli::inputs::can_prompt;
use crate::cli::out::{errln, outln};
use crate::cli::prompts::Prompts;
use crate::cli::run::{RunSession, exit_status, to_json};
use crate::cli::target::OnTargetChange;
use crate::cli::{ExitStatus, InvalidFlow, executions};
use crate::config::{ScriptRunner, Settings};
use crate::engine::{lock::is_locked, wanted_by_pauses};
use crate::flow::Flow;
use crate::flow::input::{ResolvedInputs, is_declared_secret, resolve_partial_without_host};
use crate::id::{ExecutionId, RunId};
use crate::journal::{ExecutionState, Journal, State};
use crate::text::plain;

#[derive(Args)]
#[command(
    after_help = "The execution continues with the flow as it was when it started, and with the files that it downloaded.\nTo use a corrected flow or a new file: jitney run FLOW, or jitney backfill retry."
)]
pub(super) struct Arguments {
    /// The id of the execution, or a prefix of it [default: the newest that did not succeed]
    id: Option<String>,
    /// An input that the paused task asks for, or a secret input of the flow, which the journal does not store; may be
    /// repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::inputs::parse_pair)]
    input: Vec<(String, String)>,
    /// Where scripts run, for all tasks of the flow [default: JITNEY_SCRIPT_RUNNER]
    #[arg(long, value_name = "RUNNER")]
    script_runner: Option<ScriptRunner>,
    #[command(flatten)]
    retarget: OnTargetChange,
    /// Print the execution as JSON when it ends
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let settings = Arc::new(settings.with_script_runner(arguments.script_runner));
    let session = RunSession::open(&settings, arguments.json)?;
    let journal = session.executor.journal();
    let id = match &arguments.id {
        Some(prefix) => executions::find(journal, prefix)?,
        None => match newest_resumable(journal, &settings)? {
            ResumeCandidate::Found(id) => id,
            ResumeCandidate::AllRunning => {
                errln!("Every unfinished execution is running in another process; there is nothing to resume.");
                return Ok(ExitStatus::Ok);
            }
            ResumeCandidate::None if journal.executions(None, 1)?.is_empty() => {
                errln!("There are no executions yet in {}; there is nothing to resume.", settings.home.display());
                return Ok(ExitStatus::Ok);
            }
            ResumeCandidate::None => {
                errln!("Every execution succeeded; there is nothing to resume.");
                return Ok(ExitStatus::Ok);
            }
        },
    };
    let state = executions::state(journal, &id)?;
    if state.status.is_done() {
        errln!("Execution {id} has already ended ({}); there is nothing to resume.", state.status);
        if arguments.json {
            outln!("{}", to_json(&id, &state));
        }
        return Ok(exit_status(state.status));
    }
    session.check_target(&id, &state, arguments.retarget).await.map_err(explain)?;
    let is_paused = state.status == ExecutionState::Paused
        || (state.status == ExecutionState::Running && state.paused().next().is_some());
    let given = arguments.input;
    let (id, state) = if is_paused {
        let flow = session.executor.flow(&state).map_err(InvalidFlow)?;
        let (own, mut answers): (Vec<_>, Vec<_>) =
            given.into_iter().partition(|(name, _)| must_be_given_again(&state, &flow, name));
        let prepared = session.executor.restore(&state, own).map_err(InvalidFlow)?;
        if !arguments.json && can_prompt(&settings) && !prompt_for_pauses(&state, &flow, &mut answers)? {
            return Ok(ExitStatus::Cancelled);
        }
        let inputs = prepared.inputs(&state);
        let answer = session.executor.answer(&id, state, &prepared, &answers, "jitney resume").map_err(explain)?;
        let resume = || session.executor.resume_with(&id, prepared.clone(), answer);
        session.follow(&id, &prepared, &inputs, resume).await?
    } else {
        let prepared = session.executor.restore(&state, given).map_err(InvalidFlow)?;
        session.start(&id, &prepared).await?
    };
    Ok(session.report(&id, &state, arguments.json))
}

/// Prompts for the inputs of pauses that are missing; whether all were answered.
fn prompt_for_pauses(state: &State, flow: &Flow, given: &mut Vec<(String, String)>) -> anyhow::Result<bool> {
    let paused: Vec<RunId> = state.paused().map(|(run, _)| run.clone()).collect();
    let inputs = wanted_by_pauses(flow, &paused).concat();
    let mut questions = None;
    loop {
        let ResolvedInputs { findings, missing, .. } = resolve_partial_without_host(&inputs, given);
        if !findings.is_empty() {
            return Err(InvalidFlow(findings).into());
        }
        let Some(question) = missing.first() else { return Ok(true) };
        let Some(input) = inputs.get(question.index) else { return Ok(true) };
        match questions.get_or_insert_with(Prompts::start).ask(input, question)? {
            Some(answer) => given.push((input.id.clone(), plain(&answer))),
            None => return Ok(false),
        }
    }
}

/// The result of looking for an execution to resume.
enum ResumeCandidate {
    Found(ExecutionId),
    /// There are unfinished executions, but all of them are running in other processes.
    AllRunning,
    None,
}

/// Finds the newest execution that did not succeed and that no process is running or has in its queue.
fn newest_resumable(journal: &Journal, settings: &Settings) -> anyhow::Result<ResumeCandidate> {
    let mut before = None;
    while let Some(id) = journal.newest_unfinished(before.as_ref())? {
        let queue = journal.queue_of(&id)?;
        if !is_locked(settings, &id) && !queue.is_some_and(|queue| is_locked(settings, &queue)) {
            return Ok(ResumeCandidate::Found(id));
        }
        before = Some(id);
    }
    Ok(if before.is_some() { ResumeCandidate::AllRunning } else { ResumeCandidate::None })
}

/// Whether the journal does not store this input, so that it must be given again.
fn must_be_given_again(state: &State, flow: &Flow, name: &str) -> bool {
    let hidden = state.created.inputs.get(name).is_some_and(|value| value.to_string().contains("***"));
    hidden || is_declared_secret(&flow.inputs, name)
}
