//! The pauses of an execution.

use chrono::{DateTime, Utc};

use super::state::State;
use super::task_run::TaskState;
use crate::id::RunId;

impl State {
    /// When the first pause times out; none when all wait for somebody.
    pub fn pause_ends(&self) -> Option<DateTime<Utc>> {
        self.paused().filter_map(|(_, until)| until).min()
    }

    /// The paused task runs, and until when they wait.
    pub fn paused(&self) -> impl Iterator<Item = (&RunId, Option<DateTime<Utc>>)> {
        self.tasks.iter().filter_map(|(run, task)| match task.state {
            TaskState::Paused { until, .. } => Some((run, until)),
            _ => None,
        })
    }
}
