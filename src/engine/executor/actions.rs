//! What a user can do to an execution: kill, pause, resume, restart, replay, delete.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::adopt::{cannot_continue, invalid_state};
use super::follow::was_applied;
use super::{Executor, Prepared, locked};
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::control::Suspend;
use crate::engine::{EngineError, ReplayPart};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, EventBatch, ExecutionQuery, ExecutionState, State};

/// An action on many executions.
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

impl BulkAction {
    /// The action of a name in small letters, such as `kill`.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

/// The events that end the pauses of an execution.
pub struct PauseAnswer {
    /// The state that they follow.
    paused: State,
    events: Vec<Event>,
}

/// The maximum number of executions in one bulk action.
const MAX_EXECUTIONS: u32 = 100_000;

impl Executor {
    /// Kills an execution. What runs is cancelled; [`Executor::wait`] returns when it has ended.
    ///
    /// # Errors
    /// When it has ended, or another process works on it.
    pub fn kill(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let running = self.running();
        if let Some(execution) = running.get(id) {
            execution.control.kill.cancel();
            return Ok(());
        }
        let (_lock, mut state) = self.lock_idle(&running, id)?;
        if state.status.has_ended() {
            return Err(invalid_state(id, "killed", &state));
        }
        self.shared.runner.append(
            id,
            &mut state,
            Event::Ended { state: ExecutionState::Killed, outputs: Map::new() },
        )?;
        locked(&self.shared.waiting).remove(id);
        drop(running);
        self.notify_watchers(id, None);
        for child in self.journal().children(id)? {
            // One that has ended, or that another process works on, is not ours to kill.
            let _ = self.kill(&child);
        }
        Ok(())
    }

    /// Replays an execution, or a part of it, as a new one: with the outputs of what ran before that. It is one of the flow as
    /// it was, or of another text of it. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When there is no such task, or an input is missing.
    pub fn replay(
        &self,
        id: &ExecutionId,
        part: &ReplayPart,
        flow: Option<&Arc<Flow>>,
        inputs: Vec<(String, String)>,
    ) -> Result<ExecutionId, EngineError> {
        let state = self.shared.runner.state(id)?;
        self.check_target(id, &state)?;
        let prepared = match flow {
            Some(flow) => self.restore_with(flow, &state, inputs),
            None => self.restore(&state, inputs),
        };
        let prepared = prepared.map_err(|findings| cannot_continue(id, &findings))?;
        let (new, prepared) = self.create_replay(id, &prepared, part)?;
        self.start(&new, prepared)?;
        Ok(new)
    }

    /// Creates an execution that replays another one; it is started later.
    ///
    /// # Errors
    /// When there is no such task, or as [`Executor::create`].
    pub fn create_replay(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        part: &ReplayPart,
    ) -> Result<(ExecutionId, Prepared), EngineError> {
        let state = self.shared.runner.state(id)?;
        let (new, secrets) =
            self.shared.runner.create_replay(id, &state, &prepared.flow, &prepared.inputs(&state), part)?;
        Ok((new, Prepared { secrets, ..prepared.clone() }))
    }

    /// Pauses an execution once the attempts that are running have ended. It holds no slot while it is paused.
    ///
    /// # Errors
    /// When it is neither running nor waiting, or another process works on it.
    pub fn pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let running = self.running();
        if let Some(execution) = running.get(id) {
            execution.control.suspend(Suspend::Paused);
            return Ok(());
        }
        let (_lock, mut state) = self.lock_idle(&running, id)?;
        if state.status != ExecutionState::Queued {
            return Err(invalid_state(id, "paused", &state));
        }
        self.shared.runner.append(id, &mut state, Event::Paused)?;
        drop(running);
        self.notify_watchers(id, None);
        Ok(())
    }

    /// Resumes a paused execution, which is enqueued. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When it is not paused, or cannot continue without an input that is not given.
    pub fn resume(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let state = self.shared.runner.state(id)?;
        let prepared = self.prepare(id, &state, inputs.clone())?;
        let answer = self.answer(id, state, &prepared, &inputs, "the server")?;
        self.resume_with(id, prepared, answer)
    }

