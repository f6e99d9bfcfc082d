//! What can happen to an execution, as data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::RunId;
use crate::task::{ErrorClass, Expansion, Outputs};

/// One thing that happened. Events are only ever appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The execution exists: what it runs and with what.
    Created(Created),
    /// A process took the execution up, for the first time or again after a stop.
    Started,
    /// An attempt of a task begins.
    TaskStarted {
        /// The task run.
        run: RunId,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// A task with sub-tasks has decided which of them run; it goes on until they have ended.
    TaskExpanded {
        /// The task run.
        run: RunId,
        /// The decision.
        expansion: Expansion,
    },
    /// All sub-tasks of one iteration of a loop have ended.
    IterationEnded {
        /// The loop's task run.
        run: RunId,
        /// The iteration, from 0.
        index: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt, or all sub-tasks, ended well.
    TaskSucceeded {
        /// The task run.
        run: RunId,
        /// What it gives to later tasks.
        outputs: Outputs,
        /// Labels that it adds to the execution.
        labels: Map<String, Value>,
        /// Whether something in it failed that may.
        #[serde(default)]
        warning: bool,
    },
    /// An attempt, or a sub-task, ended badly.
    TaskFailed {
        /// The task run.
        run: RunId,
        /// Why.
        error: Failure,
        /// When the next attempt starts; none when this was the last.
        retry_at: Option<DateTime<Utc>>,
    },
    /// The task's condition kept it from running.
    TaskSkipped {
        /// The task run.
        run: RunId,
    },
    /// It waits for its turn: others of its flow are under way, or its process has gone.
    Queued,
    /// Somebody wants it to rest, until somebody resumes it.
    Paused,
    /// The execution is over, or stopped until somebody resumes it.
    Ended {
        /// How it ended.
        state: ExecutionState,
    },
}

/// How tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Well.
    Success,
    /// Well, but for something that may fail.
    Warning,
    /// Badly.
    Failed,
}

/// What an execution runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The flow's id.
    pub flow: String,
    /// The flow's namespace.
    pub namespace: String,
    /// Path of the flow's file.
    pub file: String,
    /// The flow's text, passwords blanked.
    pub text: String,
    /// SHA-256 of the flow's own text, in hex.
    pub sha256: String,
    /// The validated inputs; secret ones are left out.
    pub inputs: Map<String, Value>,
    /// Labels.
    pub labels: Map<String, Value>,
    /// The moment that the run is for.
    pub trigger_date: DateTime<Utc>,
    /// What started it, if nobody did by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Triggered>,
    /// Which of the flow's texts it runs; none where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

/// The trigger that started an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    /// The trigger's id in its flow.
    pub id: String,
    /// What kind of trigger it is: `schedule`, `webhook`, `flow`, `file`, `http`.
    pub kind: String,
    /// What expressions see as `trigger`, beside its `date`.
    pub facts: Map<String, Value>,
}

/// Why an attempt failed, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether a repeat could help.
    pub class: ErrorClass,
    /// What went wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// What went wrong in a word or two, if the task knows: `404`, `corrupt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The states of an execution, in Kestra's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ExecutionState {
    /// Written down, not started.
    Created,
    /// Waits for its turn.
    Queued,
    /// A process works on it, or died while it did.
    Running,
    /// Rests until somebody resumes it.
    Paused,
    /// All tasks ended well.
    Success,
    /// A task that may fail did.
    Warning,
    /// A task failed.
    Failed,
    /// The user stopped it.
    Killed,
    /// It was not started, because others of its flow were under way.
    Cancelled,
}

impl ExecutionState {
    /// The state as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Success => "SUCCESS",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether it has come to an end, good or bad; some ends can be gone on from.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Created | Self::Queued | Self::Running | Self::Paused)
    }

    /// Whether nothing remains to be done.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Success | Self::Warning)
    }
}

impl From<Outcome> for ExecutionState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Warning => Self::Warning,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl std::fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
