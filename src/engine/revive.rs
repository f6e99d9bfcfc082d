//! What an execution needs to go on, from what the journal keeps of it.

use crate::diagnostic::Diagnostic;
use crate::engine::Recorded;
use crate::flow::input::{self, InputType};
use crate::flow::{Flow, parse};
use crate::journal::{Created, State};
use crate::task::TaskType;
use crate::text::plain;

/// The flow that an execution began with.
///
/// # Errors
/// When its file has changed and the journal's copy is not whole, or it is no flow to this version.
pub fn recorded_flow(created: &Created, tasks: &'static [TaskType]) -> Result<Flow, Vec<Diagnostic>> {
    let file = &created.file;
    match Recorded::find(created) {
        Recorded::Same(text) => {
            let parsed = parse(file, &text, tasks);
            parsed.flow.ok_or(parsed.findings)
        }
        Recorded::Changed => {
            let finding = Diagnostic::error(format!("{file} has changed since the execution began"));
            Err(vec![
                finding.help("bring the old text back, or start anew with `jitney run`: loads are safe to repeat"),
            ])
        }
    }
}

/// The inputs that an execution began with, as text, with the secret ones that are given again.
///
/// # Errors
/// When an address was given with a password, and is not given again.
pub fn recorded_inputs(
    state: &State,
    flow: &Flow,
    secrets: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Diagnostic> {
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
            Err(finding.help(format!("give it again: `-i {name}=ADDRESS`")))
        }
    }
}

/// The values of an execution's inputs.
///
/// # Errors
/// When one is secret, needed and not given again.
pub fn recorded_values(
    state: &State,
    flow: &Flow,
    secrets: Vec<(String, String)>,
) -> Result<serde_json::Map<String, serde_json::Value>, Vec<Diagnostic>> {
    let given = recorded_inputs(state, flow, secrets).map_err(|finding| vec![finding])?;
    input::resolve(&flow.inputs, &given)
}
