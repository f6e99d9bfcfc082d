//! Who may start now and who waits. A flow's slots are held by its executions that are RUNNING or KILLING and whose process
//! lives; nothing is counted apart from them, so that whatever ends an execution frees its slot. Looking and starting are
//! one transaction, so that two processes never give one slot away twice.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Map;

use super::{Event, ExecutionSpec, ExecutionState, Journal, Result, State, TriggerFiring, add, begin, load};
use crate::id::ExecutionId;

/// How many executions of a flow may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// The most.
    pub most: u32,
    /// What becomes of one more.
    pub overflow: OnLimit,
}

/// What becomes of an execution that finds all slots of its flow taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// It waits.
    Queue,
    /// It is cancelled.
    Cancel,
    /// It fails.
    Fail,
}

/// An execution that is to be.
pub struct Submission<'a> {
    /// Its id.
    pub id: &'a ExecutionId,
    /// What it runs.
    pub created: ExecutionSpec,
    /// What a trigger starts it for; it happens once.
    pub tick: Option<&'a TriggerFiring>,
    /// Where it may start, or wait.
    pub place: Place<'a>,
}

/// Where an execution may start, or wait.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The limit of its flow.
    pub limit: Option<ConcurrencyLimit>,
    /// The queue that it waits in.
    pub queue: &'a str,
    /// Whether this process has room for it.
    pub has_room: bool,
}

/// What became of a submission.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one call")]
pub enum SubmitOutcome {
    /// It runs; the caller sees to that.
    Runs(State),
    /// It waits in the queue.
    Waits,
    /// It was cancelled, or failed, because the flow's slots are taken.
    TurnedAway,
    /// Its tick has had an execution; there is no other.
    AlreadyRan,
}

/// An execution that waits.
#[derive(Clone, Debug)]
pub struct QueuedExecution {
    /// The execution.
    pub id: ExecutionId,
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub flow: String,
    /// The limit of its flow when it was submitted.
    pub slots: Option<u32>,
}

/// Says of an execution in state RUNNING whether a process works on it.
pub(super) type IsAlive<'a> = &'a dyn Fn(&ExecutionId) -> bool;

/// Says what time it is.
pub(super) type Clock = fn() -> DateTime<Utc>;

impl SubmitOutcome {
    fn of(event: &Event, state: State) -> Self {
        match event {
            Event::Started => Self::Runs(state),
            Event::Queued => Self::Waits,
            _ => Self::TurnedAway,
        }
    }
}

