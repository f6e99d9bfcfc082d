//! Ends of executions, as triggers see them: flows that wait for one, schedules that let one run at a time, and triggers that
//! stop themselves.
//!
//! Ends have numbers in the order in which the journal wrote them, and no clock is asked which came first. There are three
//! cursors over these numbers. `ends_seen` is how far the scheduler has read them. `seen` of each trigger is how far that
//! trigger has looked at them, and `last_end` the latest one that it has started an execution for. `ends_noted`, in the
//! journal, never passes the smallest `seen`: after a crash all of them are read again from there, and the firings in the
//! journal see to it that nothing starts twice.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::fire::holds;
use super::{JobStatus, Scheduler, SchedulerState, TrackedTrigger, TriggerDefinition, TriggerJob};
use crate::engine::EngineError;
use crate::engine::SubmitError;
use crate::flow::trigger::{FlowEnd, Preconditions, TriggerKind, UpstreamExecution};
use crate::id::ExecutionId;
use crate::journal::{ExecutionEnd, Journal, JournalError, Summary, TriggerFiring, TriggerKey};

/// How many ends are read in one step.
const MAX_ENDS: u32 = 50;

impl Scheduler {
    /// The number of the latest end that has been read.
    pub(super) fn ends_seen(&self, state: &mut SchedulerState) -> Result<i64, EngineError> {
        if let Some(seen) = state.ends_seen {
            return Ok(seen);
        }
        state.ends_noted = self.executor.journal().ends_seen()?;
        Ok(*state.ends_seen.insert(state.ends_noted))
    }

    /// Reads the next ends, whichever process the executions ran in.
    pub(super) fn look_at_ended(&self, state: &mut SchedulerState, now: DateTime<Utc>) -> Result<(), EngineError> {
        let seen = self.ends_seen(state)?;
        let ends = self.executor.journal().ends_after(seen, MAX_ENDS)?;
        let looked = ends.iter().try_for_each(|end| self.look_at(state, end, now));
        if let Some(latest) = state.ends_seen.filter(|latest| *latest > seen) {
            notify_followers(state, &ends, seen, latest, now);
        }
        state.has_more_ends = looked.is_ok() && ends.len() == MAX_ENDS as usize;
        self.note_ends(state)?;
        looked
    }

    /// Writes down up to which end every trigger has looked at them.
    fn note_ends(&self, state: &mut SchedulerState) -> Result<(), EngineError> {
        let Some(latest) = state.ends_seen else { return Ok(()) };
        let seen = state.followers.iter().filter_map(|key| state.known.get(key)).map(|known| known.seen);
        let noted = seen.fold(latest, i64::min);
        if noted > state.ends_noted {
            self.executor.journal().set_ends_seen(noted)?;
            state.ends_noted = noted;
        }
        Ok(())
    }

    fn look_at(&self, state: &mut SchedulerState, end: &ExecutionEnd, now: DateTime<Utc>) -> Result<(), EngineError> {
        self.stop_after(state, end, now)?;
        self.release(state, &end.summary, now);
        state.ends_seen = Some(end.number);
        Ok(())
    }

    /// A schedule that waited for this execution is due; so is one whose job may just have started it.
    fn release(&self, state: &mut SchedulerState, summary: &Summary, now: DateTime<Utc>) {
        let Some(key) = key_of(summary) else { return };
        let waits =
            |known: &TrackedTrigger| known.waits_for.as_ref() == Some(&summary.id) || known.work != JobStatus::Idle;
        if state.known.get(&key).is_some_and(waits) {
            release_waiting(state, &key, now);
        }
    }

    /// Checks whether schedules still wait for something: an execution may have been deleted, or have ended before its
    /// schedule knew that it waits.
    pub(super) fn recheck_waiting(&self, state: &mut SchedulerState, now: DateTime<Utc>) -> Result<(), EngineError> {
        let seen = state.ends_seen.unwrap_or_default();
        let waiting = |(key, known): (&TriggerKey, &TrackedTrigger)| Some((key.clone(), known.waits_for.clone()?));
        let waiting: Vec<_> = state.known.iter().filter_map(waiting).collect();
        for (key, id) in waiting {
            let is_seen = self.executor.journal().end_number(&id)?.is_some_and(|number| number <= seen);
            if is_seen || self.executor.journal().status(&id)?.is_none() {
                release_waiting(state, &key, now);
            }
        }
        Ok(())
    }

    fn stop_after(
        &self,
        state: &mut SchedulerState,
        end: &ExecutionEnd,
        now: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let summary = &end.summary;
        let Some(key) = key_of(summary) else { return Ok(()) };
        let Some(known) = state.known.get_mut(&key) else { return Ok(()) };
        // One that was switched on again since is not stopped by what came before.
        let is_later = end.number > known.since_end;
        if is_later && known.trigger().common.stop_after.contains(&summary.state.into()) {
            self.executor.journal().set_trigger_disabled(&key, true, now)?;
            known.is_off = true;
            self.report_problem(known, &key, format!("switched off: execution {} ended {}", summary.id, summary.state));
        }
        Ok(())
    }

    /// Starts a flow for the next ends that it waits for.
    pub(super) fn start_followers(&self, job: &TriggerJob, flow_end: &FlowEnd) -> Result<(), EngineError> {
        let ends = self.executor.journal().ends_after(job.seen, MAX_ENDS)?;
        let is_all = ends.len() < MAX_ENDS as usize || ends.last().is_some_and(|end| end.number >= job.until);
        let mut last_end = job.last_end;
        for end in ends.iter().take_while(|end| end.number <= job.until) {
            if concerns(&job.key, job.since_end, flow_end, end) {
                if !self.is_current(job) {
                    return Ok(());
                }
                self.follow(job, flow_end, end, &mut last_end)?;
            }
            self.with(&job.key, &job.definition, |known| known.seen = known.seen.max(end.number));
        }
        if is_all {
            self.with(&job.key, &job.definition, |known| known.seen = known.seen.max(job.until));
        }
        Ok(())
    }

