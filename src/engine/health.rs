//! What keeps a process from its work. Each cause is said once when it comes, again after longer and longer pauses while
//! it stays, and once when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::clock;
use crate::text;

/// After this long a cause that stays is said again; then after twice as long, and so on,
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// but at least this often.
const SELDOM: Duration = Duration::from_secs(3600);
/// How long all must be well before a cause counts as over: one that comes and goes is said once.
const SETTLED: Duration = Duration::from_secs(4);
/// How many different errors are remembered, so that each is logged once.
const MAX_ERRORS: usize = 256;
/// How many news may wait for a listener.
const BACKLOG: usize = 256;

/// The part of a process that cannot do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The journal.
    Journal,
    /// The disk of the home folder.
    Disk,
    /// The folders of flows.
    Flows,
    /// Starting executions by triggers.
    Scheduler,
    /// Starting executions that wait.
    Queue,
    /// Taking up what other processes left.
    Takeover,
    /// Backfills.
    Backfills,
    /// Files and answers that triggers wait for.
    Arrivals,
    /// Removing what is too old.
    Retention,
    /// Working on executions.
    Executions,
    /// Telling people.
    Notifications,
    /// Telling a lineage collector.
    Lineage,
    /// Telling a trace collector.
    Traces,
    /// Triggers, each for itself: a condition or an input of one that cannot be rendered, a place that cannot be listed.
    Triggers,
    /// Hearing from the system that files have changed.
    Watcher,
    /// Accepting connections.
    Connections,
    /// Answering calls.
    Api,
    /// Measuring what `/metrics` says.
    Metrics,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Journal,
        Self::Disk,
        Self::Flows,
        Self::Scheduler,
        Self::Queue,
        Self::Takeover,
        Self::Backfills,
        Self::Arrivals,
        Self::Retention,
        Self::Executions,
        Self::Notifications,
        Self::Lineage,
        Self::Traces,
        Self::Triggers,
        Self::Watcher,
        Self::Connections,
        Self::Api,
        Self::Metrics,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Disk => "disk",
            Self::Flows => "flows",
            Self::Scheduler => "scheduler",
            Self::Queue => "queue",
            Self::Takeover => "takeover",
            Self::Backfills => "backfills",
            Self::Arrivals => "arrivals",
            Self::Retention => "retention",
            Self::Executions => "executions",
            Self::Notifications => "notifications",
            Self::Lineage => "lineage",
            Self::Traces => "traces",
            Self::Triggers => "triggers",
            Self::Watcher => "watcher",
            Self::Connections => "connections",
            Self::Api => "api",
            Self::Metrics => "metrics",
        }
    }
}

/// A cause and the parts that suffer from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthProblem {
    /// What is wrong, in plain words.
    pub problem: String,
    /// The parts that cannot do their work.
    pub parts: BTreeSet<Part>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthEvent {
    /// A cause has come, or stays.
    Bad(HealthProblem),
    /// A cause is over.
    Good(HealthProblem),
}

struct ProblemRecord {
    trouble: HealthProblem,
    /// When it is said again.
    again: Instant,
    pause: Duration,
    /// Since when no part suffers from it any more.
    over: Option<Instant>,
}

/// When an error that stops nothing is logged again, and how often it has come since it was.
struct ErrorRecord {
    again: Instant,
    pause: Duration,
    unlogged: u64,
}

/// The health of a process. Clones are one and the same.
#[derive(Clone)]
pub struct Health {
    known: Arc<Mutex<BTreeMap<String, ProblemRecord>>>,
    errors: Arc<Mutex<BTreeMap<(Part, String), ErrorRecord>>>,
    counts: Arc<Mutex<BTreeMap<Part, u64>>>,
    news: broadcast::Sender<HealthEvent>,
}

impl Default for Health {
    fn default() -> Self {
        let (known, errors, counts) = (Arc::default(), Arc::default(), Arc::default());
        Self { known, errors, counts, news: broadcast::channel(BACKLOG).0 }
    }
}

