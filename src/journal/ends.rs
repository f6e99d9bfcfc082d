//! The ends of executions in the order in which they were written, whichever process wrote them and whatever its clock
//! said: SQLite lets one write at a time, so that nobody sees an end before those with lower numbers.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::summary::{COLUMNS, summary};
use super::{Journal, Result, Summary, stamp};
use crate::id::ExecutionId;

/// The end of an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionEnd {
    /// Its place among all ends.
    pub number: i64,
    /// The execution as it is now; one that runs again has no such end any more.
    pub summary: Summary,
}

/// Gives an end its number, and takes it from an execution that runs again. Called before the summary is changed.
pub(super) fn record(transaction: &Transaction, id: &ExecutionId, ended: Option<&str>) -> Result<()> {
    let sql = "DELETE FROM ends WHERE execution = ?1 AND (SELECT ended FROM executions WHERE id = ?1) IS NOT ?2";
    transaction.prepare_cached(sql)?.execute(params![id.as_str(), ended])?;
    if ended.is_some() {
        let sql = "INSERT OR IGNORE INTO ends (execution) VALUES (?)";
        transaction.prepare_cached(sql)?.execute([id.as_str()])?;
    }
    Ok(())
}

/// The number of the newest end; it grows even when ends are removed.
pub(super) fn newest(connection: &Connection) -> Result<i64> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'ends'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn end(row: &Row) -> rusqlite::Result<ExecutionEnd> {
    Ok(ExecutionEnd { number: row.get("number")?, summary: summary(row)? })
}

impl Journal {
    /// The ends after one of them, in order, at most `limit`.
    pub fn ends_after(&self, number: i64, limit: u32) -> Result<Vec<ExecutionEnd>> {
        let sql = format!(
            "SELECT {COLUMNS}, number FROM ends JOIN executions ON executions.id = ends.execution
             WHERE number > ? ORDER BY number LIMIT ?"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![number, limit], end)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The ends after one of them up to another one, of those whose clock said `from` or later, in order.
    pub fn ends_between(&self, after: i64, until: i64, from: DateTime<Utc>) -> Result<Vec<ExecutionEnd>> {
        // A window is short and what came before it may be long: the times come first.
        let sql = format!(
            "SELECT {COLUMNS}, number FROM executions CROSS JOIN ends ON ends.execution = executions.id
             WHERE ended >= ? AND number > ? AND number <= ? ORDER BY number"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![stamp(from), after, until], end)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The number of an execution's end; none while it has not ended.
    pub fn end_number(&self, id: &ExecutionId) -> Result<Option<i64>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT number FROM ends WHERE execution = ?")?;
            Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
        })
    }

    /// The cursor of the scheduler: up to which end it has looked at them. The first call sets it after all that there are.
    pub fn ends_seen(&self) -> Result<i64> {
        let connection = self.lock();
        let sql = "SELECT number FROM cursors WHERE name = 'ends'";
        if let Some(number) = connection.query_row(sql, [], |row| row.get(0)).optional()? {
            return Ok(number);
        }
        let number = newest(&connection)?;
        connection.execute("INSERT OR IGNORE INTO cursors VALUES ('ends', ?)", [number])?;
        Ok(number)
    }

    /// Moves the cursor of the scheduler forward.
    pub fn set_ends_seen(&self, number: i64) -> Result<()> {
        let sql = "UPDATE cursors SET number = max(number, ?) WHERE name = 'ends'";
        self.lock().prepare_cached(sql)?.execute([number])?;
        Ok(())
    }
}
