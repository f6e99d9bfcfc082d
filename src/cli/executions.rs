//! `jitney executions`

use clap::{Args, Subcommand};

use crate::cli::format::seconds;
use crate::cli::out::outln;
use crate::cli::run::to_json;
use crate::cli::{Exit, Invalid};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::id::ExecutionId;
use crate::journal::{Journal, State, Summary};
use crate::text::{plain, thousands};

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only those of this flow
    #[arg(long)]
    flow: Option<String>,
    /// How many, the newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// One execution: its inputs, tasks and outputs
    Show {
        /// The execution, or the beginning of its id
        id: String,
    },
    /// What an execution logged
    Logs {
        /// The execution, or the beginning of its id
        id: String,
    },
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<Exit> {
    let journal = Journal::open(&settings.journal())?;
    match &arguments.command {
        None => list(&journal.executions(arguments.flow.as_deref(), arguments.limit)?, arguments.json),
        Some(Command::Show { id }) => {
            let id = find(&journal, id)?;
            show(&id, &state(&journal, &id)?, arguments.json);
        }
        Some(Command::Logs { id }) => logs(&journal, &find(&journal, id)?, arguments.json)?,
    }
    Ok(Exit::Ok)
}

/// The execution that a prefix names.
///
/// # Errors
/// [`Invalid`] when none or several begin so.
pub(super) fn find(journal: &Journal, prefix: &str) -> anyhow::Result<ExecutionId> {
    let mut found = journal.ids_with_prefix(prefix)?;
    match (found.pop(), found.as_slice()) {
        (Some(id), []) => Ok(id),
        (None, _) => {
            let help = "`jitney executions` lists them";
            Err(Invalid::from(Diagnostic::error(format!("there is no execution `{prefix}`")).help(help)).into())
        }
        (Some(oldest), others) => {
            let ids: Vec<&str> = others.iter().chain([&oldest]).map(ExecutionId::as_str).collect();
            let finding = Diagnostic::error(format!("several executions begin with `{prefix}`"));
            Err(Invalid::from(finding.help(format!("give more of the id: {}", ids.join(", ")))).into())
        }
    }
}

/// The state of an execution that is known to be there.
///
/// # Errors
/// When the journal cannot be read.
pub(super) fn state(journal: &Journal, id: &ExecutionId) -> anyhow::Result<State> {
    journal.state(id)?.ok_or_else(|| anyhow::anyhow!("the journal has lost execution {id}"))
}

fn list(executions: &[Summary], as_json: bool) {
    if as_json {
        outln!("{}", serde_json::json!(executions));
        return;
    }
    if executions.is_empty() {
        eprintln!("Nothing has run yet. Try: jitney demo");
        return;
    }
    let mut table = super::table(["id", "flow", "state", "started", "took", "rows", "inputs"]);
    for execution in executions {
        let started =
            execution.started.map(|time| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string());
        let took = execution.ended.zip(execution.started).and_then(|(ended, started)| (ended - started).to_std().ok());
        let inputs = execution.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value)));
        table.add_row([
            execution.id.to_string(),
            execution.flow.clone(),
            execution.state.clone(),
            started.unwrap_or_default(),
            took.map(seconds).unwrap_or_default(),
            thousands(execution.rows),
            inputs.collect::<Vec<_>>().join(" "),
        ]);
    }
    outln!("{}", table.trim_fmt());
}

fn show(id: &ExecutionId, state: &State, as_json: bool) {
    if as_json {
        outln!("{}", to_json(id, state));
        return;
    }
    outln!("{id}  {}  {}", state.created.flow, state.status);
    for (name, value) in &state.created.inputs {
        outln!("  input   {name} = {}", plain(value));
    }
    for (name, value) in &state.labels {
        outln!("  label   {name} = {}", plain(value));
    }
    if let Some(parent) = &state.created.parent {
        outln!("  parent  {} {}", parent.execution, parent.run);
    }
    if let Some(original) = &state.created.original {
        outln!("  repeats {original}");
    }
    for (name, value) in &state.outputs {
        outln!("  output  {name} = {}", plain(value));
    }
    for (task, run) in &state.tasks {
        let took = run.ended.zip(run.started).and_then(|(ended, started)| (ended - started).to_std().ok());
        outln!("  task    {task}  {}  attempt {}  {}", run.state, run.attempts, took.map(seconds).unwrap_or_default());
        for (name, value) in &run.outputs {
            outln!("            {name} = {}", plain(value));
        }
        if let Some(error) = &run.error {
            outln!("            error: {}", error.message);
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
        outln!("{time} {:<5} {:<16} {}", line.level, line.task, line.message);
    }
    Ok(())
}
