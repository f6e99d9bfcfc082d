//! The tasks of an execution over its time: a row for each run, with a bar for each attempt. A row opens its log in place.

use chrono::{DateTime, Utc};

use super::log::{self, ShownLine};
use crate::clock;
use crate::flow::Flow;
use crate::id::{ExecutionId, RunId};
use crate::journal::{AttemptRecord, State, TaskRun, TaskState};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::format::{duration, progress_text};
use crate::server::pages::state::StateBadge;
use crate::text::count;

/// The most rows of a timeline.
const MAX_ROWS: usize = 500;

/// The task runs of an execution.
pub(super) struct Timeline {
    pub(super) rows: Vec<TimelineRow>,
    /// Whether there are more.
    pub(super) is_cut: bool,
    /// How many tasks and attempts there are.
    pub(super) summary: String,
}

/// A task run, or a task that has not begun.
pub(super) struct TimelineRow {
    pub(super) run: String,
    pub(super) state: Option<StateBadge>,
    pub(super) bars: Vec<AttemptBar>,
    pub(super) took: String,
    /// How far it has come, while it runs in this process.
    pub(super) progress: String,
    /// The query of the page on which the row's log is open, or closed if it is open on this one.
    pub(super) toggle: String,
    /// Its log, if it is open.
    pub(super) log: Option<RowLog>,
}

/// An attempt.
pub(super) struct AttemptBar {
    /// Where it begins and how long it is, in per cent of the whole.
    pub(super) x: String,
    pub(super) width: String,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// The last lines of a task's log.
pub(super) struct RowLog {
    pub(super) task: String,
    pub(super) lines: Vec<ShownLine>,
}

/// The time that a timeline covers.
struct TimeSpan {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

pub(super) fn of(
    app: &App,
    id: &ExecutionId,
    state: &State,
    flow: Option<&Flow>,
    parameters: &QueryParameters,
) -> Result<Timeline, ApiError> {
    let (journal, now) = (app.executor.journal(), clock::now());
    let running = app.executor.runner().live.of(id);
    let span = TimeSpan { first: state.started.unwrap_or(now), last: state.ended.unwrap_or(now) };
    let mut runs: Vec<_> = state.tasks.iter().collect();
    runs.sort_by_key(|(run, task)| (task.since.unwrap_or(span.last), (*run).clone()));
    let is_cut = runs.len() > MAX_ROWS;
    runs.truncate(MAX_ROWS);
    let repeated: Vec<&RunId> = runs.iter().filter(|(_, task)| task.attempts > 1).map(|(run, _)| *run).collect();
    let attempts = if repeated.is_empty() { Vec::new() } else { journal.attempts(id, &repeated)? };
    let open = parameters.one("open");
    let mut rows = Vec::new();
    for (run, task) in &runs {
        let own = attempts.iter().filter(|attempt| attempt.run == **run).collect::<Vec<_>>();
        let mut row = span.row(run, task, &own, parameters);
        let own = running.iter().find(|own| own.run == **run);
        row.progress = own.map(progress_text).unwrap_or_default();
        if open == Some(run.as_str()) {
            let (task, lines) = (run.task().to_owned(), log::last(journal, id, run.task())?);
            row.log = Some(RowLog { task, lines });
        }
        rows.push(row);
    }
    for step in flow.into_iter().flat_map(|flow| &flow.steps) {
        if !state.tasks.keys().any(|run| run.task() == step.id.as_str()) {
            rows.push(waiting(step.id.as_str(), parameters));
        }
    }
    Ok(Timeline { summary: summary(&rows, &runs), rows, is_cut })
}

/// `3 tasks, 2 attempts of load`
fn summary(rows: &[TimelineRow], runs: &[(&RunId, &TaskRun)]) -> String {
    let repeated = runs.iter().max_by_key(|(_, task)| task.attempts).filter(|(_, task)| task.attempts > 1);
    let attempts = repeated.map(|(run, task)| format!(", {} attempts of {run}", task.attempts));
    count(rows.len() as u64, "task") + &attempts.unwrap_or_default()
}

fn waiting(task: &str, parameters: &QueryParameters) -> TimelineRow {
    let toggle = parameters.with("open", task);
    TimelineRow {
        run: task.to_owned(),
        state: None,
        bars: Vec::new(),
        took: String::new(),
        progress: String::new(),
        toggle,
        log: None,
    }
}

impl TimeSpan {
    fn row(
        &self,
        run: &RunId,
        task: &TaskRun,
        attempts: &[&AttemptRecord],
        parameters: &QueryParameters,
    ) -> TimelineRow {
        let badge = StateBadge::of_task(&task.state);
        let began = task.since.unwrap_or(self.last);
        let took = task.ended.unwrap_or(self.last) - began;
        let bars = match attempts {
            [] => vec![self.bar(began, task.ended, badge, badge.word.to_owned())],
            several => several.iter().enumerate().map(|(index, attempt)| self.attempt(index, attempt, badge)).collect(),
        };
        let is_open = parameters.one("open") == Some(run.as_str());
        TimelineRow {
            run: run.to_string(),
            state: Some(badge),
            bars,
            took: took.to_std().map(duration).unwrap_or_default(),
            toggle: if is_open { parameters.without("open").text() } else { parameters.with("open", run.as_str()) },
            progress: String::new(),
            log: None,
        }
    }

    fn attempt(&self, index: usize, attempt: &AttemptRecord, latest: StateBadge) -> AttemptBar {
        let badge = match (attempt.is_failed, attempt.ended) {
            (true, _) => StateBadge::of_task(&TaskState::Failed),
            (false, Some(_)) => StateBadge::of_task(&TaskState::Success),
            (false, None) => latest,
        };
        self.bar(attempt.began, attempt.ended, badge, format!("attempt {}: {}", index + 1, badge.word))
    }

    fn bar(&self, began: DateTime<Utc>, ended: Option<DateTime<Utc>>, badge: StateBadge, what: String) -> AttemptBar {
        let whole = (self.last - self.first).as_seconds_f64().max(0.001);
        let part = |seconds: f64| (100.0 * seconds / whole).clamp(0.0, 100.0);
        let took = ended.unwrap_or(self.last) - began;
        let x = part((began - self.first).as_seconds_f64()).min(99.4);
        let width = part(took.as_seconds_f64()).max(0.6).min(100.0 - x);
        let title = format!("{what}, {}", took.to_std().map(duration).unwrap_or_default());
        AttemptBar { x: format!("{x:.2}%"), width: format!("{width:.2}%"), class: badge.class, title }
    }
}
