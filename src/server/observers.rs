//! Reports what happens to people and to collectors of lineage and traces, and deletes what is too old.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::SettingsHost;
use crate::engine::executor::Executor;
use crate::engine::health::{self, Component};
use crate::engine::restore;
use crate::engine::scheduler::TriggerStatus;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionQuery, ExecutionState, Journal, JournalUpdate, State, Summary, TaskState};
use crate::server::lineage::{self, LineageCollector};
use crate::server::notify::{Notification, NotificationEvent, Notifier};
use crate::server::retention::Retention;
use crate::server::settings::ServerSettings;
use crate::server::traces::Traces;
use crate::server::{App, CLIENT_TIMEOUT, ServerError};
use crate::task::TaskType;
use crate::text::chain;
use crate::web::client::client;

/// How often schedules are checked for being late.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How late a schedule is before it is reported.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The most queued executions that a check looks at.
const MAX_QUEUED: u32 = 1000;
/// How often what is too old is deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// Those outside who are notified of what happens, and the sweep of what is too old.
pub(super) struct Observers {
    notifier: Notifier,
    lineage: Option<(reqwest::Client, LineageCollector)>,
    traces: Option<Traces>,
    retention: Retention,
    /// The task types of the flows that are reported.
    tasks: &'static [TaskType],
}

impl Observers {
    /// Those that the settings name; `host` answers `secret()` in their rules.
    pub(super) fn new(
        config: ServerSettings,
        journal: &Arc<Journal>,
        settings: &Arc<Settings>,
        host: Arc<SettingsHost>,
        tasks: &'static [TaskType],
    ) -> Result<Self, ServerError> {
        let notifier = Notifier::new(config.notifications, journal.clone(), settings.clone(), host, tasks)?;
        notifier.adopt_rule_names()?;
        let lineage = config.openlineage.map(|collector| client(CLIENT_TIMEOUT).map(|client| (client, collector)));
        let traces = config.opentelemetry.map(|endpoint| Traces::to(&endpoint)).transpose();
        Ok(Self {
            notifier,
            lineage: lineage.transpose()?,
            traces: traces.map_err(|problem| ServerError::Settings(Diagnostic::error(problem)))?,
            retention: config.retention,
            tasks,
        })
    }

    /// Reports until `shutdown`. What could not be sent is an error of the part that it is about.
    pub(super) async fn run(self, app: Arc<App>, shutdown: CancellationToken) {
        // Side by side: a sweep may take long, and must delay no notification.
        tokio::join!(
            self.watch_journal(&app, &shutdown),
            self.watch_health(&app.executor, &shutdown),
            self.sweep_hourly(&app.executor, &shutdown)
        );
    }

