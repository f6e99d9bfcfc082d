//! Removing what is no longer wanted.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Journal, JournalUpdate, Result, stamp};
use crate::id::ExecutionId;

/// A sweep writes in pieces, so that running executions need not wait for it: so many log lines at a time,
const LOG_BATCH: u32 = 500;
/// and so many executions, each with all its events.
const EXECUTION_BATCH: u32 = 50;

impl Journal {
    /// Removes a piece of the executions that ended before a moment, the first of them first, each with its events and
    /// logs; which they were, and none when nothing is left to remove. After a crash all of the piece is gone, or nothing.
    pub fn delete_ended_before(&self, time: DateTime<Utc>) -> Result<Vec<ExecutionId>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ids: Vec<ExecutionId> = {
            // Only what has ended, and does not run again, has such a time.
            let sql = "SELECT id FROM executions WHERE ended < ? ORDER BY ended LIMIT ?";
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map(params![stamp(time), EXECUTION_BATCH], |row| row.get::<_, String>(0))?;
            rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?
        };
        ids.iter().try_for_each(|id| delete(&transaction, id))?;
        transaction.commit()?;
        drop(connection);
        self.changes.count_for_all();
        ids.iter().for_each(|id| self.broadcast(|| JournalUpdate::Deleted { id: id.clone() }));
        Ok(ids)
    }

    /// How many executions ended before a moment.
    pub fn count_ended_before(&self, time: DateTime<Utc>) -> Result<usize> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM executions WHERE ended < ?")?;
            Ok(statement.query_row([stamp(time)], |row| row.get::<_, u32>(0))? as usize)
        })
    }

    /// Removes an execution with its events and logs, all or nothing.
    pub fn delete(&self, id: &ExecutionId) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        delete(&transaction, id)?;
        transaction.commit()?;
        drop(connection);
        self.changes.count_for_all();
        self.broadcast(|| JournalUpdate::Deleted { id: id.clone() });
        Ok(())
    }

    /// When an execution ended; none when there is no such execution, and none within when it has not ended.
    pub fn ended(&self, id: &ExecutionId) -> Result<Option<Option<DateTime<Utc>>>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT ended FROM executions WHERE id = ?")?;
            Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
        })
    }

    /// How many log lines [`Journal::delete_logs_before`] would remove.
    pub fn count_logs_before(&self, time: DateTime<Utc>) -> Result<usize> {
        let sql = "SELECT count(*) FROM logs WHERE time < ?
                   AND NOT EXISTS (SELECT 1 FROM executions WHERE id = logs.execution AND ended IS NULL)";
        self.read(|connection| Ok(connection.query_row(sql, [stamp(time)], |row| row.get::<_, u32>(0))? as usize))
    }

    /// Removes log lines that are older than a moment, except for those of executions that have not ended; how many there
    /// were. Between its pieces it asks whether to `stop`.
    pub fn delete_logs_before(&self, time: DateTime<Utc>, stop: impl Fn() -> bool) -> Result<usize> {
        let time = stamp(time);
        let (mut removed, mut after) = (0, 0);
        loop {
            let connection = self.lock();
            // Lines are written in the order of time, so that the oldest come first without an index.
            let sql = "SELECT max(rowid), total(time < ?)
                       FROM (SELECT rowid, time FROM logs WHERE rowid > ? ORDER BY rowid LIMIT ?)";
            let found = |row: &Row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, f64>(1)?));
            let (last, old) = connection.query_row(sql, params![time, after, LOG_BATCH], found)?;
            let sql = "DELETE FROM logs WHERE rowid > ? AND rowid <= ? AND time < ?
                       AND NOT EXISTS (SELECT 1 FROM executions WHERE id = logs.execution AND ended IS NULL)";
            removed += connection.execute(sql, params![after, last, time])?;
            after = last.unwrap_or(after);
            if old < f64::from(LOG_BATCH) || stop() {
                return Ok(removed);
            }
        }
    }
}

fn delete(transaction: &Transaction, id: &ExecutionId) -> Result<()> {
    for sql in [
        "DELETE FROM logs WHERE execution = ?",
        "DELETE FROM events WHERE execution = ?",
        "DELETE FROM ends WHERE execution = ?",
        "DELETE FROM expected WHERE execution = ?",
        "DELETE FROM executions WHERE id = ?",
    ] {
        transaction.prepare_cached(sql)?.execute([id.as_str()])?;
    }
    Ok(())
}
