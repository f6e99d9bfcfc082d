//! How far the attempts that run in this process have come. What a task counts is read where it is counted; nothing has to be
//! removed, since an attempt that has ended no longer counts.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::id::{ExecutionId, RunId};
use crate::task::Progress;

/// The attempts that run in this process.
#[derive(Clone, Default)]
pub struct LiveProgress(Arc<Mutex<HashMap<ExecutionId, Vec<LiveAttempt>>>>);

struct LiveAttempt {
    run: RunId,
    began: Instant,
    progress: Weak<Progress>,
}

/// How far an attempt has come.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressSnapshot {
    /// The task run.
    pub run: RunId,
    /// How long it has run, in seconds.
    pub seconds: f64,
    /// Rows done.
    pub rows: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all; 0 while that is not known.
    pub total_bytes: u64,
    /// What it waits for.
    pub waiting: Option<String>,
}

impl ProgressSnapshot {
    /// How many seconds are left at the present rate, where that is known.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total_bytes.checked_sub(self.bytes).filter(|_| self.bytes > 0 && self.total_bytes > 0)?;
        Some(self.seconds * left as f64 / self.bytes as f64)
    }
}

impl LiveProgress {
    /// Notes an attempt that begins.
    pub(super) fn begin(&self, id: &ExecutionId, run: &RunId, progress: &Arc<Progress>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, attempts| {
            attempts.retain(|attempt| attempt.progress.strong_count() > 0);
            !attempts.is_empty()
        });
        let attempt = LiveAttempt { run: run.clone(), began: Instant::now(), progress: Arc::downgrade(progress) };
        all.entry(id.clone()).or_default().push(attempt);
    }

    /// The attempts of an execution that run in this process.
    pub fn of(&self, id: &ExecutionId) -> Vec<ProgressSnapshot> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = all.get(id).map(Vec::as_slice).unwrap_or_default();
        let snapshot = |attempt: &LiveAttempt| {
            let progress = attempt.progress.upgrade()?;
            Some(ProgressSnapshot {
                run: attempt.run.clone(),
                seconds: attempt.began.elapsed().as_secs_f64(),
                rows: progress.rows.load(Ordering::Relaxed),
                bytes: progress.bytes.load(Ordering::Relaxed),
                total_bytes: progress.total_bytes.load(Ordering::Relaxed),
                waiting: progress.waiting(),
            })
        };
        attempts.iter().filter_map(snapshot).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_known_as_long_as_it_runs() {
        let (live, id, run) = (LiveProgress::default(), ExecutionId::new("e1"), RunId::new("load"));
        let progress = Arc::new(Progress::default());
        live.begin(&id, &run, &progress);
        progress.add_rows(7);
        progress.set_total_bytes(100);
        progress.add_bytes(50);
        let known = live.of(&id);
        assert_eq!((known[0].rows, known[0].bytes, known[0].total_bytes), (7, 50, 100));
        assert!(known[0].seconds_left().is_some_and(|left| (left - known[0].seconds).abs() < 1e-9));
        drop(progress);
        assert_eq!(live.of(&id), []);
    }
}
