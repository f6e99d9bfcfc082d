//! Starting queued executions, running them, and what follows their end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use chrono::{DateTime, Utc};
use serde_json::Map;

use super::subflow::SubflowRunner;
use super::{Executor, Pool, Prepared, RunningExecution, RunningMap, locked};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::control::Control;
use crate::engine::health::Component;
use crate::engine::lock::HomeLock;
use crate::engine::lookup::Folder;
use crate::engine::plan::Start;
use crate::engine::work::Work;
use crate::engine::{EngineError, replay};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionSpec, ExecutionState, QueuedExecution, State};
use crate::task::SubflowStarter;
use crate::text::chain;

/// The flows that executions began with and that are still in use, by file and SHA-256: executions of one text share it.
#[derive(Default)]
pub(super) struct FlowCache {
    known: Mutex<HashMap<(String, String), Weak<Flow>>>,
}

impl FlowCache {
    pub(super) fn get_or_parse(
        &self,
        created: &ExecutionSpec,
        parse: impl FnOnce() -> Result<Flow, Vec<Diagnostic>>,
    ) -> Result<Arc<Flow>, Vec<Diagnostic>> {
        let key = (created.file.clone(), created.sha256.clone());
        if let Some(flow) = locked(&self.known).get(&key).and_then(Weak::upgrade) {
            return Ok(flow);
        }
        let flow = Arc::new(parse()?);
        let mut known = locked(&self.known);
        known.retain(|_, flow| flow.strong_count() > 0);
        known.insert(key, Arc::downgrade(&flow));
        Ok(flow)
    }
}

impl Executor {
    /// Starts queued executions while there are slots and capacity for them.
    ///
    /// `running` is locked before the journal, here and everywhere: the journal's transaction asks back, through the closures,
    /// what runs in this process.
    pub(in crate::engine) fn dispatch(&self) {
        loop {
            let running = self.running();
            if !self.can_start_one(&running) {
                return;
            }
            let (settings, lock_error) = (&self.shared.runner.settings, RefCell::new(None));
            // An execution that another process has locked is skipped; a lock file that cannot be made is an error.
            let lock = |id: &ExecutionId| {
                let acquired = HomeLock::acquire(settings, id);
                acquired
                    .map_err(|error| {
                        if error.is_system_error() {
                            drop(lock_error.replace(Some(error)));
                        }
                    })
                    .ok()
            };
            let next = self.journal().start_next(
                &self.shared.queue,
                clock::now,
                &|id| self.has_capacity(&running, self.pool(id)),
                &|candidate| self.limit(candidate),
                &|id| self.is_alive(&running, id),
                &lock,
            );
            let next = match (next, lock_error.take()) {
                (Ok(None), Some(error)) => Err(error),
                (next, _) => next.map_err(EngineError::from),
            };
            // A journal that cannot be written now is tried again when the next execution ends, or at the next poll.
            let next = self.shared.health.record(Component::Queue, next).flatten();
            let Some((id, state, lock)) = next else { return };
            let prepared = locked(&self.shared.waiting).remove(&id);
            self.spawn(running, lock, id, state, prepared);
        }
    }

    /// Whether there may be a queued execution that this process has capacity for.
    fn can_start_one(&self, running: &RunningMap) -> bool {
        let has_candidate =
            locked(&self.shared.waiting).values().any(|prepared| self.has_capacity(running, prepared.pool));
        match self.shared.options.takes_over {
            true => has_candidate || self.has_capacity(running, Pool::Main),
            // Nobody else enqueues anything for it; the executions that it knows may be paused.
            false => has_candidate && self.journal().queued(&self.shared.queue).is_ok_and(|queued| queued > 0),
        }
    }

    fn pool(&self, id: &ExecutionId) -> Pool {
        locked(&self.shared.waiting).get(id).map_or(Pool::Main, |prepared| prepared.pool)
    }

    /// The limit that the flow has now, else the one it had.
    fn limit(&self, candidate: &QueuedExecution) -> Option<u32> {
        let catalog = self.shared.options.catalog.as_ref();
        let flow = catalog.and_then(|catalog| catalog.flow(&candidate.flow.namespace, &candidate.flow.id));
        flow.map_or(candidate.slots, |flow| flow.concurrency.map(|concurrency| concurrency.limit))
    }