impl Health {
    /// All that people should know from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<HealthEvent> {
        self.news.subscribe()
    }

    /// Notes how a part's work went, and gives its result if there is one.
    pub fn note<T, E: Error>(&self, part: Part, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.good(part);
                Some(value)
            }
            Err(error) => {
                self.bad(part, text::chain(&error));
                None
            }
        }
    }

    /// Reports an error that stops nothing: one thing could not be done, and the next may be. The same error of the same
    /// part is logged again after longer and longer pauses only.
    pub fn error(&self, part: Part, problem: &str) {
        self.count(part);
        if let Some(unlogged) = self.is_due(part, problem, Instant::now()) {
            let before = match unlogged {
                0 => String::new(),
                times => format!(" ({times} more since the last such line)"),
            };
            tracing::warn!(target: "jitney::health", place = part.as_str(), "{problem}{before}");
        }
    }

    /// How often an error came without a line, if there is to be one now.
    fn is_due(&self, part: Part, problem: &str, now: Instant) -> Option<u64> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that no longer come are forgotten, and of too many all: then they are logged like new ones.
        errors.retain(|_, known| now.duration_since(known.again) < SELDOM);
        if errors.len() >= MAX_ERRORS {
            errors.clear();
        }
        let new = ErrorRecord { again: now, pause: RETRY_DELAY, unlogged: 0 };
        let known = errors.entry((part, problem.to_owned())).or_insert(new);
        if known.again > now {
            known.unlogged += 1;
            return None;
        }
        known.again = now + known.pause;
        known.pause = (known.pause * 2).min(SELDOM);
        Some(std::mem::take(&mut known.unlogged))
    }

    /// Counts an error that is reported elsewhere.
    pub fn count(&self, part: Part) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(part).or_default() += 1;
    }

    /// How many errors each part has had, logged or not.
    pub fn counts(&self) -> BTreeMap<Part, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Part::ALL.map(|part| (part, counts.get(&part).copied().unwrap_or_default())).into()
    }

    /// A part cannot do its work.
    pub fn bad(&self, part: Part, problem: String) {
        self.count(part);
        let now = Instant::now();
        let mut known = self.lock();
        known.iter_mut().filter(|(other, _)| **other != problem).for_each(|(_, other)| other.leave(part, now));
        let one = known.entry(problem.clone()).or_insert_with(|| ProblemRecord {
            trouble: HealthProblem { problem, parts: BTreeSet::new(), since: clock::now() },
            again: now,
            pause: RETRY_DELAY,
            over: None,
        });
        one.over = None;
        one.trouble.parts.insert(part);
        if one.again <= now {
            one.again = now + one.pause;
            one.pause = (one.pause * 2).min(SELDOM);
            let news = HealthEvent::Bad(one.trouble.clone());
            drop(known);
            self.tell(news);
        }
    }

    /// A part has done its work.
    pub fn good(&self, part: Part) {
        let now = Instant::now();
        self.lock().values_mut().for_each(|known| known.leave(part, now));
    }

    /// Says of causes that they are over, once that is sure. Called from time to time.
    pub fn settle(&self) {
        self.settle_at(Instant::now());
    }

    fn settle_at(&self, now: Instant) {
        let mut known = self.lock();
        let is_over = |known: &ProblemRecord| known.over.is_some_and(|over| now.duration_since(over) >= SETTLED);
        let over = known.extract_if(.., |_, known| is_over(known)).collect::<Vec<_>>();
        drop(known);
        over.into_iter().for_each(|(_, known)| self.tell(HealthEvent::Good(known.trouble)));
    }

    /// What is wrong now, by the last look at each part.
    pub fn troubles(&self) -> Vec<HealthProblem> {
        self.lock().values().filter(|known| known.over.is_none()).map(|known| known.trouble.clone()).collect()
    }

    /// Logs news and sends it to those who listen, while nobody has to wait for what is known.
    fn tell(&self, news: HealthEvent) {
        match &news {
            HealthEvent::Bad(HealthProblem { problem, parts, .. }) => {
                let places: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
                let places = places.join(", ");
                tracing::error!(target: "jitney::health", place = places, "{problem} (affects: {places})");
            }
            HealthEvent::Good(HealthProblem { problem, .. }) => {
                tracing::info!(target: "jitney::health", "over: {problem}");
            }
        }
        // Where nobody listens, nobody wants to know.
        let _ = self.news.send(news);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ProblemRecord>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProblemRecord {
    /// A part suffers from this no more; what was said of the others stays.
    fn leave(&mut self, part: Part, now: Instant) {
        if self.over.is_none() && self.trouble.parts.contains(&part) {
            if self.trouble.parts.len() == 1 {
                self.over = Some(now);
            } else {
                self.trouble.parts.remove(&part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once_whatever_it_stops_and_once_when_it_is_over() {
        let health = Health::default();
        let mut heard = health.subscribe();
        for _ in 0..100 {
            health.bad(Part::Scheduler, "the disk is full".to_owned());
            health.bad(Part::Queue, "the disk is full".to_owned());
        }
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Bad(trouble)) if trouble.problem == "the disk is full"));
        assert!(heard.try_recv().is_err(), "it was said twice");
        assert_eq!(health.troubles()[0].parts, BTreeSet::from([Part::Scheduler, Part::Queue]));
        health.good(Part::Queue);
        let later = Instant::now() + SETTLED;
        health.settle_at(later);
        assert_eq!(health.troubles().len(), 1, "the scheduler still suffers from it");
        health.good(Part::Scheduler);
        health.bad(Part::Scheduler, "the disk is full".to_owned());
        assert!(heard.try_recv().is_err(), "one that comes and goes is the same one");
        health.good(Part::Scheduler);
        assert!(health.troubles().is_empty(), "what is over counts no more, even before that is said");
        health.settle_at(Instant::now() + SETTLED);
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Good(_))));
        assert!(health.troubles().is_empty());
    }

    #[test]
    fn an_error_that_stops_nothing_is_logged_once_and_counted_each_time() {
        let (health, start) = (Health::default(), Instant::now());
        let logged =
            |seconds: u64, problem: &str| health.is_due(Part::Lineage, problem, start + Duration::from_secs(seconds));
        assert_eq!([logged(0, "away"), logged(1, "away"), logged(2, "away")], [Some(0), None, None]);
        assert_eq!([logged(3, "full"), logged(60, "away"), logged(61, "away")], [Some(0), Some(2), None]);
        assert_eq!(logged(179, "away"), None, "the pause doubles");
        for number in 0..MAX_ERRORS * 2 {
            assert_eq!(logged(200, &number.to_string()), Some(0));
        }
        assert!(health.errors.lock().unwrap().len() <= MAX_ERRORS);
        let mut heard = health.subscribe();
        (0..3).for_each(|_| health.error(Part::Api, "broken"));
        health.bad(Part::Queue, "full".to_owned());
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Bad(problem)) if problem.problem == "full"));
        assert!(health.troubles().iter().all(|trouble| !trouble.parts.contains(&Part::Api)), "it stops nothing");
        assert_eq!(
            (health.counts()[&Part::Api], health.counts()[&Part::Queue], health.counts()[&Part::Disk]),
            (3, 1, 0)
        );
    }

    #[test]
    fn another_cause_of_the_same_part_takes_the_place_of_the_first() {
        let health = Health::default();
        health.bad(Part::Journal, "locked".to_owned());
        health.bad(Part::Journal, "full".to_owned());
        health.settle_at(Instant::now() + SETTLED);
        let problems: Vec<String> = health.troubles().into_iter().map(|trouble| trouble.problem).collect();
        assert_eq!(problems, ["full"]);
    }
}
