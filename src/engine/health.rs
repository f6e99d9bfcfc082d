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
}

impl Part {
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
    /// Something to know that stops nothing.
    Note(String),
}

struct ProblemRecord {
    trouble: HealthProblem,
    /// When it is said again.
    again: Instant,
    pause: Duration,
    /// Since when no part suffers from it any more.
    over: Option<Instant>,
}

/// The health of a process. Clones are one and the same.
#[derive(Clone)]
pub struct Health {
    known: Arc<Mutex<BTreeMap<String, ProblemRecord>>>,
    news: broadcast::Sender<HealthEvent>,
}

impl Default for Health {
    fn default() -> Self {
        Self { known: Arc::default(), news: broadcast::channel(BACKLOG).0 }
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

    /// Says something that stops nothing.
    pub fn say(&self, text: String) {
        self.tell(HealthEvent::Note(text));
    }

    /// A part cannot do its work.
    pub fn bad(&self, part: Part, problem: String) {
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
            self.tell(HealthEvent::Bad(one.trouble.clone()));
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
        over.into_iter().for_each(|(_, known)| self.tell(HealthEvent::Good(known.trouble)));
    }

    /// What is wrong now, by the last look at each part.
    pub fn troubles(&self) -> Vec<HealthProblem> {
        self.lock().values().filter(|known| known.over.is_none()).map(|known| known.trouble.clone()).collect()
    }

    fn tell(&self, news: HealthEvent) {
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
    fn another_cause_of_the_same_part_takes_the_place_of_the_first() {
        let health = Health::default();
        health.bad(Part::Journal, "locked".to_owned());
        health.bad(Part::Journal, "full".to_owned());
        health.settle_at(Instant::now() + SETTLED);
        let problems: Vec<String> = health.troubles().into_iter().map(|trouble| trouble.problem).collect();
        assert_eq!(problems, ["full"]);
    }
}
