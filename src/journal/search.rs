//! Executions as lists show them: the summary that is written with each event, and searches in it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};
use serde::Serialize;
use serde_json::{Map, Value};

use super::row::json;
use super::summary::{COLUMNS, summary};
use super::{ExecutionState, Journal, Result, State, Summary, Triggered, children, ends, stamp};
use crate::id::{ExecutionId, FlowKey};
use crate::text::plain;

/// How many executions are found without an order, and sorted.
const MAX_SORTED: u64 = 2000;

/// Which executions are meant; all of them unless something is said.
#[derive(Clone, Debug, Default)]
pub struct ExecutionQuery {
    /// Those of the flows of this namespace, and of those below it.
    pub namespace: Option<String>,
    /// Those of the flows of this id.
    pub flow: Option<String>,
    /// Those in one of these states; in any, when there are none.
    pub states: Vec<ExecutionState>,
    /// Those of these ids too, or alone where no states are given.
    pub ids: Option<Vec<ExecutionId>>,
    /// Those with all of these labels.
    pub labels: Vec<(String, String)>,
    /// Those that a trigger of this id started.
    pub trigger: Option<String>,
    /// Those created at this moment or later.
    pub since: Option<DateTime<Utc>>,
    /// Those created before this moment.
    pub until: Option<DateTime<Utc>>,
    /// Those with this text in their id or their flow's.
    pub text: Option<String>,
}

/// Some of the executions that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchPage {
    /// The total number.
    pub total: u64,
    /// Some of them, the newest first.
    pub executions: Vec<Summary>,
}

impl ExecutionQuery {
    /// The condition in SQL, and its values.
    fn condition(&self) -> (String, Vec<Sql>) {
        let mut parts: Vec<String> = Vec::new();
        let mut values: Vec<Sql> = Vec::new();
        let mut add = |part: &str, given: Vec<String>| {
            parts.push(part.to_owned());
            values.extend(given.into_iter().map(Sql::from));
        };
        if let Some(namespace) = &self.namespace {
            let below = format!("{namespace}.");
            let given = vec![namespace.clone(), below.clone(), below];
            add("(namespace = ? OR substr(namespace, 1, length(?)) = ?)", given);
        }
        if let Some(flow) = &self.flow {
            add("flow = ?", vec![flow.clone()]);
        }
        if !self.states.is_empty() || self.ids.is_some() {
            let marks = vec!["?"; self.states.len()].join(", ");
            let mut given: Vec<String> = self.states.iter().map(|state| state.as_str().to_owned()).collect();
            let mut part = format!("state IN ({marks})");
            if let Some(ids) = &self.ids {
                given.push(Value::from_iter(ids.iter().map(ExecutionId::as_str)).to_string());
                part = format!("({part} OR id IN (SELECT value FROM json_each(?)))");
            }
            add(&part, given);
        }
        for (key, value) in &self.labels {
            let pair = pair(key, value);
            add("(instr(labels, ?) = 1 OR instr(labels, ?) > 0)", vec![format!("{{{pair}"), format!(",{pair}")]);
        }
        if let Some(trigger) = &self.trigger {
            add("trigger_id = ?", vec![trigger.clone()]);
        }
        if let Some(since) = self.since {
            add("created >= ?", vec![stamp(since)]);
        }
        if let Some(until) = self.until {
            add("created < ?", vec![stamp(until)]);
        }
        if let Some(text) = &self.text {
            add("(instr(id, ?) > 0 OR instr(flow, ?) > 0)", vec![text.clone(), text.clone()]);
        }
        let condition = if parts.is_empty() { "1".to_owned() } else { parts.join(" AND ") };
        (condition, values)
    }

