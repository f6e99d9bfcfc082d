//! Schedules: what is due now, and when more is.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::{ON_TIME_TOLERANCE, Scheduler, TriggerJob};
use crate::engine::SubmitError;
use crate::engine::{EngineError, schedule};
use crate::id::ExecutionId;
use crate::journal::TriggerFiring;

impl Scheduler {
    /// Starts executions for the next moments of a schedule that have come, and plans the next one.
    pub(super) fn start_due(&self, job: &TriggerJob) -> Result<(), EngineError> {
        let TriggerJob { key, definition, now, .. } = job;
        let alone = !definition.trigger().common.allow_concurrent;
        let mut problem = None;
        let due = schedule::due(definition.trigger(), job.last, *now, ON_TIME_TOLERANCE).unwrap_or_else(|error| {
            self.report(job, &mut problem, error);
            Vec::new()
        });
        if alone
            && !due.is_empty()
            && let Some(open) = self.executor.journal().open_execution_of(key)?
        {
            self.plan(job, job.last, Some(open), problem);
            return Ok(());
        }
        for moment in &due {
            if !self.is_current(job) {
                return Ok(());
            }
            let facts = schedule::facts(definition.trigger().times(), *moment);
            let started = self.start(definition, key, *moment, facts, Some(TriggerFiring::at(key.clone(), *moment)));
            match started {
                Ok(id) => {
                    self.with(key, definition, |known| {
                        known.problem = None;
                        known.last = known.last.max(*moment);
                    });
                    if alone {
                        self.plan(job, *moment, Some(id), problem);
                        return Ok(());
                    }
                }
                Err(SubmitError::AlreadyFired(_)) => {}
                // The moment is not dealt with: the next process does.
                Err(SubmitError::Stopping) => return Ok(()),
                Err(SubmitError::Engine(error)) if error.is_system_error() => return Err(error),
                Err(refused) => {
                    self.executor.journal().record_firing(&TriggerFiring::at(key.clone(), *moment))?;
                    self.report(job, &mut None, format!("no execution for {moment}: {refused}"));
                }
            }
            self.with(key, definition, |known| known.last = known.last.max(*moment));
        }
        // Of a long past only the first part is due at a time.
        let after = due.last().copied().filter(|_| due.len() > 1).unwrap_or(*now).min(*now);
        self.with(key, definition, |known| known.last = known.last.max(after));
        self.plan(job, after, None, problem);
        Ok(())
    }

    /// Puts a schedule's next moment after this one on the heap, unless it waits for an execution.
    fn plan(
        &self,
        job: &TriggerJob,
        after: DateTime<Utc>,
        waits_for: Option<ExecutionId>,
        mut problem: Option<String>,
    ) {
        let next = schedule::next(job.definition.trigger(), after).unwrap_or_else(|error| {
            self.report(job, &mut problem, error);
            None
        });
        let mut state = self.lock();
        let Some(known) = state.known.get_mut(&job.key).filter(|known| known.definition.is(&job.definition)) else {
            return;
        };
        if known.is_disabled() {
            return;
        }
        known.next = next;
        known.waits_for = waits_for;
        if let Some(next) = next.filter(|_| known.waits_for.is_none()) {
            state.heap.push(Reverse((next, job.key.clone())));
        }
    }

    /// Tells what is wrong with a trigger, the same thing once.
    fn report(&self, job: &TriggerJob, reported: &mut Option<String>, problem: String) {
        if reported.as_ref() != Some(&problem) {
            self.with(&job.key, &job.definition, |known| self.report_problem(known, &job.key, problem.clone()));
            *reported = Some(problem);
        }
    }
}
