//! Admission and queues: which executions start now, and which wait. The slots of a flow are held by its executions that are
//! RUNNING or KILLING and whose process lives; they are counted in no other way, so that whatever ends an execution frees its slot.
//! The check and the start are one transaction, so that two processes never take one slot twice.
//!
//! Each process has a queue of its own, named in the column `queue`, since it alone knows the secrets of what it enqueued.
//! `queued` is the place in it: enqueueing takes the highest plus one, what has been running before takes the lowest minus
//! one. Once the process has died, another one adopts the queue: the places are moved after its own, in their order.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Map;

use super::{
    Event, ExecutionSpec, ExecutionState, Journal, QueueName, Result, State, TriggerFiring, append_in, insert_created,
    load_state,
};
use crate::id::{ExecutionId, FlowKey};

/// How many executions of a flow may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// The number of slots.
    pub max: u32,
    /// What happens to one more execution.
    pub on_limit: OnLimit,
}

/// What happens to an execution when all slots of its flow are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// It is queued.
    Queue,
    /// It is cancelled.
    Cancel,
    /// It fails.
    Fail,
}

/// An execution that is submitted.
pub struct Submission<'a> {
    /// Its id.
    pub id: &'a ExecutionId,
    /// What it runs.
    pub created: ExecutionSpec,
    /// The firing of a trigger that it is for: there is one execution for each.
    pub firing: Option<&'a TriggerFiring>,
    /// The terms of its admission.
    pub admission: Admission<'a>,
}

/// The terms on which an execution is admitted.
#[derive(Clone, Copy)]
pub struct Admission<'a> {
    /// The concurrency limit of its flow.
    pub limit: Option<ConcurrencyLimit>,
    /// The queue that it waits in.
    pub queue: &'a QueueName,
    /// Whether this process may run one more.
    pub has_capacity: bool,
}

/// What became of a submission.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one call")]
pub enum SubmitOutcome {
    /// It is RUNNING; the caller runs it.
    Started(State),
    /// It is in the queue.
    Queued,
    /// It is CANCELLED or FAILED, because the flow's slots are taken.
    Rejected,
    /// Its trigger has fired for this before; nothing was written.
    AlreadyFired,
}

/// An execution in a queue.
#[derive(Clone, Debug)]
pub struct QueuedExecution {
    /// The execution.
    pub id: ExecutionId,
    /// Its flow.
    pub flow: FlowKey,
    /// The limit of its flow when it was submitted.
    pub slots: Option<u32>,
}

/// Tells of an execution in state RUNNING whether a process works on it.
pub(super) type IsAlive<'a> = &'a dyn Fn(&ExecutionId) -> bool;

/// Reads the clock.
pub(super) type NowFn = fn() -> DateTime<Utc>;

impl SubmitOutcome {
    fn of(event: &Event, state: State) -> Self {
        match event {
            Event::Started => Self::Started(state),
            Event::Queued => Self::Queued,
            _ => Self::Rejected,
        }
    }
}

