//! Starts executions for triggers. A heap holds the next moment of each schedule, so that thousands of them cost nothing
//! while none is due; what has been dealt with is in the journal, written in the same transaction as the execution.

mod ended;
mod fire;
mod times;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::aside::aside;
use crate::duration::Span;
use crate::engine::catalog::Catalog;
use crate::engine::clock::Clock;
use crate::engine::executor::Executor;
use crate::engine::health::{Health, Part};
use crate::engine::{EngineError, schedule};
use crate::flow::trigger::{On, SHORTEST_KEY};
use crate::flow::{Flow, Trigger};
use crate::id::ExecutionId;
use crate::journal::{Happened, Progress, TriggerKey};
use crate::secret::Redactor;

pub use fire::{Call, WebhookError};

/// How often to look at what nobody tells of: executions of other processes.
const GLANCE: TimeDelta = TimeDelta::seconds(10);

/// How long to let others work between two turns.
const BREATH: Duration = Duration::from_millis(2);

/// How far a clock must go back to be told: small corrections are usual.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// How late a moment may be dealt with and still count as on time.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

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
    /// Whether it is switched off, in the flow or since.
    pub disabled: bool,
    /// The latest moment that it has dealt with.
    pub last: DateTime<Utc>,
    /// The next moment of a schedule.
    pub next: Option<DateTime<Utc>>,
    /// The execution that must end before it starts another.
    pub waits_for: Option<ExecutionId>,
    /// Why it did not start what it should have.
    pub problem: Option<String>,
}

/// A trigger of a text of its flow.
#[derive(Clone)]
struct Armed {
    flow: Arc<Flow>,
    revision: u32,
    /// Its place among the flow's triggers.
    place: usize,
}

impl Armed {
    fn trigger(&self) -> &Trigger {
        &self.flow.triggers[self.place]
    }
}

/// A trigger, and how far it has come.
struct Known {
    armed: Armed,
    last: DateTime<Utc>,
    /// The number of the latest end that it has dealt with, and of that when this process first saw it.
    last_end: i64,
    since_end: i64,
    /// Whether somebody has switched it off.
    is_off: bool,
    next: Option<DateTime<Utc>>,
    waits_for: Option<ExecutionId>,
    problem: Option<String>,
}

impl Known {
    fn trigger(&self) -> &Trigger {
        self.armed.trigger()
    }

    fn is_disabled(&self) -> bool {
        self.is_off || self.armed.flow.disabled || self.trigger().common.disabled
    }

    /// The moment whose turn it is once the execution that this one waits for has ended.
    fn held_back(&self) -> Option<DateTime<Utc>> {
        self.waits_for.as_ref().filter(|_| !self.is_disabled())?;
        // What is wrong with the trigger is told elsewhere.
        schedule::next(self.trigger(), self.last).ok().flatten()
    }
}

/// Where what goes wrong with a trigger is told.
type Tell = Box<dyn Fn(&TriggerKey, &str) + Send + Sync>;

/// Starts executions for triggers.
pub struct Scheduler {
    executor: Executor,
    catalog: Arc<Catalog>,
    inner: Mutex<Inner>,
    /// Told when something was changed from outside.
    changed: Notify,
    tell: Tell,
    /// When the latest turn came to its end.
    last_turn: Mutex<Option<Instant>>,
    /// Whether other machines can call webhooks.
    is_reachable: AtomicBool,
}

#[derive(Default)]
struct Inner {
    known: HashMap<TriggerKey, Known>,
    /// The next moment of each schedule. A moment that is no longer its trigger's `next` means nothing.
    heap: BinaryHeap<Reverse<(DateTime<Utc>, TriggerKey)>>,
    /// The triggers that wait for other flows.
    followers: Vec<TriggerKey>,
    /// The state of the catalog that `known` shows.
    seen: Option<u64>,
    /// The number of the latest end of an execution that has been looked at.
    ends_seen: Option<i64>,
    last_glance: Option<DateTime<Utc>>,
    /// What time it was at the last turn.
    latest_turn: Option<DateTime<Utc>>,
}

impl Scheduler {
    /// A scheduler of all flows in the catalog. What goes wrong with a trigger goes to `tell`.
    pub fn new(
        executor: Executor,
        catalog: Arc<Catalog>,
        tell: impl Fn(&TriggerKey, &str) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (inner, changed) = (Mutex::default(), Notify::new());
        let (tell, last_turn, is_reachable) = (Box::new(tell), Mutex::default(), AtomicBool::default());
        Arc::new(Self { executor, catalog, inner, changed, tell, last_turn, is_reachable })
    }

    /// Says, before it runs, that other machines can reach the server: webhooks whose keys are easily guessed are then not
    /// answered.
    pub fn set_reachable(&self) {
        self.is_reachable.store(true, Ordering::Relaxed);
    }

