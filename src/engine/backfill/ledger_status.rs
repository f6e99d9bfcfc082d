//! What the flow's targets hold of its partitions, by the word of their ledgers.

use serde_json::Value;

use super::partition_run::{PartitionRun, Partitioned};
use crate::engine::Runner;
use crate::file_access::FileAccess;
use crate::task::{Ledger, LedgerAnswer, LoadRecord, TaskError};

/// What the targets hold of one partition.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerStatus {
    /// All of it: the rows, and the newest of its loads.
    In(u64, LoadRecord),
    /// Nothing, or not all, with a word about it if there is something to say.
    Missing(Option<String>),
    /// It cannot be known from a ledger: why.
    Unknown(String),
}

struct LedgerQuery {
    /// The partition's place.
    place: usize,
    ledger: Ledger,
    name: &'static str,
    fields: Value,
    files: FileAccess,
}

impl Runner {
    /// Asks the ledgers of the flow's targets for these partitions. Nothing is run for it.
    ///
    /// # Errors
    /// When a target cannot be asked.
    pub async fn ledger_status(
        &self,
        of: &Partitioned<'_>,
        runs: &[PartitionRun],
    ) -> Result<Vec<LedgerStatus>, TaskError> {
        let flow = of.flow;
        let none = || LedgerStatus::Unknown("no task of the flow loads into a target with a ledger".to_owned());
        if !flow.all_steps().iter().any(|step| step.task.ledger.is_some()) {
            return Ok(runs.iter().map(|_| none()).collect());
        }
        let mut answers: Vec<Option<LedgerStatus>> = vec![None; runs.len()];
        let mut asked: Vec<LedgerQuery> = Vec::new();
        for (place, run) in runs.iter().enumerate() {
            for resolved in self.dry_run(flow, &run.hypothetical, |task| task.ledger.map(|ledger| ledger.fields)).await
            {
                let (step, Some(ledger)) = (resolved.step, resolved.step.task.ledger) else { continue };
                match resolved.fields {
                    Ok(fields) => {
                        let files = resolved.files;
                        asked.push(LedgerQuery { place, ledger, name: step.task.name, fields, files });
                    }
                    Err(why) => {
                        let why = format!("what `{}` loads is only known when it runs: {why}", step.id);
                        answers[place] = Some(merge(answers[place].take(), LedgerStatus::Unknown(why)));
                    }
                }
            }
        }
        while let Some(name) = asked.first().map(|asked| asked.name) {
            let (same, others): (Vec<LedgerQuery>, Vec<LedgerQuery>) =
                asked.into_iter().partition(|asked| asked.name == name);
            asked = others;
            let Some(ledger) = same.first().map(|asked| asked.ledger) else { break };
            let loads = same.iter().map(|asked| (asked.fields.clone(), asked.files.clone())).collect();
            let found = (ledger.probe)(loads, self.settings.clone()).await?;
            for (asked, holding) in same.iter().zip(found) {
                let ledger_status = match holding {
                    LedgerAnswer::Held(held) => LedgerStatus::In(held.rows, held),
                    LedgerAnswer::Missing(note) => LedgerStatus::Missing(note),
                    LedgerAnswer::Unknown(why) => LedgerStatus::Unknown(why),
                };
                answers[asked.place] = Some(merge(answers[asked.place].take(), ledger_status));
            }
        }
        let fixed = match runs.first() {
            Some(first) => self.fixed_load(of, first).await,
            None => None,
        };
        let status = |answer: Option<LedgerStatus>| match (answer.unwrap_or_else(none), &fixed) {
            // The ledger has one entry, which is not of this partition more than of any other.
            (LedgerStatus::In(..), Some(step)) => {
                LedgerStatus::Unknown(format!("`{step}` loads the same for every date"))
            }
            (status, _) => status,
        };
        Ok(answers.into_iter().map(status).collect())
    }
}

/// A partition is in when all of its loads are.
fn merge(first: Option<LedgerStatus>, second: LedgerStatus) -> LedgerStatus {
    match (first, second) {
        (None, other) => other,
        (Some(LedgerStatus::Missing(note)), _) | (_, LedgerStatus::Missing(note)) => LedgerStatus::Missing(note),
        (Some(LedgerStatus::Unknown(why)), _) | (_, LedgerStatus::Unknown(why)) => LedgerStatus::Unknown(why),
        (Some(LedgerStatus::In(rows, held)), LedgerStatus::In(more, other)) => {
            let newest = if held.loaded_at > other.loaded_at { held } else { other };
            LedgerStatus::In(rows + more, newest)
        }
    }
}
