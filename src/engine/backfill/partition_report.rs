//! What is known of a flow's partitions: what the target holds, what ran last, and whether the source has changed since.

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::calendar::PartitionKey;
use super::last_runs::LastRuns;
use super::ledger_status::LedgerStatus;
use super::partition_run::{PartitionRun, Partitioned};
use super::status::PartitionStatus;
use crate::engine::{EngineError, Runner};
use crate::id::ExecutionId;
use crate::journal::Summary;
use crate::task::{Outputs, SourceVersion};

/// Sources that are asked at a time.
const MAX_CONCURRENT: usize = 8;

/// A partition and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionReport {
    /// The partition.
    pub partition: String,
    /// The date that it is for.
    pub date: DateTime<Utc>,
    /// How it stands: by the target's ledger if there is one, else by what ran last.
    #[serde(flatten)]
    pub status: PartitionStatus,
    /// A note: why a partition that ran is not loaded.
    pub note: Option<String>,
    /// When it was loaded.
    pub loaded: Option<DateTime<Utc>>,
    /// SHA-256 of the source that was loaded, in hex.
    pub sha256: Option<String>,
    /// The execution that loaded it, or the one that ran last.
    pub execution: Option<ExecutionId>,
    /// What the source offers now, once it was asked.
    pub source: Option<SourceChange>,
}

/// What a source offers, compared with what was loaded from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "source", content = "why", rename_all = "snake_case")]
pub enum SourceChange {
    /// The file that was loaded.
    Same,
    /// Another file: what tells it from the one that was loaded.
    Changed(String),
    /// A file that was not loaded yet.
    New,
    /// No file any more.
    Gone,
    /// No file yet.
    NotThere,
    /// It cannot be said: why.
    Unknown(String),
}

impl PartitionReport {
    /// A partition that the flow takes no execution for.
    pub(super) fn without_run(key: &PartitionKey, reason: String) -> Self {
        Self {
            partition: key.label.clone(),
            date: key.date,
            status: PartitionStatus::Skipped { reason },
            note: None,
            loaded: None,
            sha256: None,
            execution: None,
            source: None,
        }
    }
}

impl Runner {
    /// What is known of partitions; `last` is what ran of them, and `ledger_status` what their target says, where it could be
    /// asked.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn partition_report(
        &self,
        of: &Partitioned,
        runs: &[PartitionRun],
        last: &LastRuns,
        ledger_status: Option<&[LedgerStatus]>,
    ) -> Result<Vec<PartitionReport>, EngineError> {
        let known = |(place, run): (usize, &PartitionRun)| {
            let said = ledger_status.and_then(|all| all.get(place));
            self.known(run, last.of(of, run), said)
        };
        runs.iter().enumerate().map(known).collect()
    }

    fn known(
        &self,
        run: &PartitionRun,
        last: Option<&Summary>,
        ledger_status: Option<&LedgerStatus>,
    ) -> Result<PartitionReport, EngineError> {
        let status = last.map(|summary| self.status(summary)).transpose()?.unwrap_or(PartitionStatus::Waiting);
        let mut known = PartitionReport {
            partition: run.key.label.clone(),
            date: run.key.date,
            status,
            note: None,
            loaded: None,
            sha256: None,
            execution: last.map(|summary| summary.id.clone()),
            source: None,
        };
        match ledger_status {
            Some(LedgerStatus::In(rows, held)) => {
                known.status = PartitionStatus::Loaded { rows: *rows, already: false };
                known.loaded = Some(held.loaded_at);
                known.sha256 = Some(held.sha256.clone());
                known.execution = Some(ExecutionId::new(held.execution.clone()));
            }
            Some(LedgerStatus::Missing(note)) => {
                let ran = matches!(known.status, PartitionStatus::Loaded { .. });
                known.note = note.clone().or_else(|| ran.then(|| "ran, but the table does not hold it".to_owned()));
                if ran {
                    known.status = PartitionStatus::Waiting;
                }
            }
            Some(LedgerStatus::Unknown(_)) | None => {
                if let (PartitionStatus::Loaded { .. }, Some(summary)) = (&known.status, last) {
                    known.loaded = summary.ended;
                    known.sha256.clone_from(&self.ended_facts(summary)?.sha256);
                }
            }
        }
        Ok(known)
    }

    /// Asks the sources of partitions what they offer now, and compares that with what was noted when they were loaded.
    /// Nothing is downloaded.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn check_sources(
        &self,
        of: &Partitioned<'_>,
        runs: &[PartitionRun],
        known: &mut [PartitionReport],
    ) -> Result<(), EngineError> {
        let mut asking: Vec<BoxFuture<Result<SourceChange, EngineError>>> = Vec::with_capacity(runs.len());
        for (run, known) in runs.iter().zip(known.iter()) {
            asking.push(Box::pin(self.check_source(of, run, known)));
        }
        let changes: Vec<_> = futures_util::stream::iter(asking).buffered(MAX_CONCURRENT).collect().await;
        for (known, source_change) in known.iter_mut().zip(changes) {
            known.source = Some(source_change?);
        }
        Ok(())
    }

    async fn check_source(
        &self,
        of: &Partitioned<'_>,
        run: &PartitionRun,
        known: &PartitionReport,
    ) -> Result<SourceChange, EngineError> {
        let resolved = self.dry_run(of.flow, &run.hypothetical, |task| task.source.map(|source| source.fields)).await;
        let Some(first) = resolved.into_iter().next() else {
            return Ok(SourceChange::Unknown("no task of the flow downloads".to_owned()));
        };
        let (Some(source), Ok(fields)) = (first.step.task.source, first.fields) else {
            return Ok(SourceChange::Unknown("its address is only known when it runs".to_owned()));
        };
        let offer = match (source.probe)(fields, first.files, self.settings.clone()).await {
            Ok(offer) => offer,
            Err(error) => return Ok(SourceChange::Unknown(error.message)),
        };
        let is_in = matches!(known.status, PartitionStatus::Loaded { .. });
        let state = match &known.execution {
            Some(id) if is_in => self.journal.state(id)?,
            _ => None,
        };
        let noted = state.as_ref().and_then(|state| {
            let task = state.tasks.iter().find(|(run, _)| run.task() == first.step.id.as_str())?;
            Some(&task.1.outputs)
        });
        Ok(source_change(&offer, is_in, noted, known.sha256.as_deref()))
    }
}

