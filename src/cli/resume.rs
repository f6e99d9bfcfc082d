//! `jitney resume`

use std::sync::Arc;

use clap::Args;

use crate::cli::run::Session;
use crate::cli::{Exit, Invalid, executions};
use crate::config::{ScriptRunner, Settings};
use crate::diagnostic::Diagnostic;
use crate::engine::Recorded;
use crate::flow::input::{self, InputType};
use crate::flow::{Flow, parse};
use crate::journal::State;
use crate::tasks;
use crate::text::plain;

#[derive(Args)]
pub(super) struct Arguments {
    /// The execution, or the beginning of its id [default: the newest that did not end well]
    id: Option<String>,
    /// A secret input of the flow, which the journal does not keep; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::run::pair)]
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
    let inputs = input::resolve(&flow.inputs, &given(&state, &flow, arguments.input)?).map_err(Invalid)?;
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

/// The recorded inputs as text, with the secret ones that the command line gives.
///
/// # Errors
/// [`Invalid`] when an address was given with a password, and is not given again.
fn given(state: &State, flow: &Flow, secrets: Vec<(String, String)>) -> Result<Vec<(String, String)>, Invalid> {
    let is_secret = |name: &str| flow.inputs.iter().any(|input| input.id == name && input.kind == InputType::Secret);
    let recorded = state.created.inputs.iter().filter(|(_, value)| !value.is_null());
    let recorded = recorded.map(|(name, value)| (name.clone(), plain(value)));
    let (hidden, mut given): (Vec<_>, Vec<_>) = recorded.partition(|(_, text)| text.contains("***"));
    let is_hidden = |name: &str| hidden.iter().any(|(other, _)| other == name);
    given.extend(secrets.into_iter().filter(|(name, _)| is_secret(name) || is_hidden(name)));
    match hidden.iter().find(|(name, _)| !given.iter().any(|(other, _)| other == name)) {
        None => Ok(given),
        Some((name, text)) => {
            let finding =
                Diagnostic::error(format!("the journal does not keep the password in input `{name}` ({text})"));
            Err(finding.help(format!("give it again: `-i {name}=ADDRESS`")).into())
        }
    }
}
