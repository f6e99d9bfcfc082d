//! The audit log: who has asked the server to change something, and whether it did.

use chrono::{DateTime, Utc};
use rusqlite::params;
use serde::Serialize;

use super::{Journal, Result, stamp};

/// The most rows that are kept, whatever their age.
const MAX_ROWS: i64 = 1_000_000;
/// The most rows without a user that are kept: failed logins must not push out what users did.
const MAX_ANONYMOUS: i64 = 100_000;

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its place in the log.
    pub number: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// The user, or the name of the token; empty where nobody has logged in.
    pub user: String,
    /// The address that it came from.
    pub address: String,
    /// What was asked for, such as `restart execution`.
    pub action: String,
    /// With what, such as `shop.hello`; empty where the request's path does not say.
    pub target: String,
    /// The status of the response.
    pub status: u16,
}

impl AuditRow {
    /// What became of it: `done`, `refused` or `failed`.
    pub fn result(&self) -> &'static str {
        match self.status {
            ..=399 => "done",
            401 | 403 => "refused",
            _ => "failed",
        }
    }
}

/// Which rows of the audit log to find.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Those of this user.
    pub user: Option<String>,
    /// Those with this text in action or target.
    pub text: Option<String>,
    /// Those that ended so: `done`, `refused` or `failed`.
    pub result: Option<String>,
    /// Those from then on.
    pub since: Option<DateTime<Utc>>,
    /// Those before this row.
    pub before: Option<i64>,
}

impl Journal {
    /// Adds a row; its `number` is chosen here.
    pub fn add_audit(&self, row: &AuditRow) -> Result<()> {
        let values = params![stamp(row.time), row.user, row.address, row.action, row.target, row.status];
        let sql = "INSERT INTO audit (time, user, address, action, target, status) VALUES (?, ?, ?, ?, ?, ?)";
        self.lock().prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// At most `limit` rows, the newest first.
    pub fn audit(&self, query: &AuditQuery, limit: u32) -> Result<Vec<AuditRow>> {
        let sql = "SELECT number, time, user, address, action, target, status FROM audit
                   WHERE number < ?1 AND (?2 IS NULL OR user = ?2) AND (?3 IS NULL OR time >= ?3)
                     AND (?4 IS NULL OR ?4 = CASE WHEN status < 400 THEN 'done' WHEN status IN (401, 403) THEN 'refused' ELSE 'failed' END)
                     AND (?5 IS NULL OR instr(lower(action || ' ' || target), ?5) > 0)
                   ORDER BY number DESC LIMIT ?6";
        let values = params![
            query.before.unwrap_or(i64::MAX),
            query.user,
            query.since.map(stamp),
            query.result,
            query.text.as_deref().map(str::to_lowercase),
            limit
        ];
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row| {
                Ok(AuditRow {
                    number: row.get(0)?,
                    time: row.get(1)?,
                    user: row.get(2)?,
                    address: row.get(3)?,
                    action: row.get(4)?,
                    target: row.get(5)?,
                    status: row.get(6)?,
                })
            };
            Ok(statement.query_map(values, row)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Deletes rows from before a moment, and the oldest where there are too many.
    pub fn delete_audit_before(&self, time: DateTime<Utc>) -> Result<()> {
        let connection = self.lock();
        let sql = "DELETE FROM audit WHERE user = '' AND number <=
                   (SELECT number FROM audit WHERE user = '' ORDER BY number DESC LIMIT 1 OFFSET ?)";
        connection.execute(sql, [MAX_ANONYMOUS])?;
        let sql = "DELETE FROM audit WHERE time < ?1 OR number <= (SELECT max(number) FROM audit) - ?2";
        connection.execute(sql, params![stamp(time), MAX_ROWS])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn rows_are_found_newest_first_and_deleted_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let at = |day: i64| DateTime::UNIX_EPOCH + TimeDelta::days(day);
        let row = |day, user: &str, action: &str, status| AuditRow {
            number: 0,
            time: at(day),
            user: user.to_owned(),
            address: "::1".to_owned(),
            action: action.to_owned(),
            target: "shop.hello".to_owned(),
            status,
        };
        for added in
            [row(1, "ada", "run flow", 200), row(2, "bob", "Delete flow", 403), row(3, "ada", "kill execution", 404)]
        {
            journal.add_audit(&added).unwrap();
        }
        let found = |query: AuditQuery| -> Vec<i64> {
            journal.audit(&query, 10).unwrap().iter().map(|row| row.number).collect()
        };
        let all = AuditQuery::default;
        assert_eq!(found(all()), [3, 2, 1]);
        assert_eq!(found(AuditQuery { user: Some("ada".to_owned()), ..all() }), [3, 1]);
        assert_eq!(found(AuditQuery { text: Some("delete".to_owned()), ..all() }), [2]);
        assert_eq!(found(AuditQuery { result: Some("refused".to_owned()), ..all() }), [2]);
        assert!(journal.audit(&all(), 10).unwrap().iter().map(AuditRow::result).eq(["failed", "refused", "done"]));
        assert_eq!(found(AuditQuery { since: Some(at(2)), before: Some(3), ..all() }), [2]);
        journal.delete_audit_before(at(3)).unwrap();
        assert_eq!(found(all()), [3]);
    }
}
