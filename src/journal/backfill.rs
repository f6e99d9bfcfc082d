//! Backfills: what was asked for, and which partitions that means.
//!
//! How far a partition has come is never written down twice: its executions carry the backfill and the partition as
//! labels, from the same transaction in which they begin to exist.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Params, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row::{json, word};
use super::search::ExecutionQuery;
use super::summary::{COLUMNS, summary};
use super::{ExecutionTarget, Journal, Result, Summary, stamp};
use crate::id::{BackfillId, ExecutionId, IdPrefix};

/// The label that names the backfill of an execution.
pub const BACKFILL_LABEL: &str = "backfill";
/// The label that names the partition of an execution.
pub const PARTITION_LABEL: &str = "partition";

/// What a backfill was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackfillSpec {
    /// The flow's file.
    pub file: String,
    /// The schedule whose moments the partitions are; without one, `every` says.
    pub trigger: Option<String>,
    /// The step of the partitions of a flow without a schedule: `month`, `day` or `hour`.
    pub every: Option<String>,
    /// The first partition, as it was given.
    pub from: String,
    /// The last partition, as it was given.
    pub to: String,
    /// Values for inputs, expressions in them not rendered; those of secret inputs are left out.
    pub inputs: Vec<(String, String)>,
    /// Which partitions run.
    pub only: PartitionFilter,
    /// Labels of the executions.
    pub labels: Map<String, Value>,
    /// How many run at a time.
    pub parallel: u32,
    /// Whether the latest partition comes first.
    pub descending: bool,
    /// Whether nothing more starts once a partition has failed.
    pub stop_on_failure: bool,
    /// Whether the server runs it; otherwise a terminal does.
    #[serde(default)]
    pub by_server: bool,
    /// What its executions reach that do not name it themselves; none in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ExecutionTarget>,
}

/// Which partitions of a backfill run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionFilter {
    /// All of them.
    #[default]
    All,
    /// Those that the target does not hold, by the word of its ledger.
    Missing,
    /// Those whose last run failed.
    Failed,
}

impl BackfillSpec {
    /// Whether both ask for the same partitions, regardless of how many run at a time and of who runs them.
    pub fn is_same_request(&self, other: &Self) -> bool {
        let what = |spec: &Self| Self {
            parallel: 0,
            descending: false,
            stop_on_failure: false,
            by_server: false,
            target: None,
            ..spec.clone()
        };
        let targets = self.target.as_ref().zip(other.target.as_ref());
        what(self) == what(other) && targets.is_none_or(|(own, other)| own.difference(other).is_none())
    }
}

/// One partition of a backfill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackfillPartition {
    /// Its name: `2019-01`.
    pub label: String,
    /// The date that it is for.
    pub date: DateTime<Utc>,
    /// The inputs of its execution; secret ones are left out.
    pub inputs: Map<String, Value>,
    /// Why it does not run, if so.
    pub skipped: Option<String>,
}

/// What the user wants of a backfill that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DesiredState {
    /// To run.
    Run,
    /// To start nothing more until it is resumed.
    Pause,
    /// To kill what is running and start nothing more.
    Cancel,
}

/// How a backfill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum BackfillEnd {
    /// Every partition is in.
    Success,
    /// Some are not.
    Failed,
    /// The user did not want the rest.
    Cancelled,
}

/// A backfill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backfill {
    /// Its id.
    pub id: BackfillId,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it was begun, or last retried.
    pub since: DateTime<Utc>,
    /// The newest execution when it was last retried: what failed up to this one runs again.
    #[serde(skip)]
    pub since_id: Option<ExecutionId>,
    /// What was asked for.
    pub spec: BackfillSpec,
    /// What the user wants of it now.
    #[serde(rename = "wish")]
    pub desired_state: DesiredState,
    /// Why it is on hold, if no user paused it.
    pub problem: Option<String>,
    /// How it ended; none while it has not.
    pub outcome: Option<BackfillEnd>,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
    /// Its partitions, the earliest first.
    pub partitions: Vec<BackfillPartition>,
}

word!(DesiredState);
word!(BackfillEnd);

