//! What can be done to an execution from outside.
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::adopt::{not_possible, stuck};
use super::follow::possible;
use super::{Executor, Prepared, lock};
use crate::clock;
use crate::engine::EngineError;
use crate::engine::control::Suspend;
use crate::id::ExecutionId;
use crate::journal::{Event, EventBatch, ExecutionQuery, ExecutionState, State};

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

/// What ends the pauses of an execution.
pub struct Answer {
    /// The execution as it was answered.
    paused: State,
    events: Vec<Event>,
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
        if let Some(job) = under_way.get(id) {
            job.control.kill.cancel();
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
        self.wake_watchers(id, None);
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
        let (new, prepared) = self.create_replay(id, &prepared, from)?;
        self.start(&new, prepared)?;
        Ok(new)
    }

    /// Writes down a new execution that repeats another one, which is started later.
    ///
    /// # Errors
    /// When there is no such task, or as [`Executor::create`].
    pub fn create_replay(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        from: Option<&str>,
    ) -> Result<(ExecutionId, Prepared), EngineError> {
        let state = self.shared.runner.state(id)?;
        let (new, secrets) =
            self.shared.runner.create_replay(id, &state, &prepared.flow, &prepared.inputs(&state), from)?;
        Ok((new, Prepared { secrets, ..prepared.clone() }))
    }

    /// Lets an execution rest once what is under way has come to its end. It holds no slot while it rests.
    ///
    /// # Errors
    /// When it is neither running nor waiting, or another process works on it.
    pub fn pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let under_way = self.under_way();
        if let Some(job) = under_way.get(id) {
            job.control.suspend(Suspend::Paused);
            return Ok(());
        }
        let (_lock, mut state) = self.take(&under_way, id)?;
        if state.status != ExecutionState::Queued {
            return Err(not_possible(id, "paused", &state));
        }
        self.shared.runner.append(id, &mut state, Event::Paused)?;
        drop(under_way);
        self.wake_watchers(id, None);
        Ok(())
    }

    /// Lets a paused execution go on when it is its turn. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// When it is not paused, or cannot go on without an input that is not given.
    pub fn resume(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let state = self.shared.runner.state(id)?;
        let prepared = self.needed(id, &state, inputs.clone())?;
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
    ) -> Result<Answer, EngineError> {
        let events = self.shared.runner.answers(id, &prepared.flow, &paused, given, by)?;
        Ok(Answer { paused, events })
    }

    /// Ends the pauses of an execution, and lets it go on when it is its turn.
    ///
    /// # Errors
    /// When they have ended meanwhile, or another process works on it.
    pub fn resume_with(&self, id: &ExecutionId, prepared: Prepared, answer: Answer) -> Result<(), EngineError> {
        let Answer { paused, events } = answer;
        let is_same = |state: &State| state.status == paused.status && state.paused().eq(paused.paused());
        self.take_up_if(id, "resumed", is_same, |state| {
            let mut batch = EventBatch::default();
            for event in &events {
                batch.add(id, state, clock::now(), event)?;
            }
            self.journal().write(id, state, &mut batch)?;
            Ok(prepared)
        })
    }

    /// Lets a paused execution go on whose pause has lasted its time.
    pub(super) fn end_pause(&self, id: &ExecutionId) -> Result<(), EngineError> {
        let is_due = |state: &State| {
            state.status == ExecutionState::Paused && state.pause_ends().is_some_and(|at| at <= clock::now())
        };
        possible(self.take_up_if(id, "resumed", is_due, |state| self.needed(id, state, Vec::new()))).map(drop)
    }

    /// Runs an execution that has not ended well again, from what failed or was stopped, or where its process died. `inputs` are secret ones, which
    /// the journal does not keep.
    ///
    /// # Errors
    /// When it ended well, waits for its turn or is under way, or cannot go on without an input that is not given.
    pub fn restart(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        let may = |state: &State| state.status.is_restartable() || is_at_work(state.status);
        self.take_up_if(id, "restarted", may, |state| self.needed(id, state, inputs))
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
                    Some(job) => job.control.kill.cancel(),
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
        self.wake_watchers(id, None);
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
}

/// Whether a process should be working on it.
fn is_at_work(state: ExecutionState) -> bool {
    matches!(
        state,
        ExecutionState::Created | ExecutionState::Running | ExecutionState::Restarted | ExecutionState::Retrying
    )
}
