//! What was loaded day by day.

use chrono::{DateTime, Utc};

use super::{Journal, Result};

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
    /// What was loaded on each day since a moment; days without an end of an execution are left out. Executions that have been
    /// deleted are counted too.
    pub fn days(&self, since: DateTime<Utc>) -> Result<Vec<DayTotal>> {
        // A quarter of an hour lies within one day, whatever the time zone.
        let sql =
            "SELECT date(quarter * 900, 'unixepoch', 'localtime'), CAST(max(0, min(total(rows), 9e18)) AS INTEGER),
                          sum(executions)
                   FROM loaded WHERE quarter >= ? GROUP BY 1 HAVING sum(executions) > 0 ORDER BY 1";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([since.timestamp().div_euclid(900)], |row| {
                let (rows, executions) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
                Ok(DayTotal { day: row.get(0)?, rows: rows.unsigned_abs(), executions: executions.unsigned_abs() })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
