//! What a trigger has to do at its turn, done without the lock: one job at a time for each trigger, many triggers at a time.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::{Armed, Inner, RETRY_DELAY, Scheduler, TrackedTrigger};
use crate::engine::EngineError;
use crate::engine::health::Part;
use crate::flow::trigger::TriggerKind;
use crate::journal::TriggerKey;
use crate::text;

/// Whether a trigger is being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobStatus {
    /// It is not.
    None,
    /// It is.
    UnderWay,
    /// It is, and there has come more to do since.
    UnderWayWithMore,
}

/// What one trigger has to do.
pub(super) struct Job {
    pub(super) key: TriggerKey,
    pub(super) armed: Armed,
    pub(super) now: DateTime<Utc>,
    /// The latest moment that it has dealt with.
    pub(super) last: DateTime<Utc>,
    /// The numbers of ends: the latest that it has fired for and looked at, that before it began, and the latest there is.
    pub(super) last_end: i64,
    pub(super) since_end: i64,
    pub(super) seen: i64,
    pub(super) until: i64,
}

impl Inner {
    /// A trigger has something to do; if it is being worked on, once more after that.
    pub(super) fn want(&mut self, key: &TriggerKey, from: DateTime<Utc>) {
        let Some(known) = self.known.get_mut(key) else { return };
        if known.work == JobStatus::None {
            self.wanted.entry(key.clone()).or_insert(from);
        } else {
            known.work = JobStatus::UnderWayWithMore;
        }
    }

    /// What a trigger has to do; nothing if it is being worked on, or waits for what others look for.
    pub(super) fn take_up(&mut self, key: TriggerKey, now: DateTime<Utc>) -> Option<Job> {
        let until = self.ends_seen.unwrap_or_default();
        let known = self.known.get_mut(&key)?;
        if known.work != JobStatus::None {
            known.work = JobStatus::UnderWayWithMore;
            return None;
        }
        known.next = None;
        if known.is_disabled() || !matches!(known.trigger().on, TriggerKind::Schedule(..) | TriggerKind::Flow(_)) {
            self.failing.remove(&key);
            return None;
        }
        known.work = JobStatus::UnderWay;
        let TrackedTrigger { last, last_end, since_end, seen, .. } = *known;
        Some(Job { armed: known.armed.clone(), key, now, last, last_end, since_end, seen, until })
    }
}

impl Scheduler {
    /// Works on a job once there is a slot for it, off the threads that answer calls.
    pub(super) async fn work_in_turn(self: Arc<Self>, job: Job, slots: Arc<Semaphore>) {
        // It is never closed.
        let _slot = slots.acquire().await;
        let (scheduler, key, armed, now) = (self.clone(), job.key.clone(), job.armed.clone(), job.now);
        let worked = tokio::task::spawn_blocking(move || scheduler.work(job)).await;
        match worked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.executor.health().bad(Part::Scheduler, text::chain(&error)),
            // It panicked; the trigger itself lives on.
            Err(error) => {
                self.with(&key, &armed, |known| self.complain(known, &key, format!("its work broke off: {error}")));
                self.finish(&key, &armed, now, true);
            }
        }
        self.changed.notify_one();
    }

    /// Does what a trigger has to do.
    ///
    /// # Errors
    /// When the journal cannot be used; it is tried again soon.
    pub(super) fn work(&self, job: Job) -> Result<(), EngineError> {
        let worked = match &job.armed.trigger().on {
            TriggerKind::Flow(wanted) => self.start_followers(&job, wanted),
            _ => self.start_due(&job),
        };
        self.finish(&job.key, &job.armed, job.now, worked.is_err());
        worked
    }

    fn finish(&self, key: &TriggerKey, armed: &Armed, now: DateTime<Utc>, has_failed: bool) {
        let mut inner = self.lock();
        let ends_seen = inner.ends_seen.unwrap_or_default();
        let Some(known) = inner.known.get_mut(key).filter(|known| known.armed.is(armed)) else { return };
        let is_behind =
            matches!(known.trigger().on, TriggerKind::Flow(_)) && known.seen < ends_seen && !known.is_disabled();
        let has_more = std::mem::replace(&mut known.work, JobStatus::None) == JobStatus::UnderWayWithMore;
        if has_failed {
            inner.failing.insert(key.clone());
            inner.want(key, now + RETRY_DELAY);
            return;
        }
        inner.failing.remove(key);
        if has_more || is_behind {
            inner.want(key, now);
        }
    }

    /// Changes a trigger, if it still has the text that a job began with.
    pub(super) fn with<T>(
        &self,
        key: &TriggerKey,
        armed: &Armed,
        change: impl FnOnce(&mut TrackedTrigger) -> T,
    ) -> Option<T> {
        self.lock().known.get_mut(key).filter(|known| known.armed.is(armed)).map(change)
    }

    /// Whether a trigger may start something still: nobody has changed it or switched it off since the job began.
    pub(super) fn may_start(&self, job: &Job) -> bool {
        self.with(&job.key, &job.armed, |known| !known.is_disabled() && known.since_end == job.since_end) == Some(true)
    }
}

impl Armed {
    /// Whether both are of the same reading of the flow.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.flow, &other.flow)
    }
}
