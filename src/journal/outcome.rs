//! How tasks end.

use serde::{Deserialize, Serialize};

use crate::execution_state::ExecutionState;
use crate::task::ErrorClass;

/// How tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskOutcome {
    /// Well.
    Success,
    /// Well, except for something that may fail.
    Warning,
    /// Badly.
    Failed,
}

impl From<TaskOutcome> for ExecutionState {
    fn from(outcome: TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Success => Self::Success,
            TaskOutcome::Warning => Self::Warning,
            TaskOutcome::Failed => Self::Failed,
        }
    }
}

/// Why an attempt failed, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFailure {
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
