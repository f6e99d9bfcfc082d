//! Why the engine cannot do what it is asked for.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, JournalError};
use crate::task::TaskError;

/// Why an execution cannot go on, other than that a task failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another process works on it.
    #[error("execution {0} is running in another process; wait until it ends, or stop that process first")]
    Taken(ExecutionId),
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// It is in a state in which that cannot be done.
    #[error("execution {id} is {state} and cannot be {what}")]
    NotPossible {
        /// The execution.
        id: ExecutionId,
        /// What cannot be done to it, as in `restarted`.
        what: &'static str,
        /// Its state.
        state: ExecutionState,
    },
    /// The process stops, and starts nothing more.
    #[error("the process is stopping")]
    Stopping,
    /// Something is missing that it needs to go on.
    #[error("execution {id} {reason}")]
    Stuck {
        /// The execution.
        id: ExecutionId,
        /// What is missing.
        reason: String,
    },
    /// It began with another Postgres or Google Cloud project than the one that it would reach now.
    #[error("{what} began with {began} and would continue with {here}")]
    Elsewhere {
        /// The execution or the backfill.
        what: String,
        /// What it began with.
        began: String,
        /// What it would reach now.
        here: String,
    },
    /// What it is to go on with does not answer.
    #[error(transparent)]
    Unreachable(#[from] TaskError),
    /// The lock file cannot be used.
    #[error("cannot make a lock in {}", .0.display())]
    Lock(PathBuf, #[source] std::io::Error),
    /// The file of an input cannot be copied.
    #[error("input `{0}`: cannot copy {1} into storage")]
    InputFile(String, String, #[source] std::io::Error),
    /// What was asked for cannot be: the flow is disabled, a check does not hold, an input does not fit.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Refused(Vec<Diagnostic>),
}

impl EngineError {
    /// Whether the machine is at fault, as with a full disk: the same may well succeed later.
    pub fn is_of_machine(&self) -> bool {
        match self {
            Self::Journal(_) | Self::Lock(..) => true,
            Self::InputFile(_, _, error) => error.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

impl From<Diagnostic> for EngineError {
    fn from(finding: Diagnostic) -> Self {
        Self::Refused(vec![finding])
    }
}
