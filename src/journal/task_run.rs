//! The state of one run of a task.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::TaskFailure;
use crate::task::{Expansion, OnPauseTimeout, Outputs};
use crate::text::plain;

/// The state of a task run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum TaskState {
    /// To be started.
    Created,
    /// An attempt or sub-tasks are running, or their process died.
    Running,
    /// Waits for its next attempt.
    Retrying {
        /// When that is.
        at: DateTime<Utc>,
    },
    /// Waits until somebody resumes it, or a moment comes.
    Paused {
        /// The moment.
        until: Option<DateTime<Utc>>,
        /// What happens then.
        behavior: OnPauseTimeout,
    },
    /// Ended well.
    Success,
    /// Ended well, except for something that may fail.
    Warning,
    /// Not run, by its condition.
    Skipped,
    /// Its last attempt failed.
    Failed,
    /// It was cancelled.
    Killed,
}

impl TaskState {
    /// The state as users see it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Retrying { .. } => "RETRYING",
            Self::Paused { .. } => "PAUSED",
            Self::Success => "SUCCESS",
            Self::Warning => "WARNING",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// Whether it ended well, or did not have to run.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Success | Self::Warning | Self::Skipped)
    }
}

impl std::fmt::Display for TaskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One run of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskRun {
    /// Its state.
    #[serde(flatten)]
    pub state: TaskState,
    /// The number of attempts so far.
    pub attempts: u32,
    /// When its first attempt began.
    pub since: Option<DateTime<Utc>>,
    /// When its latest attempt began.
    pub started: Option<DateTime<Utc>>,
    /// When its latest attempt ended.
    pub ended: Option<DateTime<Utc>>,
    /// Its outputs; empty unless it succeeded.
    pub outputs: Outputs,
    /// Why its latest attempt failed.
    pub error: Option<TaskFailure>,
    /// Which sub-tasks it runs, once it has decided.
    #[serde(skip)]
    pub expansion: Option<Expansion>,
    /// How far its loop has come.
    #[serde(skip)]
    pub progress: LoopProgress,
}

/// The iterations of a loop that have ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoopProgress {
    /// All iterations below this one have ended.
    pub next: u32,
    /// Those from `next` on that have ended.
    pub ended: BTreeSet<u32>,
    /// Those that failed; their task runs are kept.
    pub failed: BTreeSet<u32>,
    /// Whether one ended with a warning.
    pub warning: bool,
    /// The outputs of the sub-tasks: by task, then by the iteration's value.
    pub outputs: Map<String, Value>,
    /// The outputs of the iterations, of a loop that declares some.
    #[serde(default, rename = "gave")]
    pub isolated_outputs: BTreeMap<u32, Map<String, Value>>,
    /// When the latest one ended.
    #[serde(default)]
    pub latest: Option<DateTime<Utc>>,
    /// Whether the condition that the loop waits for is met.
    #[serde(default, rename = "over")]
    pub condition_met: bool,
}

impl LoopProgress {
    /// Whether an iteration is over.
    pub fn has_ended(&self, index: u32) -> bool {
        index < self.next || self.ended.contains(&index)
    }

    pub(super) fn end(&mut self, index: u32, time: DateTime<Utc>) {
        self.latest = Some(time);
        self.ended.insert(index);
        while self.ended.remove(&self.next) {
            self.next += 1;
        }
    }

    /// Keeps the outputs of a sub-task by the iteration's value; of a loop without values, the latest.
    pub(super) fn keep(&mut self, task: String, value: Option<&str>, outputs: Value) {
        let Some(value) = value else {
            self.outputs.insert(task, outputs);
            return;
        };
        let child = self.outputs.entry(task).or_insert_with(|| Map::new().into());
        if let Some(by_value) = child.as_object_mut() {
            by_value.insert(value.to_owned(), outputs);
        }
    }

    /// Failed iterations run again.
    pub(super) fn reopen(&mut self) {
        let Some(first) = self.failed.first().copied() else { return };
        self.ended.extend(first..self.next);
        self.next = self.next.min(first);
        for index in std::mem::take(&mut self.failed) {
            self.ended.remove(&index);
        }
    }
}

impl TaskRun {
    /// Puts the outputs of a loop's iterations into the order of the values, whatever the order in which they ended.
    pub(super) fn order_outputs(&mut self) {
        let Some(values) = self.expansion.as_ref().and_then(|expansion| expansion.values.as_ref()) else { return };
        let names: Vec<String> = values.iter().map(plain).collect();
        for outputs in self.progress.outputs.values_mut().filter_map(Value::as_object_mut) {
            let mut rest = std::mem::take(outputs);
            outputs.extend(names.iter().filter_map(|name| rest.remove_entry(name)));
            outputs.extend(rest);
        }
    }

    pub(super) fn new() -> Self {
        Self {
            state: TaskState::Created,
            attempts: 0,
            since: None,
            started: None,
            ended: None,
            outputs: Outputs::new(),
            error: None,
            expansion: None,
            progress: LoopProgress::default(),
        }
    }

    /// What a replay copies.
    pub fn kept(&self) -> TaskRunSnapshot {
        TaskRunSnapshot {
            state: self.state.clone(),
            started: self.started,
            ended: self.ended,
            outputs: self.outputs.clone(),
            expansion: self.expansion.clone(),
            progress: self.progress.clone(),
        }
    }
}

/// A task run that a replay copies from the execution that it repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRunSnapshot {
    /// Its state.
    pub state: TaskState,
    /// When its latest attempt began.
    pub started: Option<DateTime<Utc>>,
    /// When its latest attempt ended.
    pub ended: Option<DateTime<Utc>>,
    /// Its outputs.
    pub outputs: Outputs,
    /// Which sub-tasks it runs.
    pub expansion: Option<Expansion>,
    /// How far its loop has come.
    pub progress: LoopProgress,
}

impl From<TaskRunSnapshot> for TaskRun {
    fn from(kept: TaskRunSnapshot) -> Self {
        let TaskRunSnapshot { state, started, ended, outputs, expansion, progress } = kept;
        Self { state, started, ended, outputs, expansion, progress, since: started, attempts: 1, ..Self::new() }
    }
}
