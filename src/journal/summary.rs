//! Executions as lists show them.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Row;
use serde::Serialize;
use serde_json::{Map, Value};

use super::row::json;
use crate::execution_state::ExecutionState;
use crate::id::ExecutionId;

/// An execution as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The execution.
    pub id: ExecutionId,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// Its state.
    pub state: ExecutionState,
    /// The inputs it ran with.
    pub inputs: Map<String, Value>,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it was first started.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// How many seconds processes have worked on it, once it has ended.
    pub took: Option<f64>,
    /// Rows that its tasks loaded.
    pub rows: u64,
    /// Its labels.
    pub labels: Map<String, Value>,
    /// The trigger that started it.
    pub trigger: Option<String>,
    /// The moment that it is for.
    pub trigger_date: Option<DateTime<Utc>>,
    /// The one task that it runs; none if it runs its whole flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

pub(super) const COLUMNS: &str = "id, namespace, flow, state, inputs, created, started, ended, rows, labels, trigger_id, trigger_date, worked, \
     only_task";

pub(super) fn summary(row: &Row) -> rusqlite::Result<Summary> {
    let (started, ended) = (row.get(6)?, row.get(7)?);
    Ok(Summary {
        id: ExecutionId::new(row.get::<_, String>(0)?),
        namespace: row.get(1)?,
        flow: row.get(2)?,
        state: row.get(3)?,
        inputs: json(row, 4)?,
        created: row.get(5)?,
        started,
        ended,
        took: took(started, ended, row.get(12)?),
        rows: row.get::<_, i64>(8)?.unsigned_abs(),
        labels: json(row, 9)?,
        trigger: row.get(10)?,
        trigger_date: row.get(11)?,
        only: row.get(13)?,
    })
}

/// How long an execution was worked on; journals of earlier versions know only when it began and ended.
fn took(started: Option<DateTime<Utc>>, ended: Option<DateTime<Utc>>, worked: Option<i64>) -> Option<f64> {
    let (ended, started) = ended.zip(started)?;
    let worked = worked.map_or(ended - started, TimeDelta::milliseconds);
    Some(worked.as_seconds_f64())
}
