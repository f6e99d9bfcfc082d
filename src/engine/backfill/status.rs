//! How partitions stand: by their executions, and by what the flow's target holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::engine::ended_facts::EndedFacts;
use crate::engine::lock::is_locked;
use crate::engine::{EngineError, Runner};
use crate::id::ExecutionId;
use crate::journal::{Backfill, ExecutionState, State, Summary, TaskState};
use crate::text::shortened;

/// A reason without a short name is cut to this length.
const MAX_REASON: usize = 48;

/// How a partition stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "UPPERCASE")]
pub enum PartitionStatus {
    /// It has not run.
    Waiting,
    /// It is in progress.
    Running,
    /// It ended well.
    Loaded {
        /// Rows that are new or changed.
        rows: u64,
        /// Whether everything was there already.
        already: bool,
    },
    /// It failed.
    Failed {
        /// Why, in a word or two: `404`.
        reason: String,
        /// Why.
        message: String,
    },
    /// It was stopped, or its process died; it can be resumed.
    Stopped,
    /// It is not to run.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// A partition and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionState {
    /// The partition.
    pub partition: String,
    /// The date that it is for.
    pub date: DateTime<Utc>,
    /// How it stands.
    #[serde(flatten)]
    pub status: PartitionStatus,
    /// Its latest execution.
    pub execution: Option<ExecutionId>,
}

impl PartitionStatus {
    /// How an execution that has ended leaves its partition.
    pub fn of_state(state: &State) -> Self {
        match state.status {
            ExecutionState::Success | ExecutionState::Warning => {
                Self::Loaded { rows: state.rows, already: state.rows == 0 && is_there_already(state) }
            }
            ExecutionState::Killed => Self::Stopped,
            ExecutionState::Cancelled => Self::without_slot(),
            ExecutionState::Failed => {
                let (reason, message) = why(state);
                Self::Failed { reason, message }
            }
            _ => Self::Running,
        }
    }

    fn of_ended(summary: &Summary, facts: &EndedFacts) -> Self {
        match (summary.state, &facts.why) {
            (ExecutionState::Killed, _) => Self::Stopped,
            (ExecutionState::Cancelled, _) => Self::without_slot(),
            (ExecutionState::Failed, Some((reason, message))) => {
                Self::Failed { reason: reason.clone(), message: message.clone() }
            }
            (ExecutionState::Success | ExecutionState::Warning, _) => {
                Self::Loaded { rows: summary.rows, already: summary.rows == 0 && facts.is_there_already }
            }
            _ => Self::Running,
        }
    }

    fn without_slot() -> Self {
        let message = "the limit of the flow's `concurrency`".to_owned();
        Self::Failed { reason: "no free slot".to_owned(), message }
    }

    /// Whether there is nothing to do for it: it is in, or is not to run.
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Loaded { .. } | Self::Skipped { .. })
    }

    /// Whether it failed.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Whether an execution is one that the latest retry runs again. Ids are in the order of creation; times need not be.
fn is_before_retry(backfill: &Backfill, summary: &Summary) -> bool {
    backfill.since_id.as_ref().is_some_and(|since| summary.id <= *since)
}

fn is_there_already(state: &State) -> bool {
    state.tasks.values().any(|task| task.outputs.get("already_loaded") == Some(&Value::Bool(true)))
}

/// Why an execution failed: short, and in full.
fn why(state: &State) -> (String, String) {
    let failed = state.tasks.values().filter(|task| task.state == TaskState::Failed);
    let mut errors: Vec<_> = failed.filter_map(|task| Some((task.ended, task.error.as_ref()?))).collect();
    // A task around the one that failed ends after it.
    errors.sort_by_key(|(ended, error)| (error.code.is_none(), *ended));
    let Some((_, error)) = errors.first() else {
        let message = "it did not run; see its log".to_owned();
        return ("not run".to_owned(), message);
    };
    let line = error.message.lines().next().unwrap_or_default();
    let short = || shortened(line, MAX_REASON).replace(" …", "…");
    (error.code.clone().unwrap_or_else(short), error.message.clone())
}

/// The rows of all partitions together.
pub fn rows(partition_states: &[PartitionState]) -> u64 {
    partition_states
        .iter()
        .map(|cell| if let PartitionStatus::Loaded { rows, .. } = cell.status { rows } else { 0 })
        .sum()
}

impl Runner {
    /// How an execution leaves its partition, by its summary and, where that does not say it all, by its events.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn status(&self, summary: &Summary) -> Result<PartitionStatus, EngineError> {
        match summary.state {
            ExecutionState::Killed => return Ok(PartitionStatus::Stopped),
            ExecutionState::Success | ExecutionState::Warning if summary.rows > 0 => {
                return Ok(PartitionStatus::Loaded { rows: summary.rows, already: false });
            }
            _ => {}
        }
        if summary.state.has_ended() {
            let facts = self.ended_facts(summary)?;
            return Ok(PartitionStatus::of_ended(summary, &facts));
        }
        let Some(state) = self.journal.state(&summary.id)? else { return Ok(PartitionStatus::Waiting) };
        if state.status.has_ended() || is_locked(&self.settings, &summary.id) {
            return Ok(PartitionStatus::of_state(&state));
        }
        let waits = matches!(state.status, ExecutionState::Queued | ExecutionState::Paused);
        Ok(if waits { PartitionStatus::Running } else { PartitionStatus::Stopped })
    }

    /// What the events of an execution that has ended tell about its partition.
    pub(super) fn ended_facts(&self, summary: &Summary) -> Result<Arc<EndedFacts>, EngineError> {
        self.ended.of(summary, || {
            let state = self.journal.state(&summary.id)?;
            let sums =
                state.iter().flat_map(|state| state.tasks.values()).filter_map(|task| task.outputs.get("sha256"));
            Ok(EndedFacts {
                is_there_already: state.as_ref().is_some_and(is_there_already),
                why: state.as_ref().filter(|state| state.status == ExecutionState::Failed).map(why),
                sha256: sums.filter_map(Value::as_str).next().map(str::to_owned),
            })
        })
    }

    /// The partitions of a backfill and how they stand.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn partition_states(&self, backfill: &Backfill) -> Result<Vec<PartitionState>, EngineError> {
        let executions = self.journal.backfill_executions(&backfill.id)?;
        let cell = |partition: &crate::journal::BackfillPartition| {
            let summary = executions.get(&partition.label);
            let status = match (&partition.skipped, summary) {
                (Some(reason), _) => PartitionStatus::Skipped { reason: reason.clone() },
                (None, None) => PartitionStatus::Waiting,
                (None, Some(summary)) => match self.status(summary)? {
                    PartitionStatus::Failed { .. } if is_before_retry(backfill, summary) => PartitionStatus::Waiting,
                    status => status,
                },
            };
            let execution = summary.map(|summary| summary.id.clone());
            Ok(PartitionState { partition: partition.label.clone(), date: partition.date, status, execution })
        };
        backfill.partitions.iter().map(cell).collect()
    }
}
