//! What people have been told, so that they are not told twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Journal, Result, stamp};

/// Who is told about which flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationKey {
    /// The rule by which somebody is told.
    pub rule: String,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
}

impl Journal {
    /// Whether to tell this now: how often it was left out since it was last told, or none when that was less than
    /// `repeat` ago. It counts as told, or as left out once more.
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
        let too_soon = earlier.filter(|(told, _)| (now - *told).abs() < repeat);
        let (told, left_out) = too_soon.map_or((now, 0), |(told, left_out)| (told, left_out + 1));
        transaction.execute(
            "INSERT OR REPLACE INTO notices VALUES (?, ?, ?, ?, ?, ?)",
            params![key.rule, key.namespace, key.flow, occasion, stamp(told), left_out],
        )?;
        transaction.commit()?;
        Ok(if too_soon.is_some() { None } else { Some(earlier.map_or(0, |(_, left_out)| left_out)) })
    }

    /// Gives a rule another name; what was told under it counts for the new name.
    pub fn rename_rule(&self, from: &str, to: &str) -> Result<()> {
        self.lock().execute("UPDATE OR REPLACE notices SET rule = ?2 WHERE rule = ?1", [from, to])?;
        Ok(())
    }

    /// Forgets what was told, because it is over; how often it was left out, or none when nothing was told.
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
    fn the_same_is_told_once_in_a_while_and_again_after_it_was_over() {
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
