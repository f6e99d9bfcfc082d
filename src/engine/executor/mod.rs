//! Runs executions, all that a process has: those of commands, triggers and backfills, and sub-executions. Those that may
//! start do, the others wait in the journal's queue.
//!
//! ```text
//!     create (mod)                     submit (mod), at once: CREATED and what follows
//!        |                                  |
//!     CREATED ---- start (adopt) -----> admission (journal/queue.rs: `admit`)
//!                                       |        |         |
//!                      no slot, no room |        |         | no slot, and the flow says so
//!                                       v        |         v
//!      +----------------------------> QUEUED     |    FAILED, CANCELLED
//!      |                                |        |
//!      |   `start_next` (dispatch: a slot and room are free)
//!      |                                v        v
//!      |                               RUNNING: `begin`, `execute` (dispatch), `Work` (engine/work)
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
//!      +---- `take_up_if` (adopt): what somebody restarts, RESTARTED first; what a process left that is no more
//!            (takeover, or whoever waits for it: follow). One that is RETRYING begins at once, and waits on.
//! ```
//!
//! Whoever holds an execution's lock works on it or changes it, and nobody else. An execution waits without its lock, and
//! while it is paused.
//!
//! The map of what is under way is held while the journal decides who starts, so that the process's own limit is never
//! exceeded either. Everything else that matters is in the journal: an executor that dies leaves nothing behind that
//! the next one would have to clean up.

mod actions;
mod adopt;
mod dispatch;
mod follow;
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
use crate::engine::health::{Health, Part};
use crate::engine::leftovers;
use crate::engine::lock::{self, ExecutionLock};
use crate::engine::{EngineError, InputHost, Request, Runner, SubmitError};
use crate::flow::input;
use crate::flow::{ConcurrencyPolicy, Flow};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{
    ConcurrencyLimit, Journal, JournalUpdate, OnLimit, Place, StartedBy, State, Submission, SubmitOutcome,
};
use crate::task::{Level, TaskType};
use crate::text::chain;

pub use actions::{Answer, BulkAction};
use follow::Watcher;

/// How many sub-executions that nobody waits for run at a time.
const MAX_DETACHED: usize = 16;

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
    /// The name of this process's queue.
    queue: String,
    /// Its lock, held until the executor stops.
    queue_lock: Mutex<Option<ExecutionLock>>,
    under_way: Mutex<HashMap<ExecutionId, Job>>,
    /// What executions that wait need, as far as this process has been told: the journal keeps no secrets.
    waiting: Mutex<HashMap<ExecutionId, Prepared>>,
    watchers: Mutex<HashMap<ExecutionId, Arc<Watcher>>>,
    flows: dispatch::Flows,
    /// What is not resumed because it began with another target; it is said once.
    left_alone: Mutex<HashSet<ExecutionId>>,
    /// What stands still because the journal could not be written. Its process has not died.
    stalled: Mutex<HashSet<ExecutionId>>,
    stopping: AtomicBool,
    health: Health,
    /// Told whenever an execution leaves `under_way`.
    left: Notify,
    /// Those who see to sub-executions that nobody waits for.
    detached: TaskTracker,
}

/// What an execution needs beside its state.
#[derive(Clone)]
pub struct Prepared {
    /// Its flow.
    pub flow: Arc<Flow>,
    secrets: Map<String, Value>,
    lane: Lane,
}

/// Among which executions one is that run at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Those that somebody submits.
    Main,
    /// Sub-executions that a task waits for: their number is that of these tasks, for none of them would end without.
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

/// An execution under way.
struct Job {
    control: Control,
    lane: Lane,
}

