//! Starting what may start, and what happens when it has ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use chrono::{DateTime, Utc};
use serde_json::Map;

use super::subflow::SubflowRunner;
use super::{Executor, Job, Lane, Prepared, UnderWay, lock};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::control::Control;
use crate::engine::health::Part;
use crate::engine::lock::ExecutionLock;
use crate::engine::lookup::Folder;
use crate::engine::plan::Start;
use crate::engine::work::Work;
use crate::engine::{EngineError, replay};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionSpec, ExecutionState, QueuedExecution, State};
use crate::task::SubflowStarter;
use crate::text::chain;

/// Flows that executions began with and that somebody still uses, by file and SHA-256.
#[derive(Default)]
pub(super) struct Flows {
    known: Mutex<HashMap<(String, String), Weak<Flow>>>,
}

impl Flows {
    pub(super) fn find(
        &self,
        created: &ExecutionSpec,
        read: impl FnOnce() -> Result<Flow, Vec<Diagnostic>>,
    ) -> Result<Arc<Flow>, Vec<Diagnostic>> {
        let key = (created.file.clone(), created.sha256.clone());
        if let Some(flow) = lock(&self.known).get(&key).and_then(Weak::upgrade) {
            return Ok(flow);
        }
        let flow = Arc::new(read()?);
        let mut known = lock(&self.known);
        known.retain(|_, flow| flow.strong_count() > 0);
        known.insert(key, Arc::downgrade(&flow));
        Ok(flow)
    }
}

impl Executor {
    /// Starts all that may start.
    pub(in crate::engine) fn dispatch(&self) {
        loop {
            let under_way = self.under_way();
            if !self.may_start(&under_way) {
                return;
            }
            let (settings, unlocked) = (&self.shared.runner.settings, RefCell::new(None));
            // What another process works on is no trouble; a lock that cannot be made is.
            let claim = |id: &ExecutionId| {
                let claimed = ExecutionLock::take(settings, id);
                claimed
                    .map_err(|error| {
                        if error.is_of_machine() {
                            drop(unlocked.replace(Some(error)));
                        }
                    })
                    .ok()
            };
            let next = self.journal().start_next(
                &self.shared.queue,
                clock::now,
                &|id| self.has_room(&under_way, self.lane(id)),
                &|chosen| self.limit(chosen),
                &|id| self.is_alive(&under_way, id),
                &claim,
            );
            let next = match (next, unlocked.take()) {
                (Ok(None), Some(error)) => Err(error),
                (next, _) => next.map_err(EngineError::from),
            };
            // A journal that cannot be written now is tried again when the next execution ends, or at the next look.
            let next = self.shared.health.note(Part::Queue, next).flatten();
            let Some((id, state, claim)) = next else { return };
            let prepared = lock(&self.shared.waiting).remove(&id);
            self.begin(under_way, claim, id, state, prepared);
        }
    }

    /// Whether somebody may wait whom there is room for.
    fn may_start(&self, under_way: &UnderWay) -> bool {
        let knows_one = lock(&self.shared.waiting).values().any(|prepared| self.has_room(under_way, prepared.lane));
        match self.shared.options.takes_all {
            true => knows_one || self.has_room(under_way, Lane::Main),
            // Nobody else puts anything into its queue; what it knows may be paused.
            false => knows_one && self.journal().queued(&self.shared.queue).is_ok_and(|queued| queued > 0),
        }
    }

    fn lane(&self, id: &ExecutionId) -> Lane {
        lock(&self.shared.waiting).get(id).map_or(Lane::Main, |prepared| prepared.lane)
    }

    /// The limit that the flow has now, else the one it had.
    fn limit(&self, chosen: &QueuedExecution) -> Option<u32> {
        let catalog = self.shared.options.catalog.as_ref();
        let flow = catalog.and_then(|catalog| catalog.flow(&chosen.namespace, &chosen.flow));
        flow.map_or(chosen.slots, |flow| flow.concurrency.map(|concurrency| concurrency.limit))
    }

    /// Works on an execution that the journal says is RUNNING.
    pub(super) fn begin(
        &self,
        mut under_way: UnderWay,
        claim: ExecutionLock,
        id: ExecutionId,
        state: State,
        prepared: Option<Prepared>,
    ) {
        let control = Control::default();
        let lane = prepared.as_ref().map_or(Lane::Main, |prepared| prepared.lane);
        under_way.insert(id.clone(), Job { control: control.clone(), lane });
        // A runtime that is going drops the work at once, which then takes the lock itself.
        drop(under_way);
        let mut end = End { executor: self.clone(), id: id.clone(), claim: Some(claim), worked: None };
        tokio::spawn(async move {
            let worked = end.executor.execute(&id, state, prepared, &control).await;
            end.over(worked);
        });
    }

