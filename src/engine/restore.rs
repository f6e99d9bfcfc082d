//! Restoring the flow and the inputs of an execution from the journal.

use serde_json::{Map, Value};

use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{InputHost, Recorded};
use crate::flow::input::{InputType, is_declared_secret, re_resolve};
use crate::flow::{Flow, parse};
use crate::journal::{ExecutionSpec, State};
use crate::task::TaskType;
use crate::text::plain;

/// The flow that an execution began with.
///
/// # Errors
/// When its file has changed and the journal's copy is not whole, or it is no flow to this version.
pub fn recorded_flow(created: &ExecutionSpec, tasks: &'static [TaskType]) -> Result<Flow, Vec<Diagnostic>> {
    let file = &created.file;
    match Recorded::find(created) {
        Recorded::Same(text) => {
            let parsed = parse(file, &text, tasks);
            parsed.flow.ok_or(parsed.findings)
        }
        Recorded::Changed => {
            let finding = Diagnostic::error(format!("{file} has changed since the execution started"));
            Err(vec![
                finding
                    .help("restore the old text, or start a new execution with `jitney run`: loads are safe to repeat"),
            ])
        }
    }
}

/// The values of an execution's inputs: the recorded ones, with the secret ones that are given again.
///
/// # Errors
/// When a secret, or an address with a password, is needed and not given again.
pub fn recorded_values(
    settings: &Settings,
    state: &State,
    flow: &Flow,
    given: Vec<(String, String)>,
) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let is_hidden = |value: &Value| value.to_string().contains("***");
    // The address of a file in storage holds no secret, whatever the file is called.
    let is_file = |name: &str| flow.inputs.iter().any(|input| input.id == name && input.kind == InputType::File);
    let (hidden, recorded): (Map<_, _>, Map<_, _>) =
        state.created.inputs.clone().into_iter().partition(|(name, value)| is_hidden(value) && !is_file(name));
    let is_wanted = |name: &str| is_declared_secret(&flow.inputs, name) || hidden.contains_key(name);
    let given: Vec<(String, String)> = given.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let is_given = |name: &str| given.iter().any(|(other, _)| other == name);
    if let Some((name, value)) = hidden.iter().find(|(name, _)| !is_given(name)) {
        let text = plain(value);
        let finding = Diagnostic::error(format!("the journal does not store the password in input `{name}` ({text})"));
        return Err(vec![finding.help(format!("give it again with `-i {name}=ADDRESS`"))]);
    }
    let resolution = re_resolve(flow, &recorded, &given, &InputHost::of(settings, flow, clock::now()));
    let missing = resolution.missing.iter().map(|question| question.as_finding(&flow.inputs));
    let problems: Vec<Diagnostic> = resolution.findings.into_iter().chain(missing).collect();
    if problems.is_empty() { Ok(resolution.values) } else { Err(problems) }
}
