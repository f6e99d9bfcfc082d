//! States as pages show them: a word, a sign and a colour, never the colour alone.

use serde::{Serialize, Serializer};

use crate::doctor::FindingState;
use crate::journal::{ExecutionState, TaskState};
use crate::server::readiness::ReadinessStatus;

/// How a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateBadge {
    /// The word.
    pub(super) word: &'static str,
    /// The sign before it.
    pub(super) sign: &'static str,
    /// The class of the stylesheet that gives the colour.
    pub(super) class: &'static str,
}

impl Serialize for StateBadge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word)
    }
}

impl StateBadge {
    const fn new(word: &'static str, sign: &'static str, class: &'static str) -> Self {
        Self { word, sign, class }
    }

    /// The state of an execution that no process works on though it has not ended.
    pub(super) const INTERRUPTED: Self = Self::new("interrupted", "△", "warn");

    /// A task that has not begun.
    pub(super) const NOT_BEGUN: Self = Self::new("not begun", "–", "idle");

    /// What a data-quality rule says.
    pub(super) const HELD: Self = Self::new("held", "✓", "ok");
    pub(super) const WARNED: Self = Self::new("warned", "△", "warn");
    pub(super) const BROKEN: Self = Self::new("not as expected", "✗", "fail");

    pub(super) fn of(state: ExecutionState) -> Self {
        match state {
            ExecutionState::Success => Self::new("success", "✓", "ok"),
            ExecutionState::Warning => Self::new("warning", "△", "warn"),
            ExecutionState::Failed => Self::new("failed", "✗", "fail"),
            ExecutionState::Running => Self::new("running", "◐", "run"),
            ExecutionState::Queued => Self::new("queued", "…", "idle"),
            ExecutionState::Created => Self::new("created", "…", "idle"),
            ExecutionState::Restarted => Self::new("restarted", "…", "idle"),
            ExecutionState::Paused => Self::new("paused", "‖", "warn"),
            ExecutionState::Retrying => Self::new("retrying", "◐", "run"),
            ExecutionState::Retried => Self::new("retried", "↻", "idle"),
            ExecutionState::Killing => Self::new("killing", "◐", "run"),
            ExecutionState::Killed => Self::new("killed", "⊘", "idle"),
            ExecutionState::Cancelled => Self::new("cancelled", "⊘", "idle"),
        }
    }

    pub(super) fn of_readiness(status: ReadinessStatus) -> Self {
        match status {
            ReadinessStatus::Up => Self::new("up", "✓", "ok"),
            ReadinessStatus::Degraded => Self::new("degraded", "△", "warn"),
            ReadinessStatus::Down => Self::new("down", "✗", "fail"),
        }
    }

    pub(super) fn of_finding(state: FindingState) -> Self {
        match state {
            FindingState::Ok => Self::new("ok", "✓", "ok"),
            FindingState::Missing => Self::new("missing", "–", "idle"),
            FindingState::Warn => Self::new("warning", "△", "warn"),
        }
    }

    pub(super) fn of_task(state: &TaskState) -> Self {
        match state {
            TaskState::Success => Self::of(ExecutionState::Success),
            TaskState::Warning => Self::of(ExecutionState::Warning),
            TaskState::Failed => Self::of(ExecutionState::Failed),
            TaskState::Running => Self::of(ExecutionState::Running),
            TaskState::Created => Self::of(ExecutionState::Created),
            TaskState::Retrying { .. } => Self::of(ExecutionState::Retrying),
            TaskState::Paused { .. } => Self::of(ExecutionState::Paused),
            TaskState::Killed => Self::of(ExecutionState::Killed),
            TaskState::Skipped => Self::new("skipped", "↷", "idle"),
        }
    }
}
