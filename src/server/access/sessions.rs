//! Who has signed in on the login page, over restarts.

use chrono::{DateTime, TimeDelta, Utc};

use super::cookies::{MAX_AGE, digest, random};
use crate::journal::{Journal, Result, Session};
use crate::text::hex;

/// How long it lasts unused.
const MAX_IDLE: TimeDelta = TimeDelta::days(7);
/// How often it is written down that it is used.
const TOUCH_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Begins a session of a user with this version of the password, and gives the cookie that stands for it.
pub(super) fn begin(journal: &Journal, user: &str, version: &[u8; 32], now: DateTime<Utc>) -> Result<String> {
    let cookie = random();
    let login = bound(&cookie, version).to_vec();
    journal.add_session(&digest(&cookie), &Session { user: user.to_owned(), login, created: now, used: now })?;
    Ok(cookie)
}

/// What ties a session to the password that it began with. Without the cookie, which is not kept, it tells nothing about it.
pub(super) fn bound(cookie: &str, version: &[u8; 32]) -> [u8; 32] {
    digest(&format!("{cookie} {}", hex(version)))
}

/// The session that a cookie stands for, unless it has expired.
pub(super) fn find(journal: &Journal, cookie: &str, now: DateTime<Utc>) -> Result<Option<Session>> {
    let key = digest(cookie);
    let Some(session) = journal.session(&key)? else { return Ok(None) };
    if !is_open(&session, now) {
        journal.end_session(&key)?;
        return Ok(None);
    }
    if now - session.used > TOUCH_INTERVAL {
        journal.touch_session(&key, now)?;
    }
    Ok(Some(session))
}

/// Ends the session of a cookie.
pub(super) fn end(journal: &Journal, cookie: &str) -> Result<()> {
    journal.end_session(&digest(cookie))
}

/// Whether a session that is kept can still be used.
pub(in crate::server) fn is_open(session: &Session, now: DateTime<Utc>) -> bool {
    now - session.created <= MAX_AGE && now - session.used <= MAX_IDLE
}

/// Forgets all sessions that have expired.
pub(in crate::server) fn sweep(journal: &Journal, now: DateTime<Utc>) -> Result<()> {
    journal.end_sessions_before(now - MAX_AGE, now - MAX_IDLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_old_or_unused_or_signed_out() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let at = |days: i64| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let is_there = |cookie: &str, days| find(&journal, cookie, at(days)).unwrap().is_some();
        let idle = begin(&journal, "ada", &[1; 32], at(0)).unwrap();
        assert!(is_there(&idle, 6) && is_there(&idle, 12) && !is_there(&idle, 20) && !is_there(&idle, 12));
        let old = begin(&journal, "ada", &[1; 32], at(0)).unwrap();
        assert!((0..=30).all(|day| is_there(&old, day)) && !is_there(&old, 31));
        let (left, kept) =
            (begin(&journal, "ada", &[1; 32], at(0)).unwrap(), begin(&journal, "ada", &[1; 32], at(0)).unwrap());
        end(&journal, &left).unwrap();
        assert!(!is_there(&left, 1) && is_there(&kept, 1) && !is_there("anything", 1));
        sweep(&journal, at(100)).unwrap();
        assert!(!is_there(&kept, 2), "it is forgotten");
    }
}
