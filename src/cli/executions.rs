//! `jitney executions`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::format::seconds;
use crate::cli::out::{self, errln, outln};
use crate::cli::run::to_json;
use crate::cli::table::Table;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{INTERRUPTED, finish_killing, is_interrupted};
use crate::id::{ExecutionId, FlowKey, IdPrefix, InvalidId};
use crate::journal::{ExecutionQuery, ExecutionState, Journal, JournalError, State, Summary};
use crate::text::{indented, plain, thousands};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<ExecutionsCommand>,
    /// List only executions of this flow: its id, or namespace.id
    #[arg(long)]
    flow: Option<String>,
    /// How many to list, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum ExecutionsCommand {
    /// Show the inputs, tasks and outputs of an execution
    Show {
        /// The id of the execution, or a prefix of it
        id: String,
    },
    /// Print the log of an execution
    Logs {
        /// The id of the execution, or a prefix of it
        id: String,
    },
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let journal = Journal::open_to_read(&settings.journal())?;
    match &arguments.command {
        None => {
            let listed = || newest(&journal, arguments.flow.as_deref(), arguments.limit);
            let mut found = listed()?;
            let killing = found.iter().filter(|execution| execution.state == ExecutionState::Killing);
            // If nothing can be written, they are shown with their recorded state.
            if finish_killing(settings, &journal, killing.map(|execution| &execution.id)).unwrap_or(false) {
                found = listed()?;
            }
            let asked = |of: &Summary| is_interrupted(settings, &journal, &of.id, of.state, of.created);
            let found: Vec<ExecutionItem> = found
                .into_iter()
                .map(|summary| Ok(ExecutionItem { interrupted: asked(&summary)?, summary }))
                .collect::<Result<_, JournalError>>()?;
            let is_first = found.is_empty() && journal.executions(None, 1)?.is_empty();
            list(&found, arguments.flow.as_deref().filter(|_| !is_first), arguments.json);
        }
        Some(ExecutionsCommand::Show { id }) => {
            let id = find(&journal, id)?;
            let _ = finish_killing(settings, &journal, std::iter::once(&id));
            let state = state(&journal, &id)?;
            let created = journal.summary(&id)?.map(|summary| summary.created).unwrap_or_default();
            let interrupted = is_interrupted(settings, &journal, &id, state.status, created)?;
            show(&id, &state, interrupted, arguments.json);
        }
        Some(ExecutionsCommand::Logs { id }) => logs(&journal, &find(&journal, id)?, arguments.json)?,
    }
    Ok(ExitStatus::Ok)
}

/// An execution in a list.
#[derive(Serialize)]
struct ExecutionItem {
    #[serde(flatten)]
    summary: Summary,
    /// Whether the process that ran it is gone.
    interrupted: bool,
}

/// The execution whose id begins with a prefix.
///
/// # Errors
/// [`InvalidFlow`] when no id or several ids begin with it.
pub(super) fn find(journal: &Journal, prefix: &str) -> anyhow::Result<ExecutionId> {
    let help = "`jitney executions` lists them";
    let mut found = journal.ids_with_prefix(&parse_prefix(prefix, help)?)?;
    match (found.pop(), found.as_slice()) {
        (Some(id), []) => Ok(id),
        (None, _) => {
            Err(InvalidFlow::from(Diagnostic::error(format!("there is no execution `{prefix}`")).help(help)).into())
        }
        (Some(oldest), others) => {
            let ids: Vec<&str> = others.iter().chain([&oldest]).map(ExecutionId::as_str).collect();
            let finding = Diagnostic::error(format!("the ids of several executions begin with `{prefix}`"));
            Err(InvalidFlow::from(finding.help(format!("use a longer prefix: {}", ids.join(", ")))).into())
        }
    }
}

/// Parses the id, or the beginning of one, that a command was given.
pub(super) fn parse_prefix(text: &str, help: &str) -> Result<IdPrefix, InvalidFlow> {
    text.parse().map_err(|error: InvalidId| Diagnostic::error(error.to_string()).help(help).into())
}

/// The state of an execution that is known to exist.
///
/// # Errors
/// When the journal cannot be read.
pub(super) fn state(journal: &Journal, id: &ExecutionId) -> anyhow::Result<State> {
    journal.state(id)?.ok_or_else(|| anyhow::anyhow!("execution {id} is missing from the journal"))
}

