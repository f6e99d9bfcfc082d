//! What a user can do to a backfill. The desired state is written into the journal, and the process that runs the backfill reads it
//! there.

use chrono::{DateTime, Utc};

use super::backfill_run::is_running;
use super::error::BackfillError;
use super::status::PartitionStatus;
use crate::config::Settings;
use crate::engine::executor::Executor;
use crate::engine::{EngineError, Runner};
use crate::id::BackfillId;
use crate::journal::{Backfill, BackfillEnd, DesiredState};

/// The state of a backfill: RUNNING, PAUSED or CANCELLING while a process runs it, STOPPED when none does, else how it ended.
pub fn state(settings: &Settings, backfill: &Backfill) -> &'static str {
    match (backfill.outcome, backfill.desired_state) {
        (Some(end), _) => end.as_str(),
        (None, DesiredState::Pause) => "PAUSED",
        (None, _) if !is_running(settings, &backfill.id) => "STOPPED",
        (None, DesiredState::Run) => "RUNNING",
        (None, DesiredState::Cancel) => "CANCELLING",
    }
}

impl Runner {
    /// Sets the desired state of a backfill; whether a process runs it, and will see that.
    ///
    /// # Errors
    /// When it has ended.
    pub fn set_desired_state(&self, id: &BackfillId, desired: DesiredState) -> Result<bool, BackfillError> {
        if !self.journal.set_desired_state(id, desired)? {
            let help = format!("`jitney backfill retry {id}` runs the partitions that are not loaded");
            return Err(BackfillError::conflict(format!("backfill {id} has ended"), help));
        }
        Ok(is_running(&self.settings, id))
    }

    /// Whether a backfill has partitions that a retry would run.
    ///
    /// # Errors
    /// When it is in progress.
    pub fn has_partitions_to_retry(&self, backfill: &Backfill) -> Result<bool, BackfillError> {
        let id = &backfill.id;
        if is_running(&self.settings, id) {
            let help = "wait until it has ended; one failed partition does not stop the others";
            return Err(BackfillError::conflict(format!("backfill {id} is running"), help));
        }
        Ok(self.partition_states(backfill)?.iter().any(|partition| !partition.status.is_complete()))
    }
}

impl Executor {
    /// Cancels a backfill: the process that runs it kills its executions. Where nobody does, those that have not ended are killed here,
    /// so that nobody adopts them. Whether somebody runs it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cancel_backfill(&self, backfill: &Backfill, now: DateTime<Utc>) -> Result<bool, BackfillError> {
        if self.runner().set_desired_state(&backfill.id, DesiredState::Cancel)? {
            return Ok(true);
        }
        for partition in self.runner().partition_states(backfill)? {
            let is_open = matches!(partition.status, PartitionStatus::Running | PartitionStatus::Stopped);
            let killed = partition.execution.filter(|_| is_open).map(|id| self.kill(&id));
            // Any other error: it has ended meanwhile, or another process works on it.
            if let Some(Err(EngineError::Journal(error))) = killed {
                return Err(error.into());
            }
        }
        self.journal().end_backfill(&backfill.id, BackfillEnd::Cancelled, now)?;
        Ok(false)
    }
}
