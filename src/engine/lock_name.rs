//! The names of locks.

use std::fmt;
use std::path::PathBuf;

use crate::config::Settings;
use crate::id::{BackfillId, ExecutionId};
use crate::journal::QueueName;

/// What is locked. The lock's file is named after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockName {
    /// Held while a process works on the execution, or changes it.
    Execution(ExecutionId),
    /// Held while a process runs the backfill.
    Backfill(BackfillId),
    /// Held as long as the process lives whose queue it is: others adopt a queue once its lock is free.
    Queue(QueueName),
}

impl LockName {
    pub(super) fn path(&self, settings: &Settings) -> PathBuf {
        let locks = settings.home.join("locks");
        match self {
            Self::Execution(id) => locks.join(id.as_str()),
            Self::Backfill(id) => locks.join(format!("backfill-{id}")),
            Self::Queue(name) => locks.join(name.as_str()),
        }
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution(id) => write!(f, "execution {id}"),
            Self::Backfill(id) => write!(f, "backfill {id}"),
            Self::Queue(name) => write!(f, "queue {}", name.as_str()),
        }
    }
}

impl From<&ExecutionId> for LockName {
    fn from(id: &ExecutionId) -> Self {
        Self::Execution(id.clone())
    }
}

impl From<&BackfillId> for LockName {
    fn from(id: &BackfillId) -> Self {
        Self::Backfill(id.clone())
    }
}

impl From<&QueueName> for LockName {
    fn from(name: &QueueName) -> Self {
        Self::Queue(name.clone())
    }
}
