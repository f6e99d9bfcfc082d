//! The notifications that have been sent, so that none is sent twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Journal, Result, stamp};

/// A rule of notifications, and the flow that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationKey {
    /// The rule.
    pub rule: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
}

impl Journal {
    /// Whether to send a notification now: how often it was suppressed since it was last sent, or none when that was less than
    /// `repeat` ago. It is recorded as sent, or counted as suppressed.
    pub fn record_notification(
        &self,
        key: &NotificationKey,
        occasion: &str,
        now: DateTime<Utc>,
        repeat: Duration,
    ) -> Result<Option<u32>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "SELECT told, left_out FROM notices WHERE rule = ? AND namespace = ? AND flow = ? AND occasion = ?";
        let earlier: Option<(DateTime<Utc>, u32)> = transaction
            .query_row(sql, params![key.rule, key.namespace, key.flow, occasion], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let repeat = chrono::TimeDelta::from_std(repeat).unwrap_or(chrono::TimeDelta::MAX);
        let too_soon = earlier.filter(|(sent, _)| (now - *sent).abs() < repeat);
        let (sent, suppressed) = too_soon.map_or((now, 0), |(sent, suppressed)| (sent, suppressed + 1));
        transaction.execute(
            "INSERT OR REPLACE INTO notices VALUES (?, ?, ?, ?, ?, ?)",
            params![key.rule, key.namespace, key.flow, occasion, stamp(sent), suppressed],
        )?;
        transaction.commit()?;
        Ok(if too_soon.is_some() { None } else { Some(earlier.map_or(0, |(_, suppressed)| suppressed)) })
    }

    /// Renames a rule; what was sent under it counts for the new name.
    pub fn rename_rule(&self, from: &str, to: &str) -> Result<()> {
        self.lock().execute("UPDATE OR REPLACE notices SET rule = ?2 WHERE rule = ?1", [from, to])?;
        Ok(())
    }

    /// Forgets a notification whose cause is over; how often it was suppressed, or none when it was not sent.
    pub fn forget_notification(&self, key: &NotificationKey, occasion: &str) -> Result<Option<u32>> {
        let sql = "DELETE FROM notices WHERE rule = ? AND namespace = ? AND flow = ? AND occasion = ?
                   RETURNING left_out";
        let values = params![key.rule, key.namespace, key.flow, occasion];
        Ok(self.lock().query_row(sql, values, |row| row.get(0)).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_sent_once_in_a_while_and_again_after_it_was_over() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let key = NotificationKey { rule: "r".to_owned(), namespace: "n".to_owned(), flow: "f".to_owned() };
        let at = |hour: i64| DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hour);
        let take =
            |hour| journal.record_notification(&key, "failure", at(hour), Duration::from_secs(24 * 3600)).unwrap();
        assert_eq!([take(0), take(1), take(2)], [Some(0), None, None]);
        assert_eq!([take(24), take(25)], [Some(2), None]);
        assert_eq!(journal.forget_notification(&key, "failure").unwrap(), Some(1));
        assert_eq!(journal.forget_notification(&key, "failure").unwrap(), None);
        assert_eq!(take(26), Some(0));
    }
}
