//! Adopting an execution: what it needs, and how it continues from where it stands.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::dispatch::describe;
use super::{Executor, Pool, Prepared, RunningMap, locked};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::interrupted::end_killing;
use crate::engine::lock::HomeLock;
use crate::engine::{EngineError, replay, restore};
use crate::flow::Flow;
use crate::flow::input::to_argument;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, StartedBy, State};

impl Executor {
    /// Starts, or continues, an execution that nobody works on and that is not done: a new one, one whose process has died,
    /// or one that did not end well. One that is paused continues when somebody resumes it, or its pause ends.
    ///
    /// # Errors
    /// When it ended well, or another process works on it.
    pub fn start(&self, id: &ExecutionId, prepared: Prepared) -> Result<(), EngineError> {
        let is_open = |state: &State| !state.status.is_done();
        self.adopt_if(id, "started", is_open, |state| {
            // The target of a sub-execution is that of its parent, which has been checked.
            if prepared.pool == Pool::Main {
                self.check_target(id, state)?;
            }
            Ok(prepared)
        })
    }

    /// The same with what the journal knows of it. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// As [`Executor::start`], and when it cannot continue without an input that is not given.
    pub fn adopt(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        self.adopt_if(id, "started", |state| !state.status.is_done(), |state| self.prepare(id, state, inputs))
    }

    /// Adopts an execution whose state `is_allowed`. `prepare` writes what has to happen to it first, and returns what it
    /// needs. It is enqueued then, unless it is paused or waits to be retried.
    pub(super) fn adopt_if(
        &self,
        id: &ExecutionId,
        what: &'static str,
        is_allowed: impl FnOnce(&State) -> bool,
        prepare: impl FnOnce(&mut State) -> Result<Prepared, EngineError>,
    ) -> Result<(), EngineError> {
        let running = self.running();
        let (lock, mut state) = self.lock_idle(&running, id)?;
        end_killing(self.journal(), id, &mut state)?;
        if !is_allowed(&state) {
            return Err(invalid_state(id, what, &state));
        }
        // Nobody holds its lock: the process that wrote RUNNING has died.
        let was_interrupted = state.status == ExecutionState::Running;
        let prepared = prepare(&mut state)?;
        self.take_ownership(id, &mut state)?;
        if was_interrupted {
            self.shared.runner.append(id, &mut state, Event::Interrupted)?;
        }
        if state.status == ExecutionState::Created {
            let admission = self.admission(&running, &prepared);
            let is_alive = |id: &ExecutionId| self.is_alive(&running, id);
            let outcome = self.journal().admit(id, state, admission, clock::now, &is_alive)?;
            self.apply_outcome(running, lock, id, prepared, outcome);
            return Ok(());
        }
        if state.status == ExecutionState::Retrying && self.has_capacity(&running, prepared.pool) {
            // It holds no slot of its flow, and knows when it is retried, and by which execution.
            self.spawn(running, lock, id.clone(), state, Some(prepared));
            return Ok(());
        }
        let pause_ends = state.pause_ends().filter(|_| state.status == ExecutionState::Paused);
        if state.status != ExecutionState::Paused || pause_ends.is_some_and(|at| at <= clock::now()) {
            self.enqueue(id, &mut state, &prepared)?;
        }
        locked(&self.shared.waiting).insert(id.clone(), prepared);
        drop((lock, running));
        if state.status == ExecutionState::Paused {
            self.schedule_wake(id, pause_ends);
        } else {
            self.dispatch();
        }
        Ok(())
    }

    fn enqueue(&self, id: &ExecutionId, state: &mut State, prepared: &Prepared) -> Result<(), EngineError> {
        let queue = &self.shared.queue;
        if state.status.is_restartable() {
            let reset = replay::runs_to_reset(state, &prepared.flow, true);
            self.shared.runner.append(id, state, Event::Restarted { reset })?;
        }
        if state.status == ExecutionState::Queued {
            return Ok(self.journal().move_to_front(id, queue)?);
        }
        Ok(self.journal().enqueue(id, state, clock::now(), queue, false)?)
    }

