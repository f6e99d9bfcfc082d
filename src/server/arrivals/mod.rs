//! Triggers that somebody must look for: files that arrive, answers that change.

mod bucket;
mod files;
mod folder;
mod poll;

use futures_util::future::BoxFuture;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::SubmitError;
use crate::engine::health::{Health, Part};
use crate::engine::scheduler::{Scheduler, WebhookError};
use crate::flow::trigger::TriggerKind;
use crate::flow::{Flow, Trigger};
use crate::journal::{Journal, JournalError, JournalUpdate, TriggerFiring, TriggerKey};
use crate::text;

pub use bucket::BucketSource;
pub use folder::FolderSource;

/// How soon to ask again while an execution of the trigger is under way, and the soonest after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often to look whether there is something new to look at.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How many answers are waited for at a time, and how many folders are listed.
const MAX_CONCURRENT: usize = 64;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedFile {
    /// Where it is.
    pub uri: String,
    /// Its name, without folders.
    pub name: String,
    /// What changes when its content does: size and time, or a generation.
    pub mark: String,
    /// Its bytes.
    pub size: u64,
    /// When it came, in units of its place.
    pub time: i128,
    /// Whether all of it is there; otherwise it is once it has not changed from one look to the next.
    pub is_whole: bool,
}

/// Where to look, and as whom.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The folder.
    pub address: String,
    /// What the names of the files there begin with; a place may give others too.
    pub start: String,
    /// Whether the folders below count too.
    pub deep: bool,
    /// The flow's folder, where the path of a key starts.
    pub folder: PathBuf,
    /// A key: its text, or where it is.
    pub service_account: Option<String>,
    /// The account to act as.
    pub impersonate: Option<String>,
    /// What a token is asked for.
    pub scopes: Vec<String>,
}

/// A kind of place where files arrive, such as the folders of this machine or buckets.
pub trait FileSource: Send + Sync {
    /// Whether it has this address.
    fn has(&self, address: &str) -> bool;

    /// How soon to look again while an execution of the trigger is under way, or a file is still being written.
    fn soon(&self) -> Duration;

    /// The files that are there now, and what is wrong if they cannot be listed.
    fn list<'a>(&'a self, look: &'a Listing) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>>;
}

/// Looks for what triggers wait for.
pub struct Sensors {
    scheduler: Arc<Scheduler>,
    journal: Arc<Journal>,
    /// Asked in this order.
    places: Vec<Box<dyn FileSource>>,
    client: reqwest::Client,
    health: Health,
    /// How many more answers may be waited for, and how many more folders listed: those that are slow hold up no others.
    polls: Semaphore,
    listings: Semaphore,
}

/// A trigger to look for.
struct WatchedTrigger {
    key: TriggerKey,
    flow: Arc<Flow>,
    trigger: Trigger,
    due: Instant,
    /// What the last look saw: a file that has just changed is still being written.
    before: HashMap<String, String>,
    /// Whether the last look could not see the place.
    is_blind: bool,
    /// Whether it waits for an execution to end.
    is_waiting: bool,
    /// Files that are there and have been dealt with, so that the journal is not asked for each of them at every look.
    done: HashSet<String>,
}

/// Why a look came to nothing.
pub(super) enum SensorError {
    /// The trigger or the place is at fault.
    Place(String),
    /// The journal cannot be used now.
    Machine(String),
}

impl From<String> for SensorError {
    fn from(problem: String) -> Self {
        Self::Place(problem)
    }
}

impl From<JournalError> for SensorError {
    fn from(error: JournalError) -> Self {
        Self::Machine(text::chain(&error))
    }
}

impl Sensors {
    /// Looks in these places, and on the web with this client.
    pub fn new(
        scheduler: Arc<Scheduler>,
        journal: Arc<Journal>,
        places: Vec<Box<dyn FileSource>>,
        client: reqwest::Client,
    ) -> Self {
        let health = scheduler.health().clone();
        let (polls, listings) = (Semaphore::new(MAX_CONCURRENT), Semaphore::new(MAX_CONCURRENT));
        Self { scheduler, journal, places, client, health, polls, listings }
    }

