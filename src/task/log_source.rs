//! Who writes a log line.

use serde::{Serialize, Serializer};

use crate::id::TaskId;

/// Who writes a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The engine, about the execution as a whole.
    Execution,
    /// A task, or the engine about it.
    Task(TaskId),
}

impl LogSource {
    /// The task's id; empty for the execution.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Execution => "",
            Self::Task(task) => task.as_str(),
        }
    }
}

impl From<&TaskId> for LogSource {
    fn from(task: &TaskId) -> Self {
        Self::Task(task.clone())
    }
}

impl From<String> for LogSource {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Execution } else { Self::Task(TaskId::new(text)) }
    }
}

impl Serialize for LogSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
