//! What the end of an execution means to triggers: flows that wait for it, schedules that let one run at a time, and
//! triggers that stop themselves.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::fire::holds;
use super::{Inner, Known, Scheduler};
use crate::engine::EngineError;
use crate::engine::executor::Refused;
use crate::flow::trigger::{FlowEnd, On, Preconditions, Status, Upstream};
use crate::id::ExecutionId;
use crate::journal::{Journal, JournalError, State, Summary, Tick, TriggerKey};

/// Another process may write an end down a little later than it came; so far back is looked again from time to time,
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// and so far at every look, for ends that were written here side by side.
const BLINK: TimeDelta = TimeDelta::seconds(2);

impl Scheduler {
    /// Looks at the executions that have ended since the last look; when it looks `far`, at those of other processes too,
    /// and of the time before a crash.
    pub(super) fn look_at_ended(&self, inner: &mut Inner, now: DateTime<Utc>, far: bool) -> Result<(), EngineError> {
        let journal = self.executor.journal();
        let until = match inner.ended_until {
            Some(until) => until,
            None => journal.triggers_last(&[cursor()], Utc::now())?.first().map_or_else(Utc::now, |(last, _)| *last),
        };
        inner.ended_until = Some(until);
        let ends = journal.ends_since(until - if far { OVERLAP } else { BLINK })?;
        let new: Vec<_> = ends.into_iter().filter(|end| !inner.ended_seen.contains(end)).collect();
        for end in &new {
            if let Some(summary) = journal.summary(&end.1)?.filter(|summary| summary.ended == Some(end.0)) {
                self.stop_after(inner, &summary, now)?;
                self.release(inner, &summary, now);
                self.start_followers(inner, &summary)?;
            }
            inner.ended_seen.insert(end.clone());
        }
        if let Some((latest, _)) = new.last().filter(|(latest, _)| *latest > until) {
            journal.set_trigger_last(&cursor(), *latest)?;
            inner.ended_until = Some(*latest);
            let forgotten = (*latest - OVERLAP, ExecutionId::new(""));
            inner.ended_seen = inner.ended_seen.split_off(&forgotten);
        }
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

    /// Looks whether schedules still wait for something: an execution may have been removed, or have ended at a time
    /// that nobody looks at any more, when a clock was set.
    pub(super) fn recheck_waiting(&self, inner: &mut Inner, now: DateTime<Utc>) -> Result<(), EngineError> {
        let earliest = inner.ended_until.map(|until| until - OVERLAP);
        let waiting = |(key, known): (&TriggerKey, &Known)| Some((key.clone(), known.waits_for.clone()?));
        let waiting: Vec<_> = inner.known.iter().filter_map(waiting).collect();
        for (key, id) in waiting {
            let state = self.executor.journal().state(&id)?;
            let is_over = |state: &State| state.ended.is_some_and(|ended| Some(ended) < earliest);
            if state.as_ref().is_none_or(is_over) {
                self.go_on(inner, &key, now);
            }
        }
        Ok(())
    }

    fn stop_after(&self, inner: &mut Inner, summary: &Summary, now: DateTime<Utc>) -> Result<(), EngineError> {
        let Some(key) = key_of(summary) else { return Ok(()) };
        let Some(known) = inner.known.get_mut(&key) else { return Ok(()) };
        let status = status(summary);
        // One that was switched on again since is not stopped by what came before.
        let is_later = summary.ended.is_some_and(|ended| ended >= known.since);
        if is_later && status.is_some_and(|status| known.trigger().common.stop_after.contains(&status)) {
            self.executor.journal().set_trigger_disabled(&key, true, now)?;
            known.is_off = true;
            self.complain(known, &key, format!("switched off: execution {} ended {}", summary.id, summary.state));
        }
        Ok(())
    }

    /// Starts the flows that wait for this end.
    fn start_followers(&self, inner: &mut Inner, summary: &Summary) -> Result<(), EngineError> {
        let (Some(upstream), Some(ended)) = (upstream(summary), summary.ended) else { return Ok(()) };
        for key in &inner.followers {
            let Some(known) = inner.known.get_mut(key) else { continue };
            let On::Flow(wanted) = &known.trigger().on else { continue };
            // A flow that starts itself would never end.
            let is_itself = key.namespace == summary.namespace && key.flow == summary.flow;
            if is_itself || known.is_disabled() || ended < known.since || !wanted.states.contains(&upstream.status) {
                continue;
            }
            let facts = facts(summary);
            match self.is_fulfilled(wanted, known, &upstream, &facts, ended) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(problem) => {
                    self.complain(known, key, problem);
                    continue;
                }
            }
            let tick = Tick { moment: Some(ended), ..Tick::about(key.clone(), summary.id.as_str()) };
            match self.start(known, key, ended, facts, Some(tick)) {
                Ok(_) => known.last = ended,
                Err(Refused::AlreadyRan(_)) => {}
                Err(Refused::Stopping) => return Err(EngineError::Stopping),
                Err(Refused::Engine(error)) => return Err(error),
                Err(refused) => self.complain(known, key, format!("no execution after {}: {refused}", summary.id)),
            }
        }
        Ok(())
    }

    fn is_fulfilled(
        &self,
        wanted: &FlowEnd,
        known: &Known,
        upstream: &Upstream,
        facts: &Value,
        ended: DateTime<Utc>,
    ) -> Result<bool, String> {
        if !holds(known, facts, Some(upstream), ended)? {
            return Ok(false);
        }
        let Some(all) = &wanted.preconditions else { return Ok(true) };
        if !all.flows.iter().any(|flow| flow.accepts(upstream)) {
            return Ok(false);
        }
        have_all_ended(self.executor.journal(), all, known, ended).map_err(|error| error.to_string())
    }
}

/// Whether each of the flows has ended within the window around this end, since the trigger last fired.
fn have_all_ended(
    journal: &Journal,
    all: &Preconditions,
    known: &Known,
    ended: DateTime<Utc>,
) -> Result<bool, JournalError> {
    let Some((from, to)) = all.time_window.around(ended.fixed_offset()) else { return Ok(false) };
    let after = if all.reset_on_success { known.last } else { known.since };
    let ended: Vec<Upstream> = journal
        .ended_since(from.to_utc().max(after))?
        .iter()
        .filter(|summary| summary.ended.is_some_and(|end| end < to.to_utc() && end > after))
        .filter_map(upstream)
        .collect();
    Ok(all.flows.iter().all(|flow| ended.iter().any(|end| flow.accepts(end))))
}

/// Where the journal keeps up to when ended executions have been looked at.
fn cursor() -> TriggerKey {
    TriggerKey { namespace: String::new(), flow: String::new(), trigger: "(ended)".to_owned() }
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
fn facts(summary: &Summary) -> Value {
    json!({
        "executionId": summary.id,
        "namespace": summary.namespace,
        "flowId": summary.flow,
        "state": summary.state,
        "executionLabels": summary.labels,
        "date": summary.ended,
    })
}
