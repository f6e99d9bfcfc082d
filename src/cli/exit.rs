//! Exit codes, and how an error ends the program.

use std::fmt;
use std::process::ExitCode;

use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// All went well.
    Ok = 0,
    /// An execution failed, or a well-formed flow was refused before anything ran: a task cannot do what a value asks for.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A flow, an input or a setting is wrong. Nothing was started.
    Invalid = 3,
    /// An execution is paused until somebody resumes it.
    Paused = 4,
    /// A defect of jitney, or a machine that cannot go on.
    Internal = 70,
    /// The user stopped it.
    Cancelled = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(exit: ExitStatus) -> Self {
        Self::from(exit as u8)
    }
}

/// Findings that end a command before it has done anything.
#[derive(Debug)]
pub struct InvalidFlow(pub Vec<Diagnostic>);

impl fmt::Display for InvalidFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Diagnostic::to_string).collect();
        f.write_str(&texts.join("\n\n"))
    }
}

impl std::error::Error for InvalidFlow {}

/// Findings in a flow that is well-formed, and that a run refuses.
#[derive(Debug)]
pub(super) struct RejectedRun(InvalidFlow);

impl fmt::Display for RejectedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RejectedRun {}

/// The error of a run whose flow cannot be read.
pub(super) fn of_run(error: anyhow::Error) -> anyhow::Error {
    let is_refusal = |finding: &Diagnostic| !finding.is_error() || finding.is_refusal;
    match error.downcast::<InvalidFlow>() {
        Ok(invalid) if invalid.0.iter().all(is_refusal) => RejectedRun(invalid).into(),
        Ok(invalid) => invalid.into(),
        Err(error) => error,
    }
}

/// Whether an error is made of findings, each with its place and help.
pub(super) fn has_findings(error: &anyhow::Error) -> bool {
    error.is::<InvalidFlow>() || error.is::<RejectedRun>()
}

impl From<Diagnostic> for InvalidFlow {
    fn from(finding: Diagnostic) -> Self {
        Self(vec![finding])
    }
}

/// A file that the user named and that cannot be read or written.
pub(super) fn cannot(doing: impl fmt::Display, error: &std::io::Error) -> InvalidFlow {
    Diagnostic::error(format!("cannot {doing}: {error}")).into()
}

/// What the engine refuses is wrong with a flow, an input or a setting.
pub(super) fn explain(error: EngineError) -> anyhow::Error {
    match error {
        EngineError::Invalid(findings) => InvalidFlow(findings).into(),
        EngineError::TargetMismatch { .. } => InvalidFlow::from(elsewhere(&error)).into(),
        EngineError::Unreachable(error) => error.into(),
        EngineError::InvalidState { .. } => InvalidFlow::from(Diagnostic::error(error.to_string())).into(),
        other => other.into(),
    }
}

fn elsewhere(error: &EngineError) -> Diagnostic {
    let help = "specify the original one with `--postgres` or in the environment, or continue with the present one: `--retarget`";
    Diagnostic::error(error.to_string()).help(help)
}

/// The exit code that an error stands for.
pub(super) fn code_of(error: &anyhow::Error) -> ExitStatus {
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
