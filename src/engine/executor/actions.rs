//! What can be done to an execution from outside.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::dispatch::told;
use super::{Executor, Prepared, UnderWay, lock};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::control::Suspend;
use crate::engine::interrupted::end_killing;
use crate::engine::lock::ExecutionLock;
use crate::engine::{EngineError, replay};
use crate::flow::input::shown;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionQuery, ExecutionState, StartedBy, State};

/// Something done to many executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    /// [`Executor::kill`]
    Kill,
    /// [`Executor::pause`]
    Pause,
    /// [`Executor::resume`]
    Resume,
    /// [`Executor::restart`]
    Restart,
    /// [`Executor::delete`]
    Delete,
}

/// The most executions that one bulk action is about.
const MAX_EXECUTIONS: u32 = 100_000;

impl Executor {
    /// Stops an execution for good. What is under way is broken off; [`Executor::wait`] says when it has ended.
    ///
    /// # Errors
    /// When it has ended, or another process works on it.
    pub fn kill(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let under_way = self.under_way();
        if let Some(control) = under_way.get(id) {
            control.kill.cancel();
            return Ok(());
        }
        let (_lock, mut state) = self.take(&under_way, id)?;
        if state.status.has_ended() {
            return Err(not_possible(id, "killed", &state));
        }
        self.shared.runner.append(
            id,
            &mut state,
            Event::Ended { state: ExecutionState::Killed, outputs: Map::new() },
        )?;
        lock(&self.shared.waiting).remove(id);
        drop(under_way);
        self.wake_watchers(id);
        for child in self.journal().children(id)? {
            // One that has ended, or that another process works on, is none of ours.
            drop(self.kill(&child));
        }
        Ok(())
    }

    /// Repeats an execution by a new one: from a task on, with the outputs of what ran before it, or as a whole. `inputs`
    /// are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When there is no such task, or an input is missing.
    pub fn replay(
        &self,
        id: &ExecutionId,
        from: Option<&str>,
        inputs: Vec<(String, String)>,
    ) -> Result<ExecutionId, EngineError> {
        let state = self.shared.runner.state(id)?;
        self.expect_here(id, &state)?;
        let prepared = self.revive(&state, inputs).map_err(|findings| stuck(id, &findings))?;
        let mut values = state.created.inputs.clone();
        values.extend(prepared.secrets.clone());
        let new = self.shared.runner.replay(id, &prepared.flow, &values, from)?;
        lock(&self.shared.waiting).insert(new.clone(), prepared);
        self.take_up(&new, Vec::new())?;
        Ok(new)
    }

