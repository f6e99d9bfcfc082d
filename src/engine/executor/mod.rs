//! Runs all executions of a process: those of commands, triggers and backfills, and sub-executions. Those for which there
//! is a slot start, the others wait in the journal's queue.
//!
//! ```text
//!     create (mod)                     submit (mod), in one transaction: CREATED and what follows
//!        |                                  |
//!     CREATED ---- start (adopt) -----> admission (journal/queue.rs: `admit`)
//!                                       |        |         |
//!                  no slot, no capacity |        |         | no slot, and the flow says so
//!                                       v        |         v
//!      +----------------------------> QUEUED     |    FAILED, CANCELLED
//!      |                                |        |
//!      |   `start_next` (dispatch: there is a slot, and capacity)
//!      |                                v        v
//!      |                               RUNNING: `spawn`, `execute` (dispatch), `Work` (engine/work)
//!      |                                |   ^
//!      |              nothing to do but |   | the flow's `retry`, after a while: RESTARTED (work)
//!      |              to wait, or pause |   |
//!      |                       +--------+---+----------+-------------------+
//!      |                       v            v          v                   v
//!      |                    PAUSED      RETRYING    KILLING: kill      the end: SUCCESS, WARNING,
//!      |                       |            |          v               FAILED, CANCELLED
//!      |   resume (actions),   |            |        KILLED, ...
//!      |   or its time is over |            +--> RETRIED: its successor starts (`after_work`, dispatch)
//!      |   (`end_pause`)       |
//!      +-----------------------+
//!      |
//!      +---- `adopt_if` (adopt): what somebody restarts, RESTARTED first; an execution whose process has died
//!            (takeover, or whoever follows it: follow). One that is RETRYING starts at once, and keeps waiting.
//! ```
//!
//! Only the holder of an execution's lock works on it or changes it. A queued or paused execution is not locked.
//!
//! Mutexes are locked in this order: `running`, the journal's connection, then one of `waiting`, `watchers` and the others,
//! each for one access. `running` is held while the journal decides who starts: its transaction asks back, through
//! closures, what is alive and which pool an execution counts towards, and one that is admitted is in `running` before the
//! next is considered, so that the process's own limit is never exceeded either. Lock files are no part of the order: nobody
//! waits for one.
//!
//! Everything else that matters is in the journal: an executor that dies leaves nothing behind that the next one would have
//! to clean up.

mod actions;
mod adopt;
mod dispatch;
mod follow;
mod labels;
mod poison;
mod subflow;
mod takeover;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::sync::{Notify, broadcast};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::engine::catalog::Catalog;
use crate::engine::control::{Control, Suspend};
use crate::engine::health::{Component, Health};
use crate::engine::leftovers;
use crate::engine::lock::{HomeLock, is_locked};
use crate::engine::{EngineError, ExecutionRequest, InputHost, Runner, SubmitError};
use crate::flow::input;
use crate::flow::{ConcurrencyPolicy, Flow};
use crate::id::ExecutionId;
use crate::journal::{
    Admission, ConcurrencyLimit, Journal, JournalUpdate, OnLimit, QueueName, State, Submission, SubmitOutcome,
};
use crate::task::{Level, LogSource, TaskType};
use crate::text::chain;

pub use actions::{BulkAction, PauseAnswer};
use follow::ExecutionWatcher;
pub use labels::parse_labels;

/// How many sub-executions that nobody waits for run at a time.
const MAX_DETACHED: usize = 16;

/// The settings of an executor.
#[derive(Clone)]
pub struct ExecutorOptions {
    /// The maximum number of executions that run at a time in this process.
    pub parallel: usize,
    /// The task types.
    pub tasks: &'static [TaskType],
    /// The source of the current limits of flows; without it the flow that an execution began with says.
    pub catalog: Option<Arc<Catalog>>,
    /// Whether it takes over the executions of processes that have died.
    pub takes_over: bool,
}

impl ExecutorOptions {
    /// Those of a process that runs only what it submits, sixteen at a time.
    pub fn new(tasks: &'static [TaskType]) -> Self {
        Self { parallel: 16, tasks, catalog: None, takes_over: false }
    }
}

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExecutorLoad {
    /// Executions that run in this process.
    pub running: usize,
    /// Executions that wait in its queue.
    pub queued: usize,
    /// The maximum number that run at a time.
    pub parallel: usize,
}

/// Runs executions in this process. Clones are one and the same.
#[derive(Clone)]
pub struct Executor {
    shared: Arc<Shared>,
}

struct Shared {
    runner: Runner,
    options: ExecutorOptions,
    /// The name of this process's queue.
    queue: QueueName,
    /// Its lock, held until the executor stops.
    queue_lock: Mutex<Option<HomeLock>>,
    running: Mutex<HashMap<ExecutionId, RunningExecution>>,
    /// What queued and paused executions need, where this process knows it: the journal keeps no secrets.
    waiting: Mutex<HashMap<ExecutionId, Prepared>>,
    watchers: Mutex<HashMap<ExecutionId, Arc<ExecutionWatcher>>>,
    flows: dispatch::FlowCache,
    /// Executions that are not resumed because they began with another target: each is logged once.
    reported_mismatches: Mutex<HashSet<ExecutionId>>,
    /// Executions that stopped because the journal could not be written. They were not interrupted: this process lives.
    stalled: Mutex<HashSet<ExecutionId>>,
    stopping: AtomicBool,
    health: Health,
    /// Notified whenever an execution leaves `running`.
    execution_finished: Notify,
    /// The tasks that follow detached sub-executions.
    detached: TaskTracker,
}