impl Journal {
    /// Writes a new execution down, and starts it if it may. After a crash all of it is there, or nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn submit(&self, submission: Submission, clock: Clock, is_alive: IsAlive) -> Result<SubmitOutcome> {
        let Submission { id, created, tick, place } = submission;
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !tick.map_or(Ok(true), |tick| tick.take(&transaction, Some(id)))? {
            return Ok(SubmitOutcome::AlreadyRan);
        }
        let now = clock();
        let new = begin(&transaction, id, now, created)?;
        let (time, event, state) = admit(&transaction, id, new.clone(), place, clock, is_alive)?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, now, &new.created, new.status, &Event::Created(new.created.clone()));
        self.publish(id, time, &state.created, state.status, &event);
        Ok(SubmitOutcome::of(&event, state))
    }

    /// Starts an execution that has been written down and not started, if it may.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn admit(
        &self,
        id: &ExecutionId,
        state: State,
        place: Place,
        clock: Clock,
        is_alive: IsAlive,
    ) -> Result<SubmitOutcome> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (time, event, state) = admit(&transaction, id, state, place, clock, is_alive)?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, time, &state.created, state.status, &event);
        Ok(SubmitOutcome::of(&event, state))
    }

    /// Lets an execution wait for its turn: behind all others, or before them when it had its turn once.
    ///
    /// # Errors
    /// When it cannot wait, or the file cannot be written.
    pub fn enqueue(
        &self,
        id: &ExecutionId,
        state: &mut State,
        now: DateTime<Utc>,
        queue: &str,
        first: bool,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        add(&transaction, id, state, now, &Event::Queued)?;
        enter(&transaction, id, queue, if first { QueueEnd::Front } else { QueueEnd::Back })?;
        transaction.commit()?;
        drop(connection);
        self.publish(id, now, &state.created, state.status, &Event::Queued);
        Ok(())
    }

    /// Starts the first of a queue that may: for which there is room, whose flow has a free slot, and which `claim` gets
    /// for this process. `limit` is the number of slots of its flow.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start_next<C>(
        &self,
        queue: &str,
        clock: Clock,
        has_room: &dyn Fn(&ExecutionId) -> bool,
        limit: &dyn Fn(&QueuedExecution) -> Option<u32>,
        is_alive: IsAlive,
        claim: &dyn Fn(&ExecutionId) -> Option<C>,
    ) -> Result<Option<(ExecutionId, State, C)>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some((chosen, claim)) = first_free(&transaction, queue, has_room, limit, is_alive, claim)? else {
            return Ok(None);
        };
        let Some(mut state) = load(&transaction, &chosen.id)? else { return Ok(None) };
        // Not before: the slot may have come free while this waited for the file.
        let now = clock();
        add(&transaction, &chosen.id, &mut state, now, &Event::Started)?;
        transaction.commit()?;
        drop(connection);
        self.publish(&chosen.id, now, &state.created, state.status, &Event::Started);
        Ok(Some((chosen.id, state, claim)))
    }

    /// How many wait in a queue.
    pub fn queued(&self, queue: &str) -> Result<usize> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM executions WHERE queue = ? AND queued IS NOT NULL";
            let count: u32 = connection.prepare_cached(sql)?.query_row([queue], |row| row.get(0))?;
            Ok(count as usize)
        })
    }

    /// The queues in which somebody waits.
    pub fn queues(&self) -> Result<Vec<String>> {
        let connection = self.lock();
        let sql = "SELECT DISTINCT queue FROM executions WHERE queued IS NOT NULL AND queue IS NOT NULL";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The executions that wait in a queue.
    pub fn queued_in(&self, queue: &str) -> Result<Vec<ExecutionId>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT id FROM executions WHERE queue = ? AND queued IS NOT NULL")?;
        let rows = statement.query_map([queue], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// The queue that an execution waits in.
    pub fn queue_of(&self, id: &ExecutionId) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT queue FROM executions WHERE id = ?")?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?.flatten())
    }

    /// Takes an execution out of its queue; it stays QUEUED, and waits for somebody to resume it.
    pub fn requeue(&self, id: &ExecutionId) -> Result<()> {
        self.lock().execute("UPDATE executions SET queue = NULL, queued = NULL WHERE id = ?", [id.as_str()])?;
        Ok(())
    }

    /// Appends another process's queue to one's own, in order.
    pub fn adopt_queue(&self, from: &str, to: &str) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last: i64 = edge(&transaction, to, "max")?.unwrap_or(0);
        let first: i64 = edge(&transaction, from, "min")?.unwrap_or(0);
        let sql = "UPDATE executions SET queue = ?2, queued = queued + ?3 WHERE queue = ?1 AND queued IS NOT NULL";
        transaction.execute(sql, params![from, to, last + 1 - first])?;
        Ok(transaction.commit()?)
    }

    /// The executions that somebody should take care of, the newest first: those that are RUNNING or CREATED, and those
    /// that wait in no queue. Whether a process works on them is not known here.
    pub fn unattended(&self) -> Result<Vec<(ExecutionId, DateTime<Utc>)>> {
        let connection = self.lock();
        // A sub-execution is taken care of by the one that started it, as long as that one goes on.
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

    /// Puts an execution that is QUEUED before all others of a queue.
    pub fn move_to_front(&self, id: &ExecutionId, queue: &str) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        enter(&transaction, id, queue, QueueEnd::Front)?;
        Ok(transaction.commit()?)
    }
}

/// What becomes of an execution that is new: it starts, waits, or is turned away.
fn admit(
    transaction: &Transaction,
    id: &ExecutionId,
    mut state: State,
    place: Place,
    clock: Clock,
    is_alive: IsAlive,
) -> Result<(DateTime<Utc>, Event, State)> {
    let Place { limit, queue, has_room } = place;
    let created = &state.created;
    let is_other = |other: &ExecutionId| other != id && is_alive(other);
    let event = match limit {
        Some(limit) if !is_free(transaction, &created.namespace, &created.flow, limit.most, &is_other)? => {
            match limit.overflow {
                OnLimit::Queue => Event::Queued,
                OnLimit::Cancel => Event::Ended { state: ExecutionState::Cancelled, outputs: Map::new() },
                OnLimit::Fail => Event::Ended { state: ExecutionState::Failed, outputs: Map::new() },
            }
        }
        Some(_) if has_queued(transaction, created)? => Event::Queued,
        _ if has_room => Event::Started,
        _ => Event::Queued,
    };
    let now = clock();
    add(transaction, id, &mut state, now, &event)?;
    let slots = limit.map(|limit| limit.most);
    transaction.prepare_cached("UPDATE executions SET slots = ? WHERE id = ?")?.execute(params![slots, id.as_str()])?;
    if event == Event::Queued {
        enter(transaction, id, queue, QueueEnd::Back)?;
    }
    Ok((now, event, state))
}