impl DesiredState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Run => "RUN",
            Self::Pause => "PAUSE",
            Self::Cancel => "CANCEL",
        }
    }
}

impl BackfillEnd {
    /// The end as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

const BACKFILL: &str =
    "SELECT id, namespace, flow, created, since, spec, wish, outcome, ended, problem, since_id FROM backfills";

impl Journal {
    /// Writes a new backfill down, with all its partitions or not at all.
    pub fn create_backfill(&self, backfill: &Backfill) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = backfill.id.as_str();
        let spec = written(&backfill.spec)?;
        let (created, since) = (stamp(backfill.created), stamp(backfill.since));
        transaction.execute(
            "INSERT INTO backfills (id, namespace, flow, created, since, spec, wish) VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id, backfill.namespace, backfill.flow, created, since, spec, backfill.desired_state],
        )?;
        for (number, partition) in (0u32..).zip(&backfill.partitions) {
            let BackfillPartition { label, date, inputs, skipped } = partition;
            let inputs = Value::Object(inputs.clone()).to_string();
            let mut statement =
                transaction.prepare_cached("INSERT INTO backfill_partitions VALUES (?, ?, ?, ?, ?, ?)")?;
            statement.execute(params![id, number, label, stamp(*date), inputs, skipped])?;
        }
        transaction.commit()?;
        drop(connection);
        self.changes.count_for_all();
        Ok(())
    }

    fn change_backfill(&self, sql: &str, values: impl Params) -> Result<usize> {
        let changed = self.lock().execute(sql, values)?;
        self.changes.count_for_all();
        Ok(changed)
    }

    /// A backfill by its id.
    pub fn backfill(&self, id: &BackfillId) -> Result<Option<Backfill>> {
        self.read(|connection| {
            let found =
                connection.query_row(&format!("{BACKFILL} WHERE id = ?"), [id.as_str()], backfill).optional()?;
            let Some(mut found) = found else { return Ok(None) };
            let sql = "SELECT label, date, inputs, skipped FROM backfill_partitions WHERE backfill = ? ORDER BY number";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([id.as_str()], partition)?;
            found.partitions = rows.collect::<rusqlite::Result<_>>()?;
            Ok(Some(found))
        })
    }

