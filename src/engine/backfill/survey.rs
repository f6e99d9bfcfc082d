//! What is known of a flow's partitions: what the target holds, what ran last, and whether the source has changed since.

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::presence::Presence;
use super::run::{PartitionRun, Partitioned};
use super::standing::Standing;
use crate::engine::{EngineError, Runner};
use crate::id::ExecutionId;
use crate::journal::{State, Summary};
use crate::task::{Offer, Outputs};

/// Sources that are asked at a time.
const AT_ONCE: usize = 8;

/// A partition and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Known {
    /// The partition.
    pub partition: String,
    /// The moment that it is for.
    pub date: DateTime<Utc>,
    /// How it stands: by the target's ledger if there is one, else by what ran last.
    #[serde(flatten)]
    pub standing: Standing,
    /// What there is to say beside: why a partition that ran is not in.
    pub note: Option<String>,
    /// When it was loaded.
    pub loaded: Option<DateTime<Utc>>,
    /// SHA-256 of the source that was loaded, in hex.
    pub sha256: Option<String>,
    /// The execution that loaded it, or the one that ran last.
    pub execution: Option<ExecutionId>,
    /// What the source offers now, once it was asked.
    pub source: Option<Verdict>,
}

/// What a source offers, beside what was loaded from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "source", content = "why", rename_all = "snake_case")]
pub enum Verdict {
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

impl Runner {
    /// What is known of partitions; `presence` is what their target says, where it could be asked.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn survey(
        &self,
        of: &Partitioned,
        runs: &[PartitionRun],
        presence: Option<&[Presence]>,
    ) -> Result<Vec<Known>, EngineError> {
        let last = self.last_runs(of, runs)?;
        let known = |(place, run): (usize, &PartitionRun)| {
            let said = presence.and_then(|all| all.get(place));
            self.known(run, last.get(&run.slot.label), said)
        };
        runs.iter().enumerate().map(known).collect()
    }

