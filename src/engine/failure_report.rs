//! Why an execution failed, from the journal, the log and the flow: what agents and models read to explain it.

use serde::Serialize;

use crate::engine::snapshot;
use crate::flow::{Document, Flow};
use crate::id::ExecutionId;
use crate::journal::{Journal, JournalError, LogFilter, LogPosition, State, TaskRun, TaskState};
use crate::secret::Redactor;
use crate::text::shortened;

/// How many failed task runs are described.
const MAX_FAILURES: usize = 5;
/// How many lines of the log are quoted for each, and how many letters of a line.
const MAX_LOG_LINES: u32 = 15;
const MAX_LINE: usize = 400;
/// How many lines of a task's YAML are quoted.
const MAX_YAML_LINES: usize = 40;
/// The longest message, in letters.
const MAX_MESSAGE: usize = 2_000;

/// Why an execution failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureReport {
    /// The task runs that failed.
    pub failures: Vec<TaskRunFailure>,
    /// How many more there are.
    pub more: usize,
    /// The last lines that the execution itself logged as warnings or errors, such as that it was rejected.
    pub log: Vec<String>,
}

/// A task run that failed.
#[derive(Clone, Debug, Serialize)]
pub struct TaskRunFailure {
    /// The task run.
    pub run: String,
    /// Its task.
    pub task: String,
    /// The task's type, where the flow is known.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong.
    pub message: String,
    /// What to do about it, as the task says.
    pub help: Option<String>,
    /// The line of the flow's text on which the task begins.
    pub line: Option<usize>,
    /// The task's lines of the flow as it ran, without passwords.
    pub yaml: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

impl FailureReport {
    /// What the journal says, and the flow as it ran, if it is known.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of(
        journal: &Journal,
        redactor: &Redactor,
        (id, state): (&ExecutionId, &State),
        flow: Option<&Flow>,
    ) -> Result<Self, JournalError> {
        let has_failed = |task: &TaskRun| matches!(task.state, TaskState::Failed | TaskState::Retrying { .. });
        let failed: Vec<_> = state.tasks.iter().filter(|(_, task)| has_failed(task) && task.error.is_some()).collect();
        let shown = flow.map(|flow| FlowText::of(flow, redactor));
        let describe = |(run, task): &(&crate::id::RunId, &TaskRun)| {
            let step = flow.and_then(|flow| flow.all_steps().into_iter().find(|step| step.id.as_str() == run.task()));
            let error = task.error.as_ref();
            let place = step.map(|step| step.path.as_slice());
            Ok(TaskRunFailure {
                run: run.to_string(),
                task: run.task().to_owned(),
                kind: step.map(|step| step.task.name),
                attempts: task.attempts,
                message: error.map(|error| brief(&error.message, MAX_MESSAGE)).unwrap_or_default(),
                help: error.and_then(|error| error.help.clone()),
                line: flow.zip(place).map(|(flow, path)| flow.document.line(path)),
                yaml: shown.as_ref().zip(place).map(|(shown, path)| shown.lines(path)).unwrap_or_default(),
                log: last_lines(journal, id, Some(run.task()))?,
            })
        };
        let failures = failed.iter().take(MAX_FAILURES).map(describe).collect::<Result<_, JournalError>>()?;
        let log = if failed.is_empty() { last_lines(journal, id, None)? } else { Vec::new() };
        Ok(Self { failures, more: failed.len().saturating_sub(MAX_FAILURES), log })
    }
}

fn brief(text: &str, most: usize) -> String {
    shortened(text, most).into_owned()
}

fn last_lines(journal: &Journal, id: &ExecutionId, task: Option<&str>) -> Result<Vec<String>, JournalError> {
    let filter = LogFilter { task: task.map(str::to_owned), ..LogFilter::default() };
    let lines = journal.log_lines(id, &filter, LogPosition::End, MAX_LOG_LINES)?;
    Ok(lines.iter().map(|(_, line)| brief(&format!("{} {}", line.level, line.message), MAX_LINE)).collect())
}

/// A flow's text as others may read it, and where its tasks are in it.
struct FlowText {
    text: String,
    document: Option<Document>,
}

impl FlowText {
    fn of(flow: &Flow, redactor: &Redactor) -> Self {
        let text = redactor.clean(&snapshot::blank(&flow.document));
        let document = Document::parse(&flow.document.file, &text).ok();
        Self { text, document }
    }

    /// The lines of a task: those that are indented further than its first one.
    fn lines(&self, path: &[String]) -> String {
        let Some(first) = self.document.as_ref().and_then(|document| document.line(path).checked_sub(1)) else {
            return String::new();
        };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut lines = self.text.lines().skip(first);
        let Some(head) = lines.next() else { return String::new() };
        let rest = lines.take_while(|line| line.trim().is_empty() || indent(line) > indent(head));
        let lines: Vec<&str> = std::iter::once(head).chain(rest).take(MAX_YAML_LINES).collect();
        lines.join("\n").trim_end().to_owned()
    }
}
