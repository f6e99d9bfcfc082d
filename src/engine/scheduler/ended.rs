//! What the end of an execution means to triggers: flows that wait for it, schedules that let one run at a time, and
//! triggers that stop themselves. Which end comes before which is said by the journal's order and never by a clock.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::fire::holds;
use super::{Armed, Inner, Job, JobStatus, Scheduler, TrackedTrigger};
use crate::engine::EngineError;
use crate::engine::SubmitError;
use crate::flow::trigger::{FlowEnd, Preconditions, TriggerKind, UpstreamExecution, UpstreamStatus};
use crate::id::ExecutionId;
use crate::journal::{ExecutionEnd, Journal, JournalError, Summary, TriggerFiring, TriggerKey};

/// The most ends that are looked at in one step.
const MAX_ENDS: u32 = 50;

impl Scheduler {
    /// The number of the latest end that has been taken in.
    pub(super) fn ends_seen(&self, inner: &mut Inner) -> Result<i64, EngineError> {
        if let Some(seen) = inner.ends_seen {
            return Ok(seen);
        }
        inner.ends_noted = self.executor.journal().ends_seen()?;
        Ok(*inner.ends_seen.insert(inner.ends_noted))
    }

    /// Takes in the next executions that have ended, whichever process they ran in.
    pub(super) fn look_at_ended(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<(), EngineError> {
        let seen = self.ends_seen(inner)?;
        let ends = self.executor.journal().ends_after(seen, MAX_ENDS)?;
        let looked = ends.iter().try_for_each(|end| self.look_at(inner, end, now));
        if let Some(latest) = inner.ends_seen.filter(|latest| *latest > seen) {
            tell_followers(inner, &ends, seen, latest, now);
        }
        inner.has_more_ends = looked.is_ok() && ends.len() == MAX_ENDS as usize;
        self.note_ends(inner)?;
        looked
    }

    /// Writes down up to which end every trigger has looked at them: what comes after is looked at again after a crash,
    /// and starts nothing twice.
    fn note_ends(&self, inner: &mut Inner) -> Result<(), EngineError> {
        let Some(latest) = inner.ends_seen else { return Ok(()) };
        let seen = inner.followers.iter().filter_map(|key| inner.known.get(key)).map(|known| known.seen);
        let noted = seen.fold(latest, i64::min);
        if noted > inner.ends_noted {
            self.executor.journal().set_ends_seen(noted)?;
            inner.ends_noted = noted;
        }
        Ok(())
    }

    fn look_at(&self, inner: &mut Inner, end: &ExecutionEnd, now: DateTime<Utc>) -> Result<(), EngineError> {
        self.stop_after(inner, end, now)?;
        self.release(inner, &end.summary, now);
        inner.ends_seen = Some(end.number);
        Ok(())
    }

    /// A schedule that waited for this execution goes on; one that has only just started it looks once more.
    fn release(&self, inner: &mut Inner, summary: &Summary, now: DateTime<Utc>) {
        let Some(key) = key_of(summary) else { return };
        let waits =
            |known: &TrackedTrigger| known.waits_for.as_ref() == Some(&summary.id) || known.work != JobStatus::None;
        if inner.known.get(&key).is_some_and(waits) {
            go_on(inner, &key, now);
        }
    }

    /// Looks whether schedules still wait for something: an execution may have been removed, or its end have been looked
    /// at before its schedule knew that it waits.
    pub(super) fn recheck_waiting(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<(), EngineError> {
        let seen = inner.ends_seen.unwrap_or_default();
        let waiting = |(key, known): (&TriggerKey, &TrackedTrigger)| Some((key.clone(), known.waits_for.clone()?));
        let waiting: Vec<_> = inner.known.iter().filter_map(waiting).collect();
        for (key, id) in waiting {
            let is_seen = self.executor.journal().end_number(&id)?.is_some_and(|number| number <= seen);
            if is_seen || self.executor.journal().status(&id)?.is_none() {
                go_on(inner, &key, now);
            }
        }
        Ok(())
    }

    fn stop_after(&self, inner: &mut Inner, end: &ExecutionEnd, now: DateTime<Utc>) -> Result<(), EngineError> {
        let summary = &end.summary;
        let Some(key) = key_of(summary) else { return Ok(()) };
        let Some(known) = inner.known.get_mut(&key) else { return Ok(()) };
        let status = status(summary);
        // One that was switched on again since is not stopped by what came before.
        let is_later = end.number > known.since_end;
        if is_later && status.is_some_and(|status| known.trigger().common.stop_after.contains(&status)) {
            self.executor.journal().set_trigger_disabled(&key, true, now)?;
            known.is_off = true;
            self.complain(known, &key, format!("switched off: execution {} ended {}", summary.id, summary.state));
        }
        Ok(())
    }

    /// Starts a flow for the next ends that it waits for.
    pub(super) fn start_followers(&self, job: &Job, wanted: &FlowEnd) -> Result<(), EngineError> {
        let ends = self.executor.journal().ends_after(job.seen, MAX_ENDS)?;
        let is_all = ends.len() < MAX_ENDS as usize || ends.last().is_some_and(|end| end.number >= job.until);
        let mut last_end = job.last_end;
        for end in ends.iter().take_while(|end| end.number <= job.until) {
            if concerns(&job.key, job.since_end, wanted, end) {
                if !self.may_start(job) {
                    return Ok(());
                }
                self.follow(job, wanted, end, &mut last_end)?;
            }
            self.with(&job.key, &job.armed, |known| known.seen = known.seen.max(end.number));
        }
        if is_all {
            self.with(&job.key, &job.armed, |known| known.seen = known.seen.max(job.until));
        }
        Ok(())
    }

    /// Starts a flow for an end, if its conditions hold.
    fn follow(&self, job: &Job, wanted: &FlowEnd, end: &ExecutionEnd, last_end: &mut i64) -> Result<(), EngineError> {
        let Job { key, armed, .. } = job;
        let summary = &end.summary;
        let (Some(upstream), Some(ended)) = (upstream(summary), summary.ended) else { return Ok(()) };
        let facts = facts(summary, self.executor.journal().outputs(&summary.id)?);
        let resets = wanted.preconditions.as_ref().is_none_or(|all| all.reset_on_success);
        let after = if resets { *last_end } else { job.since_end };
        let complain = |problem| {
            self.with(key, armed, |known| self.complain(known, key, problem));
        };
        let others = match self.fulfilled(wanted, armed, &upstream, &facts, (after, end.number, ended)) {
            Ok(Some(others)) => others,
            Ok(None) => return Ok(()),
            Err(problem) => {
                complain(problem);
                return Ok(());
            }
        };
        let facts = self.with_outputs_of(&others, facts)?;
        // The conditions may have taken a while.
        if !self.may_start(job) {
            return Ok(());
        }
        match self.start(armed, key, ended, facts, Some(TriggerFiring::after(key.clone(), end))) {
            Ok(_) => {
                *last_end = end.number;
                self.with(key, armed, |known| {
                    known.problem = None;
                    (known.last, known.last_end) = (known.last.max(ended), known.last_end.max(end.number));
                });
            }
            Err(SubmitError::AlreadyFired(_)) => {}
            Err(SubmitError::Stopping) => return Err(EngineError::Stopping),
            Err(SubmitError::Engine(error)) if error.is_system_error() => return Err(error),
            Err(refused) => complain(format!("no execution after {}: {refused}", summary.id)),
        }
        Ok(())
    }

    /// The outputs of these executions too; where two have one of the same name, that of the later.
    fn with_outputs_of(&self, others: &[ExecutionId], mut facts: Value) -> Result<Value, EngineError> {
        let mut outputs = Map::new();
        for other in others {
            outputs.extend(self.executor.journal().outputs(other)?);
        }
        if let Some(own) = facts.get_mut("outputs").and_then(Value::as_object_mut) {
            outputs.append(own);
            *own = outputs;
        }
        Ok(facts)
    }

    /// The other executions that this end, together with them, fulfils a trigger's wishes by, the earliest first; none
    /// where it does not.
    fn fulfilled(
        &self,
        wanted: &FlowEnd,
        armed: &Armed,
        upstream: &UpstreamExecution,
        facts: &Value,
        (after, number, ended): (i64, i64, DateTime<Utc>),
    ) -> Result<Option<Vec<ExecutionId>>, String> {
        if !holds(armed, facts, Some(upstream), ended)? {
            return Ok(None);
        }
        let Some(all) = &wanted.preconditions else { return Ok(Some(Vec::new())) };
        if !all.matches(upstream) {
            return Ok(None);
        }
        have_all_ended(self.executor.journal(), all, (after, number, ended)).map_err(|error| error.to_string())
    }
}

fn go_on(inner: &mut Inner, key: &TriggerKey, now: DateTime<Utc>) {
    if let Some(known) = inner.known.get_mut(key) {
        known.waits_for = None;
        inner.want(key, now);
    }
}

/// Gives ends that have been taken in to the triggers that they concern.
fn tell_followers(inner: &mut Inner, ends: &[ExecutionEnd], before: i64, latest: i64, now: DateTime<Utc>) {
    for key in inner.followers.clone() {
        let Some(known) = inner.known.get_mut(&key) else { continue };
        let TriggerKind::Flow(wanted) = &known.trigger().on else { continue };
        let concerns = ends.iter().any(|end| concerns(&key, known.since_end, wanted, end));
        if known.is_disabled() || known.seen >= before && !concerns {
            known.seen = latest;
        } else if concerns {
            inner.want(&key, now);
        }
    }
}

/// Whether a trigger waits for such an end, as far as can be told at a glance.
fn concerns(key: &TriggerKey, since_end: i64, wanted: &FlowEnd, end: &ExecutionEnd) -> bool {
    let summary = &end.summary;
    // A flow that starts itself would never end.
    let is_itself = key.namespace == summary.namespace && key.flow == summary.flow;
    !is_itself && end.number > since_end && status(summary).is_some_and(|status| wanted.states.contains(&status))
}

/// The executions of these flows that ended within the window around this end and after another one; none unless each of
/// the flows has one. An end that was written before this one was no later either, whatever the clock said then.
fn have_all_ended(
    journal: &Journal,
    all: &Preconditions,
    (after, number, ended): (i64, i64, DateTime<Utc>),
) -> Result<Option<Vec<ExecutionId>>, JournalError> {
    let Some((from, to)) = all.time_window.window_at(ended.fixed_offset()) else { return Ok(None) };
    let is_within = |end: &&ExecutionEnd| {
        let time = end.summary.ended.map(|time| time.min(ended));
        time.is_some_and(|time| time < to.to_utc())
    };
    let ends = journal.ends_between(after, number, from.to_utc())?;
    let known = |end: &ExecutionEnd| Some((end.summary.id.clone(), upstream(&end.summary)?));
    let ended: Vec<(ExecutionId, UpstreamExecution)> = ends.iter().filter(is_within).filter_map(known).collect();
    if !all.are_met(ended.iter().map(|(_, end)| end)) {
        return Ok(None);
    }
    Ok(Some(ended.into_iter().filter(|(_, end)| all.matches(end)).map(|(id, _)| id).collect()))
}

fn key_of(summary: &Summary) -> Option<TriggerKey> {
    let (namespace, flow) = (summary.namespace.clone(), summary.flow.clone());
    Some(TriggerKey { namespace, flow, trigger: summary.trigger.clone()? })
}

/// The state in the words of conditions, which have none for executions that have not ended.
fn status(summary: &Summary) -> Option<UpstreamStatus> {
    serde_json::from_value(Value::from(summary.state.as_str())).ok()
}

fn upstream(summary: &Summary) -> Option<UpstreamExecution> {
    Some(UpstreamExecution {
        namespace: summary.namespace.clone(),
        flow: summary.flow.clone(),
        status: status(summary)?,
        labels: summary.labels.clone(),
    })
}

/// What expressions see as `trigger`.
fn facts(summary: &Summary, outputs: Map<String, Value>) -> Value {
    json!({
        "executionId": summary.id,
        "namespace": summary.namespace,
        "flowId": summary.flow,
        "state": summary.state,
        "executionLabels": summary.labels,
        "date": summary.ended,
        "outputs": outputs,
    })
}
