//! What the end of an execution means to triggers: flows that wait for it, schedules that let one run at a time, and
//! triggers that stop themselves. Which end comes before which is said by the journal's order and never by a clock.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::fire::holds;
use super::{Inner, Known, Scheduler};
use crate::engine::EngineError;
use crate::engine::executor::Refused;
use crate::flow::trigger::{FlowEnd, On, Preconditions, Status, Upstream};
use crate::id::ExecutionId;
use crate::journal::{End, Journal, JournalError, Summary, Tick, TriggerKey};

/// The most ends that are looked at in one step.
const MOST: u32 = 50;

impl Scheduler {
    /// Looks at the next executions that have ended, whichever process they ran in; whether there may be more.
    pub(super) fn look_at_ended(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let journal = self.executor.journal();
        let seen = match inner.ends_seen {
            Some(seen) => seen,
            None => *inner.ends_seen.insert(journal.ends_seen()?),
        };
        let ends = journal.ends_after(seen, MOST)?;
        let looked = ends.iter().try_for_each(|end| self.look_at(inner, end, now));
        if let Some(latest) = inner.ends_seen.filter(|latest| *latest > seen) {
            journal.set_ends_seen(latest)?;
        }
        looked.map(|()| ends.len() == MOST as usize)
    }

    fn look_at(&self, inner: &mut Inner, end: &End, now: DateTime<Utc>) -> Result<(), EngineError> {
        self.stop_after(inner, end, now)?;
        self.release(inner, &end.summary, now);
        self.start_followers(inner, end)?;
        inner.ends_seen = Some(end.number);
        Ok(())
    }

    /// A schedule that waited for this execution goes on.
    fn release(&self, inner: &mut Inner, summary: &Summary, now: DateTime<Utc>) {
        let Some(key) = key_of(summary) else { return };
        let waits = |known: &Known| known.waits_for.as_ref() == Some(&summary.id);
        if inner.known.get(&key).is_some_and(waits) {
            self.go_on(inner, &key, now);
        }
    }

    fn go_on(&self, inner: &mut Inner, key: &TriggerKey, now: DateTime<Utc>) {
        let Some(known) = inner.known.get_mut(key) else { return };
        known.waits_for = None;
        let last = known.last.min(now);
        self.plan(inner, key, last);
    }

    /// Looks whether schedules still wait for something: an execution may have been removed, or its end have been looked
    /// at before its schedule knew that it waits.
    pub(super) fn recheck_waiting(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<(), EngineError> {
        let seen = inner.ends_seen.unwrap_or_default();
        let waiting = |(key, known): (&TriggerKey, &Known)| Some((key.clone(), known.waits_for.clone()?));
        let waiting: Vec<_> = inner.known.iter().filter_map(waiting).collect();
        for (key, id) in waiting {
            let is_seen = self.executor.journal().end_number(&id)?.is_some_and(|number| number <= seen);
            if is_seen || self.executor.journal().status(&id)?.is_none() {
                self.go_on(inner, &key, now);
            }
        }
        Ok(())
    }

    fn stop_after(&self, inner: &mut Inner, end: &End, now: DateTime<Utc>) -> Result<(), EngineError> {
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

    /// Starts the flows that wait for this end.
    fn start_followers(&self, inner: &mut Inner, end: &End) -> Result<(), EngineError> {
        let summary = &end.summary;
        let (Some(upstream), Some(ended)) = (upstream(summary), summary.ended) else { return Ok(()) };
        if inner.followers.is_empty() {
            return Ok(());
        }
        let facts = facts(summary, self.executor.journal().outputs(&summary.id)?);
        for key in &inner.followers {
            let Some(known) = inner.known.get_mut(key) else { continue };
            let On::Flow(wanted) = &known.trigger().on else { continue };
            // A flow that starts itself would never end.
            let is_itself = key.namespace == summary.namespace && key.flow == summary.flow;
            if is_itself
                || known.is_disabled()
                || end.number <= known.since_end
                || !wanted.states.contains(&upstream.status)
            {
                continue;
            }
            let others = match self.fulfilled(wanted, known, &upstream, &facts, (end.number, ended)) {
                Ok(Some(others)) => others,
                Ok(None) => continue,
                Err(problem) => {
                    self.complain(known, key, problem);
                    continue;
                }
            };
            let facts = self.with_outputs_of(&others, facts.clone())?;
            match self.start(&known.armed, key, ended, facts, Some(Tick::after(key.clone(), end))) {
                Ok(_) => {
                    known.problem = None;
                    (known.last, known.last_end) = (known.last.max(ended), end.number);
                }
                Err(Refused::AlreadyRan(_)) => {}
                Err(Refused::Stopping) => return Err(EngineError::Stopping),
                Err(Refused::Engine(error)) if error.is_of_machine() => return Err(error),
                Err(refused) => self.complain(known, key, format!("no execution after {}: {refused}", summary.id)),
            }
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
        known: &Known,
        upstream: &Upstream,
        facts: &Value,
        end: (i64, DateTime<Utc>),
    ) -> Result<Option<Vec<ExecutionId>>, String> {
        if !holds(&known.armed, facts, Some(upstream), end.1)? {
            return Ok(None);
        }
        let Some(all) = &wanted.preconditions else { return Ok(Some(Vec::new())) };
        if !all.accepts(upstream) {
            return Ok(None);
        }
        have_all_ended(self.executor.journal(), all, known, end).map_err(|error| error.to_string())
    }
}

/// The executions of these flows that ended within the window around this end, since the trigger last fired; none unless
/// each of the flows has one. An end that was written before this one was no later either, whatever the clock said then.
fn have_all_ended(
    journal: &Journal,
    all: &Preconditions,
    known: &Known,
    (number, ended): (i64, DateTime<Utc>),
) -> Result<Option<Vec<ExecutionId>>, JournalError> {
    let Some((from, to)) = all.time_window.around(ended.fixed_offset()) else { return Ok(None) };
    let after = if all.reset_on_success { known.last_end } else { known.since_end };
    let is_within = |end: &&End| {
        let time = end.summary.ended.map(|time| time.min(ended));
        time.is_some_and(|time| time < to.to_utc())
    };
    let ends = journal.ends_between(after, number, from.to_utc())?;
    let known = |end: &End| Some((end.summary.id.clone(), upstream(&end.summary)?));
    let ended: Vec<(ExecutionId, Upstream)> = ends.iter().filter(is_within).filter_map(known).collect();
    if !all.are_met_by(ended.iter().map(|(_, end)| end)) {
        return Ok(None);
    }
    Ok(Some(ended.into_iter().filter(|(_, end)| all.accepts(end)).map(|(id, _)| id).collect()))
}

fn key_of(summary: &Summary) -> Option<TriggerKey> {
    let (namespace, flow) = (summary.namespace.clone(), summary.flow.clone());
    Some(TriggerKey { namespace, flow, trigger: summary.trigger.clone()? })
}

fn status(summary: &Summary) -> Option<Status> {
    serde_json::from_value(Value::from(summary.state.as_str())).ok()
}

fn upstream(summary: &Summary) -> Option<Upstream> {
    Some(Upstream {
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
