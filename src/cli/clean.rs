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

/// What was removed, or would be.
#[derive(Debug, Default, Serialize)]
struct CleanReport {
    /// Executions whose files were removed.
    files_of: usize,
    /// Executions that were forgotten.
    executions: usize,
    /// Log lines of executions that are kept.
    log_lines: usize,
    /// Folders that tasks or calls of dead processes left.
    leftovers: usize,
    /// Locks of dead processes.
    locks: usize,
    /// Bytes that are free now.
    bytes: u64,
    /// Whether it only says what would be.
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let mut retention = ServerSettings::load(arguments.config.as_deref(), settings).map_err(InvalidFlow)?.retention;
    retention.files = arguments.older_than.unwrap_or(retention.files);
    let now = clock::now();
    let cleaned = if arguments.dry_run { look(&retention, settings, now)? } else { clean(&retention, settings, now)? };
    if arguments.json {
        outln!("{}", serde_json::json!(cleaned));
    } else {
        errln!("{}", cleaned.told());
    }
    Ok(ExitStatus::Ok)
}

/// What would be removed.
fn look(retention: &Retention, settings: &Settings, now: DateTime<Utc>) -> anyhow::Result<CleanReport> {
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

/// Removes files first: a full disk lets nothing else be removed.
fn clean(retention: &Retention, settings: &Settings, now: DateTime<Utc>) -> anyhow::Result<CleanReport> {
    let stop = CancellationToken::new();
    let mut cleaned = CleanReport::default();
    {
        let journal = Journal::open_to_read(&settings.journal())?;
        let swept = retention.sweep_files(&journal, settings, now, &stop)?;
        (cleaned.files_of, cleaned.bytes) = (swept.files_of, swept.bytes);
        swept.problem.iter().for_each(|problem| errln!("warning: {problem}"));
        for path in all_leftovers(settings, &journal)? {
            let bytes = size(&path);
            if remove(&path) {
                cleaned.leftovers += 1;
                cleaned.bytes += bytes;
            }
        }
        cleaned.locks = leftovers::remove_dead_locks(settings);
    }
    let before = HomeUsage::of(settings).journal;
    let swept = match sweep_journal(retention, settings, now, false) {
        // Removing needs a little room, too.
        Err(error) if matches!(error.kind(), JournalError::Full) && release_reserve(&settings.journal()) => {
            sweep_journal(retention, settings, now, true)
        }
        swept => swept,
    }?;
    (cleaned.executions, cleaned.log_lines) = (swept.executions, swept.log_lines);
    cleaned.bytes += swept.bytes;
    cleaned.bytes += before.saturating_sub(HomeUsage::of(settings).journal);
    Ok(cleaned)
}

fn sweep_journal(
    retention: &Retention,
    settings: &Settings,
    now: DateTime<Utc>,
    has_little_room: bool,
) -> Result<RemovedCounts, JournalError> {
    let journal = Journal::open(&settings.journal())?;
    if has_little_room {
        journal.limit_memory()?;
    }
    let swept = retention.sweep(&journal, settings, now, &CancellationToken::new())?;
    // What others write meanwhile would have to wait, and it needs room for a copy.
    if swept.executions + swept.log_lines > 0 && !is_served(settings) {
        // The room is free within the file even where it cannot be made smaller.
        let _ = journal.shrink();
    }
    Ok(swept)
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
    fn told(&self) -> String {
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
