//! What somebody may do to a backfill. What is wanted is written into the journal, and whoever drives it sees it there.

use chrono::{DateTime, Utc};

use super::backfill_run::is_running;
use super::error::BackfillError;
use super::status::PartitionStatus;
use crate::config::Settings;
use crate::engine::executor::Executor;
use crate::engine::{EngineError, Runner};
use crate::id::BackfillId;
use crate::journal::{Backfill, BackfillEnd, DesiredState};

/// How a backfill stands: RUNNING, PAUSED or CANCELLING while it goes on, STOPPED when nobody drives it, else how it
/// ended.
pub fn state(settings: &Settings, backfill: &Backfill) -> &'static str {
    match (backfill.outcome, backfill.wish) {
        (Some(end), _) => end.as_str(),
        (None, DesiredState::Pause) => "PAUSED",
        (None, _) if !is_running(settings, &backfill.id) => "STOPPED",
        (None, DesiredState::Run) => "RUNNING",
        (None, DesiredState::Cancel) => "CANCELLING",
    }
}

impl Runner {
    /// Wishes something of a backfill; whether a process is there that sees it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn wish_backfill(&self, id: &BackfillId, wish: DesiredState) -> Result<bool, BackfillError> {
        if !self.journal.set_desired_state(id, wish)? {
            let help = format!("`jitney backfill retry {id}` runs the partitions that are not loaded");
            return Err(BackfillError::not_now(format!("backfill {id} has ended"), help));
        }
        Ok(is_running(&self.settings, id))
    }

    /// Whether partitions of a backfill are left to run again.
    ///
    /// # Errors
    /// When it is under way.
    pub fn may_retry(&self, backfill: &Backfill) -> Result<bool, BackfillError> {
        let id = &backfill.id;
        if is_running(&self.settings, id) {
            let help = "wait until it has ended; one failed partition does not stop the others";
            return Err(BackfillError::not_now(format!("backfill {id} is running"), help));
        }
        Ok(self.partition_states(backfill)?.iter().any(|cell| !cell.status.is_in()))
    }
}

impl Executor {
    /// Cancels a backfill: whoever drives it stops what is under way. Where nobody does, what is left open is closed, so
    /// that nobody takes it up again. Whether somebody drives it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cancel_backfill(&self, backfill: &Backfill, now: DateTime<Utc>) -> Result<bool, BackfillError> {
        if self.runner().wish_backfill(&backfill.id, DesiredState::Cancel)? {
            return Ok(true);
        }
        for cell in self.runner().partition_states(backfill)? {
            let is_open = matches!(cell.status, PartitionStatus::Running | PartitionStatus::Stopped);
            let killed = cell.execution.filter(|_| is_open).map(|id| self.kill(&id));
            // Any other error: it has ended meanwhile, or another process works on it.
            if let Some(Err(EngineError::Journal(error))) = killed {
                return Err(error.into());
            }
        }
        self.journal().end_backfill(&backfill.id, BackfillEnd::Cancelled, now)?;
        Ok(false)
    }
}
