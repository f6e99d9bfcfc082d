//! Which partitions of a backfill run: how each stands before it, and whether it is wanted.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::presence::Presence;
use super::refusal::BackfillError;
use super::run::{PartitionRun, Partitioned};
use super::standing::Standing;
use crate::engine::Runner;
use crate::id::ExecutionId;
use crate::journal::{Only, Summary};
use crate::text::count;

/// A partition, how it stood, and whether it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The partition.
    pub partition: String,
    /// The moment that it is for.
    pub date: DateTime<Utc>,
    /// How it stands, in words.
    pub last: String,
    /// Its newest execution.
    pub execution: Option<ExecutionId>,
    /// Whether it runs.
    pub runs: bool,
    /// Why it does not.
    #[serde(skip)]
    pub skipped: Option<String>,
}

/// What a backfill would run.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Its partitions, the earliest first.
    pub choices: Vec<Choice>,
    /// Why the target cannot say what it holds, so that what ran before decides.
    pub unsure: Option<String>,
}

impl Preview {
    /// How many partitions run.
    pub fn runs(&self) -> usize {
        self.choices.iter().filter(|choice| choice.runs).count()
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
        only: Only,
    ) -> Result<Preview, BackfillError> {
        let newest = self.last_runs(of, runs)?;
        let presence = match only {
            Only::Missing => Some(self.presence(of.flow, runs).await.map_err(BackfillError::Target)?),
            Only::All | Only::Failed => None,
        };
        let mut choices = Vec::with_capacity(runs.len());
        for (place, run) in runs.iter().enumerate() {
            let known = presence.as_ref().and_then(|all| all.get(place));
            choices.push(self.choice(run, newest.get(&run.slot.label), known, only)?);
        }
        Ok(Preview { choices, unsure: presence.iter().flatten().find_map(unknown).cloned() })
    }

    fn choice(
        &self,
        run: &PartitionRun,
        newest: Option<&Summary>,
        known: Option<&Presence>,
        only: Only,
    ) -> Result<Choice, BackfillError> {
        let standing = newest.map(|summary| self.standing(summary)).transpose()?.unwrap_or(Standing::Waiting);
        let (last, skipped) = match known {
            Some(Presence::In(rows, held)) => (
                format!("loaded on {}: {}", day(held.loaded_at), count(*rows, "row")),
                Some("already loaded".to_owned()),
            ),
            Some(Presence::Missing(note)) => (note.clone().unwrap_or_else(|| absent(&standing)), None),
            Some(Presence::Unknown(_)) | None => {
                let when = newest.and_then(|summary| summary.ended).map(|time| format!(" on {}", day(time)));
                (standing.to_string() + &when.unwrap_or_default(), skip(only, &standing))
            }
        };
        Ok(Choice {
            partition: run.slot.label.clone(),
            date: run.slot.date,
            last,
            execution: newest.map(|summary| summary.id.clone()),
            runs: skipped.is_none(),
            skipped,
        })
    }
}

fn unknown(presence: &Presence) -> Option<&String> {
    match presence {
        Presence::Unknown(why) => Some(why),
        _ => None,
    }
}

fn absent(standing: &Standing) -> String {
    match standing {
        Standing::Failed { .. } | Standing::Stopped | Standing::Running => format!("not loaded; {standing}"),
        Standing::Loaded { .. } => "ran, but not loaded".to_owned(),
        _ => "not loaded".to_owned(),
    }
}

/// Why a partition does not run, by what ran before.
fn skip(only: Only, standing: &Standing) -> Option<String> {
    let is_wanted = match (only, standing) {
        (Only::All, _) | (_, Standing::Failed { .. } | Standing::Stopped) => true,
        (Only::Failed, _) | (Only::Missing, Standing::Loaded { .. }) => false,
        (Only::Missing, _) => true,
    };
    let reason = if only == Only::Failed { "did not fail" } else { "has run" };
    (!is_wanted).then(|| reason.to_owned())
}

/// How a partition stands, in words.
impl fmt::Display for Standing {
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
