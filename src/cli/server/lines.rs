//! What the server says on stderr: a line for everything that happens, plain or as JSON.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::out::errln;
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::catalog::{Change, ChangeKind, Entry};
use crate::engine::health::HealthEvent;
use crate::id::ExecutionId;
use crate::journal::{Backfill, Event, ExecutionState, JournalUpdate, LogLine, TriggerKey};
use crate::secret::Redactor;
use crate::task::Level;
use crate::text::{count, indented};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Plain,
    /// An object for each line, for programs.
    Json,
}

/// One line: what it is about, as far as it is about something, and what there is to say.
#[derive(Clone, Debug, Default, Serialize)]
struct ServerLogLine {
    time: String,
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    message: String,
}

/// Where lines go.
#[derive(Clone)]
pub(super) struct ServerLog {
    format: LogFormat,
    redactor: Redactor,
    /// The flows of executions that have begun and not ended: a log line names its execution alone.
    flows: Arc<Mutex<HashMap<ExecutionId, (String, String)>>>,
}

impl ServerLog {
    pub(super) fn new(format: LogFormat, redactor: Redactor) -> Self {
        Self { format, redactor, flows: Arc::default() }
    }

    /// Something that is as it should be.
    pub(super) fn say(&self, text: &str) {
        self.write(
            clock::now(),
            ServerLogLine {
                level: Level::Info.as_str().to_owned(),
                message: text.to_owned(),
                ..ServerLogLine::default()
            },
        );
    }

    /// Something that is not.
    pub(super) fn warn(&self, text: &str) {
        self.write(
            clock::now(),
            ServerLogLine {
                level: Level::Warn.as_str().to_owned(),
                message: text.to_owned(),
                ..ServerLogLine::default()
            },
        );
    }

    /// Something wrong with what a user wrote.
    pub(super) fn finding(&self, finding: &Diagnostic) {
        let (level, word) = if finding.is_error() { (Level::Error, "error: ") } else { (Level::Warn, "warning: ") };
        let text = finding.to_string();
        // The line has its level.
        let message = text.strip_prefix(word).unwrap_or(&text).to_owned();
        self.write(clock::now(), line(level, message));
    }

    /// A trigger that could not do what it is for.
    pub(super) fn trigger(&self, key: &TriggerKey, problem: &str) {
        let message = format!("trigger {}: {problem}", key.trigger);
        self.write(clock::now(), about(&key.namespace, &key.flow, Level::Warn, message));
    }

    /// What a backfill has come to.
    pub(super) fn backfill(&self, backfill: &Backfill, level: Level, text: &str) {
        let message = format!("backfill {} {text}", backfill.id);
        self.write(clock::now(), about(&backfill.namespace, &backfill.flow, level, message));
    }

    /// A flow that has changed.
    pub(super) fn change(&self, change: &Change) {
        let entry = &change.entry;
        let (level, what) = match change.kind {
            ChangeKind::Added => (Level::Info, format!("added, revision {}", entry.revision)),
            ChangeKind::Changed => (Level::Info, format!("changed, now revision {}", entry.revision)),
            ChangeKind::Broken => (Level::Error, format!("broken; still using revision {}", entry.revision)),
            ChangeKind::Removed => (Level::Info, "removed".to_owned()),
        };
        let message = format!("{what}  {}", entry.file.display());
        self.write(clock::now(), about(&entry.namespace, &entry.id, level, message));
        self.broken(entry);
    }

    /// What is wrong with a flow, if it is broken.
    pub(super) fn broken(&self, entry: &Entry) {
        entry.findings.iter().filter(|_| entry.is_broken).for_each(|finding| self.finding(finding));
    }