    async fn watch_journal(&self, app: &Arc<App>, shutdown: &CancellationToken) {
        let health = app.executor.health();
        let mut updates = app.executor.subscribe();
        let mut check = tokio::time::interval(CHECK_INTERVAL);
        let mut reported = HashSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                update = updates.recv() => match update {
                    Ok(update) => self.handle(app, &update).await,
                    Err(RecvError::Lagged(missed)) => {
                        let problem = format!("{missed} events were not reported, because they came too fast");
                        health.report_error(Component::Notifications, &problem);
                    }
                    Err(RecvError::Closed) => return,
                },
                _ = check.tick() => self.report_late(app, &mut reported, clock::now()).await,
            }
        }
    }

    /// Notifies people of what keeps the server from its work.
    async fn watch_health(&self, executor: &Executor, shutdown: &CancellationToken) {
        let mut changes = executor.health().subscribe();
        loop {
            let change = tokio::select! {
                () = shutdown.cancelled() => return,
                change = changes.recv() => change,
            };
            let problems = match change {
                Ok(health::HealthEvent::Failing(cause)) => self.notifier.unhealthy(&cause.problem).await,
                Ok(health::HealthEvent::Recovered(cause)) => self.notifier.healthy(&cause.problem).await,
                Err(RecvError::Lagged(missed)) => {
                    vec![format!(
                        "{missed} changes of the server's health were not reported, because they came too fast"
                    )]
                }
                Err(RecvError::Closed) => return,
            };
            report(executor, Component::Notifications, problems);
        }
    }

    async fn sweep_hourly(&self, executor: &Executor, shutdown: &CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        let mut before = (Instant::now(), clock::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = sweep.tick() => {}
            }
            let now = (Instant::now(), clock::now());
            if has_jumped(before, now) {
                let text = "the clock was set forward; expired files and executions are kept for another hour";
                executor.health().report_error(Component::Retention, text);
            } else {
                self.sweep(executor, shutdown).await;
            }
            before = now;
        }
    }

    async fn handle(&self, app: &App, update: &JournalUpdate) {
        let JournalUpdate::Event { id, event: Event::Ended { .. }, status, time, .. } = update else { return };
        if !status.has_ended() {
            return;
        }
        match app.executor.journal().state(id) {
            Ok(Some(state)) => self.report_end(app, id, &state, *time).await,
            // It has been deleted since.
            Ok(None) => {}
            Err(error) => {
                let problem = format!("the notification about the end of an execution failed: {}", chain(&error));
                app.executor.health().report_error(Component::Notifications, &problem);
            }
        }
    }

    async fn report_end(&self, app: &App, id: &ExecutionId, state: &State, now: DateTime<Utc>) {
        app.metrics.record_end(state);
        report(&app.executor, Component::Notifications, self.notifier.ended(id, state, now).await);
        if let Some((client, collector)) = &self.lineage {
            // The flow says which of the failed tasks are loads. If it can no longer be read, they are left out.
            let has_failed = state.tasks.values().any(|task| task.state == TaskState::Failed);
            let flow = has_failed.then(|| restore::recorded_flow(&state.created, self.tasks).ok()).flatten();
            let events = lineage::events(id, state, flow.as_ref());
            report(&app.executor, Component::Lineage, lineage::send(client, collector, &events).await.err());
        }
        if let Some(traces) = &self.traces {
            report(&app.executor, Component::Traces, traces.send(id, state).await.err());
        }
    }

    /// Reports schedules whose time has long passed without an execution, or with one that is still in the queue. Each time
    /// is reported once.
    async fn report_late(&self, app: &App, reported: &mut HashSet<String>, now: DateTime<Utc>) {
        let schedules = app.scheduler.triggers().into_iter().filter(|status| status.kind == "schedule");
        let schedules: Vec<TriggerStatus> = schedules.filter(|status| !status.disabled).collect();
        let mut late: Vec<Notification> = schedules.iter().filter_map(|status| overdue(status, now)).collect();
        let queued = ExecutionQuery {
            states: vec![ExecutionState::Queued],
            until: Some(now - LATE_AFTER),
            ..ExecutionQuery::default()
        };
        let waiting = app.executor.journal().search(&queued, MAX_QUEUED, 0);
        if let Some(page) = app.executor.health().record(Component::Notifications, waiting) {
            late.extend(page.executions.iter().filter_map(|queued| queued_late(&schedules, queued)));
        }
        for notification in late {
            let Notification { namespace, flow, date, execution, .. } = &notification;
            if reported.insert(format!("{namespace}.{flow} {date:?} {execution:?}")) {
                let problems = self.notifier.notify(NotificationEvent::Late, notification, now).await;
                report(&app.executor, Component::Notifications, problems);
            }
        }
    }

    async fn sweep(&self, executor: &Executor, stop: &CancellationToken) {
        let (retention, runner, stop) = (self.retention.clone(), executor.runner().clone(), stop.clone());
        let sweep = move || retention.sweep(&runner.journal, &runner.settings, clock::now(), &stop);
        match tokio::task::spawn_blocking(sweep).await {
            Ok(swept) => {
                let problem = executor.health().record(Component::Retention, swept).and_then(|swept| swept.problem);
                report(executor, Component::Retention, problem);
            }
            Err(error) => report(executor, Component::Retention, Some(format!("the sweep panicked: {error}"))),
        }
    }
}

fn report(executor: &Executor, part: Component, problems: impl IntoIterator<Item = String>) {
    problems.into_iter().for_each(|problem| executor.health().report_error(part, &problem));
}

/// Whether the clock has gained on the monotonic one. It may be wrong, and a sweep would delete what is not old.
fn has_jumped(before: (Instant, DateTime<Utc>), now: (Instant, DateTime<Utc>)) -> bool {
    let passed = TimeDelta::from_std(now.0.duration_since(before.0)).unwrap_or(TimeDelta::MAX);
    now.1 - before.1 > passed + TimeDelta::hours(1)
}

/// The notification about a schedule whose next time has long passed.
fn overdue(status: &TriggerStatus, now: DateTime<Utc>) -> Option<Notification> {
    let due = status.next.filter(|due| now - *due > LATE_AFTER)?;
    let (namespace, flow) = (status.namespace.clone(), status.flow.clone());
    Some(Notification {
        namespace,
        flow,
        execution: status.waits_for.clone(),
        date: Some(due),
        ..Notification::default()
    })
}

/// The notification about an execution that one of these schedules created and that has not started.
fn queued_late(schedules: &[TriggerStatus], queued: &Summary) -> Option<Notification> {
    let is_of = |status: &&TriggerStatus| {
        (&status.namespace, &status.flow, Some(&status.id))
            == (&queued.namespace, &queued.flow, queued.trigger.as_ref())
    };
    schedules.iter().find(is_of).filter(|_| queued.started.is_none())?;
    let (namespace, flow) = (queued.namespace.clone(), queued.flow.clone());
    let (execution, date) = (Some(queued.id.clone()), queued.trigger_date);
    Some(Notification { namespace, flow, execution, date, state: queued.state.to_string(), ..Notification::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_forward_is_not_trusted_at_once() {
        let before = (Instant::now(), clock::now());
        let later =
            |seconds: u64, hours: i64| (before.0 + Duration::from_secs(seconds), before.1 + TimeDelta::hours(hours));
        assert!(has_jumped(before, later(3600, 24 * 400)));
        assert!(!has_jumped(before, later(3600, 1)));
        assert!(!has_jumped(before, later(3600, -5)));
    }
}
