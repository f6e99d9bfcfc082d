//! Runs many executions in one process: those that may start do, the others wait in the journal's queue.
//!
//! The map of what is under way is held while the journal decides who starts, so that the process's own limit is never
//! exceeded either. Everything else that matters is in the journal: an executor that dies leaves nothing behind that
//! the next one would have to clean up.

mod actions;
mod dispatch;
mod poison;
mod takeover;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::{Notify, broadcast};

use crate::clock;
use crate::engine::catalog::Catalog;
use crate::engine::control::{Control, Suspend};
use crate::engine::health::{Health, Part};
use crate::engine::leftovers;
use crate::engine::lock::{self, ExecutionLock};
use crate::engine::{EngineError, InputHost, Request, Runner, SubmitError};
use crate::flow::input;
use crate::flow::{ConcurrencyPolicy, Flow};
use crate::id::ExecutionId;
use crate::journal::{
    ConcurrencyLimit, ExecutionState, Journal, JournalUpdate, OnLimit, StartedBy, State, Submission, SubmitOutcome,
};
use crate::task::TaskType;
use crate::text::chain;

pub use actions::BulkAction;

/// How often somebody who waits looks for what other processes did.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How the names of queues begin that belong to a command in a terminal.
const TERMINAL: &str = "terminal";

/// How an executor works.
#[derive(Clone)]
pub struct Options {
    /// The most executions that run at a time in this process.
    pub parallel: usize,
    /// The task types.
    pub tasks: &'static [TaskType],
    /// Where the current limits of flows are found; without it each execution's own flow says.
    pub catalog: Option<Arc<Catalog>>,
    /// Whether it also takes up what processes left that are no more.
    pub takes_all: bool,
}

impl Options {
    /// Those of a process that runs only what it submits: sixteen at a time.
    pub fn new(tasks: &'static [TaskType]) -> Self {
        Self { parallel: 16, tasks, catalog: None, takes_all: false }
    }
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExecutorLoad {
    /// Executions under way in this process.
    pub running: usize,
    /// Executions that wait in its queue.
    pub queued: usize,
    /// The most that run at a time.
    pub parallel: usize,
}

/// Runs executions in this process. Clones are one and the same.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

struct Shared {
    runner: Runner,
    options: Options,
    /// The name of this process's queue, locked as long as the process lives.
    queue: String,
    _lock: ExecutionLock,
    under_way: Mutex<HashMap<ExecutionId, Control>>,
    /// What executions that wait need, as far as this process has been told: the journal keeps no secrets.
    waiting: Mutex<HashMap<ExecutionId, Prepared>>,
    watchers: Mutex<HashMap<ExecutionId, Arc<Notify>>>,
    flows: dispatch::Flows,
    /// What is not resumed because it began with another target; it is said once.
    left_alone: Mutex<HashSet<ExecutionId>>,
    /// What stands still because the journal could not be written. Its process has not died.
    stalled: Mutex<HashSet<ExecutionId>>,
    stopping: AtomicBool,
    health: Health,
    /// Told whenever an execution leaves `under_way`.
    left: Notify,
}

/// What an execution needs beside its state.
#[derive(Clone)]
struct Prepared {
    flow: Arc<Flow>,
    secrets: Map<String, Value>,
}

type UnderWay<'a> = MutexGuard<'a, HashMap<ExecutionId, Control>>;

impl Executor {
    /// An executor on the runner's home. Called within the runtime, which its executions run on.
    ///
    /// # Errors
    /// When the home folder or the journal cannot be used.
    pub fn open(runner: Runner, options: Options) -> Result<Self, EngineError> {
        let kind = if runner.started_by == StartedBy::Terminal { TERMINAL } else { "queue" };
        let queue = format!("{kind}-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let claim = ExecutionLock::take(&runner.settings, &ExecutionId::new(&queue))?;
        let shared = Shared {
            runner,
            options,
            queue,
            _lock: claim,
            under_way: Mutex::default(),
            waiting: Mutex::default(),
            watchers: Mutex::default(),
            flows: dispatch::Flows::default(),
            left_alone: Mutex::default(),
            stalled: Mutex::default(),
            stopping: AtomicBool::new(false),
            health: Health::default(),
            left: Notify::new(),
        };
        let executor = Self { shared: Arc::new(shared) };
        if executor.shared.options.takes_all {
            executor.take_over()?;
            leftovers::remove_dead_locks(&executor.shared.runner.settings);
        }
        executor.keep_looking();
        Ok(executor)
    }

    /// The values of a flow's inputs, from those that are given as text.
    ///
    /// # Errors
    /// Everything that does not fit; or when the flow is disabled.
    pub fn resolve(&self, flow: &Flow, given: &[(String, String)]) -> Result<Map<String, Value>, SubmitError> {
        SubmitError::if_disabled(flow)?;
        let host = InputHost::of(&self.shared.runner.settings, flow, clock::now());
        input::resolve(flow, given, &host).map_err(SubmitError::Inputs)
    }

    /// Writes a new execution down. It starts at once if it may, else it waits for its turn, or is turned away as its
    /// flow's `concurrency` says.
    ///
    /// # Errors
    /// When it is refused; nothing is written then.
    pub fn submit(&self, flow: &Arc<Flow>, request: Request) -> Result<ExecutionId, SubmitError> {
        self.shared.runner.write_new(flow, None, |id, now| self.submit_as(id, flow, request, now))
    }

    fn submit_as(
        &self,
        id: &ExecutionId,
        flow: &Arc<Flow>,
        request: Request,
        now: DateTime<Utc>,
    ) -> Result<(), SubmitError> {
        let shared = &self.shared;
        let (created, secrets) = shared.runner.admissible(id, flow, &request, now)?;
        let tick = request.tick;
        let claim = ExecutionLock::take(&shared.runner.settings, id)?;
        let under_way = self.under_way();
        if shared.stopping.load(Ordering::SeqCst) {
            return Err(SubmitError::Stopping);
        }
        let submission = Submission {
            id,
            created,
            tick: tick.as_ref(),
            limit: limit_of(flow),
            queue: &shared.queue,
            has_room: under_way.len() < shared.options.parallel,
        };
        // Times are in the order of starts, which is that of the lock.
        let submitted = self.journal().submit(submission, clock::now(), &|id| self.is_alive(&under_way, id));
        let prepared = Prepared { flow: flow.clone(), secrets };
        match submitted.map_err(EngineError::from)? {
            SubmitOutcome::Runs(state) => self.begin(under_way, claim, id.clone(), state, Some(prepared)),
            SubmitOutcome::Waits => {
                // Before anybody may look for the next one to start.
                drop(claim);
                lock(&shared.waiting).insert(id.clone(), prepared);
            }
            SubmitOutcome::TurnedAway => self.say(id, "turned away: all slots of the flow's `concurrency` are taken"),
            SubmitOutcome::AlreadyRan => {
                return Err(tick.map_or(SubmitError::Stopping, |tick| SubmitError::AlreadyRan(Box::new(tick))));
            }
        }
        Ok(())
    }

    /// Waits until an execution has ended or is paused.
    ///
    /// # Errors
    /// When there is no such execution, or the journal cannot be read.
    pub async fn wait(&self, id: &ExecutionId) -> Result<State, EngineError> {
        loop {
            let watcher = lock(&self.shared.watchers).entry(id.clone()).or_default().clone();
            let told = watcher.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            // Its end is told before its place is free: whoever waited may do something with it at once.
            if !self.under_way().contains_key(id) {
                let state = self.journal().state(id)?.ok_or_else(|| EngineError::Unknown(id.clone()))?;
                if state.status.has_ended() || state.status == ExecutionState::Paused {
                    self.leave(id, &watcher);
                    return Ok(state);
                }
            }
            // What other processes do is seen by looking.
            tokio::select! { () = told => {}, () = tokio::time::sleep(POLL_INTERVAL) => {} }
        }
    }

    /// Forgets how to tell those who wait for an execution, when this was the last of them: one that ended before anybody
    /// waited tells nobody.
    fn leave(&self, id: &ExecutionId, watcher: &Arc<Notify>) {
        let mut watchers = lock(&self.shared.watchers);
        let is_ours = watchers.get(id).is_some_and(|held| Arc::ptr_eq(held, watcher));
        // One is ours, one is the map's.
        if is_ours && Arc::strong_count(watcher) == 2 {
            watchers.remove(id);
        }
    }

    /// All that this process writes into the journal from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<JournalUpdate>> {
        self.journal().subscribe()
    }

