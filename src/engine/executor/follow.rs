//! Waiting for executions, whichever process works on them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Executor, Prepared, lock};
use crate::clock;
use crate::engine::EngineError;
use crate::engine::interrupted::is_interrupted;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, State};

/// How often somebody who waits looks for what other processes did.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How often whoever runs an execution looks for it while another process has it.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// Where an execution stands that a process works on, or should.
const AT_WORK: &[ExecutionState] = &[
    ExecutionState::Created,
    ExecutionState::Queued,
    ExecutionState::Running,
    ExecutionState::Restarted,
    ExecutionState::Retrying,
    ExecutionState::Killing,
];

/// Those who wait for an execution.
#[derive(Default)]
pub(super) struct Watcher {
    told: Notify,
    /// Why the work on it broke off, for the first who asks.
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
            let told = watcher.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            // Its end is told before its place is free: whoever waited may do something with it at once.
            if !self.under_way().contains_key(id) {
                let state = self.shared.runner.state(id)?;
                if state.status.has_ended() || state.status == ExecutionState::Paused {
                    self.leave(id, &watcher);
                    return Ok(state);
                }
            }
            // What other processes do is seen by looking.
            tokio::select! { () = told => {}, () = tokio::time::sleep(POLL_INTERVAL) => {} }
        }
    }

    /// Waits for an execution that has been started, and for those that repeat it, to the last: until that has ended or is
    /// paused until somebody resumes it. It is taken up again where the process is gone that had taken it, and killed
    /// once `cancel` comes, unless another process works on it.
    ///
    /// # Errors
    /// When the work on it broke off, or the journal cannot be used.
    pub async fn follow(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        cancel: &CancellationToken,
    ) -> Result<(ExecutionId, State), EngineError> {
        let (mut id, mut is_killed) = (id.clone(), false);
        loop {
            let watcher = self.watch(&id);
            let told = watcher.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if cancel.is_cancelled() && !is_killed {
                is_killed = possible(self.kill(&id))?;
            }
            let is_ours = self.under_way().contains_key(&id);
            if !is_ours {
                let rested = self.rested(&id, prepared)?;
                if let Some(State { status: ExecutionState::Retried, successor: Some(successor), .. }) = rested {
                    (id, is_killed) = (successor, false);
                    continue;
                }
                if rested.is_some() || cancel.is_cancelled() {
                    self.leave(&id, &watcher);
                    let state = rested.map_or_else(|| self.shared.runner.state(&id), Ok)?;
                    return Ok((id, state));
                }
            }
            let pause = if is_ours { POLL_INTERVAL } else { FOLLOW_INTERVAL };
            tokio::select! {
                () = told => {
                    if let Some(problem) = lock(&watcher.problem).take() {
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
    fn rested(&self, id: &ExecutionId, prepared: &Prepared) -> Result<Option<State>, EngineError> {
        let (journal, settings) = (self.journal(), &self.shared.runner.settings);
        let status = journal.status(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))?;
        let is_nobodys = if AT_WORK.contains(&status) {
            let summary = journal.summary(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))?;
            is_interrupted(settings, journal, id, summary.state, summary.created)?
        } else {
            let state = self.shared.runner.state(id)?;
            match state.pause_ends().filter(|_| state.status == ExecutionState::Paused) {
                None => return Ok(Some(state)),
                Some(at) => at <= clock::now(),
            }
        };
        if is_nobodys {
            possible(self.start(id, prepared.clone()))?;
        }
        Ok(None)
    }

    fn watch(&self, id: &ExecutionId) -> Arc<Watcher> {
        lock(&self.shared.watchers).entry(id.clone()).or_default().clone()
    }

    /// Forgets how to tell those who wait for an execution, when this was the last of them: one that ended before anybody
    /// waited tells nobody.
    fn leave(&self, id: &ExecutionId, watcher: &Arc<Watcher>) {
        let mut watchers = lock(&self.shared.watchers);
        let is_ours = watchers.get(id).is_some_and(|held| Arc::ptr_eq(held, watcher));
        // One is ours, one is the map's.
        if is_ours && Arc::strong_count(watcher) == 2 {
            watchers.remove(id);
        }
    }

    /// Tells those who wait for an execution to look at it, and why the work on it broke off if it did.
    pub(super) fn wake_watchers(&self, id: &ExecutionId, problem: Option<EngineError>) {
        if let Some(watcher) = lock(&self.shared.watchers).remove(id) {
            *lock(&watcher.problem) = problem;
            watcher.told.notify_waiters();
        }
    }
}

/// Whether something could be done to an execution: not where another process works on it, or it has ended.
pub(super) fn possible(done: Result<(), EngineError>) -> Result<bool, EngineError> {
    match done {
        Ok(()) => Ok(true),
        Err(EngineError::Taken(_) | EngineError::NotPossible { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
