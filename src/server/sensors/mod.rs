//! Sensors: they look for what triggers wait for, files and answers over HTTP, and start the flows.

mod bucket;
mod files;
mod folder;
mod http;

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
use crate::engine::health::{Component, Health};
use crate::engine::scheduler::{Scheduler, WebhookError};
use crate::flow::trigger::TriggerKind;
use crate::flow::{Flow, Trigger};
use crate::journal::{Journal, JournalError, JournalUpdate, TriggerFiring, TriggerKey};
use crate::text;

pub use bucket::BucketSource;
pub use folder::FolderSource;

/// How soon to probe again while an execution of the trigger runs, and the soonest after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often to check whether triggers were added or changed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The most requests in flight, and the most folders that are listed at a time.
const MAX_CONCURRENT: usize = 64;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedFile {
    /// A path, or an address such as `gs://…`.
    pub uri: String,
    /// The name without folders.
    pub name: String,
    /// What changes with its content: size and time, or a generation.
    pub version: String,
    /// In bytes.
    pub size: u64,
    /// When it was written, in the source's own unit.
    pub time: i128,
    /// Whether it is known to be complete; otherwise it is once two probes in a row have seen the same version.
    pub is_complete: bool,
}

/// What to list, and with which credentials.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The folder or the part of a bucket.
    pub address: String,
    /// What the names begin with: a hint that saves listing the others.
    pub prefix: String,
    /// Whether folders below are listed too.
    pub recursive: bool,
    /// The flow's folder, where the path of a key file starts.
    pub folder: PathBuf,
    /// A key: its text or its path.
    pub service_account: Option<String>,
    /// The account to act as.
    pub impersonate: Option<String>,
    /// The scopes of the token.
    pub scopes: Vec<String>,
}

/// Where files arrive: the folders of this machine, or buckets.
pub trait FileSource: Send + Sync {
    /// Whether the address is one of this source.
    fn serves(&self, address: &str) -> bool;

    /// How soon to probe again while an execution of the trigger runs, or a file is still being written.
    fn retry_delay(&self) -> Duration;

    /// The files that are there now; in plain words why they cannot be listed.
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>>;
}

/// The sensors of a server.
pub struct Sensors {
    scheduler: Arc<Scheduler>,
    journal: Arc<Journal>,
    /// The first that serves an address lists it.
    sources: Vec<Box<dyn FileSource>>,
    client: reqwest::Client,
    health: Health,
    /// Requests and listings have limits of their own, so that slow ones of one kind do not delay the other.
    requests: Semaphore,
    listings: Semaphore,
}

/// A trigger that is probed.
struct WatchedTrigger {
    key: TriggerKey,
    flow: Arc<Flow>,
    trigger: Trigger,
    due: Instant,
    /// The version of each file at the last probe: a file that has just changed is still being written.
    versions: HashMap<String, String>,
    /// Whether the last listing failed.
    is_unreachable: bool,
    /// Whether it waits for an execution to end.
    is_waiting: bool,
    /// Files that are there and have been handled, so that not every probe asks the journal for each of them.
    handled: HashSet<String>,
}

/// Why a probe failed.
pub(super) enum SensorError {
    /// A problem of the trigger or of its source.
    Source(String),
    /// A problem of the server, such as a journal that cannot be written.
    Server(String),
}

impl WatchedTrigger {
    fn new(key: TriggerKey, flow: Arc<Flow>, trigger: Trigger) -> Self {
        Self {
            key,
            flow,
            trigger,
            due: Instant::now(),
            versions: HashMap::new(),
            is_unreachable: false,
            is_waiting: false,
            handled: HashSet::new(),
        }
    }
}

impl From<String> for SensorError {
    fn from(problem: String) -> Self {
        Self::Source(problem)
    }
}

impl From<JournalError> for SensorError {
    fn from(error: JournalError) -> Self {
        Self::Server(text::chain(&error))
    }
}

impl Sensors {
    /// Sensors over these sources, and over HTTP with this client.
    pub fn new(
        scheduler: Arc<Scheduler>,
        journal: Arc<Journal>,
        sources: Vec<Box<dyn FileSource>>,
        client: reqwest::Client,
    ) -> Self {
        let health = scheduler.health().clone();
        let (requests, listings) = (Semaphore::new(MAX_CONCURRENT), Semaphore::new(MAX_CONCURRENT));
        Self { scheduler, journal, sources, client, health, requests, listings }
    }

