//! Locks that the system releases when their process is gone: of executions, and of the places that a flow's
//! `concurrency` leaves.

use std::fs::{File, TryLockError};
use std::time::Duration;

use chrono::Utc;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use crate::engine::run::{EngineError, Runner};
use crate::flow::{Crowded, Flow};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{Event, ExecutionState, State};
use crate::task::Level;

/// How often a waiting execution looks for a free place.
const GLANCE: Duration = Duration::from_millis(100);

/// Whether an execution may begin.
pub(super) enum Admission {
    /// It may; the lock is its place.
    Granted(Option<File>),
    /// It has ended already.
    Refused,
}

impl Runner {
    /// One process at a time works on an execution; the lock goes with the process.
    pub(super) fn lock(&self, id: &ExecutionId) -> Result<File, EngineError> {
        self.try_lock(id, id.as_str())?.ok_or_else(|| EngineError::Taken(id.clone()))
    }

    fn try_lock(&self, id: &ExecutionId, name: &str) -> Result<Option<File>, EngineError> {
        let folder = self.settings.home.join("locks");
        let lock = std::fs::create_dir_all(&folder).and_then(|()| File::create(folder.join(name)));
        let file = lock.map_err(|error| EngineError::Lock(id.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(EngineError::Lock(id.clone(), error)),
        }
    }

    /// A place among the executions of a flow that run at a time. A new execution that finds none does as the flow
    /// says; one that goes on waits.
    pub(super) async fn admit(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        state: &mut State,
        cancel: &CancellationToken,
    ) -> Result<Admission, EngineError> {
        let Some(concurrency) = flow.concurrency else { return Ok(Admission::Granted(None)) };
        loop {
            for place in 0..concurrency.limit {
                if let Some(lock) = self.try_lock(id, &format!("{}.{}.{place}", flow.namespace, flow.id))? {
                    return Ok(Admission::Granted(Some(lock)));
                }
            }
            let end = match (state.status, concurrency.behavior) {
                _ if cancel.is_cancelled() => Some(ExecutionState::Killed),
                (ExecutionState::Created, Crowded::Fail) => Some(ExecutionState::Failed),
                (ExecutionState::Created, Crowded::Cancel) => Some(ExecutionState::Cancelled),
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
                () = tokio::time::sleep(GLANCE) => {}
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
    ) -> Result<Admission, EngineError> {
        if end != ExecutionState::Killed {
            let message = format!("there is no room for it: {} run already", crowd(flow));
            self.say(id, Level::Error, &TaskId::new(""), &message)?;
        }
        self.append(id, state, Event::Ended { state: end, outputs: Map::new() })?;
        Ok(Admission::Refused)
    }

    /// Waits until a pause has lasted its time, somebody has ended it, or the user stops.
    pub(super) async fn until_pause_ends(
        &self,
        id: &ExecutionId,
        at: chrono::DateTime<Utc>,
        cancel: &CancellationToken,
    ) -> Result<(), EngineError> {
        loop {
            let left = (at - Utc::now()).to_std().unwrap_or_default();
            if left.is_zero() || cancel.is_cancelled() || self.journal.status(id)?.as_deref() != Some("PAUSED") {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(GLANCE * 5)) => {}
                () = cancel.cancelled() => {}
            }
        }
    }

    /// Waits until no other process works on an execution.
    pub(super) async fn until_free(&self, id: &ExecutionId, cancel: &CancellationToken) -> Result<(), EngineError> {
        while !cancel.is_cancelled() && self.try_lock(id, id.as_str())?.is_none() {
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
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
