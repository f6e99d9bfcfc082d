//! What the server logs about flows and executions.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::diagnostic::Diagnostic;
use crate::engine::catalog::{CatalogEntry, FlowChange, FlowChangeKind};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, JournalUpdate, LogLine};
use crate::server::access::AccessControl;
use crate::task::{Level, LogSource};
use crate::text::count;

/// An event whose level is known at run time only; `tracing` wants a constant.
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

/// Logs a problem in a file that a user wrote.
pub(super) fn finding(finding: &Diagnostic) {
    let (level, word) = if finding.is_error() { (Level::Error, "error: ") } else { (Level::Warn, "warning: ") };
    let text = finding.to_string();
    // The line shows its level already.
    event!(level, target: "jitney::flows", "{}", text.strip_prefix(word).unwrap_or(&text));
}

/// Logs that a flow was added, changed or removed.
pub(super) fn change(change: &FlowChange) {
    let entry = &change.entry;
    let (level, what) = match change.kind {
        FlowChangeKind::Added => (Level::Info, format!("added, revision {}", entry.revision)),
        FlowChangeKind::Changed => (Level::Info, format!("changed, now revision {}", entry.revision)),
        FlowChangeKind::Broken => (Level::Error, format!("broken; still using revision {}", entry.revision)),
        FlowChangeKind::Removed => (Level::Info, "removed".to_owned()),
    };
    let file = entry.file.display();
    event!(level, target: "jitney::flows", namespace = %entry.namespace, flow = %entry.id, "{what}  {file}");
    broken(entry);
}

/// Logs the findings of a flow that is broken.
pub(super) fn broken(entry: &CatalogEntry) {
    entry.findings.iter().filter(|_| entry.is_broken).for_each(finding);
}

/// Logs what happens to executions.
#[derive(Default)]
pub(super) struct ExecutionLog {
    /// The flows of executions that have not ended: a log line of the journal names its execution alone.
    flows: HashMap<ExecutionId, (String, String)>,
}

impl ExecutionLog {
    /// Logs updates until the journal is closed.
    pub(super) async fn follow(mut self, mut updates: Receiver<Arc<JournalUpdate>>) {
        loop {
            match updates.recv().await {
                Ok(update) => self.update(&update),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(target: "jitney::executions", "({} omitted)", count(missed, "line"));
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn update(&mut self, update: &JournalUpdate) {
        match update {
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
            Event::Ended { .. } => self.flows.remove(id),
            _ => self.flows.insert(id.clone(), (namespace.to_owned(), flow.to_owned())),
        };
    }

    /// A line of an execution's own log.
    fn line(&self, id: &ExecutionId, line: &LogLine) {
        let (namespace, flow) = self.flows.get(id).map(|(namespace, flow)| (namespace.as_str(), flow.as_str())).unzip();
        let task = match &line.source {
            LogSource::Execution => None,
            LogSource::Task(task) => Some(task.as_str()),
        };
        event!(line.level, target: "jitney::tasks", at = line.time.timestamp_millis(), namespace, flow,
            execution = id.as_str(), task, "{}", line.message);
    }
}

/// The level of an event; none for those that are not logged, since tasks log how they end.
fn level_of(status: ExecutionState, event: &Event) -> Option<Level> {
    let level = match status {
        ExecutionState::Failed => Level::Error,
        ExecutionState::Warning | ExecutionState::Killed | ExecutionState::Cancelled => Level::Warn,
        _ => Level::Info,
    };
    matches!(event, Event::Started | Event::Queued | Event::Paused | Event::Ended { .. }).then_some(level)
}

/// Prints the code that lets the first person in, where nobody can log in before there is a user.
pub(super) fn first_code(access: &AccessControl, scheme: &str, address: &str) {
    let Some(code) = access.first_code() else { return };
    let port = address.rsplit(':').next().unwrap_or_default();
    let host = address.strip_suffix(port).unwrap_or_default().trim_end_matches(':');
    let host = if ["0.0.0.0", "[::]"].contains(&host) { "localhost" } else { host };
    tracing::warn!(
        target: "jitney::server",
        "there are no users yet; this link lets one person in as admin: {scheme}://{host}:{port}/login?code={code}  Then add users \
         with `jitney user add NAME`"
    );
}
