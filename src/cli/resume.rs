//! `jitney resume`

use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use serde_json::{Map, Value};

use crate::cli::run::Session;
use crate::cli::{Exit, Invalid, executions};
use crate::config::{ScriptRunner, Settings};
use crate::diagnostic::Diagnostic;
use crate::engine::{Before, Recorded};
use crate::flow::input::{is_declared_secret, settle_again};
use crate::flow::{Flow, parse};
use crate::journal::State;
use crate::tasks;
use crate::text::plain;

#[derive(Args)]
pub(super) struct Arguments {
    /// The execution, or the beginning of its id [default: the newest that did not end well]
    id: Option<String>,
    /// A secret input of the flow, which the journal does not keep; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::inputs::pair)]
    input: Vec<(String, String)>,
    /// Where all scripts run, whatever their tasks say [default: JITNEY_SCRIPT_RUNNER]
    #[arg(long, value_name = "RUNNER")]
    script_runner: Option<ScriptRunner>,
    /// Print the execution as JSON when it has ended
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<Exit> {
    let settings = Arc::new(settings.with_script_runner(arguments.script_runner));
    let session = Session::open(&settings, arguments.json)?;
    let journal = &session.runner.journal;
    let id = match &arguments.id {
        Some(prefix) => executions::find(journal, prefix)?,
        None => match journal.newest_unfinished()? {
            Some(id) => id,
            None => {
                eprintln!("Every execution ended well; there is nothing to resume.");
                return Ok(Exit::Ok);
            }
        },
    };
    let state = executions::state(journal, &id)?;
    let flow = recorded_flow(&state)?;
    let inputs = inputs(&state, &flow, arguments.input)?;
    let state = session.execute(&id, &flow, &inputs).await?;
    Ok(session.report(&id, &state, arguments.json))
}

fn recorded_flow(state: &State) -> anyhow::Result<Flow> {
    let file = &state.created.file;
    let text = match Recorded::find(&state.created) {
        Recorded::Same(text) => text,
        Recorded::Changed => {
            let finding = Diagnostic::error(format!("{file} has changed since the execution began"))
                .help("bring the old text back, or start anew with `jitney run`: loads are safe to repeat");
            return Err(Invalid::from(finding).into());
        }
    };
    let parsed = parse(file, &text, tasks::ALL);
    parsed.flow.ok_or_else(|| Invalid(parsed.findings).into())
}

/// The recorded inputs, with the secret ones that the command line gives.
///
/// # Errors
/// [`Invalid`] when a secret, or an address with a password, is not given again.
fn inputs(state: &State, flow: &Flow, given: Vec<(String, String)>) -> Result<Map<String, Value>, Invalid> {
    let is_hidden = |value: &Value| value.to_string().contains("***");
    let (hidden, recorded): (Map<_, _>, Map<_, _>) =
        state.created.inputs.clone().into_iter().partition(|(_, value)| is_hidden(value));
    let is_wanted = |name: &str| is_declared_secret(&flow.inputs, name) || hidden.contains_key(name);
    let given: Vec<(String, String)> = given.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let is_given = |name: &str| given.iter().any(|(other, _)| other == name);
    if let Some((name, value)) = hidden.iter().find(|(name, _)| !is_given(name)) {
        let text = plain(value);
        let finding = Diagnostic::error(format!("the journal does not keep the password in input `{name}` ({text})"));
        return Err(finding.help(format!("give it again: `-i {name}=ADDRESS`")).into());
    }
    let resolution = settle_again(flow, &recorded, &given, &Before::at(Utc::now()));
    let missing = resolution.missing.iter().map(|question| question.as_finding(&flow.inputs));
    let problems: Vec<Diagnostic> = resolution.findings.into_iter().chain(missing).collect();
    if problems.is_empty() { Ok(resolution.values) } else { Err(Invalid(problems)) }
}
