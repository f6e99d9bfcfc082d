//! Who has signed in on the server's login page. Of the cookies only digests are kept.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Journal, Result, stamp};

/// A session of somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user's name.
    pub user: String,
    /// A digest of the login that was used: once the user has another password, the session is over.
    pub login: Vec<u8>,
    /// When it began.
    pub created: DateTime<Utc>,
    /// When it was last used, to the hour.
    pub used: DateTime<Utc>,
}

impl Journal {
    /// Keeps a session under the digest of its cookie.
    pub fn add_session(&self, digest: &[u8], session: &Session) -> Result<()> {
        let values = params![digest, session.user, session.login, stamp(session.created), stamp(session.used)];
        self.lock().execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", values)?;
        Ok(())
    }

    /// The session of this digest.
    pub fn session(&self, digest: &[u8]) -> Result<Option<Session>> {
        let connection = self.lock();
        let mut found =
            connection.prepare_cached("SELECT user, login, created, used FROM sessions WHERE digest = ?")?;
        let session = |row: &rusqlite::Row| {
            Ok(Session { user: row.get(0)?, login: row.get(1)?, created: row.get(2)?, used: row.get(3)? })
        };
        Ok(found.query_row([digest], session).optional()?)
    }

    /// Writes down that a session is used.
    pub fn touch_session(&self, digest: &[u8], now: DateTime<Utc>) -> Result<()> {
        self.lock().execute("UPDATE sessions SET used = ? WHERE digest = ?", params![stamp(now), digest])?;
        Ok(())
    }

    /// Ends a session.
    pub fn end_session(&self, digest: &[u8]) -> Result<()> {
        self.lock().execute("DELETE FROM sessions WHERE digest = ?", [digest])?;
        Ok(())
    }

    /// The sessions of all users, or of one, the last used first, each with its digest.
    pub fn sessions(&self, user: Option<&str>) -> Result<Vec<(Vec<u8>, Session)>> {
        let connection = self.lock();
        let sql =
            "SELECT digest, user, login, created, used FROM sessions WHERE ?1 IS NULL OR user = ?1 ORDER BY used DESC";
        let mut found = connection.prepare_cached(sql)?;
        let rows = found.query_map([user], |row| {
            let session = Session { user: row.get(1)?, login: row.get(2)?, created: row.get(3)?, used: row.get(4)? };
            Ok((row.get(0)?, session))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Ends all sessions of a user, and says how many there were.
    pub fn end_sessions_of(&self, user: &str) -> Result<usize> {
        Ok(self.lock().execute("DELETE FROM sessions WHERE user = ?", [user])?)
    }

    /// Ends all sessions that began before one moment or were last used before another.
    pub fn end_sessions_before(&self, created: DateTime<Utc>, used: DateTime<Utc>) -> Result<()> {
        let values = params![stamp(created), stamp(used)];
        self.lock().execute("DELETE FROM sessions WHERE created < ? OR used < ?", values)?;
        Ok(())
    }
}
