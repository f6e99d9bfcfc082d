//! What time it is. A machine's clock may be set to anything, and chrono panics where it cannot represent the time; here
//! it is never before 1970 and never after 9999, the years that its text forms and databases agree on.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, Utc};

/// The last second of the year 9999.
const MAX_TIMESTAMP: u64 = 253_402_300_799;

/// The time now.
pub fn now() -> DateTime<Utc> {
    at(SystemTime::now())
}

/// The time now, in the machine's time zone.
pub fn local() -> DateTime<Local> {
    now().with_timezone(&Local)
}

/// A time of the system, such as that of a file.
pub fn at(time: SystemTime) -> DateTime<Utc> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs().min(MAX_TIMESTAMP)).unwrap_or_default();
    DateTime::from_timestamp(seconds, since.subsec_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_is_far_off_stays_within_its_bounds() {
        let seconds = |time: SystemTime| at(time).to_rfc3339();
        assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00+00:00");
        assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(86_400)), "1970-01-02T00:00:00+00:00");
        for far in [MAX_TIMESTAMP + 1, 9_000_000_000_000_000] {
            assert_eq!(seconds(UNIX_EPOCH + Duration::from_secs(far)), "9999-12-31T23:59:59+00:00");
        }
        assert!((now() - at(SystemTime::now())).num_seconds().abs() < 60);
    }
}
