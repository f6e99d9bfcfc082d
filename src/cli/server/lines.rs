//! What the log of a server says of flows and executions.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::diagnostic::Diagnostic;
use crate::engine::catalog::{Change, ChangeKind, Entry};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, JournalUpdate, LogLine};
use crate::task::Level;
use crate::text::count;

/// An event of a level that is known only now.
macro_rules! event {
    ($level:expr, target: $target:literal, $($rest:tt)+) => {
        match $level {
            Level::Debug => tracing::debug!(target: $target, $($rest)+),
            Level::Info => tracing::info!(target: $target, $($rest)+),
            Level::Warn => tracing::warn!(target: $target, $($rest)+),
            Level::Error => tracing::error!(target: $target, $($rest)+),
        }
    };
}

/// Something wrong with what a user wrote.
pub(super) fn finding(finding: &Diagnostic) {
    let (level, word) = if finding.is_error() { (Level::Error, "error: ") } else { (Level::Warn, "warning: ") };
    let text = finding.to_string();
    // The line has its level.
    event!(level, target: "jitney::flows", "{}", text.strip_prefix(word).unwrap_or(&text));
}

/// A flow that has changed.
pub(super) fn change(change: &Change) {
    let entry = &change.entry;
    let (level, what) = match change.kind {
        ChangeKind::Added => (Level::Info, format!("added, revision {}", entry.revision)),
        ChangeKind::Changed => (Level::Info, format!("changed, now revision {}", entry.revision)),
        ChangeKind::Broken => (Level::Error, format!("broken; still using revision {}", entry.revision)),
        ChangeKind::Removed => (Level::Info, "removed".to_owned()),
    };
    let file = entry.file.display();
    event!(level, target: "jitney::flows", namespace = %entry.namespace, flow = %entry.id, "{what}  {file}");
    broken(entry);
}

/// What is wrong with a flow, if it is broken.
pub(super) fn broken(entry: &Entry) {
    entry.findings.iter().filter(|_| entry.is_broken).for_each(finding);
}

/// Says what happens to executions.
#[derive(Default)]
pub(super) struct ExecutionLog {
    /// The flows of executions that have begun and not ended: a log line names its execution alone.
    flows: HashMap<ExecutionId, (String, String)>,
}

impl ExecutionLog {
    /// Says it as long as the journal is there.
    pub(super) async fn follow(mut self, mut happened: Receiver<Arc<JournalUpdate>>) {
        loop {
            match happened.recv().await {
                Ok(happened) => self.happened(&happened),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(target: "jitney::executions", "({} left out)", count(missed, "line"));
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn happened(&mut self, happened: &JournalUpdate) {
        match happened {
            JournalUpdate::Event { id, namespace, flow, status, time, event } => {
                self.remember(id, namespace, flow, event);
                if let Some(level) = level_of(*status, event) {
                    event!(level, target: "jitney::executions", at = time.timestamp_millis(), namespace = namespace.as_str(),
                        flow = flow.as_str(), execution = id.as_str(), "{status}");
                }
            }
            JournalUpdate::Log { id, line } => self.line(id, line),
            JournalUpdate::Deleted { id } => {
                tracing::info!(target: "jitney::executions", execution = id.as_str(), "deleted");
            }
        }
    }

    /// Keeps the flow of an execution until it has ended.
    fn remember(&mut self, id: &ExecutionId, namespace: &str, flow: &str, event: &Event) {
        match event {
            Event::Ended { .. } => drop(self.flows.remove(id)),
            _ => drop(self.flows.insert(id.clone(), (namespace.to_owned(), flow.to_owned()))),
        }
    }

    /// A line of an execution's own log.
    fn line(&self, id: &ExecutionId, line: &LogLine) {
        let of = self.flows.get(id);
        let (namespace, flow) = (of.map(|of| of.0.as_str()), of.map(|of| of.1.as_str()));
        let task = (!line.task.is_empty()).then_some(line.task.as_str());
        event!(line.level, target: "jitney::tasks", at = line.time.timestamp_millis(), namespace, flow,
            execution = id.as_str(), task, "{}", line.message);
    }
}

/// How severe an event is. Most say nothing: what becomes of tasks is logged.
fn level_of(status: ExecutionState, event: &Event) -> Option<Level> {
    let level = match status {
        ExecutionState::Failed => Level::Error,
        ExecutionState::Warning | ExecutionState::Killed | ExecutionState::Cancelled => Level::Warn,
        _ => Level::Info,
    };
    matches!(event, Event::Started | Event::Queued | Event::Paused | Event::Ended { .. }).then_some(level)
}
