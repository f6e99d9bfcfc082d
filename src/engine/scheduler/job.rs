//! The work of one trigger, done without the scheduler's lock: one job at a time for each trigger, many triggers at a time.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::{RETRY_DELAY, Scheduler, SchedulerState, TrackedTrigger, TriggerDefinition};
use crate::engine::EngineError;
use crate::engine::health::Component;
use crate::flow::trigger::TriggerKind;
use crate::journal::TriggerKey;
use crate::text;

/// Whether a job of a trigger is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobStatus {
    /// None is.
    Idle,
    /// One is.
    Running,
    /// One is, and the trigger has become due again since.
    RunningWithMore,
}

/// A job of one trigger, with its progress as the job began.
pub(super) struct TriggerJob {
    pub(super) key: TriggerKey,
    pub(super) definition: TriggerDefinition,
    pub(super) now: DateTime<Utc>,
    /// The latest date that it has processed.
    pub(super) last: DateTime<Utc>,
    /// The numbers of ends: the latest that it has fired for and looked at, that before it began, and the latest there is.
    pub(super) last_end: i64,
    pub(super) since_end: i64,
    pub(super) seen: i64,
    pub(super) until: i64,
}

impl SchedulerState {
    /// Marks a trigger as due from a moment on; if a job of it is running, again after that.
    pub(super) fn mark_due(&mut self, key: &TriggerKey, from: DateTime<Utc>) {
        let Some(known) = self.known.get_mut(key) else { return };
        if known.work == JobStatus::Idle {
            self.due.entry(key.clone()).or_insert(from);
        } else {
            known.work = JobStatus::RunningWithMore;
        }
    }

    /// The job of a trigger that is due; none if one is running, or sensors look for what it waits for.
    pub(super) fn start_job(&mut self, key: TriggerKey, now: DateTime<Utc>) -> Option<TriggerJob> {
        let until = self.ends_seen.unwrap_or_default();
        let known = self.known.get_mut(&key)?;
        if known.work != JobStatus::Idle {
            known.work = JobStatus::RunningWithMore;
            return None;
        }
        known.next = None;
        if known.is_disabled() || !matches!(known.trigger().on, TriggerKind::Schedule(..) | TriggerKind::Flow(_)) {
            self.failing.remove(&key);
            return None;
        }
        known.work = JobStatus::Running;
        let TrackedTrigger { last, last_end, since_end, seen, .. } = *known;
        Some(TriggerJob { definition: known.definition.clone(), key, now, last, last_end, since_end, seen, until })
    }
}

impl Scheduler {
    /// Runs a job once there is a slot for it, off the threads that answer calls.
    pub(super) async fn run_in_slot(self: Arc<Self>, job: TriggerJob, slots: Arc<Semaphore>) {
        // The semaphore is never closed.
        let _slot = slots.acquire().await;
        let (scheduler, key, definition, now) = (self.clone(), job.key.clone(), job.definition.clone(), job.now);
        let worked = tokio::task::spawn_blocking(move || scheduler.work(job)).await;
        match worked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.executor.health().report_failure(Component::Scheduler, text::chain(&error)),
            // It panicked; the trigger itself lives on.
            Err(error) => {
                self.with(&key, &definition, |known| {
                    self.report_problem(known, &key, format!("its task failed: {error}"))
                });
                self.finish(&key, &definition, now, true);
            }
        }
        self.changed.notify_one();
    }

    /// Runs a job.
    ///
    /// # Errors
    /// When the journal cannot be used; it is tried again soon.
    pub(super) fn work(&self, job: TriggerJob) -> Result<(), EngineError> {
        let worked = match &job.definition.trigger().on {
            TriggerKind::Flow(flow_end) => self.start_followers(&job, flow_end),
            _ => self.start_due(&job),
        };
        self.finish(&job.key, &job.definition, job.now, worked.is_err());
        worked
    }

    fn finish(&self, key: &TriggerKey, definition: &TriggerDefinition, now: DateTime<Utc>, has_failed: bool) {
        let mut state = self.lock();
        let ends_seen = state.ends_seen.unwrap_or_default();
        let Some(known) = state.known.get_mut(key).filter(|known| known.definition.is(definition)) else { return };
        let is_behind =
            matches!(known.trigger().on, TriggerKind::Flow(_)) && known.seen < ends_seen && !known.is_disabled();
        let has_more = std::mem::replace(&mut known.work, JobStatus::Idle) == JobStatus::RunningWithMore;
        if has_failed {
            state.failing.insert(key.clone());
            state.mark_due(key, now + RETRY_DELAY);
            return;
        }
        state.failing.remove(key);
        if has_more || is_behind {
            state.mark_due(key, now);
        }
    }

    /// Changes a trigger, if it still has the text that a job began with.
    pub(super) fn with<T>(
        &self,
        key: &TriggerKey,
        definition: &TriggerDefinition,
        change: impl FnOnce(&mut TrackedTrigger) -> T,
    ) -> Option<T> {
        self.lock().known.get_mut(key).filter(|known| known.definition.is(definition)).map(change)
    }

    /// Whether a job may still start executions: nobody has changed its trigger or switched it off since it began.
    pub(super) fn is_current(&self, job: &TriggerJob) -> bool {
        self.with(&job.key, &job.definition, |known| !known.is_disabled() && known.since_end == job.since_end)
            == Some(true)
    }
}

impl TriggerDefinition {
    /// Whether both are of the same reading of the flow.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.flow, &other.flow)
    }
}
