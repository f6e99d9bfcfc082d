//! Failures by their cause: what the task that failed first said, in executions of one flow.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{ExecutionQuery, ExecutionState, Journal, Result, Summary};
use crate::id::{ExecutionId, RunId};

/// Executions of a flow that failed for the same reason.
#[derive(Clone, Debug)]
pub struct FailureCause {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// The task that failed; empty if none did.
    pub task: String,
    /// What it said in the newest of them.
    pub message: String,
    /// The same in a word or two, if the task knows.
    pub code: Option<String>,
    /// The executions, the newest first.
    pub executions: Vec<ExecutionId>,
    /// The inputs of the newest.
    pub inputs: Map<String, Value>,
    /// When the first and the last of them ended.
    pub first: DateTime<Utc>,
    /// When the last of them ended.
    pub last: DateTime<Utc>,
}

/// Why an execution failed.
#[derive(Default)]
struct Reason {
    task: String,
    message: String,
    code: Option<String>,
}

/// The words for a failure that no task has explained.
const NO_TASK: &str = "no task of it failed";

impl Journal {
    /// The newest failures that a query means, at most `limit`, by their cause: that of the newest failure first. Messages
    /// that differ in numbers alone are one cause.
    pub fn causes(&self, query: &ExecutionQuery, limit: u32) -> Result<Vec<FailureCause>> {
        let query = ExecutionQuery { states: vec![ExecutionState::Failed], ..query.clone() };
        let failed = self.search(&query, limit, 0)?.executions;
        let mut reasons = self.reasons(&failed)?;
        let mut places: BTreeMap<[String; 4], usize> = BTreeMap::new();
        let mut causes: Vec<FailureCause> = Vec::new();
        for summary in failed {
            let reason = reasons.remove(&summary.id).unwrap_or_default();
            let key =
                [&summary.namespace, &summary.flow, &reason.task, &without_numbers(&reason.message)].map(String::clone);
            let place = *places.entry(key).or_insert(causes.len());
            match causes.get_mut(place) {
                Some(cause) => cause.add(&summary),
                None => causes.push(FailureCause::of(summary, reason)),
            }
        }
        Ok(causes)
    }

    /// Why each of some executions failed: the first task run that failed for good since it was last started.
    fn reasons(&self, executions: &[Summary]) -> Result<BTreeMap<ExecutionId, Reason>> {
        let ids = Value::from_iter(executions.iter().map(|summary| summary.id.as_str())).to_string();
        let sql =
            "SELECT execution, body ->> '$.kind', body ->> '$.run', body ->> '$.error.message', body ->> '$.error.code'
                   FROM events WHERE execution IN (SELECT value FROM json_each(?)) AND number > 0
                   AND body ->> '$.kind' IN ('started', 'task_failed') AND body ->> '$.retry_at' IS NULL
                   ORDER BY execution, number";
        let mut reasons = BTreeMap::new();
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([ids])?;
            while let Some(row) = rows.next()? {
                let id = ExecutionId::new(row.get::<_, String>(0)?);
                if row.get::<_, String>(1)? == "started" {
                    reasons.remove(&id);
                    continue;
                }
                let run = RunId::new(row.get::<_, String>(2)?);
                let (message, code) = (row.get::<_, Option<String>>(3)?.unwrap_or_default(), row.get(4)?);
                reasons.entry(id).or_insert_with(|| Reason { task: run.task().to_owned(), message, code });
            }
            Ok(())
        })?;
        Ok(reasons)
    }
}

impl FailureCause {
    fn of(summary: Summary, reason: Reason) -> Self {
        let at = summary.ended.unwrap_or(summary.created);
        let Summary { namespace, flow, id, inputs, .. } = summary;
        let message = if reason.message.is_empty() { NO_TASK.to_owned() } else { reason.message };
        let Reason { task, code, .. } = reason;
        Self { namespace, flow, task, message, code, executions: vec![id], inputs, first: at, last: at }
    }

    fn add(&mut self, summary: &Summary) {
        let at = summary.ended.unwrap_or(summary.created);
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
        self.executions.push(summary.id.clone());
    }
}

/// A message whose numbers are all alike.
fn without_numbers(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    for letter in message.chars() {
        match letter.is_ascii_digit() {
            true if plain.ends_with('0') => {}
            true => plain.push('0'),
            false => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_are_one_cause() {
        assert_eq!(without_numbers("a_2020-03.csv:2345:57: x96"), "a_0-0.csv:0:0: x0");
        assert_eq!(without_numbers("a_2020-11.csv:7:1: x1"), "a_0-0.csv:0:0: x0");
    }
}