    /// Probes triggers until `shutdown`. Probes in progress are cancelled then: what they would have found is found at the next
    /// start.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut watched: HashMap<TriggerKey, WatchedTrigger> = HashMap::new();
        let mut updates = self.journal.subscribe();
        // A trigger is either in `watched` or owned by the task that probes it, so a slow probe delays no other trigger.
        let mut probes: JoinSet<WatchedTrigger> = JoinSet::new();
        let mut probing = HashMap::new();
        loop {
            self.update_watched(&mut watched, probing.values());
            let now = Instant::now();
            for (key, trigger) in watched.extract_if(|_, trigger| trigger.due <= now) {
                probing.insert(probes.spawn(self.clone().probe_in_turn(trigger)).id(), key);
            }
            let next = watched
                .values()
                .map(|trigger| trigger.due)
                .min()
                .unwrap_or(now + POLL_INTERVAL)
                .min(now + POLL_INTERVAL);
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = probes.join_next_with_id(), if !probes.is_empty() => match ended {
                    Ok((id, trigger)) => {
                        probing.remove(&id);
                        watched.insert(trigger.key.clone(), trigger);
                    }
                    // It panicked. The trigger is watched anew, as one that was just added.
                    Err(error) => {
                        let key = probing.remove(&error.id()).map(|key| format!("{key}: ")).unwrap_or_default();
                        self.health.report_error(Component::Sensors, &format!("{key}the probe panicked: {error}"));
                    }
                },
                () = tokio::time::sleep_until(next) => {}
                () = until_unblocked(&mut updates, &mut watched) => {}
            }
        }
    }

    /// Adds and removes triggers as flows have changed, except for those that are being probed.
    fn update_watched<'a>(
        &self,
        watched: &mut HashMap<TriggerKey, WatchedTrigger>,
        probing: impl Iterator<Item = &'a TriggerKey>,
    ) {
        let probing: HashSet<&TriggerKey> = probing.collect();
        let mut old = std::mem::take(watched);
        for (key, flow, trigger) in self.scheduler.watched() {
            if probing.contains(&key) {
                continue;
            }
            let known = old.remove(&key).filter(|known| Arc::ptr_eq(&known.flow, &flow));
            watched.insert(key.clone(), known.unwrap_or_else(|| WatchedTrigger::new(key, flow, trigger)));
        }
    }

    /// Probes once the limit allows one more.
    async fn probe_in_turn(self: Arc<Self>, mut trigger: WatchedTrigger) -> WatchedTrigger {
        let limit = if matches!(trigger.trigger.on, TriggerKind::Http(_)) { &self.requests } else { &self.listings };
        // The semaphore is never closed.
        let _permit = limit.acquire().await;
        self.probe(&mut trigger).await;
        trigger
    }

    async fn probe(&self, watched: &mut WatchedTrigger) {
        let (interval, probed) = match &watched.trigger.on {
            TriggerKind::File(arrival) => (arrival.interval(), self.probe_files(&arrival.clone(), watched).await),
            TriggerKind::Http(poll) => (poll.interval.0, self.probe_http(&poll.clone(), watched).await),
            _ => return,
        };
        let interval = interval.max(Duration::from_millis(100));
        match probed {
            Ok(delay) => {
                watched.due = Instant::now() + delay.unwrap_or(interval).min(interval);
                self.health.report_success(Component::Sensors);
            }
            Err(error) => {
                match error {
                    SensorError::Source(problem) => self.scheduler.set_problem(&watched.key, Some(problem)),
                    SensorError::Server(problem) => self.health.report_failure(Component::Sensors, problem),
                }
                watched.due = Instant::now() + interval.max(RETRY_DELAY);
            }
        }
    }

    /// Whether an execution of the trigger must end before it starts another.
    fn must_wait(&self, watched: &mut WatchedTrigger) -> Result<bool, JournalError> {
        let is_exclusive = !watched.trigger.common.allow_concurrent;
        watched.is_waiting = is_exclusive && self.journal.open_execution_of(&watched.key)?.is_some();
        Ok(watched.is_waiting)
    }

    /// Starts an execution for what was found. What the flow rejects is a problem of the trigger, and `firing` is recorded all
    /// the same, so that it is not tried again.
    fn fire(
        &self,
        watched: &WatchedTrigger,
        firing: Option<&str>,
        facts: serde_json::Value,
    ) -> Result<(), SensorError> {
        match self.scheduler.fire(&watched.key, firing, facts, clock::now()) {
            Ok(_) | Err(WebhookError::Refused(SubmitError::AlreadyFired(_) | SubmitError::Stopping)) => Ok(()),
            Err(problem) => {
                if let (Some(firing), WebhookError::Refused(SubmitError::Inputs(_) | SubmitError::Disabled(_))) =
                    (firing, &problem)
                {
                    self.journal.record_firing(&TriggerFiring::about(watched.key.clone(), firing))?;
                }
                Err(match problem {
                    WebhookError::Refused(SubmitError::Engine(error)) if error.is_system_error() => {
                        SensorError::Server(text::chain(&error))
                    }
                    problem => SensorError::Source(problem.to_string()),
                })
            }
        }
    }
}

/// Waits until an execution has ended that a trigger may wait for, and makes that trigger due.
async fn until_unblocked(
    updates: &mut Receiver<Arc<JournalUpdate>>,
    watched: &mut HashMap<TriggerKey, WatchedTrigger>,
) {
    loop {
        let update = match updates.recv().await {
            Ok(update) => update,
            // A trigger that misses its update is probed a little later anyway.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return std::future::pending().await,
        };
        let JournalUpdate::Event { namespace, flow, status, .. } = &*update else { continue };
        let is_blocked = |trigger: &&mut WatchedTrigger| {
            trigger.is_waiting && trigger.key.namespace == *namespace && trigger.key.flow == *flow
        };
        if status.has_ended() {
            let mut unblocked = watched.values_mut().filter(is_blocked).peekable();
            if unblocked.peek().is_some() {
                unblocked.for_each(|trigger| trigger.due = Instant::now());
                return;
            }
        }
    }
}
