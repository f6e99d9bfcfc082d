//! When a failed attempt is repeated.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::flow::{RetryKind, RetrySpec};
use crate::task::ErrorClass;

const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
const DEFAULT_ATTEMPTS: u32 = 3;

/// When the attempt after number `attempt` starts, or none when that was the last. Only failures that may pass are
/// repeated. `first` is when the first attempt began, `luck` a number from 0 to 1.
pub(super) fn next_attempt(
    retry: Option<&RetrySpec>,
    class: ErrorClass,
    attempt: u32,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
    luck: f64,
) -> Option<DateTime<Utc>> {
    let retry = retry.filter(|_| class == ErrorClass::Transient)?;
    let limit = retry.max_attempts.unwrap_or(if retry.max_duration.is_some() { u32::MAX } else { DEFAULT_ATTEMPTS });
    let at = now + pause(retry, attempt, luck);
    let too_late = retry.max_duration.is_some_and(|longest| at > first + longest.0);
    (attempt < limit && !too_late).then_some(at)
}

/// How long to wait after an attempt.
pub(super) fn pause(retry: &RetrySpec, attempt: u32, luck: f64) -> Duration {
    let first = retry.interval.map_or(DEFAULT_PAUSE, |span| span.0);
    let longest = retry.max_interval.map_or(Duration::from_secs(3600), |span| span.0);
    match retry.kind {
        RetryKind::Constant => first,
        RetryKind::Exponential => {
            let factor =
                retry.delay_factor.unwrap_or(2.0).max(1.0).powi(attempt.saturating_sub(1).min(64).cast_signed());
            Duration::try_from_secs_f64(first.as_secs_f64() * factor).unwrap_or(longest).min(longest)
        }
        RetryKind::Random => {
            let shortest = retry.min_interval.map_or(first, |span| span.0);
            shortest + longest.saturating_sub(shortest).mul_f64(luck.clamp(0.0, 1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pauses(retry: Value, luck: f64) -> Vec<i64> {
        let retry: RetrySpec = serde_json::from_value(retry).unwrap();
        let start = DateTime::UNIX_EPOCH;
        let next = |attempt| next_attempt(Some(&retry), ErrorClass::Transient, attempt, start, start, luck);
        (1..10).map_while(next).map(|at| (at - start).num_seconds()).collect()
    }

    #[test]
    fn each_kind_pauses_in_its_way() {
        assert_eq!(pauses(json!({"type": "constant", "interval": "5s", "maxAttempts": 4}), 0.0), [5, 5, 5]);
        let growing = json!({"type": "exponential", "interval": "PT2S", "maxInterval": "10s", "maxAttempts": 6});
        assert_eq!(pauses(growing, 0.0), [2, 4, 8, 10, 10]);
        let random = json!({"type": "random", "minInterval": "2s", "maxInterval": "6s", "maxAttempts": 2});
        assert_eq!(pauses(random, 0.5), [4]);
        assert_eq!(pauses(json!({"type": "constant", "interval": "5s", "maxDuration": "4s"}), 0.0), [0i64; 0]);
    }

    #[test]
    fn what_cannot_pass_is_not_repeated() {
        let retry: RetrySpec = serde_json::from_value(json!({"type": "constant", "interval": "5s"})).unwrap();
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(next_attempt(Some(&retry), ErrorClass::Permanent, 1, now, now, 0.0), None);
        assert_eq!(next_attempt(None, ErrorClass::Transient, 1, now, now, 0.0), None);
    }
}
