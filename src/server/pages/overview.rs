//! The first page: what needs attention, what runs, what is next, and how many rows were loaded.

mod sources;
mod unusual;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State as AppState;
use chrono::{Days, Local, TimeDelta};
use serde::Serialize;

use self::sources::{ChangedSource, CheckedSources};
use self::unusual::Unusual;
use super::executions::ListedExecution;
use super::executions::causes::{self, ShownCause};
use super::format::{ShownTime, duration, filters, progress_text};
use super::shell::{NavPage, Shell, failures_of_a_day, flow_address};
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::scheduler::TriggerStatus;
use crate::journal::{ExecutionQuery, ExecutionState, Summary};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::retention::HomeUsage;
use crate::storage::DiskSpace;
use crate::text::{count, size};

/// How many failures are looked at.
const MAX_FAILURES: u32 = 200;
/// How many of anything are shown.
const SHOWN: usize = 10;
/// The days of the chart.
const DAYS: u64 = 30;
/// How late a schedule may be without being noticed, in minutes.
const MAX_DELAY: i64 = 2;
/// How long the first page waits for the size of the home folder.
const DISK_TIMEOUT: Duration = Duration::from_millis(150);

/// A trigger that does not start what it should.
#[derive(Serialize)]
struct LateTrigger {
    address: String,
    flow: String,
    trigger: String,
    problem: String,
    since: Option<ShownTime>,
}

/// An execution that has not ended.
#[derive(Serialize)]
struct Running {
    execution: ListedExecution,
    /// The task that runs, and how far it has come.
    task: String,
    progress: String,
    /// In per cent, where it is known.
    percent: Option<u32>,
    left: String,
}

/// What a schedule does next.
#[derive(Serialize)]
struct Next {
    address: String,
    flow: String,
    trigger: String,
    at: ShownTime,
}

/// The rows that were loaded on a day.
#[derive(Serialize)]
struct DayBar {
    day: String,
    label: String,
    x: usize,
    y: String,
    height: String,
}

/// What the home folder takes, and what is free.
#[derive(Serialize)]
struct Disk {
    used: String,
    free: String,
    is_short: bool,
}

#[derive(Serialize, Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    #[serde(skip)]
    shell: Shell,
    attention: Vec<ShownCause>,
    late: Vec<LateTrigger>,
    unusual: Vec<Unusual>,
    changed: Vec<ChangedSource>,
    /// What was asked of the sources, if they were.
    sources: Option<String>,
    has_sources: bool,
    running: Vec<Running>,
    load: String,
    next: Vec<Next>,
    days: Vec<DayBar>,
    rows: String,
    disk: Option<Disk>,
    has_flows: bool,
    has_run: bool,
}

pub(super) async fn show(AppState(app): AppState<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let checked = match parameters.one("sources") {
        Some("check") => Some(sources::check(&app).await?),
        _ => None,
    };
    let sources = checked.as_ref().map(CheckedSources::words);
    let changed = checked.map(|checked| checked.changed).unwrap_or_default();
    let mut shown = OverviewPage { sources, changed, ..read(&app).await? };
    if shown.sources.is_some() {
        // A page that is read again with each change would ask the sources each time.
        shown.shell.live.clear();
    }
    page_or_json(&shown)
}

async fn read(app: &App) -> Result<OverviewPage, ApiError> {
    let used = app.metrics.last_disk(app.settings.clone(), DISK_TIMEOUT).await;
    let disk = used.and_then(|used| run_blocking(|| disk(app, used)));
    Ok(OverviewPage { disk, ..run_blocking(|| of(app))? })
}

fn of(app: &App) -> Result<OverviewPage, ApiError> {
    let load = app.executor.load()?;
    let (days, rows, has_run) = days(app)?;
    let mut triggers = app.scheduler.triggers();
    triggers.retain(|trigger| !trigger.disabled);
    Ok(OverviewPage {
        shell: Shell::of(app, NavPage::Overview, "all"),
        attention: causes::of(app, &failures_of_a_day(), MAX_FAILURES)?,
        late: late(&triggers),
        unusual: unusual::of(app)?,
        changed: Vec::new(),
        sources: None,
        has_sources: sources::are_there(app),
        running: running(app)?,
        load: format!("{} of {} slots, {} queued", load.running, load.parallel, load.queued),
        next: next(triggers),
        days,
        rows: count(rows, "row"),
        disk: None,
        has_flows: !app.catalog.list().is_empty(),
        has_run,
    })
}