    /// Says what happens to executions, as long as the journal is there.
    pub(super) async fn tell(self, mut happened: Receiver<Arc<JournalUpdate>>) {
        loop {
            match happened.recv().await {
                Ok(happened) => self.happened(&happened),
                Err(RecvError::Lagged(missed)) => self.warn(&format!("({} left out)", count(missed, "line"))),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Says what keeps the server from its work, and when that is over.
    pub(super) async fn tell_health(self, mut heard: Receiver<HealthEvent>) {
        loop {
            match heard.recv().await {
                Ok(HealthEvent::Bad(trouble)) => {
                    let parts: Vec<&str> = trouble.parts.iter().map(|part| part.as_str()).collect();
                    self.write(
                        clock::now(),
                        line(Level::Error, format!("{} (affects: {})", trouble.problem, parts.join(", "))),
                    );
                }
                Ok(HealthEvent::Good(trouble)) => self.say(&format!("over: {}", trouble.problem)),
                Ok(HealthEvent::Note(text)) => self.warn(&text),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn happened(&self, happened: &JournalUpdate) {
        match happened {
            JournalUpdate::Event { id, namespace, flow, status, time, event } => {
                let of = self.remember(id, namespace, flow, event);
                if let Some((level, message)) = told(*status, event) {
                    let about = about(&of.0, &of.1, level, message);
                    self.write(*time, ServerLogLine { execution: Some(id.to_string()), ..about });
                }
            }
            JournalUpdate::Log { id, line } => self.log(id, line),
            JournalUpdate::Deleted { id } => {
                let line = ServerLogLine {
                    level: Level::Info.as_str().to_owned(),
                    message: "deleted".to_owned(),
                    ..ServerLogLine::default()
                };
                self.write(clock::now(), ServerLogLine { execution: Some(id.to_string()), ..line });
            }
        }
    }

    /// The flow of an execution, kept until it has ended.
    fn remember(&self, id: &ExecutionId, namespace: &str, flow: &str, event: &Event) -> (String, String) {
        let of = (namespace.to_owned(), flow.to_owned());
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Ended { .. } => drop(flows.remove(id)),
            _ => drop(flows.insert(id.clone(), of.clone())),
        }
        of
    }

    fn log(&self, id: &ExecutionId, line: &LogLine) {
        let of = self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let (namespace, flow) = of.unzip();
        let task = (!line.task.is_empty()).then(|| line.task.clone());
        let (level, message) = (line.level.clone(), line.message.clone());
        let execution = Some(id.to_string());
        self.write(
            line.time,
            ServerLogLine { level, namespace, flow, execution, task, message, ..ServerLogLine::default() },
        );
    }

    fn write(&self, time: DateTime<Utc>, mut line: ServerLogLine) {
        line.message = self.redactor.line(&line.message);
        match self.format {
            LogFormat::Plain => {
                line.time = time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string();
                errln!("{}", line.plain());
            }
            LogFormat::Json => {
                line.time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
                errln!("{}", serde_json::json!(line));
            }
        }
    }
}

impl ServerLogLine {
    fn plain(&self) -> String {
        let flow =
            self.namespace.as_ref().zip(self.flow.as_ref()).map(|(namespace, flow)| format!("{namespace}.{flow}"));
        let parts = [flow.as_deref(), self.execution.as_deref(), self.task.as_deref(), Some(self.message.as_str())];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        // No line of a message may look like one of the log's own.
        indented(&format!("{}  {:<5}  {}", self.time, self.level, parts.join("  ")), 4)
    }
}

fn line(level: Level, message: String) -> ServerLogLine {
    ServerLogLine { level: level.as_str().to_owned(), message, ..ServerLogLine::default() }
}

fn about(namespace: &str, flow: &str, level: Level, message: String) -> ServerLogLine {
    let (namespace, flow) = (Some(namespace.to_owned()), Some(flow.to_owned()));
    ServerLogLine { namespace, flow, level: level.as_str().to_owned(), message, ..ServerLogLine::default() }
}

/// How severe an event is and what there is to say. Most say nothing: what becomes of tasks is logged.
fn told(status: ExecutionState, event: &Event) -> Option<(Level, String)> {
    let level = match status {
        ExecutionState::Failed => Level::Error,
        ExecutionState::Warning | ExecutionState::Killed | ExecutionState::Cancelled => Level::Warn,
        _ => Level::Info,
    };
    let is_told = matches!(event, Event::Started | Event::Queued | Event::Paused | Event::Ended { .. });
    is_told.then(|| (level, status.to_string()))
}