    /// Starts a flow for an end, if its conditions hold.
    fn follow(
        &self,
        job: &TriggerJob,
        flow_end: &FlowEnd,
        end: &ExecutionEnd,
        last_end: &mut i64,
    ) -> Result<(), EngineError> {
        let TriggerJob { key, definition, .. } = job;
        let summary = &end.summary;
        let (upstream, Some(ended)) = (upstream(summary), summary.ended) else { return Ok(()) };
        let facts = facts(summary, self.executor.journal().outputs(&summary.id)?);
        let resets = flow_end.preconditions.as_ref().is_none_or(|all| all.reset_on_success);
        let after = if resets { *last_end } else { job.since_end };
        let report_problem = |problem| {
            self.with(key, definition, |known| self.report_problem(known, key, problem));
        };
        let others = match self.fulfilled(flow_end, definition, &upstream, &facts, (after, end.number, ended)) {
            Ok(Some(others)) => others,
            Ok(None) => return Ok(()),
            Err(problem) => {
                report_problem(problem);
                return Ok(());
            }
        };
        let facts = self.with_outputs_of(&others, facts)?;
        // The conditions may have taken a while.
        if !self.is_current(job) {
            return Ok(());
        }
        match self.start(definition, key, ended, facts, Some(TriggerFiring::after(key.clone(), end))) {
            Ok(_) => {
                *last_end = end.number;
                self.with(key, definition, |known| {
                    known.problem = None;
                    (known.last, known.last_end) = (known.last.max(ended), known.last_end.max(end.number));
                });
            }
            Err(SubmitError::AlreadyFired(_)) => {}
            Err(SubmitError::Stopping) => return Err(EngineError::Stopping),
            Err(SubmitError::Engine(error)) if error.is_system_error() => return Err(error),
            Err(refused) => report_problem(format!("no execution after {}: {refused}", summary.id)),
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

    /// The other executions that meet a trigger's conditions together with this end, the earliest first; none where they are
    /// not met.
    fn fulfilled(
        &self,
        flow_end: &FlowEnd,
        definition: &TriggerDefinition,
        upstream: &UpstreamExecution,
        facts: &Value,
        (after, number, ended): (i64, i64, DateTime<Utc>),
    ) -> Result<Option<Vec<ExecutionId>>, String> {
        if !holds(definition, facts, Some(upstream), ended)? {
            return Ok(None);
        }
        let Some(all) = &flow_end.preconditions else { return Ok(Some(Vec::new())) };
        if !all.matches(upstream) {
            return Ok(None);
        }
        have_all_ended(self.executor.journal(), all, (after, number, ended)).map_err(|error| error.to_string())
    }
}

fn release_waiting(state: &mut SchedulerState, key: &TriggerKey, now: DateTime<Utc>) {
    if let Some(known) = state.known.get_mut(key) {
        known.waits_for = None;
        state.mark_due(key, now);
    }
}

/// Marks the triggers as due that wait for one of these ends.
fn notify_followers(state: &mut SchedulerState, ends: &[ExecutionEnd], before: i64, latest: i64, now: DateTime<Utc>) {
    for key in state.followers.clone() {
        let Some(known) = state.known.get_mut(&key) else { continue };
        let TriggerKind::Flow(flow_end) = &known.trigger().on else { continue };
        let concerns = ends.iter().any(|end| concerns(&key, known.since_end, flow_end, end));
        if known.is_disabled() || known.seen >= before && !concerns {
            known.seen = latest;
        } else if concerns {
            state.mark_due(&key, now);
        }
    }
}

/// Whether a trigger waits for such an end, before its conditions are evaluated.
fn concerns(key: &TriggerKey, since_end: i64, flow_end: &FlowEnd, end: &ExecutionEnd) -> bool {
    let summary = &end.summary;
    // A flow that starts itself would never end.
    let is_itself = key.namespace == summary.namespace && key.flow == summary.flow;
    // What follows a flow does not follow one of its tasks.
    let is_whole = summary.only.is_none();
    is_whole && !is_itself && end.number > since_end && flow_end.states.contains(&summary.state.into())
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
        end.summary.only.is_none() && time.is_some_and(|time| time < to.to_utc())
    };
    let ends = journal.ends_between(after, number, from.to_utc())?;
    let known = |end: &ExecutionEnd| (end.summary.id.clone(), upstream(&end.summary));
    let ended: Vec<(ExecutionId, UpstreamExecution)> = ends.iter().filter(is_within).map(known).collect();
    if !all.are_met(ended.iter().map(|(_, end)| end)) {
        return Ok(None);
    }
    Ok(Some(ended.into_iter().filter(|(_, end)| all.matches(end)).map(|(id, _)| id).collect()))
}

fn key_of(summary: &Summary) -> Option<TriggerKey> {
    let (namespace, flow) = (summary.namespace.clone(), summary.flow.clone());
    Some(TriggerKey { namespace, flow, trigger: summary.trigger.clone()? })
}

fn upstream(summary: &Summary) -> UpstreamExecution {
    UpstreamExecution {
        namespace: summary.namespace.clone(),
        flow: summary.flow.clone(),
        status: summary.state.into(),
        labels: summary.labels.clone(),
    }
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
