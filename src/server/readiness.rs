//! Whether the server can do its work: probed every few seconds, and reported by `/ready`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::engine::health::{Component, Health, HealthProblem};
use crate::server::App;
use crate::storage::DiskSpace;

/// How often journal and disk are probed.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long the scheduler may take for a turn before it counts as stuck.
const SCHEDULER_TIMEOUT: Duration = Duration::from_secs(60);
/// A disk with less room than this is nearly full: the journal and a few files must fit.
const MIN_FREE_BYTES: u64 = 32 << 20;

/// The parts without which a server is not ready. A problem of another part makes it degraded.
const NEEDED: [Component; 5] =
    [Component::Journal, Component::Disk, Component::Flows, Component::Scheduler, Component::Queue];

/// How ready a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ReadinessStatus {
    /// It does all of its work.
    Up,
    /// It works with exceptions: a flow that is broken, a backfill that cannot continue.
    Degraded,
    /// It cannot do its work.
    Down,
}

/// The state of one part.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReadinessCheck {
    pub name: Component,
    pub status: ReadinessStatus,
    /// What is wrong; left out for those who have no login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What `/ready` answers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Readiness {
    pub status: ReadinessStatus,
    pub checks: Vec<ReadinessCheck>,
    /// Flow files that are broken, what else is wrong with the folders, and why checks failed; left out for those who
    /// have no login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Diagnostic>>,
}

impl Readiness {
    /// The readiness now, with reasons if `may_know`.
    pub(super) fn of(app: &App, may_know: bool) -> Self {
        let problems_by_cause = app.executor.health().problems();
        let mut checks: Vec<ReadinessCheck> =
            NEEDED.iter().map(|part| check(*part, &problems_by_cause, ReadinessStatus::Down)).collect();
        let is_late = app.scheduler.last_turn().is_none_or(|last| last.elapsed() > SCHEDULER_TIMEOUT);
        for late in checks.iter_mut().filter(|check| is_late && check.name == Component::Scheduler) {
            late.status = ReadinessStatus::Down;
            late.problem.get_or_insert_with(|| "the triggers have not been checked within the last minute".to_owned());
        }
        let others = problems_by_cause.iter().flat_map(|cause| &cause.parts).filter(|part| !NEEDED.contains(part));
        checks.extend(others.map(|part| check(*part, &problems_by_cause, ReadinessStatus::Degraded)));
        let mut problems = problems(app);
        let has_errors = problems.iter().any(Diagnostic::is_error);
        let reasons = checks.iter().filter_map(|check| check.problem.as_ref()).cloned().collect::<BTreeSet<_>>();
        let is_new = |reason: &String| !problems.iter().any(|problem| problem.message == *reason);
        let reasons: Vec<String> = reasons.into_iter().filter(is_new).collect();
        problems.extend(reasons.into_iter().map(Diagnostic::error));
        let worst = checks.iter().map(|check| check.status).max_by_key(|status| *status as u8);
        let flows = if has_errors { ReadinessStatus::Degraded } else { ReadinessStatus::Up };
        let status = worst.unwrap_or(ReadinessStatus::Up);
        let status = if status == ReadinessStatus::Up { flows } else { status };
        if !may_know {
            checks.iter_mut().for_each(|check| check.problem = None);
        }
        Self { status, checks, problems: may_know.then_some(problems) }
    }
}

fn check(part: Component, causes: &[HealthProblem], bad: ReadinessStatus) -> ReadinessCheck {
    let problem = causes.iter().find(|cause| cause.parts.contains(&part)).map(|cause| cause.problem.clone());
    ReadinessCheck { name: part, status: if problem.is_some() { bad } else { ReadinessStatus::Up }, problem }
}

/// The findings of flows, their files and the server's own settings.
fn problems(app: &App) -> Vec<Diagnostic> {
    let broken = app.catalog.list().into_iter().filter(|entry| entry.is_broken);
    let of_flows = app.catalog.problems().into_iter().chain(broken.flat_map(|entry| entry.findings.clone()));
    of_flows.chain(app.warnings.iter().cloned()).collect()
}

fn note_disk(health: &Health, home: &Path, disk: io::Result<DiskSpace>) {
    let home = home.display();
    match disk {
        Ok(disk) if disk.lacks(MIN_FREE_BYTES) => {
            health.report_failure(Component::Disk, format!("the disk of {home} is nearly full"));
        }
        Ok(_) => health.report_success(Component::Disk),
        // Some systems do not say. A disk that is full is then noticed by the journal.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => health.report_success(Component::Disk),
        Err(error) => {
            health.report_failure(Component::Disk, format!("cannot determine the free space of {home}: {error}"))
        }
    }
}

/// Probes journal and disk until `shutdown`.
pub(super) async fn watch(app: Arc<App>, shutdown: CancellationToken) {
    let health = app.executor.health().clone();
    let mut probe = tokio::time::interval(CHECK_INTERVAL);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = probe.tick() => {}
        }
        let (executor, settings) = (app.executor.clone(), app.settings.clone());
        let probed = tokio::task::spawn_blocking(move || (executor.journal().probe(), DiskSpace::of(&settings.home)));
        match probed.await {
            Ok((journal, disk)) => {
                health.record(Component::Journal, journal);
                note_disk(&health, &app.settings.home, disk);
            }
            Err(error) => {
                health.report_failure(Component::Journal, format!("the probe of the journal panicked: {error}"))
            }
        }
        health.expire_recovered();
    }
}
