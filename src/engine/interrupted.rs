//! Executions whose process has died: the journal has them as running, and nobody holds their lock.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;

use crate::clock;
use crate::config::Settings;
use crate::engine::error::EngineError;
use crate::engine::lock::{HomeLock, is_locked};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionQuery, ExecutionState, Journal, JournalError, State, Summary};

/// The state that users see of an execution whose process has died.
pub const INTERRUPTED: &str = "INTERRUPTED";

/// The maximum number of executions that are searched for such ones.
const MAX_EXECUTIONS: u32 = 100_000;

/// How long a process may take between creating an execution and starting it.
pub(super) const STARTUP_GRACE: TimeDelta = TimeDelta::seconds(10);

/// Whether the process that should work on an execution has died; `state` is its state in the summary.
///
/// # Errors
/// When the journal cannot be read.
pub fn is_interrupted(
    settings: &Settings,
    journal: &Journal,
    id: &ExecutionId,
    state: ExecutionState,
    created: DateTime<Utc>,
) -> Result<bool, JournalError> {
    use ExecutionState::{Created, Killing, Queued, Restarted, Retrying, Running};
    let is_missed = match state {
        Queued => {
            let queue = journal.queue_of(id)?;
            !queue.is_some_and(|queue| is_locked(settings, &queue))
        }
        Created => clock::now() - created >= STARTUP_GRACE,
        Running | Killing | Retrying | Restarted => true,
        _ => false,
    };
    // A process that has just ended it wrote that before it released the lock.
    Ok(is_missed && !is_locked(settings, id) && journal.status(id)? == Some(state))
}

/// The executions whose process has died, the newest first.
///
/// # Errors
/// When the journal cannot be read.
pub fn interrupted(settings: &Settings, journal: &Journal) -> Result<Vec<ExecutionId>, JournalError> {
    use ExecutionState::{Created, Killing, Queued, Restarted, Retrying, Running};
    let states = vec![Created, Queued, Running, Killing, Retrying, Restarted];
    let found = journal.search(&ExecutionQuery { states, ..ExecutionQuery::default() }, MAX_EXECUTIONS, 0)?.executions;
    let mut ids = Vec::new();
    for Summary { id, state, created, .. } in found {
        if is_interrupted(settings, journal, &id, state, created)? {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Ends executions whose process died while they were being killed; whether there were any.
///
/// # Errors
/// When the journal cannot be used.
pub fn finish_killing<'a>(
    settings: &Settings,
    journal: &Journal,
    killing: impl Iterator<Item = &'a ExecutionId>,
) -> Result<bool, EngineError> {
    let mut settled = false;
    for id in killing {
        let Some(_lock) = HomeLock::try_acquire(settings, id)? else { continue };
        if let Some(mut state) = journal.state(id)? {
            settled |= end_killing(journal, id, &mut state)?;
        }
    }
    Ok(settled)
}

/// Ends an execution that was being killed; whether it was. The caller holds its lock.
pub(super) fn end_killing(journal: &Journal, id: &ExecutionId, state: &mut State) -> Result<bool, EngineError> {
    if state.status != ExecutionState::Killing {
        return Ok(false);
    }
    journal.append(id, state, clock::now(), &Event::Interrupted)?;
    let end = state.ending.unwrap_or(ExecutionState::Killed);
    journal.append(id, state, clock::now(), &Event::Ended { state: end, outputs: Map::new() })?;
    Ok(true)
}