    /// Why a trigger is not served, if it is not.
    fn unserved(&self, on: &On) -> Option<String> {
        let is_closed = matches!(on, On::Webhook(webhook) if webhook.is_easily_guessed());
        (is_closed && self.is_reachable.load(Ordering::Relaxed)).then(|| {
            format!(
                "the webhook is not answered: its key has fewer than {SHORTEST_KEY} characters, and other machines can \
                 reach this server; use letters and digits, some twenty of them"
            )
        })
    }

    /// Works until it is told to stop.
    pub async fn run(self: &Arc<Self>, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
        let mut happened = self.executor.subscribe();
        let mut changes = self.catalog.subscribe();
        loop {
            let glance = clock.now() + GLANCE;
            let scheduler = self.clone();
            let now = clock.now();
            // Off the threads that answer calls.
            let Ok(turned) = tokio::task::spawn_blocking(move || scheduler.turn(now)).await else { return };
            *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            let next = match self.executor.health().note(Part::Scheduler, turned) {
                Some(next) => next.map_or(glance, |next| next.min(glance)),
                // A journal that cannot be used now is tried again.
                None => clock.now() + TimeDelta::seconds(1),
            };
            // Those who wait for the journal and the triggers get their turn.
            tokio::time::sleep(BREATH).await;
            let due = clock.until(next);
            tokio::pin!(due);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = &mut due => break,
                    () = self.changed.notified() => break,
                    Ok(()) = changes.changed() => break,
                    heard = happened.recv() => match heard {
                        Ok(happened) if !is_end(&happened) => {}
                        Err(RecvError::Closed) => return,
                        // Others often end at the same time: one look is enough.
                        _ => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            happened = happened.resubscribe();
                            break;
                        }
                    },
                }
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

