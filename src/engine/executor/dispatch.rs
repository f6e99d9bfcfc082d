//! Starting what may start, and what happens when it has ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use chrono::{DateTime, Utc};
use serde_json::Map;

use super::{Executor, Prepared, UnderWay, lock};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::control::Control;
use crate::engine::health::Part;
use crate::engine::lock::ExecutionLock;
use crate::engine::{EngineError, replay, revive};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionSpec, ExecutionState, QueuedExecution, State};
use crate::text::chain;

/// Flows that executions began with and that somebody still uses, by file and SHA-256.
#[derive(Default)]
pub(super) struct Flows {
    known: Mutex<HashMap<(String, String), Weak<Flow>>>,
}

impl Flows {
    fn find(
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
            let is_full = under_way.len() >= self.shared.options.parallel;
            if is_full || self.shared.stopping.load(Ordering::SeqCst) {
                return;
            }
            let (settings, unlocked) = (&self.shared.runner.settings, RefCell::new(None));
            // What another process works on is no trouble; a lock that cannot be made is.
            let claim = |id: &ExecutionId| {
                let claimed = ExecutionLock::take(settings, id);
                claimed
                    .map_err(|error| {
                        if error.is_of_machine() {
                            drop(unlocked.replace(Some(error)))
                        }
                    })
                    .ok()
            };
            let next = self.journal().start_next(
                &self.shared.queue,
                clock::now(),
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
        under_way.insert(id.clone(), control.clone());
        // A runtime that is going drops the work at once, which then takes the lock itself.
        drop(under_way);
        let mut end = End { executor: self.clone(), id: id.clone(), claim: Some(claim), is_over: false };
        tokio::spawn(async move {
            end.executor.execute(&id, state, prepared, &control).await;
            end.over();
        });
    }

    async fn execute(&self, id: &ExecutionId, mut state: State, prepared: Option<Prepared>, control: &Control) {
        let prepared = prepared.map_or_else(|| self.revive(&state, Vec::new()), Ok);
        let worked = match prepared {
            Ok(Prepared { flow, secrets }) => {
                let mut inputs = state.created.inputs.clone();
                inputs.extend(secrets.clone());
                let again = replay::runs_to_reset(&state, &flow, false);
                let begun = match again.is_empty() {
                    true => Ok(()),
                    false => self.shared.runner.append(id, &mut state, Event::Adopted { again }),
                };
                let worked = match begun {
                    Ok(()) => self.shared.runner.work(id, &mut state, &flow, &inputs, control).await,
                    failed => failed,
                };
                self.after_work(id, &state, Prepared { flow, secrets });
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
        match worked {
            Ok(()) => self.shared.health.good(Part::Executions),
            Err(error) => {
                if error.is_of_machine() {
                    self.shared.health.bad(Part::Executions, chain(&error));
                    lock(&self.shared.stalled).insert(id.clone());
                }
                self.say(id, &chain(&error));
            }
        }
    }

    /// A pause ends some time, and what is repeated by another execution is so.
    fn after_work(&self, id: &ExecutionId, state: &State, prepared: Prepared) {
        if state.status == ExecutionState::Paused {
            lock(&self.shared.waiting).insert(id.clone(), prepared);
            self.wake_at(id, state.pause_ends());
        } else if let (ExecutionState::Retried, Some(successor)) = (state.status, &state.successor) {
            lock(&self.shared.waiting).insert(successor.clone(), prepared);
            if let Err(error) = self.take_up(successor, Vec::new()) {
                self.say(successor, &chain(&error));
            }
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

    /// What an execution needs, from the journal and from what is given again.
    pub(super) fn revive(&self, state: &State, secrets: Vec<(String, String)>) -> Result<Prepared, Vec<Diagnostic>> {
        let tasks = self.shared.options.tasks;
        let flow = self.shared.flows.find(&state.created, || revive::recorded_flow(&state.created, tasks))?;
        let values = revive::recorded_values(&self.shared.runner.settings, state, &flow, secrets)?;
        let (_, secrets) = self.shared.runner.split_secrets(&flow, &values, state.created.parent.is_some());
        Ok(Prepared { flow, secrets })
    }

    /// Tells those who wait for an execution to look at it.
    pub(super) fn wake_watchers(&self, id: &ExecutionId) {
        if let Some(watcher) = lock(&self.shared.watchers).remove(id) {
            watcher.notify_waiters();
        }
    }
}

/// Frees the place of an execution, whichever way its work ends.
struct End {
    executor: Executor,
    id: ExecutionId,
    claim: Option<ExecutionLock>,
    is_over: bool,
}

impl End {
    fn over(&mut self) {
        self.is_over = true;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut under_way = self.executor.under_way();
        self.claim = None;
        under_way.remove(&self.id);
        drop(under_way);
        self.executor.shared.left.notify_waiters();
        self.executor.wake_watchers(&self.id);
        if self.is_over || std::thread::panicking() {
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
