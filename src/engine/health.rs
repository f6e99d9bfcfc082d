//! The health of a process. Each problem is logged once when it appears, again at growing intervals while it lasts, and
//! once when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::clock;
use crate::text;

/// A problem that lasts is logged again after this long, then after twice as long, and so on,
const FIRST_INTERVAL: Duration = Duration::from_secs(60);
/// but at least this often.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
/// How long a problem must be gone before it is reported as over: one that comes and goes is logged once.
const RECOVERY_PERIOD: Duration = Duration::from_secs(4);
/// How many different errors are remembered, so that each is logged once.
const MAX_ERRORS: usize = 256;
/// How many events may wait for a subscriber.
const BACKLOG: usize = 256;

/// Declares the components with the word that users see for each.
macro_rules! components {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A component of a process that can fail by itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum Component {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl Component {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

components! {
    /// The journal.
    Journal = "journal",
    /// The disk of the home folder.
    Disk = "disk",
    /// The folders of flows.
    Flows = "flows",
    /// Starting executions by triggers.
    Scheduler = "scheduler",
    /// Starting queued executions.
    Queue = "queue",
    /// Taking over the executions of processes that have died.
    Takeover = "takeover",
    /// Running backfills.
    Backfills = "backfills",
    /// Looking for the files and answers that triggers wait for.
    Sensors = "arrivals",
    /// Deleting what is too old.
    Retention = "retention",
    /// Running executions.
    Executions = "executions",
    /// Notifying people.
    Notifications = "notifications",
    /// Sending events to a lineage collector.
    Lineage = "lineage",
    /// Sending traces to a collector.
    Traces = "traces",
    /// Triggers, each for itself: a condition or an input of one that cannot be rendered, a folder that cannot be listed.
    Triggers = "triggers",
    /// Watching the file system for changes of flows.
    Watcher = "watcher",
    /// Accepting connections.
    Connections = "connections",
    /// Answering calls.
    Api = "api",
    /// Measuring what `/metrics` shows.
    Metrics = "metrics",
}

/// A problem and the components that it affects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthProblem {
    /// What is wrong, in plain words.
    pub problem: String,
    /// The components that cannot work.
    pub parts: BTreeSet<Component>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A change of health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthEvent {
    /// A problem has appeared, or lasts.
    Failing(HealthProblem),
    /// A problem is over.
    Recovered(HealthProblem),
}

struct ProblemRecord {
    problem: HealthProblem,
    /// When it is logged again.
    repeat_at: Instant,
    interval: Duration,
    /// When the last component recovered from it.
    recovered: Option<Instant>,
}

/// When an error that stops nothing is logged again, and how often it has occurred since it was.
struct ErrorRecord {
    repeat_at: Instant,
    interval: Duration,
    suppressed: u64,
}

/// The health of a process. Clones are one and the same.
#[derive(Clone)]
pub struct Health {
    problems: Arc<Mutex<BTreeMap<String, ProblemRecord>>>,
    errors: Arc<Mutex<BTreeMap<(Component, String), ErrorRecord>>>,
    counts: Arc<Mutex<BTreeMap<Component, u64>>>,
    events: broadcast::Sender<HealthEvent>,
}

impl Default for Health {
    fn default() -> Self {
        let (problems, errors, counts) = (Arc::default(), Arc::default(), Arc::default());
        Self { problems, errors, counts, events: broadcast::channel(BACKLOG).0 }
    }
}

impl Health {
    /// All changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<HealthEvent> {
        self.events.subscribe()
    }

    /// Records whether a component's work succeeded, and returns its result if so.
    pub fn record<T, E: Error>(&self, component: Component, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.report_success(component);
                Some(value)
            }
            Err(error) => {
                self.report_failure(component, text::chain(&error));
                None
            }
        }
    }

    /// Reports an error that stops nothing: one thing could not be done, and the next may be. The same error of the same
    /// component is logged again at growing intervals only.
    pub fn report_error(&self, component: Component, problem: &str) {
        self.count_error(component);
        if let Some(suppressed) = self.due(component, problem, Instant::now()) {
            let before = match suppressed {
                0 => String::new(),
                times => format!(" ({times} more since the last such line)"),
            };
            tracing::warn!(target: "jitney::health", place = component.as_str(), "{problem}{before}");
        }
    }

    /// How often an error was suppressed, if it is to be logged now.
    fn due(&self, component: Component, problem: &str, now: Instant) -> Option<u64> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        // Old ones are forgotten, and all of them when there are too many: then they are logged like new ones.
        errors.retain(|_, known| now.duration_since(known.repeat_at) < MAX_INTERVAL);
        if errors.len() >= MAX_ERRORS {
            errors.clear();
        }
        let new = ErrorRecord { repeat_at: now, interval: FIRST_INTERVAL, suppressed: 0 };
        let record = errors.entry((component, problem.to_owned())).or_insert(new);
        if record.repeat_at > now {
            record.suppressed += 1;
            return None;
        }
        record.repeat_at = now + record.interval;
        record.interval = (record.interval * 2).min(MAX_INTERVAL);
        Some(std::mem::take(&mut record.suppressed))
    }

    /// Counts an error that is reported elsewhere.
    pub fn count_error(&self, component: Component) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(component).or_default() += 1;
    }

    /// How many errors each component has had, logged or not.
    pub fn error_counts(&self) -> BTreeMap<Component, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |component: &Component| (*component, counts.get(component).copied().unwrap_or_default());
        Component::ALL.iter().map(count).collect()
    }

    /// Reports that a component cannot work.
    pub fn report_failure(&self, component: Component, problem: String) {
        self.count_error(component);
        let now = Instant::now();
        let mut problems = self.lock();
        let others = problems.iter_mut().filter(|(other, _)| **other != problem);
        others.for_each(|(_, other)| other.recover(component, now));
        let record = problems.entry(problem.clone()).or_insert_with(|| ProblemRecord {
            problem: HealthProblem { problem, parts: BTreeSet::new(), since: clock::now() },
            repeat_at: now,
            interval: FIRST_INTERVAL,
            recovered: None,
        });
        record.recovered = None;
        record.problem.parts.insert(component);
        if record.repeat_at <= now {
            record.repeat_at = now + record.interval;
            record.interval = (record.interval * 2).min(MAX_INTERVAL);
            let event = HealthEvent::Failing(record.problem.clone());
            drop(problems);
            self.publish(event);
        }
    }

    /// Reports that a component works.
    pub fn report_success(&self, component: Component) {
        let now = Instant::now();
        self.lock().values_mut().for_each(|record| record.recover(component, now));
    }

    /// Reports problems as over that have been gone for long enough. Called from time to time.
    pub fn expire_recovered(&self) {
        self.expire_recovered_at(Instant::now());
    }

    fn expire_recovered_at(&self, now: Instant) {
        let mut problems = self.lock();
        let is_over = |record: &ProblemRecord| {
            record.recovered.is_some_and(|recovered| now.duration_since(recovered) >= RECOVERY_PERIOD)
        };
        let over = problems.extract_if(.., |_, record| is_over(record)).collect::<Vec<_>>();
        drop(problems);
        over.into_iter().for_each(|(_, record)| self.publish(HealthEvent::Recovered(record.problem)));
    }

    /// The problems that there are now, by the last report of each component.
    pub fn problems(&self) -> Vec<HealthProblem> {
        let records = self.lock();
        records.values().filter(|record| record.recovered.is_none()).map(|record| record.problem.clone()).collect()
    }

    /// Logs an event and sends it to the subscribers. The problems are not locked meanwhile.
    fn publish(&self, event: HealthEvent) {
        match &event {
            HealthEvent::Failing(HealthProblem { problem, parts, .. }) => {
                let places: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
                let places = places.join(", ");
                tracing::error!(target: "jitney::health", place = places, "{problem} (affects: {places})");
            }
            HealthEvent::Recovered(HealthProblem { problem, .. }) => {
                tracing::info!(target: "jitney::health", "over: {problem}");
            }
        }
        // Nobody need have subscribed.
        let _ = self.events.send(event);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ProblemRecord>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProblemRecord {
    /// A component is not affected any more. The last one stays named, for the report that the problem is over.
    fn recover(&mut self, component: Component, now: Instant) {
        if self.recovered.is_none() && self.problem.parts.contains(&component) {
            if self.problem.parts.len() == 1 {
                self.recovered = Some(now);
            } else {
                self.problem.parts.remove(&component);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_reported_once_whatever_it_stops_and_once_when_it_is_over() {
        let health = Health::default();
        let mut heard = health.subscribe();
        for _ in 0..100 {
            health.report_failure(Component::Scheduler, "the disk is full".to_owned());
            health.report_failure(Component::Queue, "the disk is full".to_owned());
        }
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Failing(found)) if found.problem == "the disk is full"));
        assert!(heard.try_recv().is_err(), "it was said twice");
        assert_eq!(health.problems()[0].parts, BTreeSet::from([Component::Scheduler, Component::Queue]));
        health.report_success(Component::Queue);
        let later = Instant::now() + RECOVERY_PERIOD;
        health.expire_recovered_at(later);
        assert_eq!(health.problems().len(), 1, "the scheduler still suffers from it");
        health.report_success(Component::Scheduler);
        health.report_failure(Component::Scheduler, "the disk is full".to_owned());
        assert!(heard.try_recv().is_err(), "one that comes and goes is the same one");
        health.report_success(Component::Scheduler);
        assert!(health.problems().is_empty(), "what is over counts no more, even before that is said");
        health.expire_recovered_at(Instant::now() + RECOVERY_PERIOD);
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Recovered(_))));
        assert!(health.problems().is_empty());
    }

    #[test]
    fn an_error_that_stops_nothing_is_logged_once_and_counted_each_time() {
        let (health, start) = (Health::default(), Instant::now());
        let logged =
            |seconds: u64, problem: &str| health.due(Component::Lineage, problem, start + Duration::from_secs(seconds));
        assert_eq!([logged(0, "away"), logged(1, "away"), logged(2, "away")], [Some(0), None, None]);
        assert_eq!([logged(3, "full"), logged(60, "away"), logged(61, "away")], [Some(0), Some(2), None]);
        assert_eq!(logged(179, "away"), None, "the pause doubles");
        for number in 0..MAX_ERRORS * 2 {
            assert_eq!(logged(200, &number.to_string()), Some(0));
        }
        assert!(health.errors.lock().unwrap().len() <= MAX_ERRORS);
        let mut heard = health.subscribe();
        (0..3).for_each(|_| health.report_error(Component::Api, "broken"));
        health.report_failure(Component::Queue, "full".to_owned());
        assert!(matches!(heard.try_recv(), Ok(HealthEvent::Failing(problem)) if problem.problem == "full"));
        assert!(health.problems().iter().all(|trouble| !trouble.parts.contains(&Component::Api)), "it stops nothing");
        assert_eq!(
            (
                health.error_counts()[&Component::Api],
                health.error_counts()[&Component::Queue],
                health.error_counts()[&Component::Disk]
            ),
            (3, 1, 0)
        );
    }

    #[test]
    fn another_problem_of_the_same_component_replaces_the_first() {
        let health = Health::default();
        health.report_failure(Component::Journal, "locked".to_owned());
        health.report_failure(Component::Journal, "full".to_owned());
        health.expire_recovered_at(Instant::now() + RECOVERY_PERIOD);
        let problems: Vec<String> = health.problems().into_iter().map(|trouble| trouble.problem).collect();
        assert_eq!(problems, ["full"]);
    }
}
