//! Starts executions for triggers. A heap holds the next moment of each schedule, so that thousands of them cost nothing
//! while none is due; what has been dealt with is in the journal, written in the same transaction as the execution.
//!
//! A turn finds out which triggers are due. Each of them then works in a job of its own, without the lock and at the same time as the
//! others: its expressions may take a while, and hold up nobody else.

mod ended;
mod fire;
mod job;
mod times;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::blocking::run_blocking;
use crate::duration::DurationSpec;
use crate::engine::EngineError;
use crate::engine::catalog::Catalog;
use crate::engine::clock::Clock;
use crate::engine::executor::Executor;
use crate::engine::health::{Component, Health};
use crate::flow::trigger::{MIN_KEY_LENGTH, TriggerKind};
use crate::flow::{Flow, Trigger};
use crate::id::ExecutionId;
use crate::journal::{JournalUpdate, TriggerKey, TriggerProgress};
use crate::secret::Redactor;
use crate::text;
use job::{JobStatus, TriggerJob};

pub use fire::{WebhookCall, WebhookError};

/// How often to look for the ends of executions in other processes.
const POLL_INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// How soon to try again what failed because of the journal.
const RETRY_DELAY: TimeDelta = TimeDelta::seconds(1);
/// How long to wait after a turn that panicked.
const PANIC_DELAY: Duration = Duration::from_secs(1);

/// How many jobs run at a time.
const MAX_CONCURRENT: usize = 16;

/// The pause between two turns, in which others get the journal and the scheduler's lock.
const YIELD_PAUSE: Duration = Duration::from_millis(2);

/// How far a clock must go back to be reported: small corrections are usual.
const MIN_CLOCK_STEP: TimeDelta = TimeDelta::seconds(2);

/// How late a moment may be dealt with and still count as on time.
const ON_TIME_TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// A trigger as it stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TriggerStatus {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// The trigger's id.
    pub id: String,
    /// What kind of trigger it is: `schedule`, `webhook`, `flow`, `file`, `http`.
    pub kind: &'static str,
    /// Whether it is disabled, in the flow or by request.
    pub disabled: bool,
    /// The latest date that it has processed.
    pub last: DateTime<Utc>,
    /// The next moment of a schedule: of one that waits for an execution, the moment whose turn it is then.
    pub next: Option<DateTime<Utc>>,
    /// The execution that must end before the trigger starts another.
    pub waits_for: Option<ExecutionId>,
    /// Why it did not start an execution when it should have.
    pub problem: Option<String>,
}

/// A trigger as one revision of its flow defines it.
#[derive(Clone)]
struct TriggerDefinition {
    flow: Arc<Flow>,
    revision: u32,
    /// Its index among the flow's triggers.
    index: usize,
}

impl TriggerDefinition {
    fn trigger(&self) -> &Trigger {
        &self.flow.triggers[self.index]
    }
}

/// A trigger and its progress.
struct TrackedTrigger {
    definition: TriggerDefinition,
    last: DateTime<Utc>,
    /// The number of the latest end that it has started an execution for, and of the latest one when this process first saw it.
    last_end: i64,
    since_end: i64,
    /// Of a trigger that waits for other flows: the number of the latest end that it has looked at.
    seen: i64,
    /// Whether somebody has switched it off.
    is_off: bool,
    work: JobStatus,
    next: Option<DateTime<Utc>>,
    waits_for: Option<ExecutionId>,
    problem: Option<String>,
}

impl TrackedTrigger {
    fn trigger(&self) -> &Trigger {
        self.definition.trigger()
    }

    fn is_disabled(&self) -> bool {
        self.is_off || self.definition.flow.disabled || self.trigger().common.disabled
    }
}

/// Starts executions for triggers.
pub struct Scheduler {
    executor: Executor,
    catalog: Arc<Catalog>,
    state: Mutex<SchedulerState>,
    /// Notified when something was changed from outside.
    changed: Notify,
    /// When the latest turn came to its end.
    last_turn: Mutex<Option<Instant>>,
    /// Whether other machines can call webhooks.
    is_reachable: AtomicBool,
}

#[derive(Default)]
struct SchedulerState {
    known: HashMap<TriggerKey, TrackedTrigger>,
    /// The next moment of each schedule. A moment that is no longer its trigger's `next` means nothing.
    heap: BinaryHeap<Reverse<(DateTime<Utc>, TriggerKey)>>,
    /// The triggers that are due, and since or from when.
    due: BTreeMap<TriggerKey, DateTime<Utc>>,
    /// Those whose job failed because of the journal.
    failing: HashSet<TriggerKey>,
    /// The triggers that wait for other flows.
    followers: Vec<TriggerKey>,
    /// The state of the catalog that `known` shows.
    seen: Option<u64>,
    /// The cursors over the ends of executions that `ended.rs` explains.
    ends_seen: Option<i64>,
    ends_noted: i64,
    has_more_ends: bool,
    last_poll: Option<DateTime<Utc>>,
    /// What time it was at the last turn.
    latest_turn: Option<DateTime<Utc>>,
}