impl Journal {
    /// Creates an execution and admits it. After a crash all of that is there, or nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn submit(&self, submission: Submission, clock: NowFn, is_alive: IsAlive) -> Result<SubmitOutcome> {
        let Submission { id, created, firing, admission } = submission;
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !firing.map_or(Ok(true), |firing| firing.record(&transaction, Some(id)))? {
            return Ok(SubmitOutcome::AlreadyFired);
        }
        let now = clock();
        let new = insert_created(&transaction, id, now, created)?;
        let (time, event, state) = admit(&transaction, id, new.clone(), admission, clock, is_alive)?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, now, &new.created, new.status, &Event::Created(new.created.clone()));
        self.publish(id, time, &state.created, state.status, &event);
        Ok(SubmitOutcome::of(&event, state))
    }

    /// Admits an execution that has been created and not started.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn admit(
        &self,
        id: &ExecutionId,
        state: State,
        admission: Admission,
        clock: NowFn,
        is_alive: IsAlive,
    ) -> Result<SubmitOutcome> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (time, event, state) = admit(&transaction, id, state, admission, clock, is_alive)?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, time, &state.created, state.status, &event);
        Ok(SubmitOutcome::of(&event, state))
    }

    /// Enqueues an execution at the back, or with `first` at the front, where it has been running before.
    ///
    /// # Errors
    /// When it cannot be queued from its state, or the file cannot be written.
    pub fn enqueue(
        &self,
        id: &ExecutionId,
        state: &mut State,
        now: DateTime<Utc>,
        queue: &QueueName,
        first: bool,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        append_in(&transaction, id, state, now, &Event::Queued)?;
        place_in_queue(&transaction, id, queue, if first { QueueEnd::Front } else { QueueEnd::Back })?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, now, &state.created, state.status, &Event::Queued);
        Ok(())
    }

    /// Starts the first execution of a queue that this process has capacity for, whose flow has a free slot, and which `lock`
    /// locks for this process. `limit` is the number of slots of its flow.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start_next<C>(
        &self,
        queue: &QueueName,
        clock: NowFn,
        has_capacity: &dyn Fn(&ExecutionId) -> bool,
        limit: &dyn Fn(&QueuedExecution) -> Option<u32>,
        is_alive: IsAlive,
        lock: &dyn Fn(&ExecutionId) -> Option<C>,
    ) -> Result<Option<(ExecutionId, State, C)>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some((candidate, lock)) = next_startable(&transaction, queue, has_capacity, limit, is_alive, lock)? else {
            return Ok(None);
        };
        let Some(mut state) = load_state(&transaction, &candidate.id)? else { return Ok(None) };
        // Read only now: the slot may have become free while this waited for the file.
        let now = clock();
        append_in(&transaction, &candidate.id, &mut state, now, &Event::Started)?;
        transaction.commit()?;
        drop(connection);
        self.publish(&candidate.id, now, &state.created, state.status, &Event::Started);
        Ok(Some((candidate.id, state, lock)))
    }

    /// How many executions are in a queue.
    pub fn queued(&self, queue: &QueueName) -> Result<usize> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM executions WHERE queue = ? AND queued IS NOT NULL";
            let count: u32 = connection.prepare_cached(sql)?.query_row([queue.as_str()], |row| row.get(0))?;
            Ok(count as usize)
        })
    }

    /// The queues that are not empty.
    pub fn queues(&self) -> Result<Vec<QueueName>> {
        let connection = self.lock();
        let sql = "SELECT DISTINCT queue FROM executions WHERE queued IS NOT NULL AND queue IS NOT NULL";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The executions in a queue.
    pub fn queued_in(&self, queue: &QueueName) -> Result<Vec<ExecutionId>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT id FROM executions WHERE queue = ? AND queued IS NOT NULL")?;
        let rows = statement.query_map([queue.as_str()], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// The queue that an execution is in.
    pub fn queue_of(&self, id: &ExecutionId) -> Result<Option<QueueName>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT queue FROM executions WHERE id = ?")?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?.flatten())
    }

    /// Takes an execution out of its queue. It stays QUEUED, until somebody resumes it.
    pub fn dequeue(&self, id: &ExecutionId) -> Result<()> {
        self.lock().execute("UPDATE executions SET queue = NULL, queued = NULL WHERE id = ?", [id.as_str()])?;
        Ok(())
    }

    /// Moves the executions of a queue to the back of another, in their order.
    pub fn adopt_queue(&self, from: &QueueName, to: &QueueName) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last: i64 = queue_edge(&transaction, to, "max")?.unwrap_or(0);
        let first: i64 = queue_edge(&transaction, from, "min")?.unwrap_or(0);
        let sql = "UPDATE executions SET queue = ?2, queued = queued + ?3 WHERE queue = ?1 AND queued IS NOT NULL";
        transaction.execute(sql, params![from, to, last + 1 - first])?;
        Ok(transaction.commit()?)
    }

    /// The executions that a process should be working on, the newest first, and those that are QUEUED in no queue. Whether
    /// one works on them is not known here.
    pub fn unattended(&self) -> Result<Vec<(ExecutionId, DateTime<Utc>)>> {
        let connection = self.lock();
        // A sub-execution is continued by the task that started it, unless its parent has ended.
        let sql = "SELECT id, created FROM executions AS own
                   WHERE (state IN ('RUNNING', 'CREATED', 'RESTARTED', 'RETRYING', 'KILLING')
                          OR (state = 'QUEUED' AND queued IS NULL))
                   AND NOT EXISTS (SELECT 1 FROM executions WHERE id = own.parent AND ended IS NULL)
                   ORDER BY id DESC";
        let mut statement = connection.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row| Ok((ExecutionId::new(row.get::<_, String>(0)?), row.get(1)?));
        let rows = statement.query_map([], row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Puts an execution that is QUEUED at the front of a queue.
    pub fn move_to_front(&self, id: &ExecutionId, queue: &QueueName) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        place_in_queue(&transaction, id, queue, QueueEnd::Front)?;
        Ok(transaction.commit()?)
    }
}