    /// The answer to the pauses of an execution, `given` being their inputs. Files among these are copied.
    ///
    /// # Errors
    /// When it is not paused, or an input does not fit.
    pub fn answer(
        &self,
        id: &ExecutionId,
        paused: State,
        prepared: &Prepared,
        given: &[(String, String)],
        by: &str,
    ) -> Result<PauseAnswer, EngineError> {
        let events = self.shared.runner.answers(id, &prepared.flow, &paused, given, by)?;
        Ok(PauseAnswer { paused, events })
    }

    /// Ends the pauses of an execution, which is enqueued.
    ///
    /// # Errors
    /// When they have ended meanwhile, or another process works on it.
    pub fn resume_with(&self, id: &ExecutionId, prepared: Prepared, answer: PauseAnswer) -> Result<(), EngineError> {
        let PauseAnswer { paused, events } = answer;
        let is_same = |state: &State| state.status == paused.status && state.paused().eq(paused.paused());
        self.adopt_if(id, "resumed", is_same, |state| {
            let mut batch = EventBatch::default();
            for event in &events {
                batch.add(id, state, clock::now(), event)?;
            }
            self.journal().write(id, state, &mut batch)?;
            Ok(prepared)
        })
    }

    /// Resumes a paused execution whose pause has timed out.
    pub(super) fn end_pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let is_due = |state: &State| {
            state.status == ExecutionState::Paused && state.pause_ends().is_some_and(|at| at <= clock::now())
        };
        was_applied(self.adopt_if(id, "resumed", is_due, |state| self.prepare(id, state, Vec::new()))).map(drop)
    }

    /// Restarts an execution that did not end well, from what failed or was killed, or from where its process died. `inputs`
    /// are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When it ended well, is queued or running, or cannot continue without an input that is not given.
    pub fn restart(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let is_allowed = |state: &State| state.status.is_restartable() || is_active(state.status);
        self.adopt_if(id, "restarted", is_allowed, |state| self.prepare(id, state, inputs))
    }

    /// Deletes an execution with its events, logs and files. One that is running is killed first.
    ///
    /// # Errors
    /// When there is none, or another process works on it.
    pub async fn delete(&self, id: &ExecutionId) -> Result<(), EngineError> {
        loop {
            let finished = self.shared.execution_finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            {
                let running = self.running();
                match running.get(id) {
                    Some(execution) => execution.control.kill.cancel(),
                    None => {
                        let _lock = self.lock_idle(&running, id)?;
                        self.journal().delete(id)?;
                        break;
                    }
                }
            }
            finished.await;
        }
        locked(&self.shared.waiting).remove(id);
        // Files that cannot be removed now are found by the next clean-up.
        let _ = std::fs::remove_dir_all(self.shared.runner.settings.storage().join(id.as_str()));
        self.notify_watchers(id, None);
        Ok(())
    }

    /// Does the same to all executions that a query matches, the oldest first, and returns the result of each.
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
            let result = self.apply(&id, action).await;
            done.push((id, result));
        }
        Ok(done)
    }

    /// Does one thing to an execution, without secret inputs.
    ///
    /// # Errors
    /// Those of the action.
    pub async fn apply(&self, id: &ExecutionId, action: BulkAction) -> Result<(), EngineError> {
        match action {
            BulkAction::Kill => run_blocking(|| self.kill(id)),
            BulkAction::Pause => run_blocking(|| self.pause(id)),
            BulkAction::Resume => run_blocking(|| self.resume(id, Vec::new())),
            BulkAction::Restart => run_blocking(|| self.restart(id, Vec::new())),
            BulkAction::Delete => self.delete(id).await,
        }
    }
}

/// Whether a process should be working on an execution in this state.
fn is_active(state: ExecutionState) -> bool {
    matches!(
        state,
        ExecutionState::Created | ExecutionState::Running | ExecutionState::Restarted | ExecutionState::Retrying
    )
}