    /// The index to count in: the smallest that has all that is asked for. SQLite would take the first that knows something,
    /// and look up each of what may be thousands of rows.
    fn index_to_count(&self) -> &'static str {
        let Self { namespace, flow, states, ids, labels, trigger, since, until, text } = self;
        let more = ids.is_some() || namespace.is_some() || trigger.is_some() || text.is_some() || !labels.is_empty();
        let has_times = since.is_some() || until.is_some();
        match (flow.is_some(), states.is_empty(), more, has_times) {
            (true, ..) if ids.is_none() => "executions_by_flow",
            (false, false, false, false) => "executions_by_state",
            (false, false, false, true) => "executions_recent",
            _ => "executions_searched",
        }
    }

    /// The index to list so many in. Only some have them in the order of lists; from the others the few are sorted.
    fn index_to_list(&self, total: u64) -> &'static str {
        match self.index_to_count() {
            index @ "executions_by_state" if self.states.len() == 1 || total <= MAX_SORTED => index,
            index @ "executions_recent" if total <= MAX_SORTED => index,
            index @ "executions_by_flow" => index,
            _ => "executions_searched",
        }
    }
}

/// A label as it is in the JSON text of all of them. Quotes within a text are escaped there, so that nothing
/// else follows a brace or a comma in this form.
fn pair(key: &str, value: &str) -> String {
    format!("{}:{}", Value::from(key), Value::from(value))
}

impl Journal {
    /// The newest executions first, at most `limit`, of one flow or of all.
    pub fn executions(&self, flow: Option<&str>, limit: u32) -> Result<Vec<Summary>> {
        let query = ExecutionQuery { flow: flow.map(str::to_owned), ..ExecutionQuery::default() };
        self.listed(&query, u64::MAX, limit, 0)
    }

    /// The newest executions of one flow first, at most `limit`.
    pub fn executions_of(&self, flow: &FlowKey, limit: u32) -> Result<Vec<Summary>> {
        let mut found = Vec::new();
        self.each_execution_of(flow, limit, |summary| found.push(summary))?;
        Ok(found)
    }

    /// Visits the newest executions of one flow, at most `limit`, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each_execution_of(&self, flow: &FlowKey, limit: u32, mut visit: impl FnMut(Summary)) -> Result<()> {
        let sql = format!(
            "SELECT {COLUMNS} FROM executions WHERE id IN (
                 SELECT id FROM executions INDEXED BY executions_by_flow
                 WHERE flow = ? AND namespace = ? ORDER BY id DESC LIMIT ?
             ) ORDER BY id DESC"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            for found in statement.query_map(params![flow.id, flow.namespace, limit], summary)? {
                visit(found?);
            }
            Ok(())
        })
    }

    /// The executions that match a query, the newest first: at most `limit` of them after the first `offset`.
    pub fn search(&self, query: &ExecutionQuery, limit: u32, offset: u32) -> Result<SearchPage> {
        let (condition, values) = query.condition();
        // SQLite itself finds the smallest index to count in.
        let index = if values.is_empty() { String::new() } else { format!("INDEXED BY {}", query.index_to_count()) };
        let sql = format!("SELECT count(*) FROM executions {index} WHERE {condition}");
        let total: i64 = self.read(|connection| {
            Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
        })?;
        let total = total.unsigned_abs();
        // A search for the page's last one ends there; for one more it would go through all the rest.
        let left = u32::try_from(total.saturating_sub(u64::from(offset))).unwrap_or(u32::MAX);
        let executions =
            if left.min(limit) == 0 { Vec::new() } else { self.listed(query, total, limit.min(left), offset)? };
        Ok(SearchPage { total, executions })
    }

    fn listed(&self, query: &ExecutionQuery, total: u64, limit: u32, offset: u32) -> Result<Vec<Summary>> {
        let (condition, mut values) = query.condition();
        values.extend([Sql::from(i64::from(limit)), Sql::from(i64::from(offset))]);
        // The ids alone first, so that what a deep page leaves out is not read.
        let sql = format!(
            "SELECT {COLUMNS} FROM executions WHERE id IN (
                 SELECT id FROM executions INDEXED BY {} WHERE {condition} ORDER BY id DESC LIMIT ? OFFSET ?
             ) ORDER BY id DESC",
            query.index_to_list(total)
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(values), summary)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What started these executions, where it was not a person.
    pub fn triggers(&self, executions: &[Summary]) -> Result<BTreeMap<ExecutionId, Triggered>> {
        let triggered = executions.iter().filter(|summary| summary.trigger.is_some());
        let ids = Value::from_iter(triggered.map(|summary| summary.id.as_str())).to_string();
        let sql = "SELECT execution, body -> '$.trigger' FROM events
                   WHERE number = 0 AND execution IN (SELECT value FROM json_each(?))";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows =
                statement.query_map([ids], |row| Ok((ExecutionId::new(row.get::<_, String>(0)?), json(row, 1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What an execution gave when it ended.
    pub fn outputs(&self, id: &ExecutionId) -> Result<Map<String, Value>> {
        let sql = "SELECT body -> '$.outputs' FROM events WHERE execution = ? AND body ->> '$.kind' = 'ended'
                   ORDER BY number DESC LIMIT 1";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([id.as_str()], |row| match row.get_ref(0)? {
                // Events of earlier versions have none.
                ValueRef::Null => Ok(Map::new()),
                _ => json(row, 0),
            });
            Ok(found.optional()?.unwrap_or_default())
        })
    }

    /// An execution as lists show it.
    pub fn summary(&self, id: &ExecutionId) -> Result<Option<Summary>> {
        let sql = format!("SELECT {COLUMNS} FROM executions WHERE id = ?");
        self.read(|connection| Ok(connection.prepare_cached(&sql)?.query_row([id.as_str()], summary).optional()?))
    }
}

