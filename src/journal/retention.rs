//! Removing what is no longer wanted.

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use super::{Journal, Result, stamp};
use crate::id::ExecutionId;

/// A sweep writes in pieces, so that executions under way need not wait for it.
const PIECE: u32 = 500;

impl Journal {
    /// The executions that ended before a moment, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ended_before(&self, time: DateTime<Utc>) -> Result<Vec<ExecutionId>> {
        let connection = self.lock();
        let sql = "SELECT id FROM executions WHERE ended < ? AND state IN ('SUCCESS', 'WARNING', 'FAILED', 'KILLED', 'CANCELLED', 'RETRIED') ORDER BY id";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([stamp(time)], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// Removes log lines that are older than a moment, but for those of executions that have not ended; how many there
    /// were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<usize> {
        let time = stamp(time);
        let (mut removed, mut after) = (0, 0);
        loop {
            let connection = self.lock();
            // Lines are written in the order of time, so that the oldest come first without an index.
            let sql = "SELECT max(rowid), total(time < ?)
                       FROM (SELECT rowid, time FROM logs WHERE rowid > ? ORDER BY rowid LIMIT ?)";
            let found = |row: &Row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, f64>(1)?));
            let (last, old) = connection.query_row(sql, params![time, after, PIECE], found)?;
            let sql = "DELETE FROM logs WHERE rowid > ? AND rowid <= ? AND time < ?
                       AND NOT EXISTS (SELECT 1 FROM executions WHERE id = logs.execution AND ended IS NULL)";
            removed += connection.execute(sql, params![after, last, time])?;
            after = last.unwrap_or(after);
            if old < f64::from(PIECE) {
                return Ok(removed);
            }
        }
    }
}
