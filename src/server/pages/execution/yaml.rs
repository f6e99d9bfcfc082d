//! The text of the flow that an execution began with, line by line, so that each line has an address.

use crate::diagnostic::Diagnostic;
use crate::flow::Flow;
use crate::journal::State;

/// The most lines that are shown.
const MAX_LINES: usize = 5000;

/// A line of the text.
pub(super) struct YamlLine {
    pub(super) number: usize,
    pub(super) text: String,
    /// Whether a task that failed begins here.
    pub(super) is_failed: bool,
}

pub(super) fn of(state: &State, failed: &[usize]) -> Vec<YamlLine> {
    let lines = state.created.text.lines().take(MAX_LINES).enumerate();
    let shown = lines.map(|(index, text)| YamlLine {
        number: index + 1,
        text: text.to_owned(),
        is_failed: failed.contains(&(index + 1)),
    });
    shown.collect()
}

/// The line where a task of the flow begins; 0 if there is no such task.
pub(super) fn line_of(flow: &Flow, task: &str) -> usize {
    let step = flow.all_steps().into_iter().find(|step| step.id.as_str() == task);
    step.map(|step| flow.document.locate(&step.path, Diagnostic::error("")).line).unwrap_or_default()
}
