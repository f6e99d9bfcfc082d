//! The first page: what needs attention, what runs, what is next, and how many rows were loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State as AppState;
use chrono::{Days, Local, NaiveDate, TimeDelta};

use super::executions::ListedExecution;
use super::format::Moment;
use super::shell::{Place, Shell, failures_of_a_day, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::clock;
use crate::journal::{ExecutionQuery, ExecutionState};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::text::{count, shortened};

/// How many failures are looked at, and how many of the others are shown.
const MAX_FAILURES: u32 = 100;
const SHOWN: usize = 10;
/// The days of the chart.
const DAYS: u64 = 30;
/// The most executions that the chart looks at.
const MAX_COUNTED: u32 = 20_000;

/// Failures with one cause.
struct Attention {
    execution: ListedExecution,
    message: String,
    others: usize,
}

/// What a schedule does next.
struct Next {
    address: String,
    flow: String,
    trigger: String,
    at: Moment,
}

/// The rows that were loaded on a day.
struct DayBar {
    label: String,
    x: usize,
    y: String,
    height: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    attention: Vec<Attention>,
    running: Vec<ListedExecution>,
    load: String,
    next: Vec<Next>,
    days: Vec<DayBar>,
    rows: String,
    has_flows: bool,
}

pub(super) async fn show(AppState(app): AppState<Arc<App>>) -> PageResult {
    let shown = run_blocking(|| of(&app))?;
    page(&shown)
}

fn of(app: &App) -> Result<OverviewPage, ApiError> {
    let load = app.executor.load()?;
    let (days, rows) = days(app)?;
    Ok(OverviewPage {
        shell: Shell::of(app, Place::Overview, "all"),
        attention: attention(app)?,
        running: listed(app, &[ExecutionState::Running, ExecutionState::Queued, ExecutionState::Paused])?,
        load: format!("{} of {} slots, {} queued", load.running, load.parallel, load.queued),
        next: next(app),
        days,
        rows: count(rows, "row"),
        has_flows: !app.catalog.list().is_empty(),
    })
}

/// The failures of the last day, those of one cause together.
fn attention(app: &App) -> Result<Vec<Attention>, ApiError> {
    let journal = app.executor.journal();
    let mut causes: Vec<Attention> = Vec::new();
    for summary in journal.search(&failures_of_a_day(), MAX_FAILURES, 0)?.executions {
        let state = journal.state(&summary.id)?;
        let error = state.iter().flat_map(|state| state.tasks.values()).find_map(|task| task.error.as_ref());
        let message =
            error.map_or("it failed without a reason", |error| error.message.lines().next().unwrap_or_default());
        let message = shortened(message, 300).into_owned();
        let same = |known: &&mut Attention| known.message == message && known.execution.flow == summary.flow;
        match causes.iter_mut().find(same) {
            Some(known) => known.others += 1,
            None => causes.push(Attention { execution: ListedExecution::of(app, &summary)?, message, others: 0 }),
        }
    }
    Ok(causes)
}

fn listed(app: &App, states: &[ExecutionState]) -> Result<Vec<ListedExecution>, ApiError> {
    let query = ExecutionQuery { states: states.to_vec(), ..ExecutionQuery::default() };
    let found = app.executor.journal().search(&query, SHOWN as u32, 0)?.executions;
    Ok(found.iter().map(|summary| ListedExecution::of(app, summary)).collect::<Result<_, _>>()?)
}

fn next(app: &App) -> Vec<Next> {
    let mut due: Vec<_> = app.scheduler.triggers().into_iter().filter(|trigger| !trigger.disabled).collect();
    due.retain(|trigger| trigger.next.is_some());
    due.sort_by_key(|trigger| trigger.next);
    let shown = due.into_iter().take(SHOWN).filter_map(|trigger| {
        let at = Moment::of(trigger.next?);
        let address = flow_address(&trigger.namespace, &trigger.flow);
        Some(Next { address, flow: trigger.flow, trigger: trigger.id, at })
    });
    shown.collect()
}

/// The rows loaded on each of the last days, and their sum.
fn days(app: &App) -> Result<(Vec<DayBar>, u64), ApiError> {
    let today = clock::now().with_timezone(&Local).date_naive();
    let first = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    let query =
        ExecutionQuery { since: Some(clock::now() - TimeDelta::days(DAYS as i64)), ..ExecutionQuery::default() };
    let mut rows: BTreeMap<NaiveDate, u64> = first.iter_days().take(DAYS as usize).map(|day| (day, 0)).collect();
    for summary in app.executor.journal().search(&query, MAX_COUNTED, 0)?.executions {
        let day = summary.ended.unwrap_or(summary.created).with_timezone(&Local).date_naive();
        if let Some(sum) = rows.get_mut(&day) {
            *sum += summary.rows;
        }
    }
    let most = rows.values().copied().max().unwrap_or_default().max(1);
    let bar = |(index, (day, rows)): (usize, (&NaiveDate, &u64))| {
        let height = 78.0 * *rows as f64 / most as f64;
        let height = if *rows > 0 { height.max(2.0) } else { 0.0 };
        let label = format!("{}: {}", day.format("%Y-%m-%d"), count(*rows, "row"));
        DayBar { label, x: index * 10, y: format!("{:.1}", 80.0 - height), height: format!("{height:.1}") }
    };
    let bars = rows.iter().enumerate().map(bar).collect();
    Ok((bars, rows.values().sum()))
}
