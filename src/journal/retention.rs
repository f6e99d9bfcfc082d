//! Removing what is no longer wanted.

use chrono::{DateTime, Utc};
use rusqlite::params;

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

    /// Removes log lines that are older than a moment; how many there were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<usize> {
        // Lines are written in the order of time, so that the oldest come first without an index.
        let sql = "DELETE FROM logs WHERE time < ? AND rowid IN (SELECT rowid FROM logs ORDER BY rowid LIMIT ?)";
        let mut removed = 0;
        loop {
            let piece = self.lock().execute(sql, params![stamp(time), PIECE])?;
            removed += piece;
            if piece < PIECE as usize {
                return Ok(removed);
            }
        }
    }
}