fn disk(app: &App, used: HomeUsage) -> Option<Disk> {
    let space = DiskSpace::of(&app.settings.home).ok()?;
    let used = format!("{} journal, {} files", size(used.journal), size(used.files));
    Some(Disk { used, free: size(space.free), is_short: space.is_nearly_full() })
}

/// Triggers that have a problem, and schedules whose time has passed.
fn late(triggers: &[TriggerStatus]) -> Vec<LateTrigger> {
    let deadline = clock::now() - TimeDelta::minutes(MAX_DELAY);
    let is_late = |trigger: &TriggerStatus| trigger.next.is_some_and(|next| next < deadline);
    let held = triggers.iter().filter(|trigger| trigger.problem.is_some() || is_late(trigger));
    let shown = held.take(SHOWN).map(|trigger| {
        let waits = trigger.waits_for.as_ref().map(|id| format!("it waits for the end of the execution {id}"));
        LateTrigger {
            since: trigger.next.filter(|next| *next < deadline).map(ShownTime::of),
            problem: trigger.problem.clone().or(waits).unwrap_or_else(|| "it is late".to_owned()),
            address: flow_address(&trigger.namespace, &trigger.flow),
            flow: trigger.flow.clone(),
            trigger: trigger.id.clone(),
        }
    });
    shown.collect()
}

/// The executions that run, wait or are paused, with how far those have come that run in this process.
fn running(app: &App) -> Result<Vec<Running>, ApiError> {
    let states = vec![ExecutionState::Running, ExecutionState::Queued, ExecutionState::Paused];
    let query = ExecutionQuery { states, ..ExecutionQuery::default() };
    let found = app.executor.journal().search(&query, SHOWN as u32, 0)?.executions;
    let shown = |summary: &Summary| {
        let execution = ListedExecution::of(app, summary)?;
        let live = app.executor.runner().live.of(&summary.id);
        let Some(latest) = live.last() else {
            return Ok(Running {
                execution,
                task: String::new(),
                progress: String::new(),
                percent: None,
                left: String::new(),
            });
        };
        let part = |total: u64| u32::try_from(100 * latest.bytes.min(total) / total).unwrap_or(100);
        let left = latest.seconds_left().and_then(|left| Duration::try_from_secs_f64(left).ok());
        Ok(Running {
            execution,
            task: latest.run.to_string(),
            progress: progress_text(latest),
            percent: (latest.total_bytes > 0).then(|| part(latest.total_bytes)),
            left: left.map(|left| format!("{} left", duration(left))).unwrap_or_default(),
        })
    };
    found.iter().map(shown).collect()
}

fn next(mut due: Vec<TriggerStatus>) -> Vec<Next> {
    due.retain(|trigger| trigger.next.is_some());
    due.sort_by_key(|trigger| trigger.next);
    let shown = due.into_iter().take(SHOWN).filter_map(|trigger| {
        let at = ShownTime::of(trigger.next?);
        let address = flow_address(&trigger.namespace, &trigger.flow);
        Some(Next { address, flow: trigger.flow, trigger: trigger.id, at })
    });
    shown.collect()
}

/// The rows loaded on each of the last days, their sum, and whether anything has ended at all.
fn days(app: &App) -> Result<(Vec<DayBar>, u64, bool), ApiError> {
    let today = clock::now().with_timezone(&Local).date_naive();
    let first = today.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(today);
    let mut rows: BTreeMap<String, u64> =
        first.iter_days().take(DAYS as usize).map(|day| (day.format("%Y-%m-%d").to_string(), 0)).collect();
    let totals = app.executor.journal().days(clock::now() - TimeDelta::days(DAYS as i64))?;
    for total in &totals {
        if let Some(sum) = rows.get_mut(&total.day) {
            *sum += total.rows;
        }
    }
    let most = rows.values().copied().max().unwrap_or_default().max(1);
    let bar = |(index, (day, rows)): (usize, (&String, &u64))| {
        let height = 78.0 * *rows as f64 / most as f64;
        let height = if *rows > 0 { height.max(2.0) } else { 0.0 };
        let label = format!("{day}: {}", count(*rows, "row"));
        DayBar {
            day: day.clone(),
            label,
            x: index * 10,
            y: format!("{:.1}", 80.0 - height),
            height: format!("{height:.1}"),
        }
    };
    let bars = rows.iter().enumerate().map(bar).collect();
    Ok((bars, rows.values().sum(), !totals.is_empty()))
}