/// What an execution needs besides its state.
#[derive(Clone)]
pub struct Prepared {
    /// Its flow.
    pub flow: Arc<Flow>,
    secrets: Map<String, Value>,
    pool: Pool,
}

/// Which limit an execution counts towards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pool {
    /// Executions that somebody submits.
    Main,
    /// Sub-executions that a task waits for: without limit, since executions that wait for each other could deadlock.
    Nested,
    /// Sub-executions that nobody waits for.
    Detached,
}

impl Prepared {
    /// The values of an execution's inputs, with the secret ones that the journal does not keep.
    pub fn inputs(&self, state: &State) -> Map<String, Value> {
        let mut inputs = state.created.inputs.clone();
        inputs.extend(self.secrets.clone());
        inputs
    }
}

/// An execution that runs in this process.
struct RunningExecution {
    control: Control,
    pool: Pool,
}

type RunningMap<'a> = MutexGuard<'a, HashMap<ExecutionId, RunningExecution>>;

impl Executor {
    /// An executor on the runner's home. Called within the runtime, which its executions run on.
    ///
    /// # Errors
    /// When the home folder or the journal cannot be used.
    pub fn open(runner: Runner, options: ExecutorOptions) -> Result<Self, EngineError> {
        let queue = QueueName::generate(runner.started_by);
        let lock = HomeLock::acquire(&runner.settings, &queue)?;
        let shared = Shared {
            runner,
            options,
            queue,
            queue_lock: Mutex::new(Some(lock)),
            running: Mutex::default(),
            waiting: Mutex::default(),
            watchers: Mutex::default(),
            flows: dispatch::FlowCache::default(),
            reported_mismatches: Mutex::default(),
            stalled: Mutex::default(),
            stopping: AtomicBool::new(false),
            health: Health::default(),
            execution_finished: Notify::new(),
            detached: TaskTracker::new(),
        };
        let executor = Self { shared: Arc::new(shared) };
        if executor.shared.options.takes_over {
            executor.take_over()?;
            leftovers::remove_dead_locks(&executor.shared.runner.settings);
        }
        executor.spawn_poll_loop();
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

    /// The values of a flow's inputs as far as they can be known, for a form that asks for the others.
    pub fn resolve_partial(&self, flow: &Flow, given: &[(String, String)]) -> input::ResolvedInputs {
        let host = InputHost::of(&self.shared.runner.settings, flow, clock::now());
        input::resolve_partial(flow, given, &host)
    }

    /// Creates an execution. It starts at once if there is a slot for it, else it is queued, or rejected as its flow's
    /// `concurrency` says.
    ///
    /// # Errors
    /// When it is invalid; nothing is written then.
    pub fn submit(&self, flow: &Arc<Flow>, request: ExecutionRequest) -> Result<ExecutionId, SubmitError> {
        let submitted = self.shared.runner.write_new(flow, None, |id, now| self.submit_as(id, flow, request, now));
        submitted.map(|(id, ())| id)
    }

    fn submit_as(
        &self,
        id: &ExecutionId,
        flow: &Arc<Flow>,
        request: ExecutionRequest,
        now: DateTime<Utc>,
    ) -> Result<(), SubmitError> {
        let shared = &self.shared;
        let (created, secrets) = shared.runner.validated_spec(id, flow, &request, now)?;
        let firing = request.firing;
        let lock = HomeLock::acquire(&shared.runner.settings, id)?;
        let running = self.running();
        if shared.stopping.load(Ordering::SeqCst) {
            return Err(SubmitError::Stopping);
        }
        let prepared = Prepared { flow: flow.clone(), secrets, pool: Pool::Main };
        let admission = self.admission(&running, &prepared);
        let submission = Submission { id, created, firing: firing.as_ref(), admission };
        // Times are in the order of starts, which is that of the lock.
        let submitted = self.journal().submit(submission, clock::now, &|id| self.is_alive(&running, id));
        match submitted.map_err(EngineError::from)? {
            SubmitOutcome::AlreadyFired => {
                Err(firing.map_or(SubmitError::Stopping, |firing| SubmitError::AlreadyFired(Box::new(firing))))
            }
            outcome => {
                self.apply_outcome(running, lock, id, prepared, outcome);
                Ok(())
            }
        }
    }

    /// Creates an execution that is started later, and returns what it needs then.
    ///
    /// # Errors
    /// When it is invalid; nothing is written then.
    pub fn create(&self, flow: &Arc<Flow>, request: ExecutionRequest) -> Result<(ExecutionId, Prepared), SubmitError> {
        let (id, secrets) = self.shared.runner.create(flow, request)?;
        Ok((id, Prepared { flow: flow.clone(), secrets, pool: Pool::Main }))
    }

    /// The terms on which the journal admits an execution.
    fn admission(&self, running: &RunningMap, prepared: &Prepared) -> Admission<'_> {
        let has_capacity = self.has_capacity(running, prepared.pool);
        Admission { limit: concurrency_limit(&prepared.flow), queue: &self.shared.queue, has_capacity }
    }