type UnderWay<'a> = MutexGuard<'a, HashMap<ExecutionId, Job>>;

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
            queue_lock: Mutex::new(Some(claim)),
            under_way: Mutex::default(),
            waiting: Mutex::default(),
            watchers: Mutex::default(),
            flows: dispatch::Flows::default(),
            left_alone: Mutex::default(),
            stalled: Mutex::default(),
            stopping: AtomicBool::new(false),
            health: Health::default(),
            left: Notify::new(),
            detached: TaskTracker::new(),
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
        let submitted = self.shared.runner.write_new(flow, None, |id, now| self.submit_as(id, flow, request, now));
        submitted.map(|(id, ())| id)
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
        let prepared = Prepared { flow: flow.clone(), secrets, lane: Lane::Main };
        let place = self.place(&under_way, &prepared);
        let submission = Submission { id, created, tick: tick.as_ref(), place };
        // Times are in the order of starts, which is that of the lock.
        let submitted = self.journal().submit(submission, clock::now, &|id| self.is_alive(&under_way, id));
        match submitted.map_err(EngineError::from)? {
            SubmitOutcome::AlreadyRan => {
                Err(tick.map_or(SubmitError::Stopping, |tick| SubmitError::AlreadyRan(Box::new(tick))))
            }
            outcome => {
                self.settle(under_way, claim, id, prepared, outcome);
                Ok(())
            }
        }
    }

    /// Writes a new execution down, which is started later, and gives what it needs then.
    ///
    /// # Errors
    /// When it is refused; nothing is written then.
    pub fn create(&self, flow: &Arc<Flow>, request: Request) -> Result<(ExecutionId, Prepared), SubmitError> {
        let (id, secrets) = self.shared.runner.create(flow, request)?;
        Ok((id, Prepared { flow: flow.clone(), secrets, lane: Lane::Main }))
    }

    /// Where a new execution of a flow may start, or wait.
    fn place(&self, under_way: &UnderWay, prepared: &Prepared) -> Place<'_> {
        let has_room = self.has_room(under_way, prepared.lane);
        Place { limit: limit_of(&prepared.flow), queue: &self.shared.queue, has_room }
    }

    /// Starts a new execution, or lets it wait, as the journal has decided.
    fn settle(
        &self,
        under_way: UnderWay,
        claim: ExecutionLock,
        id: &ExecutionId,
        prepared: Prepared,
        outcome: SubmitOutcome,
    ) {
        let lane = prepared.lane;
        match outcome {
            SubmitOutcome::Runs(state) => self.begin(under_way, claim, id.clone(), state, Some(prepared)),
            SubmitOutcome::Waits => {
                // Before anybody may look for the next one to start.
                drop(claim);
                lock(&self.shared.waiting).insert(id.clone(), prepared);
                let has_room = self.has_room(&under_way, lane);
                drop(under_way);
                self.dispatch();
                if has_room && lock(&self.shared.waiting).contains_key(id) {
                    self.announce(id, Level::Info, "queued: all slots of the flow's `concurrency` are taken");
                }
            }
            SubmitOutcome::TurnedAway | SubmitOutcome::AlreadyRan => {
                drop((claim, under_way));
                self.announce(id, Level::Error, "turned away: all slots of the flow's `concurrency` are taken");
                self.wake_watchers(id, None);
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
        let running = running_in(&self.under_way(), Lane::Main);
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
            // Sub-executions go on as long as what waits for them.
            let own = under_way.values().filter(|job| job.lane != Lane::Nested);
            own.map(|job| job.control.clone()).collect()
        };
        controls.iter().for_each(|control| control.suspend(Suspend::Queued));
        if tokio::time::timeout(grace, self.until_idle()).await.is_err() {
            controls.iter().for_each(Control::abort);
            self.until_idle().await;
        }
        drop(lock(&self.shared.queue_lock).take());
    }

    /// Waits until sub-executions have ended that nobody waits for.
    pub async fn until_detached_end(&self) {
        self.shared.detached.close();
        self.shared.detached.wait().await;
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

    /// Whether one more execution may run in this process.
    fn has_room(&self, under_way: &UnderWay, lane: Lane) -> bool {
        let most = match lane {
            Lane::Nested => return true,
            Lane::Main => self.shared.options.parallel,
            Lane::Detached => MAX_DETACHED,
        };
        !self.shared.stopping.load(Ordering::SeqCst) && running_in(under_way, lane) < most
    }

    /// Whether some process works on an execution that is RUNNING.
    fn is_alive(&self, under_way: &UnderWay, id: &ExecutionId) -> bool {
        under_way.contains_key(id) || lock::is_execution_locked(&self.shared.runner.settings, id)
    }

    /// A line in the execution's log.
    fn say(&self, id: &ExecutionId, text: &str) {
        let text = self.shared.runner.settings.redactor.line(text);
        // A line that cannot be kept is no reason to stop.
        if let Err(error) = self.journal().log(id, clock::now(), &TaskId::new(""), Level::Error, &text) {
            let problem = format!("{id}: {text} (the execution's log does not have this line: {})", chain(&error));
            self.health().error(Part::Executions, &problem);
        }
    }

    /// The same, shown to whoever watches this process too.
    fn announce(&self, id: &ExecutionId, level: Level, text: &str) {
        if let Err(error) = self.shared.runner.say(id, level, &TaskId::new(""), text) {
            self.health().error(Part::Executions, &format!("{id}: {}", chain(&error)));
        }
    }
}

fn running_in(under_way: &UnderWay, lane: Lane) -> usize {
    under_way.values().filter(|job| job.lane == lane).count()
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
