//! Waiting: for a place that a flow's `concurrency` leaves, for the end of a pause, for other processes.

use std::time::Duration;

use chrono::Utc;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::error::EngineError;
use crate::engine::lock::is_execution_locked;
use crate::engine::runner::Runner;
use crate::flow::{ConcurrencyPolicy, Flow};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{Event, ExecutionState, State};
use crate::task::Level;

/// How often a waiting execution looks for a free place.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Runner {
    /// Takes an execution up as soon as its flow's `concurrency` has room for it; whether it has been. A new one that
    /// finds none does as the flow says; one that goes on waits.
    pub(super) async fn admit(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        state: &mut State,
        cancel: &CancellationToken,
    ) -> Result<bool, EngineError> {
        loop {
            let events = self.opening_events(flow, state);
            let most = flow.concurrency.filter(|_| !events.is_empty()).map(|concurrency| concurrency.limit);
            let is_alive = |id: &ExecutionId| is_execution_locked(&self.settings, id);
            if self.journal.start_if_slot_free(id, state, clock::now, &events, most, &is_alive)? {
                return Ok(true);
            }
            let behavior = flow.concurrency.map(|concurrency| concurrency.behavior).unwrap_or_default();
            let end = match (state.status, behavior) {
                _ if cancel.is_cancelled() => Some(ExecutionState::Killed),
                (ExecutionState::Created, ConcurrencyPolicy::Fail) => Some(ExecutionState::Failed),
                (ExecutionState::Created, ConcurrencyPolicy::Cancel) => Some(ExecutionState::Cancelled),
                _ => None,
            };
            if let Some(end) = end {
                return self.refuse(id, flow, state, end);
            }
            if state.status == ExecutionState::Created {
                self.append(id, state, Event::Queued)?;
                self.say(id, Level::Info, &TaskId::new(""), &format!("waits: {} run already", crowd(flow)))?;
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = cancel.cancelled() => {}
            }
        }
    }

    fn refuse(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        state: &mut State,
        end: ExecutionState,
    ) -> Result<bool, EngineError> {
        if end != ExecutionState::Killed {
            let message = format!("there is no room for it: {} run already", crowd(flow));
            self.say(id, Level::Error, &TaskId::new(""), &message)?;
        }
        self.append(id, state, Event::Ended { state: end, outputs: Map::new() })?;
        Ok(false)
    }

    /// Waits until a pause has lasted its time, somebody has ended it, or the user stops.
    pub(super) async fn until_pause_ends(
        &self,
        id: &ExecutionId,
        at: chrono::DateTime<Utc>,
        cancel: &CancellationToken,
    ) -> Result<(), EngineError> {
        loop {
            let left = (at - clock::now()).to_std().unwrap_or_default();
            if left.is_zero() || cancel.is_cancelled() || self.journal.status(id)? != Some(ExecutionState::Paused) {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(POLL_INTERVAL * 5)) => {}
                () = cancel.cancelled() => {}
            }
        }
    }

    /// Waits until no other process works on an execution.
    pub(super) async fn until_free(&self, id: &ExecutionId, cancel: &CancellationToken) -> Result<(), EngineError> {
        while !cancel.is_cancelled() && is_execution_locked(&self.settings, id) {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = cancel.cancelled() => {}
            }
        }
        Ok(())
    }
}

fn crowd(flow: &Flow) -> String {
    match flow.concurrency.map_or(0, |concurrency| concurrency.limit) {
        1 => "one of this flow's executions".to_owned(),
        limit => format!("{limit} of this flow's executions"),
    }
}
