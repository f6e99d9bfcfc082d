//! Schedules: what is due now, and when more is.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::{Inner, ON_TIME, Scheduler};
use crate::engine::executor::Refused;
use crate::engine::{EngineError, schedule};
use crate::journal::{Tick, TriggerKey};

impl Scheduler {
    /// Puts a schedule's next moment after this one on the heap.
    pub(super) fn plan(&self, inner: &mut Inner, key: &TriggerKey, after: DateTime<Utc>) {
        let Some(known) = inner.known.get_mut(key) else { return };
        known.next = None;
        if known.is_disabled() || known.waits_for.is_some() {
            return;
        }
        match schedule::next(known.trigger(), after) {
            Ok(next) => known.next = next,
            Err(problem) => self.complain(known, key, problem),
        }
        if let Some(next) = known.next {
            inner.heap.push(Reverse((next, key.clone())));
        }
    }

    /// Starts executions for the next moments of a schedule that have come; how many there were.
    pub(super) fn start_due(
        &self,
        inner: &mut Inner,
        key: &TriggerKey,
        now: DateTime<Utc>,
    ) -> Result<usize, EngineError> {
        let Some(known) = inner.known.get_mut(key) else { return Ok(0) };
        known.next = None;
        if known.is_disabled() {
            return Ok(0);
        }
        let alone = !known.trigger().common.allow_concurrent;
        if alone && let Some(open) = self.executor.journal().open_execution_of(key)? {
            known.waits_for = Some(open);
            return Ok(0);
        }
        let due = match schedule::due(known.trigger(), known.last, now, ON_TIME) {
            Ok(due) => due,
            Err(problem) => {
                self.complain(known, key, problem);
                Vec::new()
            }
        };
        for moment in &due {
            let facts = schedule::facts(known.trigger().times(), *moment);
            let started = self.start(&known.armed, key, *moment, facts, Some(Tick::at(key.clone(), *moment)));
            if started.is_ok() {
                known.problem = None;
            }
            match started {
                Ok(id) if alone => {
                    known.last = *moment;
                    known.waits_for = Some(id);
                    return Ok(1);
                }
                Ok(_) | Err(Refused::AlreadyRan(_)) => {}
                // The moment is not dealt with: the next process does.
                Err(Refused::Stopping) => return Ok(0),
                Err(Refused::Engine(error)) if error.is_of_machine() => {
                    // Tried again at the next look.
                    known.next = Some(now);
                    inner.heap.push(Reverse((now, key.clone())));
                    return Err(error);
                }
                Err(refused) => {
                    self.executor.journal().note_tick(&Tick::at(key.clone(), *moment))?;
                    self.complain(known, key, format!("no execution for {moment}: {refused}"));
                }
            }
            known.last = *moment;
        }
        // Of a long past only the first part is due at a time.
        let after = due.last().copied().filter(|_| due.len() > 1).unwrap_or(now).min(now);
        known.last = known.last.max(after);
        self.plan(inner, key, after);
        Ok(due.len())
    }
}
