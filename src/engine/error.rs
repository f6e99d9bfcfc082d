//! Errors of the engine.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::engine::lock_name::LockName;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, JournalError};
use crate::task::TaskError;

/// Why the engine cannot do what it is asked to; a task that fails is no such error.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another process holds its lock.
    #[error("{0} is running in another process; wait until it ends, or stop that process first")]
    Locked(LockName),
    /// There is no such execution.
    #[error("there is no execution {0}")]
    NotFound(ExecutionId),
    /// It is in a state in which that cannot be done.
    #[error("execution {id} is {state} and cannot be {what}")]
    InvalidState {
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
    /// It cannot start, or continue.
    #[error("{what} {reason}")]
    CannotContinue {
        /// The execution or the backfill.
        what: LockName,
        /// Why, as the rest of a sentence about it.
        reason: String,
    },
    /// It began with another Postgres or Google Cloud project than the one that it would reach now.
    #[error("{what} began with {recorded} and would continue with {current}")]
    TargetMismatch {
        /// The execution or the backfill.
        what: String,
        /// What it began with.
        recorded: String,
        /// What it would reach now.
        current: String,
    },
    /// What it would continue with does not answer.
    #[error(transparent)]
    Unreachable(#[from] TaskError),
    /// The lock file cannot be used.
    #[error("cannot create a lock in {}", .0.display())]
    Lock(PathBuf, #[source] std::io::Error),
    /// The file of an input cannot be copied.
    #[error("input `{input}`: cannot copy {file} into storage")]
    InputFile {
        /// The input.
        input: String,
        /// Its file.
        file: String,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// The request is invalid: the flow is disabled, a check does not hold, an input does not fit.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Invalid(Vec<Diagnostic>),
}

impl EngineError {
    /// Whether the machine is at fault, as with a full disk: the same may well succeed later.
    pub fn is_system_error(&self) -> bool {
        match self {
            Self::Journal(_) | Self::Lock(..) => true,
            Self::InputFile { error, .. } => error.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

impl From<Diagnostic> for EngineError {
    fn from(finding: Diagnostic) -> Self {
        Self::Invalid(vec![finding])
    }
}