/// What a source offers, compared with the outputs of its download, or else the checksum that the target's ledger has.
fn source_change(offer: &SourceVersion, is_in: bool, noted: Option<&Outputs>, sha256: Option<&str>) -> SourceChange {
    match (offer.exists, is_in) {
        (false, true) => return SourceChange::Gone,
        (false, false) => return SourceChange::NotThere,
        (true, false) => return SourceChange::New,
        (true, true) => {}
    }
    if let Some(found) = &offer.sha256 {
        let noted = noted.and_then(|outputs| outputs.get("sha256")?.as_str()).or(sha256);
        return match noted {
            Some(noted) if noted == found => SourceChange::Same,
            Some(_) => SourceChange::Changed("its content".to_owned()),
            None => SourceChange::Unknown("no checksum was recorded".to_owned()),
        };
    }
    let Some(noted) = noted else {
        return SourceChange::Unknown("the download is not in the journal".to_owned());
    };
    if let Some((now, then)) = offer.length.zip(noted.get("length").and_then(Value::as_u64)).filter(|(a, b)| a != b) {
        return SourceChange::Changed(format!("{then} bytes before, {now} now"));
    }
    let header = |name: &str| noted.get("headers")?.get(name)?.get(0)?.as_str();
    for name in ["etag", "last-modified"] {
        match (offer.headers.get(name), header(name)) {
            (Some(now), Some(then)) if now == then => return SourceChange::Same,
            (Some(now), Some(then)) => return SourceChange::Changed(format!("{name} {then} before, {now} now")),
            _ => {}
        }
    }
    SourceChange::Unknown(match (offer.headers.is_empty(), noted.get("source_uri").and_then(Value::as_str)) {
        (true, _) => "the server reports neither a version nor a time".to_owned(),
        (false, Some(from)) => format!("it was loaded from {from}, which reported neither a version nor a time"),
        (false, None) => "the loaded file had no version or time".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_tell_a_changed_file_from_the_one_that_was_loaded() {
        let offer = |length: u64, etag: Option<&str>| SourceVersion {
            exists: true,
            length: Some(length),
            headers: etag.map(|etag| ("etag".to_owned(), etag.to_owned())).into_iter().collect(),
            ..SourceVersion::default()
        };
        let noted = json!({"length": 10, "headers": {"etag": ["\"1\""]}}).as_object().cloned();
        let ask = |offer: &SourceVersion| source_change(offer, true, noted.as_ref(), None);
        assert_eq!(ask(&offer(10, Some("\"1\""))), SourceChange::Same);
        assert_eq!(ask(&offer(11, Some("\"1\""))), SourceChange::Changed("10 bytes before, 11 now".to_owned()));
        assert_eq!(ask(&offer(10, Some("\"2\""))), SourceChange::Changed("etag \"1\" before, \"2\" now".to_owned()));
        assert!(matches!(ask(&offer(10, None)), SourceChange::Unknown(_)));
        assert_eq!(ask(&SourceVersion::default()), SourceChange::Gone);
        assert_eq!(source_change(&offer(10, None), false, None, None), SourceChange::New);
        let local = SourceVersion { exists: true, sha256: Some("a".to_owned()), ..SourceVersion::default() };
        assert_eq!(source_change(&local, true, None, Some("a")), SourceChange::Same);
        assert_eq!(source_change(&local, true, None, Some("b")), SourceChange::Changed("its content".to_owned()));
    }
}
