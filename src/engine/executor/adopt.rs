//! Taking an execution up: what it needs, and how it goes on from where it stands.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::dispatch::told;
use super::{Executor, Lane, Prepared, UnderWay, lock};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::interrupted::end_killing;
use crate::engine::lock::ExecutionLock;
use crate::engine::{EngineError, replay, revive};
use crate::flow::Flow;
use crate::flow::input::to_argument;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, StartedBy, State};

impl Executor {
    /// Takes up an execution that nobody works on and that is not done: a new one, what a process left that is no more, and
    /// what ended otherwise than well. One that is paused goes on when somebody resumes it, or its pause ends.
    ///
    /// # Errors
    /// When it ended well, or another process works on it.
    pub fn start(&self, id: &ExecutionId, prepared: Prepared) -> Result<(), EngineError> {
        let may = |state: &State| !state.status.is_done();
        self.take_up_if(id, "taken up", may, |state| {
            // A sub-execution goes where the one goes that started it.
            if prepared.lane == Lane::Main {
                self.expect_here(id, state)?;
            }
            Ok(prepared)
        })
    }

    /// The same for one of which the journal says what it needs. `inputs` are secret ones, which the journal does not keep.
    ///
    /// # Errors
    /// As [`Executor::start`], and when it cannot go on without an input that is not given.
    pub fn take_up(&self, id: &ExecutionId, inputs: Vec<(String, String)>) -> Result<(), EngineError> {
        self.take_up_if(id, "taken up", |state| !state.status.is_done(), |state| self.needed(id, state, inputs))
    }

    /// Takes up an execution that may be: first comes what has to be done to it, which gives what it needs. It waits for
    /// its turn in the queue, but for one that is paused or that waits to be repeated.
    pub(super) fn take_up_if(
        &self,
        id: &ExecutionId,
        what: &'static str,
        may: impl FnOnce(&State) -> bool,
        prepare: impl FnOnce(&mut State) -> Result<Prepared, EngineError>,
    ) -> Result<(), EngineError> {
        let under_way = self.under_way();
        let (claim, mut state) = self.take(&under_way, id)?;
        end_killing(self.journal(), id, &mut state)?;
        if !may(&state) {
            return Err(not_possible(id, what, &state));
        }
        let was_left = state.status == ExecutionState::Running;
        let prepared = prepare(&mut state)?;
        self.adopt(id, &mut state)?;
        if was_left {
            self.shared.runner.append(id, &mut state, Event::Interrupted)?;
        }
        if state.status == ExecutionState::Created {
            let place = self.place(&under_way, &prepared);
            let is_alive = |id: &ExecutionId| self.is_alive(&under_way, id);
            let outcome = self.journal().admit(id, state, place, clock::now, &is_alive)?;
            self.settle(under_way, claim, id, prepared, outcome);
            return Ok(());
        }
        if state.status == ExecutionState::Retrying && self.has_room(&under_way, prepared.lane) {
            // It holds no slot of its flow, and knows when it is repeated, and by which execution.
            self.begin(under_way, claim, id.clone(), state, Some(prepared));
            return Ok(());
        }
        let pause_ends = state.pause_ends().filter(|_| state.status == ExecutionState::Paused);
        if state.status != ExecutionState::Paused || pause_ends.is_some_and(|at| at <= clock::now()) {
            self.enqueue(id, &mut state, &prepared)?;
        }
        lock(&self.shared.waiting).insert(id.clone(), prepared);
        drop((claim, under_way));
        if state.status == ExecutionState::Paused {
            self.wake_at(id, pause_ends);
        } else {
            self.dispatch();
        }
        Ok(())
    }

    fn enqueue(&self, id: &ExecutionId, state: &mut State, prepared: &Prepared) -> Result<(), EngineError> {
        let queue = &self.shared.queue;
        if state.status.is_restartable() {
            let again = replay::runs_to_reset(state, &prepared.flow, true);
            self.shared.runner.append(id, state, Event::Restarted { again })?;
        }
        if state.status == ExecutionState::Queued {
            return Ok(self.journal().move_to_front(id, queue)?);
        }
        Ok(self.journal().enqueue(id, state, clock::now(), queue, false)?)
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

    pub(super) fn expect_here(&self, id: &ExecutionId, state: &State) -> Result<(), EngineError> {
        self.shared.runner.expect_here(&format!("execution {id}"), state.target.as_ref())
    }

    /// What an execution needs: what this process was told of it before, and over that what is given now.
    pub(super) fn needed(
        &self,
        id: &ExecutionId,
        state: &State,
        mut inputs: Vec<(String, String)>,
    ) -> Result<Prepared, EngineError> {
        self.expect_here(id, state)?;
        let known = lock(&self.shared.waiting).get(id).cloned();
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
        self.revive(state, inputs).map_err(|findings| stuck(id, &findings))
    }

    /// What an execution needs, from the journal and from what is given again.
    ///
    /// # Errors
    /// When its flow has changed, or an input is missing.
    pub fn revive(&self, state: &State, secrets: Vec<(String, String)>) -> Result<Prepared, Vec<Diagnostic>> {
        let flow = self.flow(state)?;
        let values = revive::recorded_values(&self.shared.runner.settings, state, &flow, secrets)?;
        Ok(self.prepared(&flow, &values, state.created.parent.is_some()))
    }

    /// What an execution of a flow needs with these inputs, and whether it is a sub-execution.
    pub fn prepared(&self, flow: &Arc<Flow>, inputs: &Map<String, Value>, is_nested: bool) -> Prepared {
        let (_, secrets) = self.shared.runner.split_secrets(flow, inputs, is_nested);
        Prepared { flow: flow.clone(), secrets, lane: Lane::Main }
    }

    /// The flow that an execution began with.
    ///
    /// # Errors
    /// When its file has changed and the journal's copy is not whole, or it is no flow to this version.
    pub fn flow(&self, state: &State) -> Result<Arc<Flow>, Vec<Diagnostic>> {
        let tasks = self.shared.options.tasks;
        self.shared.flows.find(&state.created, || revive::recorded_flow(&state.created, tasks))
    }

    /// Takes an execution that is not under way here, so that nobody else starts it meanwhile.
    pub(super) fn take(&self, _under_way: &UnderWay, id: &ExecutionId) -> Result<(ExecutionLock, State), EngineError> {
        // One that there is not would leave a lock.
        self.shared.runner.state(id)?;
        let claim = ExecutionLock::take(&self.shared.runner.settings, id)?;
        Ok((claim, self.shared.runner.state(id)?))
    }
}

pub(super) fn stuck(id: &ExecutionId, findings: &[Diagnostic]) -> EngineError {
    EngineError::Stuck { id: id.clone(), reason: findings.iter().map(told).collect::<Vec<_>>().join("; ") }
}

pub(super) fn not_possible(id: &ExecutionId, what: &'static str, state: &State) -> EngineError {
    EngineError::NotPossible { id: id.clone(), what, state: state.status }
}
