//! Whether the server can do its work: looked at from time to time, and told to whoever asks `/ready`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::engine::health::{Health, HealthProblem, Part};
use crate::server::App;
use crate::storage::DiskSpace;

/// How often to look.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long the triggers may go without a look at them.
const SCHEDULER_TIMEOUT: Duration = Duration::from_secs(60);
/// A disk with less room than this is nearly full: the journal and a few files must fit.
const MIN_FREE_BYTES: u64 = 32 << 20;

/// The parts without which a server is not ready. What else is wrong makes it degraded.
const NEEDED: [Part; 5] = [Part::Journal, Part::Disk, Part::Flows, Part::Scheduler, Part::Queue];

/// How ready a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReadinessStatus {
    /// It does all of its work.
    Up,
    /// It does its work but for some: a flow that is broken, a backfill that cannot go on.
    Degraded,
    /// It cannot do its work.
    Down,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct ReadinessCheck {
    /// What.
    pub name: Part,
    /// How it is.
    pub status: ReadinessStatus,
    /// Why it is not well; left out for those who have no login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What `/ready` answers.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// How ready the server is.
    pub status: ReadinessStatus,
    /// What was looked at.
    pub checks: Vec<ReadinessCheck>,
    /// Flow files that are broken, what else is wrong with the folders, and why checks failed; left out for those who
    /// have no login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Diagnostic>>,
}

impl Readiness {
    /// How ready a server is now, with reasons for those who `may_know` them.
    pub fn of(app: &App, may_know: bool) -> Self {
        let troubles = app.executor.health().troubles();
        let mut checks: Vec<ReadinessCheck> =
            NEEDED.iter().map(|part| check(*part, &troubles, ReadinessStatus::Down)).collect();
        let is_late = app.scheduler.last_turn().is_none_or(|last| last.elapsed() > SCHEDULER_TIMEOUT);
        for late in checks.iter_mut().filter(|check| is_late && check.name == Part::Scheduler) {
            late.status = ReadinessStatus::Down;
            let never = || "the triggers have not been looked at yet, or not for a minute".to_owned();
            late.problem.get_or_insert_with(never);
        }
        let others = troubles.iter().flat_map(|trouble| &trouble.parts).filter(|part| !NEEDED.contains(part));
        checks.extend(others.map(|part| check(*part, &troubles, ReadinessStatus::Degraded)));
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

fn check(part: Part, troubles: &[HealthProblem], bad: ReadinessStatus) -> ReadinessCheck {
    let found = troubles.iter().find(|trouble| trouble.parts.contains(&part));
    let problem = found.map(|trouble| trouble.problem.clone());
    ReadinessCheck { name: part, status: if problem.is_some() { bad } else { ReadinessStatus::Up }, problem }
}

/// What is wrong with flows and their files, and with the server's own.
fn problems(app: &App) -> Vec<Diagnostic> {
    let broken = app.catalog.list().into_iter().filter(|entry| entry.is_broken);
    let of_flows = app.catalog.problems().into_iter().chain(broken.flat_map(|entry| entry.findings.clone()));
    of_flows.chain(app.warnings.iter().cloned()).collect()
}

fn note_disk(health: &Health, home: &Path, disk: io::Result<DiskSpace>) {
    let home = home.display();
    match disk {
        Ok(disk) if disk.lacks(MIN_FREE_BYTES) => {
            health.bad(Part::Disk, format!("the disk of {home} is nearly full"));
        }
        Ok(_) => health.good(Part::Disk),
        // Some systems do not say: then a disk that is full is noticed by the journal.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => health.good(Part::Disk),
        Err(error) => health.bad(Part::Disk, format!("the disk of {home} cannot be looked at: {error}")),
    }
}

/// Looks until it is told to stop.
pub async fn watch(app: Arc<App>, stop: CancellationToken) {
    let health = app.executor.health().clone();
    let mut look = tokio::time::interval(CHECK_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let probed = app.clone();
        // Off the threads that answer calls: a disk may take long.
        let looked = tokio::task::spawn_blocking(move || {
            (probed.executor.journal().probe(), DiskSpace::of(&probed.settings.home))
        });
        match looked.await {
            Ok((journal, disk)) => {
                health.note(Part::Journal, journal);
                note_disk(&health, &app.settings.home, disk);
            }
            Err(error) => health.bad(Part::Journal, format!("the look at the journal broke off: {error}")),
        }
        health.settle();
    }
}
