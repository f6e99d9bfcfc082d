//! What a backfill would run, and how each partition stands before it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::start::Only;
use crate::cli::format::thousands;
use crate::cli::out::outln;
use crate::engine::Runner;
use crate::engine::backfill::{PartitionRun, Partitioned, Presence, Standing};
use crate::flow::Flow;
use crate::id::{BackfillId, ExecutionId};
use crate::journal::{Backfill, BackfillSpec, Partition, Wish};
use crate::text::plain;

/// A partition, how it stood, and whether it runs.
pub(super) struct Choice {
    label: String,
    date: DateTime<Utc>,
    /// How it stands, in words.
    last: String,
    execution: Option<ExecutionId>,
    /// Why it does not run; none when it does.
    skipped: Option<String>,
}

/// Looks at every partition and decides which of them run.
///
/// # Errors
/// When the journal cannot be read, or the target cannot be asked.
pub(super) async fn choose(
    runner: &Runner,
    of: &Partitioned<'_>,
    runs: &[PartitionRun],
    only: Only,
) -> anyhow::Result<Vec<Choice>> {
    let newest = runner.last_runs(of, runs)?;
    let presence = match only {
        Only::Missing => Some(runner.presence(of.flow, runs).await?),
        Only::All | Only::Failed => None,
    };
    if let Some(why) = presence.iter().flatten().find_map(unknown) {
        eprintln!("The target cannot say what it holds ({why}): what ran before decides.");
    }
    let mut choices = Vec::with_capacity(runs.len());
    for (place, run) in runs.iter().enumerate() {
        let summary = newest.get(&run.slot.label);
        let standing = summary.map(|summary| runner.standing(summary)).transpose()?.unwrap_or(Standing::Waiting);
        let known = presence.as_ref().and_then(|all| all.get(place));
        let (last, skipped) = match known {
            Some(Presence::In(rows, held)) => {
                (format!("in since {}: {} rows", day(held.loaded_at), thousands(*rows)), Some("is in".to_owned()))
            }
            Some(Presence::Missing(note)) => (note.clone().unwrap_or_else(|| absent(&standing)), None),
            Some(Presence::Unknown(_)) | None => {
                let when = summary.and_then(|summary| summary.ended).map(|time| format!(" on {}", day(time)));
                (words(&standing) + &when.unwrap_or_default(), skip(only, &standing))
            }
        };
        let (label, date) = (run.slot.label.clone(), run.slot.date);
        choices.push(Choice { label, date, last, execution: summary.map(|summary| summary.id.clone()), skipped });
    }
    Ok(choices)
}

fn unknown(presence: &Presence) -> Option<&String> {
    match presence {
        Presence::Unknown(why) => Some(why),
        _ => None,
    }
}

fn absent(standing: &Standing) -> String {
    match standing {
        Standing::Failed { .. } | Standing::Stopped | Standing::Running => format!("not in; {}", words(standing)),
        Standing::Loaded { .. } => "not in, though it ran".to_owned(),
        _ => "not in".to_owned(),
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
pub(in crate::cli) fn words(standing: &Standing) -> String {
    match standing {
        Standing::Waiting => "never ran".to_owned(),
        Standing::Running => "under way".to_owned(),
        Standing::Loaded { already: true, .. } => "there already".to_owned(),
        Standing::Loaded { rows, .. } => format!("loaded {} rows", thousands(*rows)),
        Standing::Failed { reason, .. } => format!("failed: {reason}"),
        Standing::Stopped => "stopped".to_owned(),
        Standing::Skipped { reason } => reason.clone(),
    }
}

fn day(time: DateTime<Utc>) -> String {
    time.with_timezone(&chrono::Local).format("%Y-%m-%d").to_string()
}

/// Says what runs; partitions in a row of which the same is to be said share a line.
pub(super) fn print(of: &Partitioned, choices: &[Choice], spec: &BackfillSpec, as_json: bool, quiet: bool) {
    if as_json {
        let one = |choice: &Choice| {
            json!({"partition": choice.label, "date": choice.date, "last": choice.last,
                   "execution": choice.execution, "runs": choice.skipped.is_none()})
        };
        let partitions: Vec<Value> = choices.iter().map(one).collect();
        outln!("{}", json!({"flow": of.flow.id, "namespace": of.flow.namespace, "partitions": partitions}));
    }
    if quiet {
        return;
    }
    let by = of.beat.trigger().map(|trigger| format!(" by `{}`", trigger.id)).unwrap_or_default();
    let inputs: Vec<String> = spec.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    eprintln!("{}{by}, {} to {}   {}", of.flow.id, spec.from, spec.to, inputs.join(" "));
    let mut rest = choices;
    while let Some(first) = rest.first() {
        let same = |other: &&Choice| other.last == first.last && other.skipped == first.skipped;
        let count = rest.iter().take_while(same).count();
        let (alike, after) = rest.split_at(count);
        rest = after;
        let name = match alike.last() {
            Some(last) if count > 1 => format!("{} … {} ({count})", first.label, last.label),
            _ => first.label.clone(),
        };
        let next = if first.skipped.is_some() { "stays" } else { "runs" };
        eprintln!("  {name:<24} {:<34} {next}", first.last);
    }
    let runs = choices.iter().filter(|choice| choice.skipped.is_none()).count();
    let many = if choices.len() == 1 { "partition" } else { "partitions" };
    eprintln!("{runs} of {} {many} to run, {} at a time.", choices.len(), spec.parallel);
}

/// Whether there is nothing to run.
pub(super) fn is_empty(choices: &[Choice]) -> bool {
    choices.iter().all(|choice| choice.skipped.is_some())
}

/// The backfill that was chosen.
pub(super) fn backfill(
    id: BackfillId,
    flow: &Flow,
    spec: BackfillSpec,
    runs: &[PartitionRun],
    choices: &[Choice],
) -> Backfill {
    let partition = |(run, choice): (&PartitionRun, &Choice)| Partition {
        label: run.slot.label.clone(),
        date: run.slot.date,
        inputs: run.shown.clone(),
        skipped: choice.skipped.clone(),
    };
    let now = Utc::now();
    Backfill {
        id,
        namespace: flow.namespace.clone(),
        flow: flow.id.to_string(),
        created: now,
        since: now,
        spec,
        wish: Wish::Run,
        outcome: None,
        ended: None,
        partitions: runs.iter().zip(choices).map(partition).collect(),
    }
}

/// The inputs of a partition on one line.
pub(super) fn inputs_line(partition: &Partition) -> String {
    let inputs = partition.inputs.iter().map(|(name, value)| format!("{name}={}", plain(value)));
    inputs.collect::<Vec<_>>().join(" ")
}
