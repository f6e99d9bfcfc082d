//! The tasks of an execution over its time.

use chrono::{DateTime, Utc};

use crate::clock;
use crate::flow::Flow;
use crate::journal::{State, TaskRun};
use crate::server::pages::format::duration;
use crate::server::pages::state::StateBadge;

/// The most rows of a timeline.
const MAX_ROWS: usize = 500;

/// A task run, or a task that has not begun.
pub(super) struct TimelineRow {
    pub(super) run: String,
    pub(super) state: Option<StateBadge>,
    /// Where its bar begins and how long it is, in per cent of the whole.
    pub(super) x: String,
    pub(super) width: String,
    pub(super) took: String,
    pub(super) attempts: u32,
}

/// The rows in the order in which they began, and whether there are more.
pub(super) fn of(state: &State, flow: Option<&Flow>) -> (Vec<TimelineRow>, bool) {
    let now = clock::now();
    let first = state.started.unwrap_or(now);
    let last = state.ended.unwrap_or(now);
    let whole = (last - first).as_seconds_f64().max(0.001);
    let mut runs: Vec<_> = state.tasks.iter().collect();
    runs.sort_by_key(|(run, task)| (task.since.unwrap_or(last), (*run).clone()));
    let is_cut = runs.len() > MAX_ROWS;
    let mut rows: Vec<TimelineRow> =
        runs.iter().take(MAX_ROWS).map(|(run, task)| row(run.as_str(), task, first, last, whole)).collect();
    let waiting = flow.map(|flow| flow.steps.iter().collect::<Vec<_>>()).unwrap_or_default();
    for step in waiting.into_iter().filter(|step| !state.tasks.keys().any(|run| run.task() == step.id.as_str())) {
        rows.push(TimelineRow {
            run: step.id.to_string(),
            state: None,
            x: String::new(),
            width: String::new(),
            took: String::new(),
            attempts: 0,
        });
    }
    (rows, is_cut)
}

fn row(run: &str, task: &TaskRun, first: DateTime<Utc>, last: DateTime<Utc>, whole: f64) -> TimelineRow {
    let began = task.since.unwrap_or(last);
    let took = task.ended.unwrap_or(last) - began;
    let part = |seconds: f64| (100.0 * seconds / whole).clamp(0.0, 100.0);
    let x = part((began - first).as_seconds_f64());
    let width = part(took.as_seconds_f64()).max(0.4).min(100.0 - x.min(99.6));
    TimelineRow {
        run: run.to_owned(),
        state: Some(StateBadge::of_task(&task.state)),
        x: format!("{x:.2}%"),
        width: format!("{width:.2}%"),
        took: took.to_std().map(duration).unwrap_or_default(),
        attempts: task.attempts,
    }
}