/// What the summary adds to what was known at the beginning. Most events change none of it.
#[derive(PartialEq)]
pub(super) struct SummaryUpdate {
    status: ExecutionState,
    started: Option<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
    rows: u64,
    worked: i64,
    labels: String,
}

impl SummaryUpdate {
    pub(super) fn of(state: &State) -> Self {
        Self {
            status: state.status,
            started: state.started,
            ended: state.ended,
            rows: state.rows,
            worked: state.work_time.total.num_milliseconds(),
            labels: labels(state),
        }
    }
}

/// Labels are compared as texts, so they are kept as texts.
fn labels(state: &State) -> String {
    let labels = state.labels.iter().map(|(key, value)| (key.clone(), Value::from(plain(value))));
    Value::Object(labels.collect()).to_string()
}

pub(super) fn summarize_new(
    transaction: &Transaction,
    id: &ExecutionId,
    time: DateTime<Utc>,
    state: &State,
) -> Result<()> {
    let created = &state.created;
    let sql = "INSERT INTO executions
               (id, namespace, flow, state, inputs, created, labels, trigger_id, trigger_date, parent, parent_run, original,
                only_task)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let parent = created.parent.as_ref();
    transaction.prepare_cached(sql)?.execute(params![
        id.as_str(),
        created.namespace,
        created.flow,
        state.status.as_str(),
        Value::Object(created.inputs.clone()).to_string(),
        stamp(time),
        labels(state),
        created.trigger.as_ref().map(|trigger| &trigger.id),
        stamp(created.trigger_date),
        parent.map(|parent| parent.execution.as_str()),
        parent.map(|parent| parent.run.as_str()),
        created.original.as_ref().map(ExecutionId::as_str),
        created.only,
    ])?;
    parent.map_or(Ok(()), |parent| children::count_child(transaction, &parent.execution))
}

/// What waits has a place in a queue, which is given to it apart; whatever else it does takes it out.
pub(super) fn summarize(transaction: &Transaction, id: &ExecutionId, state: &State) -> Result<()> {
    let rows = i64::try_from(state.rows).unwrap_or(i64::MAX);
    let (started, ended) = (state.started.map(stamp), state.ended.map(stamp));
    let worked = state.work_time.total.num_milliseconds();
    ends::record(transaction, id, ended.as_deref())?;
    let values = params![id.as_str(), state.status.as_str(), started, ended, rows, labels(state), worked];
    let sql = "UPDATE executions SET state = ?2, started = ?3, ended = ?4, rows = ?5, labels = ?6, worked = ?7,
               queue = NULL, queued = NULL WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
