//! Why there is no backfill, or nothing is done to one.

use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::id::BackfillId;
use crate::journal::JournalError;
use crate::task::TaskError;

/// Why there is no backfill, or nothing is done to one.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The request is invalid.
    #[error("{}", .0.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Diagnostic>),
    /// There is no such backfill.
    #[error("there is no backfill `{0}`")]
    NotFound(BackfillId),
    /// The state of the backfill or its flow does not allow it.
    #[error("{}", .0.message)]
    Conflict(Box<Diagnostic>),
    /// The target cannot be asked what it holds.
    #[error("cannot read what the target holds: {0}")]
    Target(TaskError),
    /// The engine cannot do it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl BackfillError {
    /// An invalid request, in plain words.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(vec![Diagnostic::error(message)])
    }

    /// A conflict with the current state.
    pub fn conflict(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Conflict(Box::new(Diagnostic::error(message).help(help)))
    }

    /// Everything there is to say about it, on one line.
    pub fn in_full(&self) -> String {
        let findings = match self {
            Self::Invalid(findings) => findings.as_slice(),
            Self::Conflict(finding) => std::slice::from_ref(&**finding),
            other => return other.to_string(),
        };
        let line = |finding: &Diagnostic| match &finding.help {
            Some(help) => format!("{} ({help})", finding.message),
            None => finding.message.clone(),
        };
        findings.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

impl From<JournalError> for BackfillError {
    fn from(error: JournalError) -> Self {
        Self::Engine(error.into())
    }
}