    /// Lets an execution rest once what is under way has come to its end. It holds no slot while it rests.
    ///
    /// # Errors
    /// When it is neither running nor waiting, or another process works on it.
    pub fn pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let under_way = self.under_way();
        if let Some(control) = under_way.get(id) {
            control.suspend(Suspend::Paused);
            return Ok(());
        }
        let (_lock, mut state) = self.take(&under_way, id)?;
        if state.status != ExecutionState::Queued {
            return Err(not_possible(id, "paused", &state));
        }
        self.shared.runner.append(id, &mut state, Event::Paused)?;
        drop(under_way);
        self.wake_watchers(id);
        Ok(())
    }

    /// Lets a paused execution go on when it is its turn. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When it is not paused, or cannot go on without an input that is not given.
    pub fn resume(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let state = self.shared.runner.state(id)?;
        self.expect_here(id, &state)?;
        let flow = self.needed(id, &state, inputs.clone())?.flow;
        self.shared.runner.resume(id, &flow, &inputs, "the server")?;
        self.again(id, "resumed", inputs, |state| matches!(state, ExecutionState::Running | ExecutionState::Queued))
    }

    /// Lets a paused execution go on whose pause has lasted its time.
    pub(super) fn end_pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let state = self.shared.runner.state(id)?;
        let is_due = state.pause_ends().is_some_and(|at| at <= clock::now());
        if state.status != ExecutionState::Paused || !is_due {
            return Ok(());
        }
        self.again(id, "resumed", Vec::new(), |state| state == ExecutionState::Paused)
    }

    /// Runs an execution that has not ended well again, from what failed or was stopped, or where its process died. `inputs` are secret ones, which
    /// the journal does not keep.
    ///
    /// # Errors
    /// When it ended well, waits for its turn or is under way, or cannot go on without an input that is not given.
    pub fn restart(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        self.again(id, "restarted", inputs, |state| state.is_restartable() || is_at_work(state))
    }

    /// Takes up an execution that nobody works on and that is not done: what a process left that is no more, and what
    /// [`Executor::restart`] would take. One that is paused goes on when somebody resumes it, or its pause ends.
    ///
    /// # Errors
    /// When it ended well, another process works on it, or it cannot go on without an input that is not given.
    pub fn take_up(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let state = self.shared.runner.state(id)?;
        if state.status == ExecutionState::Paused {
            let prepared = self.needed(id, &state, inputs)?;
            lock(&self.shared.waiting).insert(id.clone(), prepared);
            self.wake_at(id, state.pause_ends());
            return Ok(());
        }
        self.again(id, "taken up", inputs, |state| !state.is_done())
    }

    fn again(
        &self,
        id: &ExecutionId,
        what: &'static str,
        inputs: Vec<(String, String)>,
        may: impl Fn(ExecutionState) -> bool,
    ) -> Result<(), EngineError> {
        {
            let under_way = self.under_way();
            let (_lock, mut state) = self.take(&under_way, id)?;
            end_killing(self.journal(), id, &mut state)?;
            if !may(state.status) {
                return Err(not_possible(id, what, &state));
            }
            self.expect_here(id, &state)?;
            let prepared = self.needed(id, &state, inputs)?;
            self.adopt(id, &mut state)?;
            if state.status == ExecutionState::Running {
                self.shared.runner.append(id, &mut state, Event::Interrupted)?;
            }
            let queue = &self.shared.queue;
            if state.status.is_restartable() {
                let again = replay::runs_to_reset(&state, &prepared.flow, true);
                self.shared.runner.append(id, &mut state, Event::Restarted { again })?;
            }
            if state.status == ExecutionState::Queued {
                self.journal().move_to_front(id, queue)?;
            } else {
                self.journal().enqueue(id, &mut state, clock::now(), queue, false)?;
            }
            lock(&self.shared.waiting).insert(id.clone(), prepared);
        }
        self.dispatch();
        Ok(())
    }

    /// What somebody has this process do is this process's from then on.
    fn adopt(&self, id: &ExecutionId, state: &mut State) -> Result<(), EngineError> {
        let started_by = self.shared.runner.started_by;
        if started_by == StartedBy::Server && state.started_by == Some(StartedBy::Terminal) {
            let moved = Event::Moved { started_by: Some(started_by), target: None };
            self.shared.runner.append(id, state, moved)?;
        }
        Ok(())
    }

    fn expect_here(&self, id: &ExecutionId, state: &State) -> Result<(), EngineError> {
        self.shared.runner.expect_here(&format!("execution {id}"), state.target.as_ref())
    }

    /// What an execution needs: what this process was told of it before, and over that what is given now.
    fn needed(
        &self,
        id: &ExecutionId,
        state: &State,
        mut inputs: Vec<(String, String)>,
    ) -> Result<Prepared, EngineError> {
        let known = lock(&self.shared.waiting).get(id).cloned();
        match known {
            Some(known) if inputs.is_empty() => return Ok(known),
            Some(known) => {
                let is_new = |(name, _): &(&String, &Value)| inputs.iter().all(|(given, _)| given != *name);
                let old: Vec<_> =
                    known.secrets.iter().filter(is_new).map(|(name, value)| (name.clone(), shown(value))).collect();
                inputs.extend(old);
            }
            None => {}
        }
        self.revive(state, inputs).map_err(|findings| stuck(id, &findings))
    }

    /// Removes an execution with its events, logs and files. One that is under way is killed first.
    ///
    /// # Errors
    /// When there is none, or another process works on it.
    pub async fn delete(&self, id: &ExecutionId) -> Result<(), EngineError> {
        loop {
            let left = self.shared.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            {
                let under_way = self.under_way();
                match under_way.get(id) {
                    Some(control) => control.kill.cancel(),
                    None => {
                        let _lock = self.take(&under_way, id)?;
                        self.journal().delete(id)?;
                        break;
                    }
                }
            }
            left.await;
        }
        lock(&self.shared.waiting).remove(id);
        // Files that cannot be removed now are found by the next clean-up.
        let _ = std::fs::remove_dir_all(self.shared.runner.settings.storage().join(id.as_str()));
        self.wake_watchers(id);
        Ok(())
    }

    /// Does the same to all executions that a query means, the oldest first, and says what came of each.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn bulk(
        &self,
        query: &ExecutionQuery,
        action: BulkAction,
    ) -> Result<Vec<(ExecutionId, Result<(), EngineError>)>, EngineError> {
        let found = self.journal().search(query, MAX_EXECUTIONS, 0)?.executions;
        let mut done = Vec::with_capacity(found.len());
        for id in found.into_iter().rev().map(|summary| summary.id) {
            let result = match action {
                BulkAction::Kill => self.kill(&id),
                BulkAction::Pause => self.pause(&id),
                BulkAction::Resume => self.resume(&id, Vec::new()),
                BulkAction::Restart => self.restart(&id, Vec::new()),
                BulkAction::Delete => self.delete(&id).await,
            };
            done.push((id, result));
        }
        Ok(done)
    }

    /// Takes an execution that is not under way here, so that nobody else starts it meanwhile.
    fn take(&self, _under_way: &UnderWay, id: &ExecutionId) -> Result<(ExecutionLock, State), EngineError> {
        let unknown = || EngineError::Unknown(id.clone());
        self.journal().state(id)?.ok_or_else(unknown)?;
        let claim = ExecutionLock::take(&self.shared.runner.settings, id)?;
        Ok((claim, self.journal().state(id)?.ok_or_else(unknown)?))
    }
}

/// Whether a process should be working on it.
fn is_at_work(state: ExecutionState) -> bool {
    matches!(
        state,
        ExecutionState::Created | ExecutionState::Running | ExecutionState::Restarted | ExecutionState::Retrying
    )
}

fn stuck(id: &ExecutionId, findings: &[Diagnostic]) -> EngineError {
    EngineError::Stuck { id: id.clone(), reason: findings.iter().map(told).collect::<Vec<_>>().join("; ") }
}

fn not_possible(id: &ExecutionId, what: &'static str, state: &State) -> EngineError {
    EngineError::NotPossible { id: id.clone(), what, state: state.status }
}
