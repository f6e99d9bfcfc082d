//! Retention: how long executions, logs and files are kept, so that a server does not fill its disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Settings;
use crate::duration::DurationSpec;
use crate::id::ExecutionId;
use crate::journal::{Journal, JournalError};
use crate::server::access::sweep_sessions;

/// How long what has run is kept. Executions that have not ended are never touched.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Retention {
    /// Executions with all their events; a year by default.
    #[serde(default = "a_year")]
    pub executions: DurationSpec,
    /// Their log lines; 90 days by default.
    #[serde(default = "ninety_days")]
    pub logs: DurationSpec,
    /// The files of their tasks; 7 days by default.
    #[serde(default = "seven_days")]
    pub files: DurationSpec,
    /// Rows of the audit log; a year by default.
    #[serde(default = "a_year")]
    pub audit: DurationSpec,
    /// How much the files may take in all, such as `20GB`; the oldest go first. Without it any amount.
    pub disk: Option<ByteSize>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { executions: a_year(), logs: ninety_days(), files: seven_days(), audit: a_year(), disk: None }
    }
}

fn days(days: u64) -> DurationSpec {
    DurationSpec(Duration::from_secs(days * 86_400))
}

fn a_year() -> DurationSpec {
    days(365)
}

fn ninety_days() -> DurationSpec {
    days(90)
}

fn seven_days() -> DurationSpec {
    days(7)
}

/// An amount of bytes, read from text such as `500MB` or `20GB`, in powers of 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct ByteSize(pub u64);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size = crate::text::bytes(&text).map(Self);
        size.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a size; write for example 500MB or 20GB")))
    }
}

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RemovedCounts {
    /// Executions, with their events, logs and files.
    pub executions: usize,
    /// Log lines of executions that are kept.
    pub log_lines: usize,
    /// Executions whose files were removed.
    pub files_of: usize,
    /// Bytes of files.
    pub bytes: u64,
    /// Why some files could not be removed; the next sweep tries again.
    pub problem: Option<String>,
}

/// What the home folder takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HomeUsage {
    /// The journal.
    pub journal: u64,
    /// The files of tasks.
    pub files: u64,
}

impl HomeUsage {
    /// Measures it.
    pub fn of(settings: &Settings) -> Self {
        let journal = settings.journal();
        let file = |end: &str| journal.with_file_name(format!("journal.db{end}"));
        let journal = ["", "-wal", "-shm"].iter().map(|end| size(&file(end))).sum();
        Self { journal, files: size(&settings.storage()) }
    }
}

impl Retention {
    /// Removes what is too old or too much, in small transactions, until `stop`. What is left then, and files that cannot be
    /// removed, are up to the next sweep.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn sweep(
        &self,
        journal: &Journal,
        settings: &Settings,
        now: DateTime<Utc>,
        stop: &CancellationToken,
    ) -> Result<RemovedCounts, JournalError> {
        // Files first: on a full disk SQLite cannot delete anything.
        let mut swept = self.sweep_files(journal, settings, now, stop)?;
        // Then log lines, a few at a time: deleting an execution with many of them takes more room than there may be.
        swept.log_lines = journal.delete_logs_before(self.logs_cutoff(now), || stop.is_cancelled())?;
        journal.delete_audit_before(before(now, self.audit))?;
        sweep_sessions(journal, now)?;
        while !stop.is_cancelled() {
            let removed = journal.delete_ended_before(self.executions_cutoff(now))?;
            if removed.is_empty() {
                break;
            }
            swept.executions += removed.len();
            for id in &removed {
                let bytes = size(&settings.storage().join(id.as_str()));
                swept.remove_files(settings, id, bytes);
            }
        }
        Ok(swept)
    }

    /// Removes the files that are too old or too many. The journal is only read.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn sweep_files(
        &self,
        journal: &Journal,
        settings: &Settings,
        now: DateTime<Utc>,
        stop: &CancellationToken,
    ) -> Result<RemovedCounts, JournalError> {
        let mut swept = RemovedCounts::default();
        for (id, bytes) in self.unwanted(journal, settings, now)? {
            if stop.is_cancelled() {
                break;
            }
            if swept.remove_files(settings, &id, bytes) {
                swept.files_of += 1;
            }
        }
        Ok(swept)
    }

    /// The executions whose files are to be removed, with their size in bytes.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unwanted(
        &self,
        journal: &Journal,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<Vec<(ExecutionId, u64)>, JournalError> {
        let (mut unwanted, mut kept) = (Vec::new(), Vec::new());
        for (id, folder) in folders(settings) {
            let bytes = size(&folder);
            match journal.ended(&id)? {
                Some(Some(ended)) if ended < before(now, self.files) => unwanted.push((id, bytes)),
                Some(Some(_)) => kept.push((id, bytes)),
                // No execution knows it. A recent one may belong to an execution that is just being created.
                None if modified(&folder) < Some(before(now, self.files)) => unwanted.push((id, bytes)),
                _ => {}
            }
        }
        unwanted.extend(self.over_limit(kept));
        Ok(unwanted)
    }

    /// Executions that ended before this are deleted.
    pub(crate) fn executions_cutoff(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        before(now, self.executions)
    }

    /// Log lines that were written before this are deleted.
    pub(crate) fn logs_cutoff(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        before(now, self.logs)
    }

    /// The oldest of these whose removal brings the others within the limit.
    fn over_limit(&self, mut kept: Vec<(ExecutionId, u64)>) -> Vec<(ExecutionId, u64)> {
        let Some(ByteSize(limit)) = self.disk else { return Vec::new() };
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, bytes)| bytes).sum();
        let is_over = |(_, bytes): &(ExecutionId, u64)| {
            let is_over = total > limit;
            total -= bytes;
            is_over
        };
        kept.into_iter().take_while(is_over).collect()
    }
}

fn before(now: DateTime<Utc>, span: DurationSpec) -> DateTime<Utc> {
    let span = TimeDelta::from_std(span.0).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The folders of stored files, one for each execution.
fn folders(settings: &Settings) -> impl Iterator<Item = (ExecutionId, PathBuf)> {
    let entries = settings.storage().read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((ExecutionId::new(entry.file_name().into_string().ok()?), entry.path())))
}

fn modified(path: &Path) -> Option<DateTime<Utc>> {
    path.symlink_metadata().and_then(|found| found.modified()).ok().map(clock::at)
}

impl RemovedCounts {
    /// Removes an execution's files and counts their `bytes`; whether they are gone. The next sweep finds what is left.
    fn remove_files(&mut self, settings: &Settings, id: &ExecutionId, bytes: u64) -> bool {
        let folder = settings.storage().join(id.as_str());
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => self.bytes += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                self.problem.get_or_insert_with(|| format!("cannot remove the files of {}: {error}", folder.display()));
                return false;
            }
        }
        true
    }
}

/// The size of a file, or of all files below a folder. What is removed meanwhile counts as empty.
pub(crate) fn size(path: &Path) -> u64 {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let entries = path.read_dir().into_iter().flatten().flatten();
            entries.map(|entry| size(&entry.path())).sum()
        }
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}