/// Starts a new execution, queues it, or rejects it.
fn admit(
    transaction: &Transaction,
    id: &ExecutionId,
    mut state: State,
    admission: Admission,
    clock: NowFn,
    is_alive: IsAlive,
) -> Result<(DateTime<Utc>, Event, State)> {
    let Admission { limit, queue, has_capacity } = admission;
    let created = &state.created;
    let is_other = |other: &ExecutionId| other != id && is_alive(other);
    let event = match limit {
        Some(limit) if !is_free(transaction, &created.namespace, &created.flow, limit.max, &is_other)? => {
            match limit.on_limit {
                OnLimit::Queue => Event::Queued,
                OnLimit::Cancel => Event::Ended { state: ExecutionState::Cancelled, outputs: Map::new() },
                OnLimit::Fail => Event::Ended { state: ExecutionState::Failed, outputs: Map::new() },
            }
        }
        Some(_) if has_queued(transaction, created)? => Event::Queued,
        _ if has_capacity => Event::Started,
        _ => Event::Queued,
    };
    let now = clock();
    append_in(transaction, id, &mut state, now, &event)?;
    let slots = limit.map(|limit| limit.max);
    transaction.prepare_cached("UPDATE executions SET slots = ? WHERE id = ?")?.execute(params![slots, id.as_str()])?;
    if event == Event::Queued {
        place_in_queue(transaction, id, queue, QueueEnd::Back)?;
    }
    Ok((now, event, state))
}

enum QueueEnd {
    Front,
    Back,
}

fn place_in_queue(transaction: &Transaction, id: &ExecutionId, queue: &QueueName, end: QueueEnd) -> Result<()> {
    let number = match end {
        QueueEnd::Back => queue_edge(transaction, queue, "max")?.map_or(1, |last| last + 1),
        QueueEnd::Front => queue_edge(transaction, queue, "min")?.map_or(1, |first| first - 1),
    };
    let mut statement = transaction.prepare_cached("UPDATE executions SET queue = ?, queued = ? WHERE id = ?")?;
    statement.execute(params![queue, number, id.as_str()])?;
    Ok(())
}

fn queue_edge(transaction: &Transaction, queue: &QueueName, which: &str) -> Result<Option<i64>> {
    let sql = format!("SELECT {which}(queued) FROM executions WHERE queue = ? AND queued IS NOT NULL");
    Ok(transaction.prepare_cached(&sql)?.query_row([queue.as_str()], |row| row.get(0))?)
}

fn next_startable<C>(
    transaction: &Transaction,
    queue: &QueueName,
    has_capacity: &dyn Fn(&ExecutionId) -> bool,
    limit: &dyn Fn(&QueuedExecution) -> Option<u32>,
    is_alive: IsAlive,
    lock: &dyn Fn(&ExecutionId) -> Option<C>,
) -> Result<Option<(QueuedExecution, C)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, namespace, flow, slots FROM executions WHERE queue = ? AND queued IS NOT NULL ORDER BY queued",
    )?;
    let mut rows = statement.query([queue.as_str()])?;
    // Those after one that has no slot have none either: executions of a flow start in their order.
    let mut full: HashSet<FlowKey> = HashSet::new();
    while let Some(row) = rows.next()? {
        let flow = FlowKey { namespace: row.get(1)?, id: row.get(2)? };
        if full.contains(&flow) {
            continue;
        }
        let id = ExecutionId::new(row.get::<_, String>(0)?);
        if !has_capacity(&id) {
            continue;
        }
        let candidate = QueuedExecution { id, flow: flow.clone(), slots: row.get(3)? };
        let is_free = match limit(&candidate) {
            Some(max) => is_free(transaction, &flow.namespace, &flow.id, max, is_alive)?,
            None => true,
        };
        match lock(&candidate.id).filter(|_| is_free) {
            Some(lock) => return Ok(Some((candidate, lock))),
            None => {
                full.insert(flow);
            }
        }
    }
    Ok(None)
}

fn is_free(transaction: &Transaction, namespace: &str, flow: &str, max: u32, is_alive: IsAlive) -> Result<bool> {
    // What is killed holds its slot until its tasks have stopped.
    let sql = "SELECT id FROM executions
               WHERE namespace = ? AND flow = ? AND state IN ('RUNNING', 'KILLING') AND ended IS NULL";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([namespace, flow], |row| row.get::<_, String>(0))?;
    let running = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    let max = max as usize;
    // Whether a process lives is asked only where it matters.
    Ok(running.len() < max || running.into_iter().filter(|id| is_alive(&ExecutionId::new(id.clone()))).count() < max)
}

fn has_queued(transaction: &Transaction, created: &ExecutionSpec) -> Result<bool> {
    let sql = "SELECT 1 FROM executions
               WHERE namespace = ? AND flow = ? AND state = 'QUEUED' AND ended IS NULL LIMIT 1";
    let found =
        transaction.prepare_cached(sql)?.query_row([&created.namespace, &created.flow], |_| Ok(())).optional()?;
    Ok(found.is_some())
}