    async fn execute(
        &self,
        id: &ExecutionId,
        mut state: State,
        prepared: Option<Prepared>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let prepared = prepared.map_or_else(|| self.revive(&state, Vec::new()), Ok);
        let worked = match prepared {
            Ok(prepared) => {
                let worked = self.work(id, &mut state, &prepared, control).await;
                self.after_work(id, &state, prepared);
                worked
            }
            Err(findings) => {
                findings.iter().for_each(|finding| self.say(id, &told(finding)));
                self.shared.runner.append(
                    id,
                    &mut state,
                    Event::Ended { state: ExecutionState::Failed, outputs: Map::new() },
                )
            }
        };
        match &worked {
            Ok(()) => self.shared.health.good(Part::Executions),
            Err(error) => {
                if error.is_of_machine() {
                    self.shared.health.bad(Part::Executions, chain(error));
                    lock(&self.shared.stalled).insert(id.clone());
                }
                self.say(id, &chain(error));
            }
        }
        worked
    }

    async fn work(
        &self,
        id: &ExecutionId,
        state: &mut State,
        prepared: &Prepared,
        control: &Control,
    ) -> Result<(), EngineError> {
        let (runner, flow) = (&self.shared.runner, &prepared.flow);
        let again = replay::runs_to_reset(state, flow, false);
        if state.status == ExecutionState::Running && !again.is_empty() {
            runner.append(id, state, Event::Adopted { again })?;
        }
        let inputs = prepared.inputs(state);
        let is_new = state.status == ExecutionState::Running && state.tasks.is_empty();
        if is_new && runner.fails_a_check(id, flow, &inputs, state)? {
            return Ok(());
        }
        let run = runner.execution_context(id, flow, &inputs, state);
        let catalog = runner.catalog.clone().unwrap_or_else(|| Arc::new(Folder::around(flow)));
        let subflows = |start: &Start, state: &State| -> Arc<dyn SubflowStarter> {
            Arc::new(SubflowRunner::new(self, &catalog, &run, flow, start, state))
        };
        Work::new(runner, flow, &run, &inputs, control, &subflows).until_end(state).await
    }

    /// A pause ends some time, and what is repeated by another execution is so.
    fn after_work(&self, id: &ExecutionId, state: &State, prepared: Prepared) {
        if state.status == ExecutionState::Paused {
            lock(&self.shared.waiting).insert(id.clone(), prepared);
            self.wake_at(id, state.pause_ends());
        } else if let (ExecutionState::Retried, Some(successor)) = (state.status, &state.successor)
            && let Err(error) = self.start(successor, prepared)
        {
            self.say(successor, &chain(&error));
        }
    }

    /// Lets a paused execution go on at a moment, unless somebody has before.
    pub(super) fn wake_at(&self, id: &ExecutionId, at: Option<DateTime<Utc>>) {
        let Some(at) = at else { return };
        let (executor, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep((at - clock::now()).to_std().unwrap_or_default()).await;
            if let Err(error) = executor.end_pause(&id) {
                executor.say(&id, &chain(&error));
            }
        });
    }
}

/// Frees the place of an execution, whichever way its work ends.
struct End {
    executor: Executor,
    id: ExecutionId,
    claim: Option<ExecutionLock>,
    /// What came of the work; nothing when it was dropped.
    worked: Option<Result<(), EngineError>>,
}

impl End {
    fn over(&mut self, worked: Result<(), EngineError>) {
        self.worked = Some(worked);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let is_over = self.worked.is_some() || std::thread::panicking();
        let problem = match self.worked.take() {
            Some(worked) => worked.err(),
            None => {
                let reason = "broke off; this is a defect of jitney".to_owned();
                Some(EngineError::Stuck { id: self.id.clone(), reason })
            }
        };
        let mut under_way = self.executor.under_way();
        self.claim = None;
        under_way.remove(&self.id);
        drop(under_way);
        self.executor.shared.left.notify_waiters();
        self.executor.wake_watchers(&self.id, problem);
        if is_over {
            self.executor.dispatch();
        } else {
            // Work that was dropped was so with its runtime, on which nothing can be started any more.
            self.executor.shared.stopping.store(true, Ordering::SeqCst);
        }
    }
}

pub(super) fn told(finding: &Diagnostic) -> String {
    match &finding.help {
        Some(help) => format!("cannot continue: {} ({help})", finding.message),
        None => format!("cannot continue: {}", finding.message),
    }
}