impl Scheduler {
    /// A scheduler of all flows in the catalog.
    pub fn new(executor: Executor, catalog: Arc<Catalog>) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        let (last_turn, is_reachable) = (Mutex::default(), AtomicBool::default());
        Arc::new(Self { executor, catalog, state, changed, last_turn, is_reachable })
    }

    /// Declares that other machines can reach the server: it then answers no webhooks whose keys are easily guessed.
    pub fn set_reachable(&self) {
        self.is_reachable.store(true, Ordering::Relaxed);
    }

    /// Why a trigger is not served, if it is not.
    fn why_not_served(&self, on: &TriggerKind) -> Option<String> {
        let is_closed = matches!(on, TriggerKind::Webhook(webhook) if webhook.is_easily_guessed());
        (is_closed && self.is_reachable.load(Ordering::Relaxed)).then(|| {
            format!(
                "the webhook is disabled: its key has fewer than {MIN_KEY_LENGTH} characters, but other machines can \
                 reach this server; use about twenty letters and digits"
            )
        })
    }

    /// Runs until `shutdown`.
    pub async fn run(self: &Arc<Self>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        let mut update = self.executor.subscribe();
        let mut changes = self.catalog.subscribe();
        let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
        // On shutdown those that have not begun are left to the next process.
        let mut jobs = JoinSet::new();
        loop {
            let now = clock.now();
            let scheduler = self.clone();
            // Off the threads that answer calls.
            let taken = match tokio::task::spawn_blocking(move || scheduler.due_jobs(now)).await {
                Ok(taken) => taken,
                // The process ends.
                Err(error) if error.is_cancelled() => return,
                Err(error) => {
                    self.health()
                        .report_failure(Component::Scheduler, format!("checking the triggers panicked: {error}"));
                    tokio::time::sleep(PANIC_DELAY).await;
                    continue;
                }
            };
            *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            let soonest = self.note(taken, now, |job| drop(jobs.spawn(self.clone().run_in_slot(job, slots.clone()))));
            while jobs.try_join_next().is_some() {}
            // Those who wait for the journal and the triggers get their turn.
            tokio::time::sleep(YIELD_PAUSE).await;
            let next = self.next(now).map_or(now + POLL_INTERVAL, |next| next.min(now + POLL_INTERVAL));
            let due = clock.until(next.max(soonest));
            tokio::pin!(due);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = &mut due => break,
                    () = self.changed.notified() => break,
                    Ok(()) = changes.changed() => break,
                    heard = update.recv() => match heard {
                        Ok(update) if !is_end(&update) => {}
                        Err(RecvError::Closed) => return,
                        // Others often end at the same time: one look is enough.
                        _ => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            update = update.resubscribe();
                            break;
                        }
                    },
                }
            }
        }
    }

    /// Starts the jobs of a turn. Returns when the next turn may be: after an error of the journal, a little later.
    fn note(
        &self,
        taken: Result<Vec<TriggerJob>, EngineError>,
        now: DateTime<Utc>,
        begin: impl FnMut(TriggerJob),
    ) -> DateTime<Utc> {
        match taken {
            Ok(jobs) => {
                if self.lock().failing.is_empty() {
                    self.health().report_success(Component::Scheduler);
                }
                for job in &jobs {
                    let TriggerKey { namespace, flow, trigger } = &job.key;
                    tracing::debug!(target: "jitney::scheduler", namespace, flow, "trigger {trigger} is due");
                }
                jobs.into_iter().for_each(begin);
                now
            }
            Err(error) => {
                self.health().report_failure(Component::Scheduler, text::chain(&error));
                now + RETRY_DELAY
            }
        }
    }

    /// What keeps the process from its work.
    pub fn health(&self) -> &Health {
        self.executor.health()
    }

    /// When the triggers were last looked at; none before the first time.
    pub fn last_turn(&self) -> Option<Instant> {
        *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs all jobs that are due, here and now. Returns when the next one is, which may be now.
    ///
    /// # Errors
    /// When the journal cannot be used; what was left undone is done at the next turn.
    pub fn turn(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, EngineError> {
        let jobs = self.due_jobs(now)?;
        let worked = jobs.into_iter().map(|job| self.work(job)).fold(Ok(()), Result::and);
        worked.map(|()| self.next(now))
    }

    /// The jobs of all triggers that are due.
    fn due_jobs(&self, now: DateTime<Utc>) -> Result<Vec<TriggerJob>, EngineError> {
        let mut state = self.lock();
        self.sync_catalog(&mut state, now)?;
        self.detect_clock_change(&mut state, now);
        let is_time = state.last_poll.is_none_or(|last| now - last >= POLL_INTERVAL || now < last);
        self.look_at_ended(&mut state, now)?;
        if is_time {
            state.last_poll = Some(now);
            self.recheck_waiting(&mut state, now)?;
        }
        let mut due: Vec<TriggerKey> = state.due.extract_if(.., |_, from| *from <= now).map(|(key, _)| key).collect();
        while let Some(Reverse((moment, key))) =
            state.heap.peek().filter(|Reverse((moment, _))| *moment <= now).cloned()
        {
            state.heap.pop();
            if state.known.get(&key).is_some_and(|known| known.next == Some(moment)) {
                due.push(key);
            }
        }
        Ok(due.into_iter().filter_map(|key| state.start_job(key, now)).collect())
    }

    /// When a trigger is due next, which may be now.
    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let state = self.lock();
        let moment = state.heap.peek().map(|Reverse((moment, _))| *moment);
        let next = state.due.values().copied().chain(moment).min();
        if state.has_more_ends { Some(next.map_or(now, |next| next.min(now))) } else { next }
    }

    /// Logs that the clock was set back: a moment that has had its execution has none again, so that schedules start nothing
    /// until the clock has caught up.
    fn detect_clock_change(&self, state: &mut SchedulerState, now: DateTime<Utc>) {
        let schedules = || state.known.values().filter(|known| known.trigger().times().is_some());
        let latest = state.latest_turn.or_else(|| schedules().map(|known| known.last).max());
        if let Some(latest) = latest.filter(|latest| *latest - now > MIN_CLOCK_STEP) {
            let back = DurationSpec((latest - now).to_std().unwrap_or_default()).iso();
            let until = latest.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S");
            tracing::warn!(
                target: "jitney::scheduler",
                "the clock was set back by {back}: schedules that have run until {until} start nothing before that time"
            );
            state.due.values_mut().for_each(|from| *from = now);
        }
        state.latest_turn = Some(now);
    }

    /// Takes over new and changed flows of the catalog, and drops those that are gone.
    fn sync_catalog(&self, state: &mut SchedulerState, now: DateTime<Utc>) -> Result<(), EngineError> {
        let count = *self.catalog.subscribe().borrow();
        if state.seen == Some(count) {
            return Ok(());
        }
        let entries = self.catalog.list();
        self.ends_seen(state)?;
        let mut old = std::mem::take(&mut state.known);
        let mut new = Vec::new();
        let mut was_off = HashSet::new();
        let mut has_seen = HashMap::new();
        for entry in &entries {
            for (index, trigger) in entry.flow.triggers.iter().enumerate() {
                let key = TriggerKey {
                    namespace: entry.namespace.clone(),
                    flow: entry.id.clone(),
                    trigger: trigger.id.clone(),
                };
                match old.remove(&key) {
                    Some(known) if Arc::ptr_eq(&known.definition.flow, &entry.flow) => {
                        drop(state.known.insert(key, known))
                    }
                    before => {
                        if let Some(known) = before {
                            // Ends that it has not looked at yet are a matter of its new text.
                            has_seen.insert(key.clone(), known.seen);
                            if known.is_disabled() {
                                was_off.insert(key.clone());
                            }
                        }
                        new.push((key, entry.clone(), index));
                    }
                }
            }
        }
        let keys: Vec<TriggerKey> = new.iter().map(|(key, ..)| key.clone()).collect();
        let progress = self.executor.journal().triggers_progress(&keys, now)?;
        for ((key, entry, index), TriggerProgress { last, last_end, is_off }) in new.into_iter().zip(progress) {
            let definition = TriggerDefinition { flow: entry.flow.clone(), revision: entry.revision, index };
            let (next, waits_for, problem) = (None, None, None);
            let seen = has_seen.get(&key).copied().unwrap_or(state.ends_noted);
            let (since_end, work) = (last_end, JobStatus::Idle);
            let mut known =
                TrackedTrigger { definition, last, last_end, since_end, seen, is_off, work, next, waits_for, problem };
            // What is switched on does not make up for the time in which it was off.
            if was_off.contains(&key) || known.is_disabled() {
                known.last_end = self.executor.journal().set_trigger_last(&key, now)?;
                known.last = last.max(now);
            }
            if let Some(problem) = self.why_not_served(&known.trigger().on) {
                self.report_problem(&mut known, &key, problem);
            }
            state.known.insert(key.clone(), known);
            state.mark_due(&key, now);
        }
        let followers = state.known.iter().filter(|(_, known)| matches!(known.trigger().on, TriggerKind::Flow(_)));
        state.followers = followers.map(|(key, _)| key.clone()).collect();
        state.followers.sort();
        let SchedulerState { known, failing, .. } = state;
        failing.retain(|key| known.contains_key(key));
        state.seen = Some(count);
        Ok(())
    }

    /// Lists all triggers, by flow.
    pub fn triggers(&self) -> Vec<TriggerStatus> {
        let state = self.lock();
        let status = |(key, known): (&TriggerKey, &TrackedTrigger)| TriggerStatus {
            namespace: key.namespace.clone(),
            flow: key.flow.clone(),
            id: key.trigger.clone(),
            kind: kind(known.trigger()),
            disabled: known.is_disabled(),
            last: known.last,
            next: known.next,
            waits_for: known.waits_for.clone(),
            problem: known.problem.clone(),
        };
        let mut all: Vec<TriggerStatus> = state.known.iter().map(status).collect();
        all.sort_by(|a, b| (&a.namespace, &a.flow, &a.id).cmp(&(&b.namespace, &b.flow, &b.id)));
        all
    }

    /// Switches a trigger off or on. One that is switched on does not make up for the time in between.
    ///
    /// # Errors
    /// When the journal cannot be written. A trigger that is not there is none.
    pub fn set_disabled(&self, key: &TriggerKey, disabled: bool, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut state = self.lock();
        if !state.known.contains_key(key) {
            return Ok(false);
        }
        self.executor.journal().set_trigger_disabled(key, disabled, now)?;
        let newest = if disabled { None } else { Some(self.executor.journal().set_trigger_last(key, now)?) };
        if let Some(known) = state.known.get_mut(key) {
            known.is_off = disabled;
            if let Some(newest) = newest {
                known.last = now;
                (known.last_end, known.since_end) = (newest, newest);
            }
        }
        state.mark_due(key, now);
        state.due.remove(key);
        let job = state.start_job(key.clone(), now);
        drop(state);
        // Run here, so that the next query sees the next moment. What fails is tried again at the next turn.
        let worked = job.map_or(Ok(()), |job| run_blocking(|| self.work(job)));
        self.changed.notify_one();
        worked.map(|()| true)
    }

    /// What removes secrets from texts.
    pub fn redactor(&self) -> &Redactor {
        &self.executor.runner().settings.redactor
    }

    /// The triggers that sensors look for, files and answers, each with its flow.
    pub fn watched(&self) -> Vec<(TriggerKey, Arc<Flow>, Trigger)> {
        let state = self.lock();
        let is_watched = |known: &&TrackedTrigger| {
            matches!(known.trigger().on, TriggerKind::File(_) | TriggerKind::Http(_)) && !known.is_disabled()
        };
        let found = state.known.iter().filter(|(_, known)| is_watched(known));
        found.map(|(key, known)| (key.clone(), known.definition.flow.clone(), known.trigger().clone())).collect()
    }

    /// Waits for the lock without blocking other calls: a thread that answers them hands them to another first.
    fn lock(&self) -> MutexGuard<'_, SchedulerState> {
        match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => run_blocking(|| self.state.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// The definition of a trigger that is not switched off. Its expressions are evaluated without the lock: they may take a
    /// while.
    fn definition(&self, key: &TriggerKey) -> Option<TriggerDefinition> {
        self.lock().known.get(key).filter(|known| !known.is_disabled()).map(|known| known.definition.clone())
    }

    /// A trigger has started an execution.
    fn clear_problem(&self, key: &TriggerKey) {
        if let Some(known) = self.lock().known.get_mut(key) {
            known.problem = None;
        }
    }

    fn report_problem(&self, known: &mut TrackedTrigger, key: &TriggerKey, problem: String) {
        let problem = self.executor.runner().settings.redactor.line(&problem);
        self.health().count_error(Component::Triggers);
        fire::log(key, &problem);
        known.problem = Some(problem);
    }
}

fn is_end(update: &JournalUpdate) -> bool {
    matches!(update, JournalUpdate::Event { status, .. } if status.has_ended())
        || matches!(update, JournalUpdate::Deleted { .. })
}

fn kind(trigger: &Trigger) -> &'static str {
    match trigger.on {
        TriggerKind::Schedule(..) => "schedule",
        TriggerKind::Webhook(_) => "webhook",
        TriggerKind::Flow(_) => "flow",
        TriggerKind::File(_) => "file",
        TriggerKind::Http(_) => "http",
    }
}
