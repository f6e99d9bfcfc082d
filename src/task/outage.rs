//! Retries of work that is safe to repeat, for as long as something that it needs may be back soon.

use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::web::backoff;

use super::{ErrorClass, TaskContext, TaskError};

/// The longest pause between two tries: what is back should not be waited for much longer.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// An attempt that got on for this long before it failed has met a new outage.
const MIN_PROGRESS: Duration = Duration::from_secs(60);
/// Outages that one task gets over.
const MAX_OUTAGES: u32 = 5;

/// What is known of an outage.
pub struct OutageTracker {
    timeout: Duration,
    began: Option<Instant>,
    attempt: Instant,
    failed: u32,
    outages: u32,
}

impl OutageTracker {
    /// None yet. The first attempt begins now.
    pub fn none(settings: &Settings) -> Self {
        Self { timeout: settings.retry_timeout, began: None, attempt: Instant::now(), failed: 0, outages: 0 }
    }

    /// Waits before the next attempt, after one that failed with `error`. The log gets the reason once for each outage.
    ///
    /// # Errors
    /// The error itself if it will not pass or the outage has lasted too long; or that the user stopped the task.
    pub async fn wait(&mut self, context: &TaskContext, error: TaskError) -> Result<(), TaskError> {
        let pause = self.pause(&error, Instant::now());
        let Some(pause) = pause else { return Err(error) };
        if self.failed == 1 {
            let limit = self.timeout.as_secs();
            context.warn(format!("{}; retrying for up to {limit} s", error.message));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.cancel.cancelled() => return Err(TaskError::cancelled("stopped while waiting to retry")),
        }
        self.attempt = Instant::now();
        Ok(())
    }

    fn pause(&mut self, error: &TaskError, now: Instant) -> Option<Duration> {
        if error.class != ErrorClass::Transient {
            return None;
        }
        if self.began.is_none() || now.duration_since(self.attempt) >= MIN_PROGRESS {
            (self.began, self.failed) = (Some(now), 0);
            self.outages += 1;
        }
        self.failed += 1;
        let pause = backoff::pause(self.failed, None, rand::random()).min(MAX_DELAY);
        let lasted = self.began.map_or(Duration::ZERO, |began| now.duration_since(began));
        (self.outages <= MAX_OUTAGES && lasted + pause <= self.timeout).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(timeout: u64) -> OutageTracker {
        OutageTracker {
            timeout: Duration::from_secs(timeout),
            began: None,
            attempt: Instant::now(),
            failed: 0,
            outages: 0,
        }
    }

    #[test]
    fn an_outage_is_retried_for_its_time_and_a_mistake_not_at_all() {
        let away = TaskError::transient("away");
        let mut outage = outage(90);
        let (mut now, began) = (outage.attempt, outage.attempt);
        let mut tries = 0;
        while let Some(pause) = outage.pause(&away, now) {
            (now, outage.attempt, tries) = (now + pause, now + pause, tries + 1);
        }
        let lasted = now - began;
        assert!(lasted > Duration::from_secs(80) && lasted <= Duration::from_secs(90), "{lasted:?}");
        assert!((15..60).contains(&tries), "{tries} tries");
        assert_eq!(self::outage(90).pause(&TaskError::permanent("wrong password"), now), None);
        assert_eq!(self::outage(0).pause(&away, now), None);
    }

    #[test]
    fn an_attempt_that_got_on_starts_the_time_anew_but_not_for_ever() {
        let away = TaskError::transient("away");
        let mut outage = outage(90);
        let mut now = outage.attempt;
        for _ in 0..MAX_OUTAGES {
            now += MIN_PROGRESS * 2;
            assert!(outage.pause(&away, now).is_some());
            outage.attempt = now;
        }
        assert_eq!(outage.pause(&away, now + MIN_PROGRESS * 2), None);
    }
}
