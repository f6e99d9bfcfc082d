//! Why task runs failed: the place that the message names, what is wrong there, and what to do.

use crate::flow::Flow;
use crate::journal::{State, TaskState};
use crate::server::pages::shell::flow_address;

/// A task run that failed.
pub(super) struct Failure {
    pub(super) run: String,
    /// Its task.
    pub(super) task: String,
    /// `file:line:column`, where the message begins with it.
    pub(super) place: String,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) attempts: u32,
    /// The line of the flow's text where the task begins; 0 if it is not known.
    pub(super) line: usize,
    /// The same line in the editor, where the flow is still known; else empty.
    pub(super) edit: String,
}

pub(super) fn of(state: &State, flow: Option<&Flow>, now: Option<&Flow>) -> Vec<Failure> {
    let failed =
        state.tasks.iter().filter(|(_, task)| matches!(task.state, TaskState::Failed | TaskState::Retrying { .. }));
    let failure = failed.filter_map(|(run, task)| {
        let error = task.error.as_ref()?;
        let (place, message) = split(&error.message);
        Some(Failure {
            run: run.to_string(),
            task: run.task().to_owned(),
            place: place.to_owned(),
            message: message.to_owned(),
            help: error.help.clone().unwrap_or_default(),
            attempts: task.attempts,
            edit: now.map(|now| editor_address(now, run.task())).unwrap_or_default(),
            line: flow.map(|flow| super::yaml::line_of(flow, run.task())).unwrap_or_default(),
        })
    });
    failure.collect()
}

/// The editor at the line of a task.
fn editor_address(flow: &Flow, task: &str) -> String {
    let line = super::yaml::line_of(flow, task);
    let address = flow_address(&flow.namespace, flow.id.as_str());
    if line > 0 { format!("{address}/edit#L{line}") } else { String::new() }
}

/// A message without the `file:line:column: ` that it begins with, which is given apart.
fn split(message: &str) -> (&str, &str) {
    let Some((place, rest)) = message.split_once(": ") else { return ("", message) };
    let mut parts = place.rsplitn(3, ':');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    let is_place =
        is_number(parts.next()) && is_number(parts.next()) && parts.next().is_some_and(|file| !file.is_empty());
    if is_place { (place, rest) } else { ("", message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_stands_apart_only_where_there_is_one() {
        assert_eq!(
            split("a b.csv.gz:2345:56: `x`: `y` is not a number"),
            ("a b.csv.gz:2345:56", "`x`: `y` is not a number")
        );
        for message in ["no place: at all", "http://host:80: gone", "a:1: b", "nothing", ":1:2: x"] {
            assert_eq!(split(message), ("", message));
        }
    }
}