/// The results of a search by flow, given by its id or as namespace.id.
pub(super) fn of_flow<T, E>(
    flow: Option<&str>,
    search: impl Fn(&ExecutionQuery) -> Result<Vec<T>, E>,
    namespace_of: impl Fn(&T) -> &str,
) -> Result<Vec<T>, E> {
    let found = search(&ExecutionQuery { flow: flow.map(str::to_owned), ..ExecutionQuery::default() })?;
    let Some((namespace, id)) = flow.and_then(|flow| flow.rsplit_once('.')).filter(|_| found.is_empty()) else {
        return Ok(found);
    };
    let mut found = search(&ExecutionQuery {
        namespace: Some(namespace.to_owned()),
        flow: Some(id.to_owned()),
        ..ExecutionQuery::default()
    })?;
    // A query by namespace includes the namespaces below it.
    found.retain(|one| namespace_of(one) == namespace);
    Ok(found)
}

/// The newest executions.
fn newest(journal: &Journal, flow: Option<&str>, limit: u32) -> Result<Vec<Summary>, JournalError> {
    let search = |query: &ExecutionQuery| match (&query.namespace, &query.flow) {
        (Some(namespace), Some(id)) => journal.executions_of(&FlowKey::new(namespace, id), limit),
        (_, flow) => journal.executions(flow.as_deref(), limit),
    };
    of_flow(flow, search, |summary| &summary.namespace)
}

fn list(executions: &[ExecutionItem], flow: Option<&str>, as_json: bool) {
    if as_json {
        outln!("{}", serde_json::json!(executions));
        return;
    }
    if executions.is_empty() {
        match flow {
            Some(flow) => errln!("The flow `{flow}` has no executions. To list all executions: jitney executions"),
            None => errln!("Nothing has run yet. Try: jitney demo"),
        }
        return;
    }
    let mut table = Table::new(["id", "flow", "state", "started", "took", "rows", "inputs"])
        .breaking(&["flow"])
        .spilling(&["inputs"]);
    for ExecutionItem { summary: execution, interrupted } in executions {
        let started =
            execution.started.map(|time| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M").to_string());
        let took = execution.took.and_then(|took| Duration::try_from_secs_f64(took).ok());
        let inputs = execution.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value)));
        table.add_row([
            execution.id.to_string(),
            execution.flow.clone(),
            if *interrupted { INTERRUPTED.to_owned() } else { execution.state.to_string() },
            started.unwrap_or_default(),
            took.map(seconds).unwrap_or_default(),
            thousands(execution.rows),
            inputs.collect::<Vec<_>>().join(" "),
        ]);
    }
    out::table(&table);
    if let Some(ExecutionItem { summary, .. }) = executions.iter().find(|listed| listed.interrupted) {
        errln!("INTERRUPTED: its process is gone. Resume with: jitney resume {}", summary.id);
    }
}

fn show(id: &ExecutionId, state: &State, interrupted: bool, as_json: bool) {
    if as_json {
        let mut shown = to_json(id, state);
        shown["interrupted"] = interrupted.into();
        outln!("{shown}");
        return;
    }
    outln!("{id}  {}  {}", state.created.flow, if interrupted { INTERRUPTED } else { state.status.as_str() });
    if interrupted {
        outln!("  its process is gone; resume with: jitney resume {id}");
    }
    for (name, value) in &state.created.inputs {
        outln!("  input   {name} = {}", indented(&plain(value), 14));
    }
    for (name, value) in &state.labels {
        outln!("  label   {name} = {}", indented(&plain(value), 14));
    }
    if let Some(parent) = &state.created.parent {
        outln!("  parent  {} {}", parent.execution, parent.run);
    }
    if let Some(original) = &state.created.original {
        outln!("  repeats {original}");
    }
    for (name, value) in &state.outputs {
        outln!("  output  {name} = {}", indented(&plain(value), 14));
    }
    for (task, run) in &state.tasks {
        let took = run.ended.zip(run.started).and_then(|(ended, started)| (ended - started).to_std().ok());
        outln!("  task    {task}  {}  attempt {}  {}", run.state, run.attempts, took.map(seconds).unwrap_or_default());
        for (name, value) in &run.outputs {
            outln!("            {name} = {}", indented(&plain(value), 14));
        }
        if let Some(error) = &run.error {
            outln!("            error: {}", indented(&error.message, 19));
        }
    }
}

fn logs(journal: &Journal, id: &ExecutionId, as_json: bool) -> anyhow::Result<()> {
    let lines = journal.logs(id)?;
    if as_json {
        outln!("{}", serde_json::json!(lines));
        return Ok(());
    }
    for line in lines {
        let time = line.time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S%.3f");
        outln!("{time} {:<5} {:<16} {}", line.level, line.source.as_str(), indented(&line.message, 4));
    }
    Ok(())
}
