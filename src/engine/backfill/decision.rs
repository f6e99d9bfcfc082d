//! Which partitions of a backfill run: the status of each before it, and whether it is selected.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::BackfillError;
use super::ledger_status::LedgerStatus;
use super::partition_run::{PartitionRun, Partitioned};
use super::status::PartitionStatus;
use crate::engine::Runner;
use crate::id::ExecutionId;
use crate::journal::{PartitionFilter, Summary};
use crate::text::count;

/// A partition, how it stood, and whether it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionDecision {
    /// The partition.
    pub partition: String,
    /// The date that it is for.
    pub date: DateTime<Utc>,
    /// Its state, in words.
    pub last: String,
    /// Its latest execution.
    pub execution: Option<ExecutionId>,
    /// Whether it runs.
    pub runs: bool,
    /// Why it does not.
    #[serde(skip)]
    pub skipped: Option<String>,
}

/// What a backfill would run.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillPlan {
    /// Its partitions, the earliest first.
    pub decisions: Vec<PartitionDecision>,
    /// Why the content of the target could not be read, so that earlier executions decide.
    pub unsure: Option<String>,
}

impl BackfillPlan {
    /// The number of partitions to run.
    pub fn runs(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.runs).count()
    }
}

impl Runner {
    /// Looks at every partition and decides which of them run.
    ///
    /// # Errors
    /// When the journal cannot be read, or the target cannot be asked.
    pub(super) async fn choose(
        &self,
        of: &Partitioned<'_>,
        runs: &[PartitionRun],
        only: PartitionFilter,
    ) -> Result<BackfillPlan, BackfillError> {
        let newest = runs.first().map(|first| self.last_runs(of, &first.key)).transpose()?;
        let ledger_status = match only {
            PartitionFilter::Missing => Some(self.ledger_status(of, runs).await.map_err(BackfillError::Target)?),
            PartitionFilter::All | PartitionFilter::Failed => None,
        };
        let mut decisions = Vec::with_capacity(runs.len());
        for (place, run) in runs.iter().enumerate() {
            let known = ledger_status.as_ref().and_then(|all| all.get(place));
            decisions.push(self.decision(run, newest.as_ref().and_then(|all| all.of(of, run)), known, only)?);
        }
        Ok(BackfillPlan { decisions, unsure: ledger_status.iter().flatten().find_map(unknown).cloned() })
    }

    fn decision(
        &self,
        run: &PartitionRun,
        newest: Option<&Summary>,
        known: Option<&LedgerStatus>,
        only: PartitionFilter,
    ) -> Result<PartitionDecision, BackfillError> {
        let status = newest.map(|summary| self.status(summary)).transpose()?.unwrap_or(PartitionStatus::Waiting);
        let (last, skipped) = match known {
            Some(LedgerStatus::In(rows, held)) => (
                format!("loaded on {}: {}", day(held.loaded_at), count(*rows, "row")),
                Some("already loaded".to_owned()),
            ),
            Some(LedgerStatus::Missing(note)) => (note.clone().unwrap_or_else(|| absent(&status)), None),
            Some(LedgerStatus::Unknown(_)) | None => {
                let when = newest.and_then(|summary| summary.ended).map(|time| format!(" on {}", day(time)));
                (status.to_string() + &when.unwrap_or_default(), skip(only, &status))
            }
        };
        Ok(PartitionDecision {
            partition: run.key.label.clone(),
            date: run.key.date,
            last,
            execution: newest.map(|summary| summary.id.clone()),
            runs: skipped.is_none(),
            skipped,
        })
    }
}

fn unknown(ledger_status: &LedgerStatus) -> Option<&String> {
    match ledger_status {
        LedgerStatus::Unknown(why) => Some(why),
        _ => None,
    }
}

fn absent(status: &PartitionStatus) -> String {
    match status {
        PartitionStatus::Failed { .. } | PartitionStatus::Stopped | PartitionStatus::Running => {
            format!("not loaded; {status}")
        }
        PartitionStatus::Loaded { .. } => "ran, but not loaded".to_owned(),
        _ => "not loaded".to_owned(),
    }
}

/// Why a partition does not run, by what ran before.
fn skip(only: PartitionFilter, status: &PartitionStatus) -> Option<String> {
    let is_wanted = match (only, status) {
        (PartitionFilter::All, _) | (_, PartitionStatus::Failed { .. } | PartitionStatus::Stopped) => true,
        (PartitionFilter::Failed, _) | (PartitionFilter::Missing, PartitionStatus::Loaded { .. }) => false,
        (PartitionFilter::Missing, _) => true,
    };
    let reason = if only == PartitionFilter::Failed { "did not fail" } else { "has run" };
    (!is_wanted).then(|| reason.to_owned())
}

/// How a partition stands, in words.
impl fmt::Display for PartitionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("never ran"),
            Self::Running => f.write_str("running"),
            Self::Loaded { already: true, .. } => f.write_str("already loaded"),
            Self::Loaded { rows: 0, .. } => f.write_str("done, no rows"),
            Self::Loaded { rows, .. } => write!(f, "loaded {}", count(*rows, "row")),
            Self::Failed { reason, .. } => write!(f, "failed: {reason}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Skipped { reason } => f.write_str(reason),
        }
    }
}

fn day(time: DateTime<Utc>) -> String {
    time.with_timezone(&chrono::Local).format("%Y-%m-%d").to_string()
}