    /// Does what is due, though not more than takes a moment: others want the journal too. Says when there is more to do,
    /// which may be now.
    ///
    /// # Errors
    /// When the journal cannot be used; what was left undone is done at the next turn.
    pub fn turn(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, EngineError> {
        let mut inner = self.lock();
        self.follow_catalog(&mut inner, now)?;
        self.notice_clock(&mut inner, now);
        let is_time = inner.last_glance.is_none_or(|last| now - last >= GLANCE || now < last);
        let more_ends = self.look_at_ended(&mut inner, now)?;
        if is_time {
            inner.last_glance = Some(now);
            self.recheck_waiting(&mut inner, now)?;
        }
        let mut started = 0;
        while let Some(Reverse((moment, key))) = inner.heap.peek().cloned() {
            if moment > now || started >= schedule::MOST_DUE {
                return Ok(Some(if more_ends { now.min(moment) } else { moment }));
            }
            inner.heap.pop();
            if inner.known.get(&key).is_some_and(|known| known.next == Some(moment)) {
                started += self.start_due(&mut inner, &key, now)?;
            }
        }
        Ok(more_ends.then_some(now))
    }

    /// Says so when the clock was set back: a moment that has had its execution has none again, so that schedules rest
    /// until the clock has caught up.
    fn notice_clock(&self, inner: &mut Inner, now: DateTime<Utc>) {
        let schedules = || inner.known.values().filter(|known| known.trigger().times().is_some());
        let latest = inner.latest_turn.or_else(|| schedules().map(|known| known.last).max());
        if let Some(latest) = latest.filter(|latest| *latest - now > STEP) {
            let back = Span((latest - now).to_std().unwrap_or_default()).iso();
            let until = latest.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S");
            self.executor.health().say(format!(
                "the clock was set back by {back}: schedules that have run until {until} start nothing until it is later than that"
            ));
        }
        inner.latest_turn = Some(now);
    }

    /// Takes in flows that are new, changed or gone.
    fn follow_catalog(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<(), EngineError> {
        let count = *self.catalog.subscribe().borrow();
        if inner.seen == Some(count) {
            return Ok(());
        }
        let entries = self.catalog.list();
        let mut old = std::mem::take(&mut inner.known);
        let mut new = Vec::new();
        let mut was_off = HashSet::new();
        for entry in &entries {
            for (place, trigger) in entry.flow.triggers.iter().enumerate() {
                let key = TriggerKey {
                    namespace: entry.namespace.clone(),
                    flow: entry.id.clone(),
                    trigger: trigger.id.clone(),
                };
                match old.remove(&key) {
                    Some(known) if Arc::ptr_eq(&known.armed.flow, &entry.flow) => drop(inner.known.insert(key, known)),
                    before => {
                        if before.is_some_and(|known| known.is_disabled()) {
                            was_off.insert(key.clone());
                        }
                        new.push((key, entry.clone(), place));
                    }
                }
            }
        }
        let keys: Vec<TriggerKey> = new.iter().map(|(key, ..)| key.clone()).collect();
        let memories = self.executor.journal().triggers_progress(&keys, now)?;
        for ((key, entry, place), Progress { last, last_end, is_off }) in new.into_iter().zip(memories) {
            let armed = Armed { flow: entry.flow.clone(), revision: entry.revision, place };
            let (next, waits_for, problem) = (None, None, None);
            let since_end = last_end;
            let mut known = Known { armed, last, last_end, since_end, is_off, next, waits_for, problem };
            // What is switched on does not make up for the time in which it was off.
            if was_off.contains(&key) || known.is_disabled() {
                known.last_end = self.executor.journal().set_trigger_last(&key, now)?;
                known.last = last.max(now);
            }
            let last = known.last;
            if let Some(problem) = self.unserved(&known.trigger().on) {
                self.complain(&mut known, &key, problem);
            }
            inner.known.insert(key.clone(), known);
            self.plan(inner, &key, last);
        }
        let followers = inner.known.iter().filter(|(_, known)| matches!(known.trigger().on, On::Flow(_)));
        inner.followers = followers.map(|(key, _)| key.clone()).collect();
        inner.followers.sort();
        inner.seen = Some(count);
        Ok(())
    }

    /// Every trigger, by its flow.
    pub fn triggers(&self) -> Vec<TriggerStatus> {
        let inner = self.lock();
        let status = |(key, known): (&TriggerKey, &Known)| TriggerStatus {
            namespace: key.namespace.clone(),
            flow: key.flow.clone(),
            id: key.trigger.clone(),
            kind: kind(known.trigger()),
            disabled: known.is_disabled(),
            last: known.last,
            next: known.next.or_else(|| known.held_back()),
            waits_for: known.waits_for.clone(),
            problem: known.problem.clone(),
        };
        let mut all: Vec<TriggerStatus> = inner.known.iter().map(status).collect();
        all.sort_by(|a, b| (&a.namespace, &a.flow, &a.id).cmp(&(&b.namespace, &b.flow, &b.id)));
        all
    }

    /// Switches a trigger off or on. One that is switched on does not make up for the time in between.
    ///
    /// # Errors
    /// When the journal cannot be written. A trigger that is not there is none.
    pub fn set_disabled(&self, key: &TriggerKey, disabled: bool, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut inner = self.lock();
        if !inner.known.contains_key(key) {
            return Ok(false);
        }
        self.executor.journal().set_trigger_disabled(key, disabled, now)?;
        let newest = if disabled { None } else { Some(self.executor.journal().set_trigger_last(key, now)?) };
        if let Some(known) = inner.known.get_mut(key) {
            known.is_off = disabled;
            if let Some(newest) = newest {
                known.last = now;
                (known.last_end, known.since_end) = (newest, newest);
            }
        }
        self.plan(&mut inner, key, now);
        drop(inner);
        self.changed.notify_one();
        Ok(true)
    }

    /// What removes secrets from texts.
    pub fn redactor(&self) -> &Redactor {
        &self.executor.runner().settings.redactor
    }

    /// The triggers that somebody must look for: files and answers, each with its flow.
    pub fn watched(&self) -> Vec<(TriggerKey, Arc<Flow>, Trigger)> {
        let inner = self.lock();
        let is_watched =
            |known: &&Known| matches!(known.trigger().on, On::File(_) | On::Http(_)) && !known.is_disabled();
        let found = inner.known.iter().filter(|(_, known)| is_watched(known));
        found.map(|(key, known)| (key.clone(), known.armed.flow.clone(), known.trigger().clone())).collect()
    }

    /// A turn may hold it for a while; a thread that answers calls hands them to another first.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(inner)) => inner.into_inner(),
            Err(TryLockError::WouldBlock) => aside(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// A trigger that is there and not switched off. What its expressions come to is found out without the lock: they
    /// may take a while.
    fn armed(&self, key: &TriggerKey) -> Option<Armed> {
        self.lock().known.get(key).filter(|known| !known.is_disabled()).map(|known| known.armed.clone())
    }

    /// A trigger has started an execution.
    fn is_well(&self, key: &TriggerKey) {
        if let Some(known) = self.lock().known.get_mut(key) {
            known.problem = None;
        }
    }

    fn complain(&self, known: &mut Known, key: &TriggerKey, problem: String) {
        let problem = self.executor.runner().settings.redactor.line(&problem);
        (self.tell)(key, &problem);
        known.problem = Some(problem);
    }
}

fn is_end(happened: &Happened) -> bool {
    matches!(happened, Happened::Event { status, .. } if status.has_ended())
        || matches!(happened, Happened::Deleted { .. })
}

fn kind(trigger: &Trigger) -> &'static str {
    match trigger.on {
        On::Schedule(..) => "schedule",
        On::Webhook(_) => "webhook",
        On::Flow(_) => "flow",
        On::File(_) => "file",
        On::Http(_) => "http",
    }
}