    /// The backfills of the flows that a query names, the newest first: at most `limit` after the first `skipped`, and how
    /// many there are in all. Their partitions are left out. Of the query only namespace and flow count.
    pub fn backfills(&self, query: &ExecutionQuery, limit: u32, skipped: u32) -> Result<(u64, Vec<Backfill>)> {
        let connection = self.lock();
        let wanted = "(?1 IS NULL OR flow = ?1) AND
                      (?2 IS NULL OR namespace = ?2 OR substr(namespace, 1, length(?2) + 1) = ?2 || '.')";
        let sql = format!("SELECT count(*) FROM backfills WHERE {wanted}");
        let total: i64 = connection.query_row(&sql, params![query.flow, query.namespace], |row| row.get(0))?;
        let sql = format!("{BACKFILL} WHERE {wanted} ORDER BY id DESC LIMIT ?3 OFFSET ?4");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![query.flow, query.namespace, limit, skipped], backfill)?;
        Ok((total.unsigned_abs(), rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The backfills of the server that are to run or to be cancelled, the oldest first.
    pub fn unfinished_backfills(&self) -> Result<Vec<BackfillId>> {
        let connection = self.lock();
        let sql =
            "SELECT id FROM backfills WHERE ended IS NULL AND wish <> 'PAUSE' AND spec ->> '$.by_server' ORDER BY id";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(BackfillId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// At most ten ids of backfills that begin with `prefix`, the newest first.
    pub fn backfill_ids_with_prefix(&self, prefix: &IdPrefix) -> Result<Vec<BackfillId>> {
        let connection = self.lock();
        let sql = "SELECT id FROM backfills WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT 10";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([prefix.as_str()], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(BackfillId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// What the user wants of a backfill now; none when there is no such backfill.
    pub fn desired_state(&self, id: &BackfillId) -> Result<Option<DesiredState>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT wish FROM backfills WHERE id = ?")?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
    }

    /// Sets the desired state of a backfill that has not ended, which the process that runs it will read. False when it has ended.
    pub fn set_desired_state(&self, id: &BackfillId, desired: DesiredState) -> Result<bool> {
        let sql = "UPDATE backfills SET wish = ?2, problem = NULL WHERE id = ?1 AND ended IS NULL";
        Ok(self.change_backfill(sql, params![id.as_str(), desired])? == 1)
    }

    /// Puts a backfill that cannot continue on hold, and records why. It runs again once its desired state is set again.
    pub fn put_backfill_on_hold(&self, id: &BackfillId, problem: &str) -> Result<()> {
        let sql = "UPDATE backfills SET wish = 'PAUSE', problem = ?2 WHERE id = ?1 AND ended IS NULL";
        self.change_backfill(sql, params![id.as_str(), problem])?;
        Ok(())
    }

    /// Gives a backfill that nobody runs to the server.
    pub fn assign_backfill_to_server(&self, id: &BackfillId) -> Result<()> {
        let sql = "UPDATE backfills SET spec = json_set(spec, '$.by_server', json('true')) WHERE id = ?1";
        self.change_backfill(sql, params![id.as_str()])?;
        Ok(())
    }

    /// Lets the executions of a backfill reach another target from now on.
    pub fn retarget_backfill(&self, id: &BackfillId, target: &ExecutionTarget) -> Result<()> {
        let sql = "UPDATE backfills SET spec = json_set(spec, '$.target', json(?2)) WHERE id = ?1";
        let target = written(target)?;
        self.change_backfill(sql, params![id.as_str(), target])?;
        Ok(())
    }

    /// Records how a backfill ended.
    pub fn end_backfill(&self, id: &BackfillId, end: BackfillEnd, now: DateTime<Utc>) -> Result<()> {
        let sql = "UPDATE backfills SET outcome = ?2, ended = ?3, problem = NULL WHERE id = ?1";
        self.change_backfill(sql, params![id.as_str(), end, stamp(now)])?;
        Ok(())
    }

    /// Retries a backfill from `now` on; what has failed so far will run again.
    pub fn retry_backfill(&self, id: &BackfillId, now: DateTime<Utc>) -> Result<()> {
        let sql = "UPDATE backfills SET since = ?2, since_id = (SELECT max(id) FROM executions), wish = 'RUN',
                   problem = NULL, outcome = NULL, ended = NULL WHERE id = ?1";
        self.change_backfill(sql, params![id.as_str(), stamp(now)])?;
        Ok(())
    }

    /// The newest execution of each partition that has had one.
    pub fn backfill_executions(&self, id: &BackfillId) -> Result<BTreeMap<String, Summary>> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM executions WHERE labels ->> '$.backfill' = ? ORDER BY id");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut newest = BTreeMap::new();
            for found in statement.query_map([id.as_str()], summary)? {
                let found = found?;
                let label = found.labels.get(PARTITION_LABEL).and_then(Value::as_str).map(str::to_owned);
                newest.extend(label.map(|label| (label, found)));
            }
            Ok(newest)
        })
    }
}

/// A value as a column holds it.
fn written(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)).into())
}

fn backfill(row: &Row) -> rusqlite::Result<Backfill> {
    Ok(Backfill {
        id: BackfillId::new(row.get::<_, String>(0)?),
        namespace: row.get(1)?,
        flow: row.get(2)?,
        created: row.get(3)?,
        since: row.get(4)?,
        spec: json(row, 5)?,
        desired_state: row.get(6)?,
        outcome: row.get(7)?,
        ended: row.get(8)?,
        problem: row.get(9)?,
        since_id: row.get::<_, Option<String>>(10)?.map(ExecutionId::new),
        partitions: Vec::new(),
    })
}

fn partition(row: &Row) -> rusqlite::Result<BackfillPartition> {
    Ok(BackfillPartition { label: row.get(0)?, date: row.get(1)?, inputs: json(row, 2)?, skipped: row.get(3)? })
}
