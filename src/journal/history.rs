//! What the page of one execution reads besides its state: the attempts of its tasks, and the executions of its flow around it.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{Journal, Result};
use crate::id::{ExecutionId, RunId};

/// One attempt of a task run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The task run.
    pub run: RunId,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it ended; none while it runs, or when its process died.
    pub ended: Option<DateTime<Utc>>,
    /// Whether it failed.
    pub is_failed: bool,
}

impl Journal {
    /// The attempts of some task runs of an execution, in the order in which they began.
    pub fn attempts(&self, id: &ExecutionId, runs: &[&RunId]) -> Result<Vec<AttemptRecord>> {
        let runs = Value::from_iter(runs.iter().map(|run| run.as_str())).to_string();
        let sql = "SELECT body ->> '$.kind', body ->> '$.run', time FROM events WHERE execution = ?
                   AND body ->> '$.kind' IN ('task_started', 'task_succeeded', 'task_failed')
                   AND body ->> '$.run' IN (SELECT value FROM json_each(?)) ORDER BY number";
        let mut attempts: Vec<AttemptRecord> = Vec::new();
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![id.as_str(), runs])?;
            while let Some(row) = rows.next()? {
                let (kind, run) = (row.get::<_, String>(0)?, RunId::new(row.get::<_, String>(1)?));
                let time = row.get(2)?;
                if kind == "task_started" {
                    attempts.push(AttemptRecord { run, began: time, ended: None, is_failed: false });
                } else if let Some(open) = attempts.iter_mut().rev().find(|attempt| attempt.run == run) {
                    (open.ended, open.is_failed) = (Some(time), kind == "task_failed");
                }
            }
            Ok(())
        })?;
        Ok(attempts)
    }

    /// The execution of the same flow before one, and the one after it.
    pub fn neighbours(
        &self,
        namespace: &str,
        flow: &str,
        id: &ExecutionId,
    ) -> Result<(Option<ExecutionId>, Option<ExecutionId>)> {
        let find = |comparison: &str, order: &str| {
            let sql = format!(
                "SELECT id FROM executions INDEXED BY executions_by_flow
                 WHERE flow = ? AND id {comparison} ? AND namespace = ? ORDER BY id {order} LIMIT 1"
            );
            self.read(|connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let found = statement.query_row(params![flow, id.as_str(), namespace], |row| row.get::<_, String>(0));
                Ok(found.optional()?.map(ExecutionId::new))
            })
        };
        Ok((find("<", "DESC")?, find(">", "ASC")?))
    }
}
