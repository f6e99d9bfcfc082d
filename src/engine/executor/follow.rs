//! Waiting for executions, whichever process works on them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Executor, Prepared, locked};
use crate::clock;
use crate::engine::EngineError;
use crate::engine::interrupted::is_interrupted;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, State};

/// How often a waiter looks at the journal for what other processes did.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often a follower of an execution looks at it while another process works on it.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// The states of executions that a process works on, or should.
const ACTIVE: &[ExecutionState] = &[
    ExecutionState::Created,
    ExecutionState::Queued,
    ExecutionState::Running,
    ExecutionState::Restarted,
    ExecutionState::Retrying,
    ExecutionState::Killing,
];

/// Wakes those who wait for an execution.
#[derive(Default)]
pub(super) struct ExecutionWatcher {
    changed: Notify,
    /// Why the work on it failed, for the first who asks.
    problem: Mutex<Option<EngineError>>,
}

impl Executor {
    /// Waits until an execution has ended or is paused.
    ///
    /// # Errors
    /// When there is no such execution, or the journal cannot be read.
    pub async fn wait(&self, id: &ExecutionId) -> Result<State, EngineError> {
        loop {
            let watcher = self.watch(id);
            let changed = watcher.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // The journal has its end before it leaves `running`: a waiter that returned then could not act on it yet.
            if !self.running().contains_key(id) {
                let state = self.shared.runner.state(id)?;
                if state.status.has_ended() || state.status == ExecutionState::Paused {
                    self.unwatch(id, &watcher);
                    return Ok(state);
                }
            }
            // What other processes do is seen by polling alone.
            tokio::select! { () = changed => {}, () = tokio::time::sleep(POLL_INTERVAL) => {} }
        }
    }

    /// Waits for an execution that has been started, and for those that retry it, to the last: until that has ended or is
    /// paused until somebody resumes it. It is adopted when the process that worked on it has died, and killed on
    /// `cancel`, unless another process works on it.
    ///
    /// # Errors
    /// When the work on it failed, or the journal cannot be used.
    pub async fn follow(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        cancel: &CancellationToken,
    ) -> Result<(ExecutionId, State), EngineError> {
        let (mut id, mut is_killed) = (id.clone(), false);
        loop {
            let watcher = self.watch(&id);
            let changed = watcher.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if cancel.is_cancelled() && !is_killed {
                is_killed = was_applied(self.kill(&id))?;
            }
            let is_ours = self.running().contains_key(&id);
            if !is_ours {
                let settled = self.settled(&id, prepared)?;
                if let Some(State { status: ExecutionState::Retried, successor: Some(successor), .. }) = settled {
                    (id, is_killed) = (successor, false);
                    continue;
                }
                if settled.is_some() || cancel.is_cancelled() {
                    self.unwatch(&id, &watcher);
                    let state = settled.map_or_else(|| self.shared.runner.state(&id), Ok)?;
                    return Ok((id, state));
                }
            }
            let pause = if is_ours { POLL_INTERVAL } else { FOLLOW_INTERVAL };
            tokio::select! {
                () = changed => {
                    if let Some(problem) = locked(&watcher.problem).take() {
                        return Err(problem);
                    }
                }
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled(), if !cancel.is_cancelled() => {}
            }
        }
    }

    /// The state of an execution that this process does not work on, once it has ended or is paused until somebody resumes
    /// it. Until then somebody must work on it: this process if nobody else does.
    fn settled(&self, id: &ExecutionId, prepared: &Prepared) -> Result<Option<State>, EngineError> {
        let (journal, settings) = (self.journal(), &self.shared.runner.settings);
        let status = journal.status(id)?.ok_or_else(|| EngineError::NotFound(id.clone()))?;
        let is_orphaned = if ACTIVE.contains(&status) {
            let summary = journal.summary(id)?.ok_or_else(|| EngineError::NotFound(id.clone()))?;
            is_interrupted(settings, journal, id, summary.state, summary.created)?
        } else {
            let state = self.shared.runner.state(id)?;
            match state.pause_ends().filter(|_| state.status == ExecutionState::Paused) {
                None => return Ok(Some(state)),
                Some(at) => at <= clock::now(),
            }
        };
        if is_orphaned {
            was_applied(self.start(id, prepared.clone()))?;
        }
        Ok(None)
    }

    fn watch(&self, id: &ExecutionId) -> Arc<ExecutionWatcher> {
        locked(&self.shared.watchers).entry(id.clone()).or_default().clone()
    }

    /// Removes the watcher of an execution that ended before anybody waited for it, once nobody else uses it.
    fn unwatch(&self, id: &ExecutionId, watcher: &Arc<ExecutionWatcher>) {
        let mut watchers = locked(&self.shared.watchers);
        let is_ours = watchers.get(id).is_some_and(|held| Arc::ptr_eq(held, watcher));
        // One reference is ours, one is the map's.
        if is_ours && Arc::strong_count(watcher) == 2 {
            watchers.remove(id);
        }
    }

    /// Wakes those who wait for an execution; `problem` is why the work on it failed, if it did.
    pub(super) fn notify_watchers(&self, id: &ExecutionId, problem: Option<EngineError>) {
        if let Some(watcher) = locked(&self.shared.watchers).remove(id) {
            *locked(&watcher.problem) = problem;
            watcher.changed.notify_waiters();
        }
    }
}

/// Whether an action took effect; it has none where another process works on the execution, or its state does not allow it.
pub(super) fn was_applied(result: Result<(), EngineError>) -> Result<bool, EngineError> {
    match result {
        Ok(()) => Ok(true),
        Err(EngineError::Locked(_) | EngineError::InvalidState { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
