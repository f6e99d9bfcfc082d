//! A task that waits: for somebody, or for a moment.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a task asks for with [`TaskContext::pause`](crate::task::TaskContext::pause).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PauseRequest {
    /// How long it waits; none means until somebody resumes the execution.
    pub duration: Option<Duration>,
    /// What happens when nobody has resumed it by then.
    pub behavior: OnPauseTimeout,
}

/// What happens when a pause has lasted its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum OnPauseTimeout {
    /// The flow continues.
    #[default]
    Resume,
    /// The flow continues, with a warning.
    Warn,
    /// The task fails.
    Fail,
    /// The execution is cancelled.
    Cancel,
}