    /// How much there is to do.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn load(&self) -> Result<ExecutorLoad, EngineError> {
        let running = self.under_way().len();
        let queued = self.journal().queued(&self.shared.queue)?;
        Ok(ExecutorLoad { running, queued, parallel: self.shared.options.parallel })
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.shared.runner.journal
    }

    /// What keeps this process from its work.
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// What runs the executions.
    pub fn runner(&self) -> &Runner {
        &self.shared.runner
    }

    /// Starts nothing more. What is under way gets `grace` to come to its end; what has not by then is cut off, and
    /// begins again when an executor takes it up. Waits until nothing is under way.
    pub async fn stop(&self, grace: Duration) {
        let controls: Vec<Control> = {
            let under_way = self.under_way();
            self.shared.stopping.store(true, Ordering::SeqCst);
            under_way.values().cloned().collect()
        };
        controls.iter().for_each(|control| control.suspend(Suspend::Queued));
        if tokio::time::timeout(grace, self.until_idle()).await.is_err() {
            controls.iter().for_each(Control::abort);
            self.until_idle().await;
        }
    }

    async fn until_idle(&self) {
        loop {
            let left = self.shared.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.under_way().is_empty() {
                return;
            }
            left.await;
        }
    }

    fn under_way(&self) -> UnderWay<'_> {
        lock(&self.shared.under_way)
    }

    /// Whether some process works on an execution that is RUNNING.
    fn is_alive(&self, under_way: &HashMap<ExecutionId, Control>, id: &ExecutionId) -> bool {
        under_way.contains_key(id) || lock::is_execution_locked(&self.shared.runner.settings, id)
    }

    /// A line in the execution's log.
    fn say(&self, id: &ExecutionId, text: &str) {
        let text = self.shared.runner.settings.redactor.line(text);
        let engine = crate::id::TaskId::new("");
        // A line that cannot be kept is no reason to stop.
        if let Err(error) = self.journal().log(id, clock::now(), &engine, crate::task::Level::Error, &text) {
            let problem = format!("{id}: {text} (the execution's log does not have this line: {})", chain(&error));
            self.health().error(Part::Executions, &problem);
        }
    }
}

fn limit_of(flow: &Flow) -> Option<ConcurrencyLimit> {
    flow.concurrency.map(|concurrency| ConcurrencyLimit {
        most: concurrency.limit,
        overflow: match concurrency.behavior {
            ConcurrencyPolicy::Queue => OnLimit::Queue,
            ConcurrencyPolicy::Cancel => OnLimit::Cancel,
            ConcurrencyPolicy::Fail => OnLimit::Fail,
        },
    })
}

/// What a panic elsewhere left is whole: nothing here is changed in more than one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