    fn known(
        &self,
        run: &PartitionRun,
        last: Option<&Summary>,
        presence: Option<&Presence>,
    ) -> Result<Known, EngineError> {
        let standing = last.map(|summary| self.standing(summary)).transpose()?.unwrap_or(Standing::Waiting);
        let mut known = Known {
            partition: run.slot.label.clone(),
            date: run.slot.date,
            standing,
            note: None,
            loaded: None,
            sha256: None,
            execution: last.map(|summary| summary.id.clone()),
            source: None,
        };
        match presence {
            Some(Presence::In(rows, held)) => {
                known.standing = Standing::Loaded { rows: *rows, already: false };
                known.loaded = Some(held.loaded_at);
                known.sha256 = Some(held.sha256.clone());
                known.execution = Some(ExecutionId::new(held.execution.clone()));
            }
            Some(Presence::Missing(note)) => {
                let ran = matches!(known.standing, Standing::Loaded { .. });
                known.note = note.clone().or_else(|| ran.then(|| "ran, but the table does not hold it".to_owned()));
                if ran {
                    known.standing = Standing::Waiting;
                }
            }
            Some(Presence::Unknown(_)) | None => {
                if let (Standing::Loaded { .. }, Some(summary)) = (&known.standing, last) {
                    known.loaded = summary.ended;
                    known.sha256 = self.journal.state(&summary.id)?.as_ref().and_then(downloaded_sha256);
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
        known: &mut [Known],
    ) -> Result<(), EngineError> {
        let mut asking: Vec<BoxFuture<Result<Verdict, EngineError>>> = Vec::with_capacity(runs.len());
        for (run, known) in runs.iter().zip(known.iter()) {
            asking.push(Box::pin(self.check_source(of, run, known)));
        }
        let verdicts: Vec<_> = futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await;
        for (known, verdict) in known.iter_mut().zip(verdicts) {
            known.source = Some(verdict?);
        }
        Ok(())
    }

    async fn check_source(
        &self,
        of: &Partitioned<'_>,
        run: &PartitionRun,
        known: &Known,
    ) -> Result<Verdict, EngineError> {
        let foreseen = self.foresee(of.flow, &run.possible, |task| task.source.map(|source| source.fields)).await;
        let Some(first) = foreseen.into_iter().next() else {
            return Ok(Verdict::Unknown("no task of the flow downloads".to_owned()));
        };
        let (Some(source), Ok(fields)) = (first.step.task.source, first.fields) else {
            return Ok(Verdict::Unknown("its address is known only when it runs".to_owned()));
        };
        let offer = match (source.look)(fields, first.files, self.settings.clone()).await {
            Ok(offer) => offer,
            Err(error) => return Ok(Verdict::Unknown(error.message)),
        };
        let is_in = matches!(known.standing, Standing::Loaded { .. });
        let state = match &known.execution {
            Some(id) if is_in => self.journal.state(id)?,
            _ => None,
        };
        let noted = state.as_ref().and_then(|state| {
            let task = state.tasks.iter().find(|(run, _)| run.task() == first.step.id.as_str())?;
            Some(&task.1.outputs)
        });
        Ok(verdict(&offer, is_in, noted, known.sha256.as_deref()))
    }
}

/// What a source offers, beside the outputs that its download gave, or else the checksum that the target's ledger has.
fn verdict(offer: &Offer, is_in: bool, noted: Option<&Outputs>, sha256: Option<&str>) -> Verdict {
    match (offer.exists, is_in) {
        (false, true) => return Verdict::Gone,
        (false, false) => return Verdict::NotThere,
        (true, false) => return Verdict::New,
        (true, true) => {}
    }
    if let Some(found) = &offer.sha256 {
        let noted = noted.and_then(|outputs| outputs.get("sha256")?.as_str()).or(sha256);
        return match noted {
            Some(noted) if noted == found => Verdict::Same,
            Some(_) => Verdict::Changed("its content".to_owned()),
            None => Verdict::Unknown("no checksum was noted".to_owned()),
        };
    }
    let Some(noted) = noted else {
        return Verdict::Unknown("the journal does not know the download".to_owned());
    };
    if let Some((now, then)) = offer.length.zip(noted.get("length").and_then(Value::as_u64)).filter(|(a, b)| a != b) {
        return Verdict::Changed(format!("{then} bytes then, {now} now"));
    }
    let header = |name: &str| noted.get("headers")?.get(name)?.get(0)?.as_str();
    for name in ["etag", "last-modified"] {
        match (offer.headers.get(name), header(name)) {
            (Some(now), Some(then)) if now == then => return Verdict::Same,
            (Some(now), Some(then)) => return Verdict::Changed(format!("{name} {then} then, {now} now")),
            _ => {}
        }
    }
    Verdict::Unknown(match (offer.headers.is_empty(), noted.get("source_uri").and_then(Value::as_str)) {
        (true, _) => "the server names neither a version nor a time".to_owned(),
        (false, Some(from)) => format!("it was loaded from {from}, which named neither a version nor a time"),
        (false, None) => "the file that was loaded came without a version or a time".to_owned(),
    })
}

fn downloaded_sha256(state: &State) -> Option<String> {
    let sums = state.tasks.values().filter_map(|task| task.outputs.get("sha256"));
    sums.filter_map(Value::as_str).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_tell_a_changed_file_from_the_one_that_was_loaded() {
        let offer = |length: u64, etag: Option<&str>| Offer {
            exists: true,
            length: Some(length),
            headers: etag.map(|etag| ("etag".to_owned(), etag.to_owned())).into_iter().collect(),
            ..Offer::default()
        };
        let noted = json!({"length": 10, "headers": {"etag": ["\"1\""]}}).as_object().cloned();
        let ask = |offer: &Offer| verdict(offer, true, noted.as_ref(), None);
        assert_eq!(ask(&offer(10, Some("\"1\""))), Verdict::Same);
        assert_eq!(ask(&offer(11, Some("\"1\""))), Verdict::Changed("10 bytes then, 11 now".to_owned()));
        assert_eq!(ask(&offer(10, Some("\"2\""))), Verdict::Changed("etag \"1\" then, \"2\" now".to_owned()));
        assert!(matches!(ask(&offer(10, None)), Verdict::Unknown(_)));
        assert_eq!(ask(&Offer::default()), Verdict::Gone);
        assert_eq!(verdict(&offer(10, None), false, None, None), Verdict::New);
        let local = Offer { exists: true, sha256: Some("a".to_owned()), ..Offer::default() };
        assert_eq!(verdict(&local, true, None, Some("a")), Verdict::Same);
        assert_eq!(verdict(&local, true, None, Some("b")), Verdict::Changed("its content".to_owned()));
    }
}