    /// Carries out what the journal has decided about a new execution.
    fn apply_outcome(
        &self,
        running: RunningMap,
        lock: HomeLock,
        id: &ExecutionId,
        prepared: Prepared,
        outcome: SubmitOutcome,
    ) {
        let pool = prepared.pool;
        match outcome {
            SubmitOutcome::Started(state) => self.spawn(running, lock, id.clone(), state, Some(prepared)),
            SubmitOutcome::Queued => {
                // Before anybody may dispatch it, which needs its lock.
                drop(lock);
                locked(&self.shared.waiting).insert(id.clone(), prepared);
                let has_capacity = self.has_capacity(&running, pool);
                drop(running);
                self.dispatch();
                if has_capacity && locked(&self.shared.waiting).contains_key(id) {
                    self.log_and_show(id, Level::Info, "queued: all slots of the flow's `concurrency` are taken");
                }
            }
            SubmitOutcome::Rejected | SubmitOutcome::AlreadyFired => {
                drop((lock, running));
                self.log_and_show(id, Level::Error, "rejected: all slots of the flow's `concurrency` are taken");
                self.notify_watchers(id, None);
            }
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
        let running = running_in(&self.running(), Pool::Main);
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

    /// Shuts down: starts nothing more, gives running attempts `grace` to end, and aborts those that have not by then; they
    /// start again when an executor adopts their execution. Returns when nothing runs any more.
    pub async fn stop(&self, grace: Duration) {
        let controls: Vec<Control> = {
            let running = self.running();
            self.shared.stopping.store(true, Ordering::SeqCst);
            // Nested sub-executions run as long as the task that waits for them.
            let own = running.values().filter(|execution| execution.pool != Pool::Nested);
            own.map(|execution| execution.control.clone()).collect()
        };
        controls.iter().for_each(|control| control.suspend(Suspend::Queued));
        if tokio::time::timeout(grace, self.wait_until_idle()).await.is_err() {
            controls.iter().for_each(Control::abort);
            self.wait_until_idle().await;
        }
        drop(locked(&self.shared.queue_lock).take());
    }

    /// Waits until the detached sub-executions have ended.
    pub async fn wait_for_detached(&self) {
        self.shared.detached.close();
        self.shared.detached.wait().await;
    }

    async fn wait_until_idle(&self) {
        loop {
            let finished = self.shared.execution_finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.running().is_empty() {
                return;
            }
            finished.await;
        }
    }

    fn running(&self) -> RunningMap<'_> {
        locked(&self.shared.running)
    }

    /// Whether this process may run one more execution.
    fn has_capacity(&self, running: &RunningMap, pool: Pool) -> bool {
        let max = match pool {
            Pool::Nested => return true,
            Pool::Main => self.shared.options.parallel,
            Pool::Detached => MAX_DETACHED,
        };
        !self.shared.stopping.load(Ordering::SeqCst) && running_in(running, pool) < max
    }

    /// Whether some process works on an execution that is RUNNING.
    fn is_alive(&self, running: &RunningMap, id: &ExecutionId) -> bool {
        running.contains_key(id) || is_locked(&self.shared.runner.settings, id)
    }

    /// A line in the execution's log.
    fn log(&self, id: &ExecutionId, text: &str) {
        let text = self.shared.runner.settings.redactor.line(text);
        // A line that cannot be written is no reason to stop.
        if let Err(error) = self.journal().log(id, clock::now(), LogSource::Execution, Level::Error, &text) {
            let problem = format!("{id}: {text} (the execution's log does not have this line: {})", chain(&error));
            self.health().report_error(Component::Executions, &problem);
        }
    }

    /// The same, also passed to the observer.
    fn log_and_show(&self, id: &ExecutionId, level: Level, text: &str) {
        if let Err(error) = self.shared.runner.log(id, level, LogSource::Execution, text) {
            self.health().report_error(Component::Executions, &format!("{id}: {}", chain(&error)));
        }
    }
}

fn running_in(running: &RunningMap, pool: Pool) -> usize {
    running.values().filter(|execution| execution.pool == pool).count()
}

fn concurrency_limit(flow: &Flow) -> Option<ConcurrencyLimit> {
    flow.concurrency.map(|concurrency| ConcurrencyLimit {
        max: concurrency.limit,
        on_limit: match concurrency.behavior {
            ConcurrencyPolicy::Queue => OnLimit::Queue,
            ConcurrencyPolicy::Cancel => OnLimit::Cancel,
            ConcurrencyPolicy::Fail => OnLimit::Fail,
        },
    })
}

/// Locks a mutex, poisoned or not: nothing in these is changed in more than one step, so that a panic leaves them whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
