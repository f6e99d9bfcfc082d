//! Runs executions: adopts them and works on them.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::control::Control;
use crate::engine::error::EngineError;
use crate::engine::interrupted::end_killing;
use crate::engine::lock::ExecutionLock;
use crate::engine::lookup::Folder;
use crate::engine::plan::Start;
use crate::engine::replay;
use crate::engine::runner::Runner;
use crate::engine::subflow::SubflowRunner;
use crate::engine::work::Work;
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, State};
use crate::task::SubflowStarter;

impl Runner {
    /// Takes an execution up and works on it until it ends or is paused until somebody resumes it. A journal that
    /// another process left in the middle is no different from a new one: what was under way starts again. One that
    /// ended otherwise than well is restarted.
    ///
    /// # Errors
    /// When the journal fails, or another process works on the execution.
    pub async fn run(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: CancellationToken,
    ) -> Result<State, EngineError> {
        let mut state = self.run_until_pause(id, flow, inputs, &cancel).await?;
        // Nobody holds the execution while it is paused, so that others can resume it.
        while let (ExecutionState::Paused, Some(at)) = (state.status, state.pause_ends()) {
            self.until_pause_ends(id, at, &cancel).await?;
            state = match self.run_until_pause(id, flow, inputs, &cancel).await {
                Err(EngineError::Taken(_)) => {
                    self.until_free(id, &cancel).await?;
                    let state = self.state(id)?;
                    if state.status.has_ended() {
                        return Ok(state);
                    }
                    state
                }
                other => other?,
            };
        }
        Ok(state)
    }

    /// As [`Runner::run`], and goes on with the executions that repeat this one, to the last.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn run_to_the_last(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: CancellationToken,
    ) -> Result<(ExecutionId, State), EngineError> {
        let (mut id, mut state) = (id.clone(), self.run(id, flow, inputs, cancel.clone()).await?);
        while let (ExecutionState::Retried, Some(successor)) = (state.status, state.successor.clone()) {
            self.repeat_anew(flow, inputs, &id, &state, &successor)?;
            state = self.run(&successor, flow, inputs, cancel.clone()).await?;
            id = successor;
        }
        Ok((id, state))
    }

    async fn run_until_pause(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        cancel: &CancellationToken,
    ) -> Result<State, EngineError> {
        let _lock = ExecutionLock::take(&self.settings, id)?;
        let mut state = self.state(id)?;
        end_killing(&self.journal, id, &mut state)?;
        let is_due = state.pause_ends().is_some_and(|at| at <= clock::now());
        let rests = state.status == ExecutionState::Paused && !is_due && !cancel.is_cancelled();
        if state.status.is_done() || rests {
            return Ok(state);
        }
        if self.admit(id, flow, &mut state, cancel).await? {
            self.work(id, &mut state, flow, inputs, &Control::killed_by(cancel.clone())).await?;
        }
        Ok(state)
    }

    /// Works on an execution that has been taken up, until it ends, is paused or is to rest.
    ///
    /// # Errors
    /// When the journal fails.
    pub(super) async fn work(
        &self,
        id: &ExecutionId,
        state: &mut State,
        flow: &Flow,
        inputs: &Map<String, Value>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let is_new = state.status == ExecutionState::Running && state.tasks.is_empty();
        if is_new && self.fails_a_check(id, flow, inputs, state)? {
            return Ok(());
        }
        let run = self.execution_context(id, flow, inputs, state);
        let catalog = self.catalog.clone().unwrap_or_else(|| Arc::new(Folder::around(flow)));
        let subflows = |start: &Start, state: &State| -> Arc<dyn SubflowStarter> {
            Arc::new(SubflowRunner::new(self, &catalog, &run, flow, start, state))
        };
        Work::new(self, flow, &run, inputs, control, &subflows).until_end(state).await
    }

    /// The events by which an execution begins, goes on where a process broke off, or restarts, as it stands.
    pub(super) fn opening_events(&self, flow: &Flow, state: &State) -> Vec<Event> {
        match state.status {
            ExecutionState::Running => vec![Event::Adopted { again: replay::runs_to_reset(state, flow, false) }],
            status if status.is_restartable() => {
                vec![Event::Restarted { again: replay::runs_to_reset(state, flow, true) }, Event::Started]
            }
            ExecutionState::Paused | ExecutionState::Retrying | ExecutionState::Killing => Vec::new(),
            _ => vec![Event::Started],
        }
    }
}
