//! Executions whose number of rows looks unusual and is not: somebody has looked, and says that it was to be expected.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::params;
use serde_json::Value;

use super::{Journal, Result, stamp};
use crate::id::ExecutionId;

/// Who has said that the rows of an execution are as many as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedMark {
    /// The user's name; empty where nobody needs to log in.
    pub user: String,
    /// When.
    pub time: DateTime<Utc>,
}

impl Journal {
    /// Notes that somebody expects an execution's number of rows.
    pub fn mark_expected(&self, id: &ExecutionId, mark: &ExpectedMark) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO expected VALUES (?, ?, ?)";
        self.lock().prepare_cached(sql)?.execute(params![id.as_str(), mark.user, stamp(mark.time)])?;
        self.changes.count_for_all();
        Ok(())
    }

    /// Takes that back.
    pub fn unmark_expected(&self, id: &ExecutionId) -> Result<()> {
        self.lock().prepare_cached("DELETE FROM expected WHERE execution = ?")?.execute([id.as_str()])?;
        self.changes.count_for_all();
        Ok(())
    }

    /// Those of some executions that are marked.
    pub fn expected<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a ExecutionId>,
    ) -> Result<BTreeMap<ExecutionId, ExpectedMark>> {
        let ids = Value::from_iter(ids.into_iter().map(ExecutionId::as_str)).to_string();
        let sql = "SELECT execution, user, time FROM expected WHERE execution IN (SELECT value FROM json_each(?))";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([ids], |row| {
                let mark = ExpectedMark { user: row.get(1)?, time: row.get(2)? };
                Ok((ExecutionId::new(row.get::<_, String>(0)?), mark))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
