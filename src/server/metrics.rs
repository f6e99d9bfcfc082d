//! The metrics that `/metrics` serves to Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::Mutex;
use tokio::task::JoinError;

use crate::config::Settings;
use crate::engine::health::Component;
use crate::journal::State;
use crate::server::retention::HomeUsage;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FlowLabels {
    namespace: String,
    flow: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    namespace: String,
    flow: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: &'static str,
}

/// Counters since the start of the process, and gauges.
pub(crate) struct Metrics {
    registry: Registry,
    executions: Family<EndLabels, Counter>,
    task_runs: Family<EndLabels, Counter>,
    rows: Family<FlowLabels, Counter>,
    seconds: Family<FlowLabels, Histogram>,
    errors: Family<PlaceLabels, Counter>,
    running: Gauge,
    queued: Gauge,
    journal: Gauge,
    files: Gauge,
    /// The last measurement of the home, and until when it is reused.
    measured: Mutex<Option<(Instant, HomeUsage)>>,
    /// The same for those who do not wait for a new one.
    last_measured: std::sync::Mutex<Option<HomeUsage>>,
}

/// How long a measurement is reused at least; one that took long is reused for a hundred times as long.
const DISK_INTERVAL: Duration = Duration::from_secs(60);

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("jitney");
        let (executions, task_runs, rows) = (Family::default(), Family::default(), Family::default());
        registry.register("executions", "Executions that have ended", executions.clone());
        registry.register("task_runs", "Task runs that have ended", task_runs.clone());
        registry.register("rows_loaded", "Rows that loads added or changed", rows.clone());
        // From 10 ms to some 3 hours.
        let seconds: Family<FlowLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 4.0, 11)));
        let words = "How long executions took, without pauses and the time between processes";
        registry.register_with_unit("execution_duration", words, Unit::Seconds, seconds.clone());
        let errors: Family<PlaceLabels, Counter> = Family::default();
        registry.register("errors", "Errors of the server itself, by component", errors.clone());
        let gauge = |registry: &mut Registry, name: &str, words: &str| {
            let gauge = Gauge::default();
            registry.register(name, words, gauge.clone());
            gauge
        };
        let running = gauge(&mut registry, "executions_running", "Running executions");
        let queued = gauge(&mut registry, "executions_queued", "Executions that wait in a queue");
        let journal = gauge(&mut registry, "journal_bytes", "Size of the journal on disk");
        let files = gauge(&mut registry, "files_bytes", "Size of the files of executions on disk");
        Self {
            registry,
            executions,
            task_runs,
            rows,
            seconds,
            errors,
            running,
            queued,
            journal,
            files,
            measured: Mutex::default(),
            last_measured: std::sync::Mutex::default(),
        }
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Counts an execution that has ended.
    pub(super) fn record_end(&self, state: &State) {
        let (namespace, flow) = (&state.created.namespace, &state.created.flow);
        let of_flow = FlowLabels { namespace: namespace.clone(), flow: flow.clone() };
        let of_end = |state| EndLabels { namespace: namespace.clone(), flow: flow.clone(), state };
        self.executions.get_or_create(&of_end(state.status.as_str())).inc();
        for task in state.tasks.values() {
            self.task_runs.get_or_create(&of_end(task.state.as_str())).inc();
        }
        self.rows.get_or_create(&of_flow).inc_by(state.rows);
        if let Some(took) = state.started.and_then(|_| state.took()) {
            self.seconds.get_or_create(&of_flow).observe(took.as_secs_f64());
        }
    }

    /// The size of the home. Measuring it visits every file, so that the result is cached, and concurrent calls share it.
    ///
    /// # Errors
    /// When the measuring thread panicked.
    pub(super) async fn disk(&self, settings: Arc<Settings>) -> Result<HomeUsage, JoinError> {
        let mut measured = self.measured.lock().await;
        if let Some((until, disk)) = *measured
            && Instant::now() < until
        {
            return Ok(disk);
        }
        let began = Instant::now();
        let disk = tokio::task::spawn_blocking(move || HomeUsage::of(&settings)).await?;
        *measured = Some((Instant::now() + DISK_INTERVAL.max(began.elapsed() * 100), disk));
        *self.last_measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(disk);
        Ok(disk)
    }

    /// The size of the home as it was measured last, which is measured again meanwhile if that is due. Only the first time it
    /// is waited for, at most for `patience`.
    pub(super) async fn last_disk(self: &Arc<Self>, settings: Arc<Settings>, patience: Duration) -> Option<HomeUsage> {
        let last = || *self.last_measured.lock().unwrap_or_else(PoisonError::into_inner);
        let (metrics, known) = (self.clone(), last());
        // It is measured to the end, whoever waits for it.
        let measuring = tokio::spawn(async move { metrics.disk(settings).await });
        if known.is_none() {
            let _ = tokio::time::timeout(patience, measuring).await;
        }
        known.or_else(last)
    }

    pub(super) fn set_load(&self, running: usize, queued: usize) {
        self.running.set(number(running as u64));
        self.queued.set(number(queued as u64));
    }

    pub(super) fn set_disk(&self, disk: HomeUsage) {
        self.journal.set(number(disk.journal));
        self.files.set(number(disk.files));
    }

    pub(super) fn set_errors(&self, counts: BTreeMap<Component, u64>) {
        for (part, count) in counts {
            self.errors.get_or_create(&PlaceLabels { place: part.as_str() }).inner().store(count, Ordering::Relaxed);
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