    /// Runs an execution that the journal has just set RUNNING, in a task of its own.
    pub(super) fn spawn(
        &self,
        mut running: RunningMap,
        lock: HomeLock,
        id: ExecutionId,
        state: State,
        prepared: Option<Prepared>,
    ) {
        let control = Control::default();
        let pool = prepared.as_ref().map_or(Pool::Main, |prepared| prepared.pool);
        running.insert(id.clone(), RunningExecution { control: control.clone(), pool });
        // A runtime that shuts down drops the task at once, and its guard locks `running` itself.
        drop(running);
        let mut guard = RunGuard { executor: self.clone(), id: id.clone(), lock: Some(lock), result: None };
        tokio::spawn(async move {
            let result = guard.executor.execute(&id, state, prepared, &control).await;
            guard.finish(result);
        });
    }

    async fn execute(
        &self,
        id: &ExecutionId,
        mut state: State,
        prepared: Option<Prepared>,
        control: &Control,
    ) -> Result<(), EngineError> {
        let prepared = prepared.map_or_else(|| self.restore(&state, Vec::new()), Ok);
        let result = match prepared {
            Ok(prepared) => {
                let result = self.work(id, &mut state, &prepared, control).await;
                self.after_work(id, &state, prepared);
                result
            }
            Err(findings) => {
                findings.iter().for_each(|finding| self.log(id, &describe(finding)));
                self.shared.runner.append(
                    id,
                    &mut state,
                    Event::Ended { state: ExecutionState::Failed, outputs: Map::new() },
                )
            }
        };
        match &result {
            Ok(()) => self.shared.health.report_success(Component::Executions),
            Err(error) => {
                if error.is_system_error() {
                    self.shared.health.report_failure(Component::Executions, chain(error));
                    locked(&self.shared.stalled).insert(id.clone());
                }
                self.log(id, &chain(error));
            }
        }
        result
    }

    async fn work(
        &self,
        id: &ExecutionId,
        state: &mut State,
        prepared: &Prepared,
        control: &Control,
    ) -> Result<(), EngineError> {
        let (runner, flow) = (&self.shared.runner, &prepared.flow);
        let reset = replay::runs_to_reset(state, flow, false);
        if state.status == ExecutionState::Running && !reset.is_empty() {
            runner.append(id, state, Event::Adopted { reset })?;
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
        Work::new(runner, flow, &run, &inputs, control, &subflows).run_to_end(state).await
    }

    /// Schedules the end of a pause, and starts the execution that retries this one.
    fn after_work(&self, id: &ExecutionId, state: &State, prepared: Prepared) {
        if state.status == ExecutionState::Paused {
            locked(&self.shared.waiting).insert(id.clone(), prepared);
            self.schedule_wake(id, state.pause_ends());
        } else if let (ExecutionState::Retried, Some(successor)) = (state.status, &state.successor)
            && let Err(error) = self.start(successor, prepared)
        {
            self.log(successor, &chain(&error));
        }
    }

    /// Resumes a paused execution at a moment, unless somebody has before.
    pub(super) fn schedule_wake(&self, id: &ExecutionId, at: Option<DateTime<Utc>>) {
        let Some(at) = at else { return };
        let (executor, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            tokio::time::sleep((at - clock::now()).to_std().unwrap_or_default()).await;
            if let Err(error) = executor.end_pause(&id) {
                executor.log(&id, &chain(&error));
            }
        });
    }
}

/// Takes an execution out of `running` however its task ends: by its end, a panic, or with the runtime.
struct RunGuard {
    executor: Executor,
    id: ExecutionId,
    lock: Option<HomeLock>,
    /// How its work ended; none when it was dropped.
    result: Option<Result<(), EngineError>>,
}

impl RunGuard {
    fn finish(&mut self, result: Result<(), EngineError>) {
        self.result = Some(result);
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        let has_ended = self.result.is_some() || std::thread::panicking();
        let problem = match self.result.take() {
            Some(result) => result.err(),
            None => {
                let reason = "panicked; this is a bug in jitney".to_owned();
                Some(EngineError::CannotContinue { what: (&self.id).into(), reason })
            }
        };
        let mut running = self.executor.running();
        self.lock = None;
        running.remove(&self.id);
        drop(running);
        self.executor.shared.execution_finished.notify_waiters();
        self.executor.notify_watchers(&self.id, problem);
        if has_ended {
            self.executor.dispatch();
        } else {
            // It was dropped with its runtime, on which nothing can be started any more.
            self.executor.shared.stopping.store(true, Ordering::SeqCst);
        }
    }
}

pub(super) fn describe(finding: &Diagnostic) -> String {
    match &finding.help {
        Some(help) => format!("cannot continue: {} ({help})", finding.message),
        None => format!("cannot continue: {}", finding.message),
    }
}