enum QueueEnd {
    Front,
    Back,
}

fn enter(transaction: &Transaction, id: &ExecutionId, queue: &str, end: QueueEnd) -> Result<()> {
    let number = match end {
        QueueEnd::Back => edge(transaction, queue, "max")?.map_or(1, |last| last + 1),
        QueueEnd::Front => edge(transaction, queue, "min")?.map_or(1, |first| first - 1),
    };
    let mut statement = transaction.prepare_cached("UPDATE executions SET queue = ?, queued = ? WHERE id = ?")?;
    statement.execute(params![queue, number, id.as_str()])?;
    Ok(())
}

fn edge(transaction: &Transaction, queue: &str, which: &str) -> Result<Option<i64>> {
    let sql = format!("SELECT {which}(queued) FROM executions WHERE queue = ? AND queued IS NOT NULL");
    Ok(transaction.prepare_cached(&sql)?.query_row([queue], |row| row.get(0))?)
}

fn first_free<C>(
    transaction: &Transaction,
    queue: &str,
    has_room: &dyn Fn(&ExecutionId) -> bool,
    limit: &dyn Fn(&QueuedExecution) -> Option<u32>,
    is_alive: IsAlive,
    claim: &dyn Fn(&ExecutionId) -> Option<C>,
) -> Result<Option<(QueuedExecution, C)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, namespace, flow, slots FROM executions WHERE queue = ? AND queued IS NOT NULL ORDER BY queued",
    )?;
    let mut rows = statement.query([queue])?;
    // Where one of a flow must wait, those behind it do too.
    let mut full: std::collections::HashSet<(String, String)> = std::collections::HashSet::new();
    while let Some(row) = rows.next()? {
        let (namespace, flow): (String, String) = (row.get(1)?, row.get(2)?);
        let place = (namespace, flow);
        if full.contains(&place) {
            continue;
        }
        let id = ExecutionId::new(row.get::<_, String>(0)?);
        if !has_room(&id) {
            continue;
        }
        let chosen = QueuedExecution { id, namespace: place.0.clone(), flow: place.1.clone(), slots: row.get(3)? };
        let is_free = match limit(&chosen) {
            Some(most) => is_free(transaction, &place.0, &place.1, most, is_alive)?,
            None => true,
        };
        match claim(&chosen.id).filter(|_| is_free) {
            Some(claim) => return Ok(Some((chosen, claim))),
            None => drop(full.insert(place)),
        }
    }
    Ok(None)
}

fn is_free(transaction: &Transaction, namespace: &str, flow: &str, most: u32, is_alive: IsAlive) -> Result<bool> {
    // What is killed holds its slot until its tasks have stopped.
    let sql = "SELECT id FROM executions
               WHERE namespace = ? AND flow = ? AND state IN ('RUNNING', 'KILLING') AND ended IS NULL";
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map([namespace, flow], |row| row.get::<_, String>(0))?;
    let running = rows.collect::<rusqlite::Result<Vec<String>>>()?;
    let most = most as usize;
    // Whether a process lives is asked only where it matters.
    Ok(running.len() < most || running.into_iter().filter(|id| is_alive(&ExecutionId::new(id.clone()))).count() < most)
}

fn has_queued(transaction: &Transaction, created: &ExecutionSpec) -> Result<bool> {
    let sql = "SELECT 1 FROM executions
               WHERE namespace = ? AND flow = ? AND state = 'QUEUED' AND ended IS NULL LIMIT 1";
    let found =
        transaction.prepare_cached(sql)?.query_row([&created.namespace, &created.flow], |_| Ok(())).optional()?;
    Ok(found.is_some())
}
