//! The journal: every event of every execution, in one SQLite file; and in another the values that flows keep. The
//! only module that speaks SQLite.
//!
//! An append is one transaction in WAL mode with `synchronous=NORMAL`: it survives the death of the process at any
//! moment, and a power cut may take the newest events but never leaves a torn one. That is enough, because a task whose
//! end was lost runs again, and every load is idempotent.

mod audit;
mod backfill;
mod batch;
mod causes;
mod children;
mod days;
mod ends;
mod event;
mod expected;
mod firings;
mod flow_version;
mod history;
mod kv;
mod log_window;
mod logs;
mod migrate;
mod notices;
mod open;
mod outcome;
mod pauses;
mod problem;
mod queue;
mod queue_name;
mod reader;
mod reserve;
mod retention;
mod revisions;
mod row;
mod search;
mod sessions;
mod sought_text;
mod state;
mod summary;
mod target;
mod task_run;
mod update;
mod work_time;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::id::{ExecutionId, IdPrefix};
use crate::task::{Level, LogSource};
use logs::LogBuffer;

pub use crate::execution_state::ExecutionState;
pub use audit::{AuditQuery, AuditRow};
pub use backfill::{
    BACKFILL_LABEL, Backfill, BackfillEnd, BackfillPartition, BackfillSpec, DesiredState, PARTITION_LABEL,
    PartitionFilter,
};
pub use batch::EventBatch;
pub use causes::FailureCause;
pub use days::DayTotal;
pub use ends::ExecutionEnd;
pub use event::{Event, ExecutionSpec, Parent, Triggered};
pub use expected::ExpectedMark;
pub use firings::{TriggerFiring, TriggerKey, TriggerProgress};
pub use flow_version::FlowVersion;
pub use history::AttemptRecord;
pub use kv::{Kv, KvEntry, KvError, KvSummary, KvType, NewKvEntry};
pub use log_window::{LogFilter, LogPosition, LogWindow, NumberedLine};
pub use notices::NotificationKey;
pub use outcome::{TaskFailure, TaskOutcome};
pub use problem::JournalError;
pub use queue::{Admission, ConcurrencyLimit, OnLimit, QueuedExecution, Submission, SubmitOutcome};
pub use queue_name::QueueName;
use reader::ReadConnection;
pub use reserve::release as release_reserve;
pub use revisions::Revision;
pub use search::{ExecutionQuery, SearchPage};
pub use sessions::Session;
pub use state::{IllegalTransition, State};
pub use summary::Summary;
pub use target::{ExecutionTarget, ExplicitTargets, GoogleTarget, PostgresTarget, StartedBy};
pub use task_run::{LoopProgress, TaskRun, TaskRunSnapshot, TaskState};
pub use update::JournalUpdate;

/// The result of a journal call.
pub type Result<T> = std::result::Result<T, JournalError>;

/// A log line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogLine {
    /// When.
    pub time: DateTime<Utc>,
    /// Who wrote it.
    #[serde(rename = "task")]
    pub source: LogSource,
    /// How severe it is.
    pub level: Level,
    /// The text.
    pub message: String,
}

/// An open journal. Several processes may have the same file open.
pub struct Journal {
    connection: Arc<Mutex<Connection>>,
    /// What is logged and not written yet.
    lines: Arc<LogBuffer>,
    /// What takes long is read here, while others write.
    reader: ReadConnection,
    changes: flow_version::FlowChanges,
    listeners: broadcast::Sender<Arc<JournalUpdate>>,
}