    /// An execution that somebody has a server continue is resumed by servers from then on.
    fn take_ownership(&self, id: &ExecutionId, state: &mut State) -> Result<(), EngineError> {
        let started_by = self.shared.runner.started_by;
        if started_by == StartedBy::Server && state.started_by == Some(StartedBy::Terminal) {
            let moved = Event::Moved { started_by: Some(started_by), target: None };
            self.shared.runner.append(id, state, moved)?;
        }
        Ok(())
    }

    pub(super) fn check_target(&self, id: &ExecutionId, state: &State) -> Result<(), EngineError> {
        self.shared.runner.check_target(&format!("execution {id}"), state.target.as_ref())
    }

    /// What an execution needs: what this process knows of it already, and over that what is given now.
    pub(super) fn prepare(
        &self,
        id: &ExecutionId,
        state: &State,
        mut inputs: Vec<(String, String)>,
    ) -> Result<Prepared, EngineError> {
        self.check_target(id, state)?;
        let known = locked(&self.shared.waiting).get(id).cloned();
        match known {
            Some(known) if inputs.is_empty() => return Ok(known),
            Some(known) => {
                let is_new = |(name, _): &(&String, &Value)| inputs.iter().all(|(given, _)| given != *name);
                let old: Vec<_> = known
                    .secrets
                    .iter()
                    .filter(is_new)
                    .map(|(name, value)| (name.clone(), to_argument(value)))
                    .collect();
                inputs.extend(old);
            }
            None => {}
        }
        self.restore(state, inputs).map_err(|findings| cannot_continue(id, &findings))
    }

    /// What an execution needs, from the journal and from what is given again.
    ///
    /// # Errors
    /// When its flow has changed, or an input is missing.
    pub fn restore(&self, state: &State, secrets: Vec<(String, String)>) -> Result<Prepared, Vec<Diagnostic>> {
        self.restore_with(&self.flow(state)?, state, secrets)
    }

    /// The same with another text of its flow.
    pub(super) fn restore_with(
        &self,
        flow: &Arc<Flow>,
        state: &State,
        secrets: Vec<(String, String)>,
    ) -> Result<Prepared, Vec<Diagnostic>> {
        let values = restore::recorded_values(&self.shared.runner.settings, state, flow, secrets)?;
        Ok(self.prepared(flow, &values, state.created.parent.is_some()))
    }

    /// What an execution of a flow needs with these inputs, and whether it is a sub-execution.
    pub fn prepared(&self, flow: &Arc<Flow>, inputs: &Map<String, Value>, is_nested: bool) -> Prepared {
        let (_, secrets) = self.shared.runner.split_secrets(flow, inputs, is_nested);
        Prepared { flow: flow.clone(), secrets, pool: Pool::Main }
    }

    /// The flow that an execution began with.
    ///
    /// # Errors
    /// When its file has changed and the journal's copy is not whole, or it is no flow to this version.
    pub fn flow(&self, state: &State) -> Result<Arc<Flow>, Vec<Diagnostic>> {
        let tasks = self.shared.options.tasks;
        self.shared.flows.get_or_parse(&state.created, || restore::recorded_flow(&state.created, tasks))
    }

    /// Locks an execution that is not running here. The caller holds `running`, so that this process does not start it
    /// meanwhile; the lock keeps other processes out.
    pub(super) fn lock_idle(&self, _running: &RunningMap, id: &ExecutionId) -> Result<(HomeLock, State), EngineError> {
        // Asked first, since an id that does not exist would leave a lock file behind.
        self.shared.runner.state(id)?;
        let lock = HomeLock::acquire(&self.shared.runner.settings, id)?;
        Ok((lock, self.shared.runner.state(id)?))
    }
}

pub(super) fn cannot_continue(id: &ExecutionId, findings: &[Diagnostic]) -> EngineError {
    let reason = findings.iter().map(describe).collect::<Vec<_>>().join("; ");
    EngineError::CannotContinue { what: id.into(), reason }
}

pub(super) fn invalid_state(id: &ExecutionId, what: &'static str, state: &State) -> EngineError {
    EngineError::InvalidState { id: id.clone(), what, state: state.status }
}
