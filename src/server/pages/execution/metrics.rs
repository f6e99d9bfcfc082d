//! What the tasks of an execution have done, in figures.

use serde_json::Value;

use crate::clock;
use crate::journal::{State, TaskRun};
use crate::server::pages::format::duration;
use crate::server::pages::state::StateBadge;
use crate::text::{plain, size, thousands};

/// The most task runs that are shown.
const MAX_RUNS: usize = 500;

/// The figures of a task run.
pub(super) struct RunMetrics {
    pub(super) run: String,
    pub(super) state: StateBadge,
    pub(super) attempts: u32,
    pub(super) took: String,
    pub(super) rows: String,
    pub(super) rejected: String,
    pub(super) bytes: String,
    pub(super) rate: String,
    /// What a script has measured itself.
    pub(super) own: Vec<String>,
}

pub(super) fn of(state: &State) -> Vec<RunMetrics> {
    let mut runs: Vec<_> = state.tasks.iter().collect();
    runs.sort_by_key(|(_, task)| task.since);
    runs.into_iter().take(MAX_RUNS).map(|(run, task)| figures(run.to_string(), task)).collect()
}

fn figures(run: String, task: &TaskRun) -> RunMetrics {
    let number = |name: &str| task.outputs.get(name).and_then(Value::as_u64);
    let seconds = task.started.map(|began| (task.ended.unwrap_or_else(clock::now) - began).as_seconds_f64());
    let took = task.since.and_then(|began| (task.ended.unwrap_or_else(clock::now) - began).to_std().ok());
    let (rows, bytes) = (number("rows_read"), number("bytes").or_else(|| number("length")));
    let rate = match (rows, bytes, seconds.filter(|seconds| *seconds > 0.0)) {
        (Some(rows), _, Some(seconds)) if rows > 0 => format!("{} rows/s", thousands((rows as f64 / seconds) as u64)),
        (_, Some(bytes), Some(seconds)) if bytes > 0 => format!("{}/s", size((bytes as f64 / seconds) as u64)),
        _ => String::new(),
    };
    let own = task.outputs.get("metrics").and_then(Value::as_array).into_iter().flatten();
    RunMetrics {
        run,
        state: StateBadge::of_task(&task.state),
        attempts: task.attempts,
        took: took.map(duration).unwrap_or_default(),
        rows: number("rows_loaded").or(rows).map(thousands).unwrap_or_default(),
        rejected: number("rows_rejected").filter(|rows| *rows > 0).map(thousands).unwrap_or_default(),
        bytes: bytes.map(size).unwrap_or_default(),
        rate,
        own: own.map(metric_text).collect(),
    }
}

/// `name: value`
fn metric_text(metric: &Value) -> String {
    let field = |name: &str| metric.get(name).map(plain).unwrap_or_default();
    format!("{}: {}", field("name"), field("value"))
}
