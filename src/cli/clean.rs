//! `jitney clean`

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::format::bytes;
use crate::cli::out::{errln, outln};
use crate::cli::server::is_served;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::clock;
use crate::config::Settings;
use crate::duration::DurationSpec;
use crate::engine::leftovers;
use crate::journal::{Journal, JournalError, release_reserve};
use crate::server::retention::{HomeUsage, RemovedCounts, Retention, size};
use crate::server::settings::ServerSettings;

#[derive(Args)]
pub(super) struct Arguments {
    /// Remove the files of executions that ended longer ago than this, such as 7d or 12h; a failed execution cannot be
    /// resumed without them [default: `retention.files` in jitney.yaml, else 7d]
    #[arg(long, value_name = "DURATION")]
    older_than: Option<DurationSpec>,
    /// Show what would be removed without removing it
    #[arg(long)]
    dry_run: bool,
    /// The settings file with the `retention` rules [default: jitney.yaml here or in the home folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was removed, or would be removed.
#[derive(Debug, Default, Serialize)]
struct CleanReport {
    /// Executions whose files were removed.
    files_of: usize,
    /// Executions that were removed.
    executions: usize,
    /// Log lines of executions that are kept.
    log_lines: usize,
    /// Folders that tasks or uploads of dead processes left behind.
    leftovers: usize,
    /// Locks of dead processes.
    locks: usize,
    /// Bytes that were freed.
    bytes: u64,
    /// Whether nothing was removed.
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let mut retention = ServerSettings::load(arguments.config.as_deref(), settings).map_err(InvalidFlow)?.retention;
    retention.files = arguments.older_than.unwrap_or(retention.files);
    let now = clock::now();
    let report =
        if arguments.dry_run { preview(&retention, settings, now)? } else { clean(&retention, settings, now)? };
    if arguments.json {
        outln!("{}", serde_json::json!(report));
    } else {
        errln!("{}", report.summary());
    }
    Ok(ExitStatus::Ok)
}

/// What would be removed.
fn preview(retention: &Retention, settings: &Settings, now: DateTime<Utc>) -> anyhow::Result<CleanReport> {
    let journal = Journal::open_to_read(&settings.journal())?;
    let unwanted = retention.unwanted(&journal, settings, now)?;
    let leftovers = all_leftovers(settings, &journal)?;
    let of_files: u64 = unwanted.iter().map(|(_, bytes)| bytes).sum();
    Ok(CleanReport {
        files_of: unwanted.len(),
        executions: journal.count_ended_before(retention.executions_cutoff(now))?,
        log_lines: journal.count_logs_before(retention.logs_cutoff(now))?,
        locks: leftovers::dead_locks(settings).len(),
        bytes: of_files + leftovers.iter().map(|path| size(path)).sum::<u64>(),
        leftovers: leftovers.len(),
        dry_run: true,
    })
}

/// Removes files first: on a full disk, nothing else can be removed first.
fn clean(retention: &Retention, settings: &Settings, now: DateTime<Utc>) -> anyhow::Result<CleanReport> {
    let stop = CancellationToken::new();
    let mut report = CleanReport::default();
    {
        let journal = Journal::open_to_read(&settings.journal())?;
        let removed = retention.sweep_files(&journal, settings, now, &stop)?;
        (report.files_of, report.bytes) = (removed.files_of, removed.bytes);
        removed.problem.iter().for_each(|problem| errln!("warning: {problem}"));
        for path in all_leftovers(settings, &journal)? {
            let bytes = size(&path);
            if remove(&path) {
                report.leftovers += 1;
                report.bytes += bytes;
            }
        }
        report.locks = leftovers::remove_dead_locks(settings);
    }
    let before = HomeUsage::of(settings).journal;
    let removed = match sweep_journal(retention, settings, now, false) {
        // Removing rows needs a little space, too.
        Err(error) if matches!(error.kind(), JournalError::Full) && release_reserve(&settings.journal()) => {
            sweep_journal(retention, settings, now, true)
        }
        removed => removed,
    }?;
    (report.executions, report.log_lines) = (removed.executions, removed.log_lines);
    report.bytes += removed.bytes;
    report.bytes += before.saturating_sub(HomeUsage::of(settings).journal);
    Ok(report)
}

fn sweep_journal(
    retention: &Retention,
    settings: &Settings,
    now: DateTime<Utc>,
    is_disk_full: bool,
) -> Result<RemovedCounts, JournalError> {
    let journal = Journal::open(&settings.journal())?;
    if is_disk_full {
        journal.limit_memory()?;
    }
    let removed = retention.sweep(&journal, settings, now, &CancellationToken::new())?;
    // Shrinking makes other writers wait and needs space for a copy.
    if removed.executions + removed.log_lines > 0 && !is_served(settings) {
        // Even if the file cannot be made smaller, the space inside it is free.
        let _ = journal.shrink();
    }
    Ok(removed)
}

fn all_leftovers(settings: &Settings, journal: &Journal) -> Result<Vec<PathBuf>, JournalError> {
    let mut found = leftovers::old_work(settings, journal)?;
    if !is_served(settings) {
        found.extend(leftovers::old_uploads(settings));
    }
    Ok(found)
}

fn remove(path: &Path) -> bool {
    if path.is_dir() { std::fs::remove_dir_all(path).is_ok() } else { std::fs::remove_file(path).is_ok() }
}

impl CleanReport {
    fn summary(&self) -> String {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{number} {many}")),
        };
        let parts = [
            count(self.files_of, "execution's files", "executions' files"),
            count(self.executions, "old execution", "old executions"),
            count(self.log_lines, "old log line", "old log lines"),
            count(self.leftovers, "leftover folder", "leftover folders"),
            count(self.locks, "lock of a dead process", "locks of dead processes"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match (parts.is_empty(), self.dry_run) {
            (true, _) => "Nothing to clean.".to_owned(),
            (false, true) => format!("Would free {}: {}.", bytes(self.bytes), parts.join(", ")),
            (false, false) => format!("Freed {}: {}.", bytes(self.bytes), parts.join(", ")),
        }
    }
}
