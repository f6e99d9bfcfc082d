//! Exit codes, and which error leads to which.

use std::fmt;
use std::process::ExitCode;

use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;

/// The exit status of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Success.
    Ok = 0,
    /// An execution failed, or a well-formed flow was rejected before anything ran, because a task does not support a
    /// value.
    Failed = 1,
    /// The command line is not valid.
    Usage = 2,
    /// A flow, an input or a setting is not valid. Nothing was started.
    Invalid = 3,
    /// An execution is paused until somebody resumes it.
    Paused = 4,
    /// An internal error, or a failure of the machine.
    Internal = 70,
    /// The user stopped it.
    Cancelled = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        Self::from(exit as u8)
    }
}

/// Findings that end a command before it has any effect.
#[derive(Debug)]
pub struct InvalidFlow(pub Vec<Diagnostic>);

impl fmt::Display for InvalidFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Diagnostic::to_string).collect();
        f.write_str(&texts.join("\n\n"))
    }
}

impl std::error::Error for InvalidFlow {}

/// Findings for which a run rejects a well-formed flow.
#[derive(Debug)]
pub(super) struct RejectedRun(InvalidFlow);

impl fmt::Display for RejectedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RejectedRun {}

/// The error of a run whose flow was not accepted: a rejection if the flow itself is well-formed.
pub(super) fn rejected_run(error: anyhow::Error) -> anyhow::Error {
    let is_refusal = |finding: &Diagnostic| !finding.is_error() || finding.is_refusal;
    match error.downcast::<InvalidFlow>() {
        Ok(invalid) if invalid.0.iter().all(is_refusal) => RejectedRun(invalid).into(),
        Ok(invalid) => invalid.into(),
        Err(error) => error,
    }
}

/// Whether an error consists of findings, each with its own position and help.
pub(super) fn has_findings(error: &anyhow::Error) -> bool {
    error.is::<InvalidFlow>() || error.is::<RejectedRun>()
}

impl From<Diagnostic> for InvalidFlow {
    fn from(finding: Diagnostic) -> Self {
        Self(vec![finding])
    }
}

/// The error for a file, named by the user, that cannot be read or written.
pub(super) fn io_error(doing: impl fmt::Display, error: &std::io::Error) -> InvalidFlow {
    Diagnostic::error(format!("cannot {doing}: {error}")).into()
}

/// Turns rejections by the engine into errors about a flow, an input or a setting.
pub(super) fn explain(error: EngineError) -> anyhow::Error {
    match error {
        EngineError::Invalid(findings) => InvalidFlow(findings).into(),
        EngineError::TargetMismatch { .. } => InvalidFlow::from(target_changed(&error)).into(),
        EngineError::Unreachable(error) => error.into(),
        EngineError::InvalidState { .. } => InvalidFlow::from(Diagnostic::error(error.to_string())).into(),
        other => other.into(),
    }
}

fn target_changed(error: &EngineError) -> Diagnostic {
    let help = "specify the original one with `--postgres` or in the environment, or continue with the present one: `--retarget`";
    Diagnostic::error(error.to_string()).help(help)
}

/// The exit status for an error.
pub(super) fn status_of(error: &anyhow::Error) -> ExitStatus {
    if error.is::<InvalidFlow>() {
        ExitStatus::Invalid
    } else if error.is::<RejectedRun>()
        || error.is::<crate::task::TaskError>()
        || matches!(error.downcast_ref(), Some(EngineError::Locked(_)))
    {
        ExitStatus::Failed
    } else {
        ExitStatus::Internal
    }
}
