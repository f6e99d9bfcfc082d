//! Events that are written together.

use chrono::{DateTime, SubsecRound, Utc};
use rusqlite::{Transaction, TransactionBehavior};

use super::search::{SummaryUpdate, summarize, summarize_new};
use super::{Event, ExecutionSpec, ExecutionState, Journal, JournalError, Result, State, insert};
use crate::id::ExecutionId;

/// Events of one execution that are to be written together.
#[derive(Default)]
pub struct EventBatch {
    events: Vec<AddedEvents>,
    /// What the summary says now.
    before: Option<SummaryUpdate>,
}

struct AddedEvents {
    time: DateTime<Utc>,
    event: Event,
    /// Where the execution stands after it.
    status: ExecutionState,
}

impl EventBatch {
    /// Adds an event to a batch, and to the state.
    ///
    /// # Errors
    /// When the event cannot follow the others.
    pub fn add(&mut self, id: &ExecutionId, state: &mut State, time: DateTime<Utc>, event: &Event) -> Result<()> {
        // As it is stored, so that the state now is the state as read later.
        let time = time.trunc_subsecs(6);
        if self.events.is_empty() {
            self.before = Some(SummaryUpdate::of(state));
        }
        state.apply(time, event).map_err(|error| JournalError::Impossible(id.clone(), error))?;
        self.events.push(AddedEvents { time, event: event.clone(), status: state.status });
        Ok(())
    }

    /// Writes the events, which `state` includes already, and the summary where it is another now.
    pub(super) fn insert(&self, transaction: &Transaction, id: &ExecutionId, state: &State) -> Result<()> {
        let first = state.events - u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        for (number, added) in (first..).zip(&self.events) {
            insert(transaction, id, number, added.time, &added.event)?;
        }
        let now = Some(SummaryUpdate::of(state));
        match self.events.first() {
            Some(added) if first == 0 => {
                summarize_new(transaction, id, added.time, state)?;
                summarize(transaction, id, state)
            }
            Some(_) if now != self.before => summarize(transaction, id, state),
            _ => Ok(()),
        }
    }
}

impl Journal {
    /// Writes a new execution down with what has happened to it already: all of that, or nothing.
    ///
    /// # Errors
    /// When an event cannot be the next one, or the file cannot be written.
    pub fn create_with(
        &self,
        id: &ExecutionId,
        time: DateTime<Utc>,
        created: ExecutionSpec,
        events: &[Event],
    ) -> Result<State> {
        let time = time.trunc_subsecs(6);
        let mut state = State::new(created.clone());
        let created = AddedEvents { time, event: Event::Created(created), status: state.status };
        let mut batch = EventBatch { events: vec![created], before: None };
        for event in events {
            batch.add(id, &mut state, time, event)?;
        }
        self.write(id, &state, &mut batch)?;
        Ok(state)
    }

    /// Writes the events of a batch in one transaction: after a crash all of them are there, or none. `state` includes
    /// them already. The batch is empty then.
    ///
    /// # Errors
    /// When another process has appended meanwhile, or when the file cannot be written. Nothing is written then, and
    /// `state` must not be used any more.
    pub fn write(&self, id: &ExecutionId, state: &State, batch: &mut EventBatch) -> Result<()> {
        if batch.events.is_empty() {
            return Ok(());
        }
        let mut connection = self.lock();
        // The write lock from the start: a read that another process overtakes could not become a write any more.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        batch.insert(&transaction, id, state)?;
        transaction.commit()?;
        drop(connection);
        self.publish_all(id, state, batch);
        Ok(())
    }

    /// Tells listeners of a batch that is safely there, and empties it.
    pub(super) fn publish_all(&self, id: &ExecutionId, state: &State, batch: &mut EventBatch) {
        for AddedEvents { time, event, status } in batch.events.drain(..) {
            self.publish(id, time, &state.created, status, &event);
        }
        batch.before = None;
    }
}
