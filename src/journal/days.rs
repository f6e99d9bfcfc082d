//! What was loaded day by day.

use chrono::{DateTime, Utc};

use super::{Journal, Result, stamp};

/// What was loaded on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayTotal {
    /// The day in the machine's own time zone: `2020-03-01`.
    pub day: String,
    /// The rows of the executions that ended on it.
    pub rows: u64,
    /// How many ended.
    pub executions: u64,
}

impl Journal {
    /// What was loaded on each day since a moment; days without an end of an execution are left out.
    pub fn days(&self, since: DateTime<Utc>) -> Result<Vec<DayTotal>> {
        let sql = "SELECT date(ended, 'localtime'), sum(rows), count(*) FROM executions WHERE ended >= ? GROUP BY 1 ORDER BY 1";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([stamp(since)], |row| {
                let (rows, executions) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
                Ok(DayTotal { day: row.get(0)?, rows: rows.unsigned_abs(), executions: executions.unsigned_abs() })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
