//! How long to wait before the next try.

use std::time::Duration;

use chrono::{DateTime, Utc};

const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// A server that asks for more than this is not waited for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The pause after the `failed`th failure in a row (from 1): what the server asked for, else twice as long each time.
/// `jitter` from 0 to 1 takes away up to half, so that many clients do not come back at the same moment.
pub fn pause(failed: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    if let Some(retry_after) = retry_after {
        return retry_after.min(MAX_RETRY_AFTER);
    }
    let doubled = FIRST_DELAY.saturating_mul(1 << failed.saturating_sub(1).min(16));
    doubled.min(MAX_DELAY).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// What to say of a server that asks for a longer pause than anybody should wait for.
pub fn too_long(retry_after: Option<Duration>, now: DateTime<Utc>) -> Option<String> {
    let retry_after = retry_after.filter(|retry_after| *retry_after > MAX_RETRY_AFTER)?;
    let until =
        chrono::TimeDelta::from_std(retry_after).ok().and_then(|retry_after| now.checked_add_signed(retry_after));
    let until = until.map_or("much later".to_owned(), |until| until.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    Some(format!("the server asks to wait until {until}"))
}

/// Reads a `Retry-After` header: seconds, or a date.
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(header.trim()).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_yield_to_the_server() {
        assert_eq!(pause(1, None, 0.0), Duration::from_millis(200));
        assert_eq!(pause(3, None, 0.0), Duration::from_millis(800));
        assert_eq!(pause(3, None, 1.0), Duration::from_millis(400));
        assert_eq!(pause(99, None, 0.0), MAX_DELAY);
        assert_eq!(pause(1, Some(Duration::from_secs(40)), 1.0), Duration::from_secs(40));
        assert_eq!(pause(1, Some(Duration::from_secs(86_400)), 0.0), MAX_RETRY_AFTER);
    }

    #[test]
    fn a_day_of_pause_is_not_waited_for_and_its_end_is_said() {
        let now = DateTime::parse_from_rfc2822("Wed, 21 Oct 2015 07:28:00 GMT").unwrap().to_utc();
        let said = too_long(Some(Duration::from_secs(86_400)), now).unwrap();
        assert_eq!(said, "the server asks to wait until 2015-10-22 07:28:00 UTC");
        assert_eq!(too_long(Some(MAX_RETRY_AFTER), now), None);
        assert_eq!(too_long(None, now), None);
        assert!(too_long(Some(Duration::MAX), now).is_some());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc2822("Wed, 21 Oct 2015 07:28:00 GMT").unwrap().to_utc();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:09 GMT", now), Some(Duration::from_secs(9)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