impl Journal {
    /// Opens or makes the journal's file, readable by its owner alone.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn open(file: &Path) -> Result<Self> {
        let connection = open::open_file(file, migrate::migrate).map_err(|error: JournalError| error.at(file))?;
        reserve::keep(file);
        Ok(Self::of(connection, ReadConnection::of(file)))
    }

    /// Opens the journal for one who only reads. Where it cannot be written, because the disk is full or the folder is
    /// read-only, it is read as it is, and whatever writes fails.
    ///
    /// # Errors
    /// When the file cannot be read, or is none and cannot be made.
    pub fn open_to_read(file: &Path) -> Result<Self> {
        let unwritable = match Self::open(file) {
            Err(error) if error.is_unwritable() => error,
            opened => return opened,
        };
        if let Some(empty) = open::empty(file, migrate::migrate) {
            let reader = open::empty(file, migrate::migrate).unwrap_or(Err(unwritable))?;
            return Ok(Self::of(empty?, ReadConnection::over(file, reader)));
        }
        let readable = || open::open_to_read(file).ok().filter(migrate::is_current);
        match (readable(), readable()) {
            (Some(connection), Some(reader)) => Ok(Self::of(connection, ReadConnection::over(file, reader))),
            _ => Err(unwritable),
        }
    }

    fn of(connection: Connection, reader: ReadConnection) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        let (connection, listeners) = (Arc::new(Mutex::new(connection)), update::channel());
        let lines = Arc::new(LogBuffer::new(listeners.clone()));
        Self { connection, lines, reader, changes: flow_version::FlowChanges::default(), listeners }
    }

    /// Writes something of no meaning, to see whether that is possible.
    pub fn probe(&self) -> Result<()> {
        let sql = "INSERT INTO cursors VALUES ('probe', 1) ON CONFLICT DO UPDATE SET number = number + 1";
        self.lock().prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Writes so that the journal's WAL file stays small, on a disk that has hardly any room.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn limit_memory(&self) -> Result<()> {
        self.lock().pragma_update(None, "wal_autocheckpoint", 64)?;
        Ok(())
    }

    /// Gives the space of what was removed back to the disk, as far as nobody else has the file open.
    pub fn shrink(&self) -> Result<()> {
        let connection = self.lock();
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
        Ok(())
    }

    /// Writes a new execution down.
    pub fn create(&self, id: &ExecutionId, time: DateTime<Utc>, created: ExecutionSpec) -> Result<State> {
        self.create_with(id, time, created, &[])
    }

    /// Appends one event to an execution that is at `state`, which then includes it. After a crash the event and
    /// the summary are both there, or neither.
    ///
    /// # Errors
    /// When the event cannot follow the others, when another process has appended meanwhile, or when the file cannot be
    /// written. Nothing is written then.
    pub fn append(&self, id: &ExecutionId, state: &mut State, time: DateTime<Utc>, event: &Event) -> Result<()> {
        let mut batch = EventBatch::default();
        batch.add(id, state, time, event)?;
        self.write(id, state, &mut batch)
    }

    /// The state of an execution, or none when there is no such execution.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what no execution can do.
    pub fn state(&self, id: &ExecutionId) -> Result<Option<State>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        load_state(&transaction, id)
    }

    /// At most ten ids that begin with `prefix`, the newest first.
    pub fn ids_with_prefix(&self, prefix: &IdPrefix) -> Result<Vec<ExecutionId>> {
        let connection = self.lock();
        let prefix = prefix.as_str();
        let sql = "SELECT id FROM executions WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 10";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([prefix, &format!("{prefix}{}", char::MAX)], |row| row.get::<_, String>(0))?;
        Ok(rows.map(|id| id.map(ExecutionId::new)).collect::<rusqlite::Result<_>>()?)
    }

    /// The newest execution that did not end well, if any: what a plain `jitney resume` means; with `before` the newest that is
    /// older than that. Sub-executions are resumed by the tasks that started them.
    pub fn newest_unfinished(&self, before: Option<&ExecutionId>) -> Result<Option<ExecutionId>> {
        let connection = self.lock();
        let found = connection
            .query_row(
                "SELECT id FROM executions WHERE parent IS NULL
                 AND state NOT IN ('SUCCESS', 'WARNING', 'RETRIED', 'CANCELLED')
                 AND (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT 1",
                [before.map(ExecutionId::as_str)],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        Ok(found.map(ExecutionId::new))
    }

    /// An id for a new execution or backfill, after all that there are: lists and `jitney resume` go by their order, and
    /// a clock may be set back.
    pub fn new_id(&self, now: DateTime<Utc>) -> Result<ExecutionId> {
        let connection = self.lock();
        let sql =
            "SELECT max(coalesce((SELECT max(id) FROM executions), ''), coalesce((SELECT max(id) FROM backfills), ''))";
        let newest: String = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(ExecutionId::generate_after(&newest, now))
    }

    /// The state of an execution: cheaper to ask than its whole state.
    pub fn status(&self, id: &ExecutionId) -> Result<Option<ExecutionState>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT state FROM executions WHERE id = ?")?;
        Ok(statement.query_row([id.as_str()], |row| row.get(0)).optional()?)
    }

    /// The connection, when the lines that wait are written: nothing overtakes them.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        let mut connection = self.hold();
        // What cannot be written waits on; the caller will hear of it by itself.
        let _ = self.lines.write_if_due(&mut connection);
        connection
    }

    /// A panic elsewhere cannot have left a transaction open: it rolls back when it is dropped.
    fn hold(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first event of an execution.
fn insert_created(
    transaction: &Transaction,
    id: &ExecutionId,
    time: DateTime<Utc>,
    created: ExecutionSpec,
) -> Result<State> {
    insert(transaction, id, 0, time, &Event::Created(created.clone()))?;
    let state = State::new(created);
    search::summarize_new(transaction, id, time, &state)?;
    Ok(state)
}

/// One more event; `state` includes it afterwards.
fn append_in(
    transaction: &Transaction,
    id: &ExecutionId,
    state: &mut State,
    time: DateTime<Utc>,
    event: &Event,
) -> Result<()> {
    // As it is stored, so that the state now is the state as read later.
    let time = time.trunc_subsecs(6);
    let before = search::SummaryUpdate::of(state);
    state.apply(time, event).map_err(|error| JournalError::Impossible(id.clone(), error))?;
    insert(transaction, id, state.events - 1, time, event)?;
    if search::SummaryUpdate::of(state) != before {
        search::summarize(transaction, id, state)?;
    }
    Ok(())
}

fn insert(transaction: &Transaction, id: &ExecutionId, number: u32, time: DateTime<Utc>, event: &Event) -> Result<()> {
    let body = serde_json::to_string(event).map_err(|error| JournalError::Unreadable(id.clone(), error))?;
    let mut statement = transaction.prepare_cached("INSERT INTO events VALUES (?, ?, ?, ?)")?;
    statement.execute(params![id.as_str(), number, stamp(time), body])?;
    Ok(())
}

fn load_state(transaction: &Transaction, id: &ExecutionId) -> Result<Option<State>> {
    let mut statement =
        transaction.prepare_cached("SELECT time, body FROM events WHERE execution = ? ORDER BY number")?;
    let mut rows = statement.query([id.as_str()])?;
    let mut state: Option<State> = None;
    while let Some(row) = rows.next()? {
        let body: String = row.get(1)?;
        let event: Event = serde_json::from_str(&body).map_err(|error| JournalError::Unreadable(id.clone(), error))?;
        match (&mut state, event) {
            (Some(state), event) => {
                state.apply(row.get(0)?, &event).map_err(|error| JournalError::Impossible(id.clone(), error))?;
            }
            (none, Event::Created(created)) => *none = Some(State::new(created)),
            (None, _) => return Ok(None),
        }
    }
    Ok(state)
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