    /// Looks until it is told to stop.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut watched: HashMap<TriggerKey, WatchedTrigger> = HashMap::new();
        let mut happened = self.journal.subscribe();
        // Each look by itself: one that waits for an answer holds up no other. At the end they are broken off; what was
        // not seen is seen at the next start.
        let mut looks: JoinSet<WatchedTrigger> = JoinSet::new();
        let mut looked_at = HashMap::new();
        loop {
            self.follow(&mut watched, looked_at.values());
            let now = Instant::now();
            for (key, one) in watched.extract_if(|_, one| one.due <= now) {
                looked_at.insert(looks.spawn(self.clone().look_in_turn(one)).id(), key);
            }
            let next =
                watched.values().map(|one| one.due).min().unwrap_or(now + POLL_INTERVAL).min(now + POLL_INTERVAL);
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(looked) = looks.join_next_with_id(), if !looks.is_empty() => match looked {
                    Ok((id, one)) => {
                        looked_at.remove(&id);
                        watched.insert(one.key.clone(), one);
                    }
                    // It panicked: it begins anew.
                    Err(error) => {
                        let key = looked_at.remove(&error.id()).map(|key| format!("{key}: ")).unwrap_or_default();
                        self.health.error(Part::Arrivals, &format!("{key}the look broke off: {error}"));
                    }
                },
                () = tokio::time::sleep_until(next) => {}
                () = until_free(&mut happened, &mut watched) => {}
            }
        }
    }

    /// Takes in triggers that are new, changed or gone, but for those that are being looked at.
    fn follow<'a>(
        &self,
        watched: &mut HashMap<TriggerKey, WatchedTrigger>,
        looked_at: impl Iterator<Item = &'a TriggerKey>,
    ) {
        let looked_at: HashSet<&TriggerKey> = looked_at.collect();
        let mut old = std::mem::take(watched);
        for (key, flow, trigger) in self.scheduler.watched() {
            if looked_at.contains(&key) {
                continue;
            }
            let known = old.remove(&key).filter(|known| Arc::ptr_eq(&known.flow, &flow));
            let (due, before) = (Instant::now(), HashMap::new());
            let (is_blind, is_waiting, done) = (false, false, HashSet::new());
            let new = WatchedTrigger { key: key.clone(), flow, trigger, due, before, is_blind, is_waiting, done };
            let one = known.unwrap_or(new);
            watched.insert(key, one);
        }
    }

    /// Looks once, with as many others at a time as may be.
    async fn look_in_turn(self: Arc<Self>, mut one: WatchedTrigger) -> WatchedTrigger {
        let of = if matches!(one.trigger.on, TriggerKind::Http(_)) { &self.polls } else { &self.listings };
        // It is never closed.
        let _permit = of.acquire().await;
        self.look(&mut one).await;
        one
    }

    async fn look(&self, one: &mut WatchedTrigger) {
        let (interval, looked) = match &one.trigger.on {
            TriggerKind::File(arrival) => (arrival.interval(), self.look_for_files(&arrival.clone(), one).await),
            TriggerKind::Http(poll) => (poll.interval.0, self.ask_in_time(&poll.clone(), one).await),
            _ => return,
        };
        let interval = interval.max(Duration::from_millis(100));
        match looked {
            Ok(soon) => {
                one.due = Instant::now() + soon.unwrap_or(interval).min(interval);
                self.health.good(Part::Arrivals);
            }
            Err(failed) => {
                match failed {
                    SensorError::Place(problem) => self.scheduler.note_problem(&one.key, Some(problem)),
                    SensorError::Machine(problem) => self.health.bad(Part::Arrivals, problem),
                }
                one.due = Instant::now() + interval.max(RETRY_DELAY);
            }
        }
    }

    /// Whether an execution of the trigger must end before it starts another.
    fn must_wait(&self, one: &mut WatchedTrigger) -> Result<bool, JournalError> {
        let alone = !one.trigger.common.allow_concurrent;
        one.is_waiting = alone && self.journal.open_execution_of(&one.key)?.is_some();
        Ok(one.is_waiting)
    }

    /// Starts an execution for what was found; a refusal is a problem of the trigger and not tried again.
    fn start(&self, one: &WatchedTrigger, what: Option<&str>, facts: serde_json::Value) -> Result<(), SensorError> {
        match self.scheduler.found(&one.key, what, facts, clock::now()) {
            Ok(_) | Err(WebhookError::Refused(SubmitError::AlreadyRan(_) | SubmitError::Stopping)) => Ok(()),
            Err(problem) => {
                if let (Some(what), WebhookError::Refused(SubmitError::Inputs(_) | SubmitError::Disabled(_))) =
                    (what, &problem)
                {
                    self.journal.record_firing(&TriggerFiring::about(one.key.clone(), what))?;
                }
                Err(match problem {
                    WebhookError::Refused(SubmitError::Engine(error)) if error.is_of_machine() => {
                        SensorError::Machine(text::chain(&error))
                    }
                    problem => SensorError::Place(problem.to_string()),
                })
            }
        }
    }
}

/// Waits until an execution has ended that a trigger may wait for, and lets that one look at once.
async fn until_free(happened: &mut Receiver<Arc<JournalUpdate>>, watched: &mut HashMap<TriggerKey, WatchedTrigger>) {
    loop {
        let heard = match happened.recv().await {
            Ok(heard) => heard,
            // Whoever missed something looks a little later.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return std::future::pending().await,
        };
        let JournalUpdate::Event { namespace, flow, status, .. } = &*heard else { continue };
        let is_its =
            |one: &&mut WatchedTrigger| one.is_waiting && one.key.namespace == *namespace && one.key.flow == *flow;
        if status.has_ended() {
            let mut freed = watched.values_mut().filter(is_its).peekable();
            if freed.peek().is_some() {
                freed.for_each(|one| one.due = Instant::now());
                return;
            }
        }
    }
}
