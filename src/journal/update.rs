//! Updates of the journal by this process, for subscribers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use super::{Event, ExecutionSpec, ExecutionState, Journal, LogLine};
use crate::id::ExecutionId;

/// How far a listener may fall behind before it misses something.
const BACKLOG: usize = 4096;

/// Something that has been written.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it is only ever behind an Arc")]
pub enum JournalUpdate {
    /// An event.
    Event {
        /// The execution.
        id: ExecutionId,
        /// The flow's namespace.
        namespace: String,
        /// The flow's id.
        flow: String,
        /// Where the execution stands now.
        status: ExecutionState,
        /// When.
        time: DateTime<Utc>,
        /// The event.
        event: Event,
    },
    /// A log line.
    Log {
        /// The execution.
        id: ExecutionId,
        /// The line.
        line: LogLine,
    },
    /// An execution was removed.
    Deleted {
        /// The execution.
        id: ExecutionId,
    },
}

impl JournalUpdate {
    /// The execution that it happened to.
    pub fn id(&self) -> &ExecutionId {
        match self {
            Self::Event { id, .. } | Self::Log { id, .. } | Self::Deleted { id } => id,
        }
    }
}

pub(super) fn channel() -> broadcast::Sender<Arc<JournalUpdate>> {
    broadcast::channel(BACKLOG).0
}

impl Journal {
    /// All that this process writes from now on, after it is committed. A subscriber that falls far behind misses some, gets an
    /// error that says so, and reads the state anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<JournalUpdate>> {
        self.listeners.subscribe()
    }

    pub(super) fn publish(
        &self,
        id: &ExecutionId,
        time: DateTime<Utc>,
        created: &ExecutionSpec,
        status: ExecutionState,
        event: &Event,
    ) {
        self.changes.count(&created.namespace, &created.flow);
        self.broadcast(|| JournalUpdate::Event {
            id: id.clone(),
            namespace: created.namespace.clone(),
            flow: created.flow.clone(),
            status,
            time,
            event: event.clone(),
        });
    }

    pub(super) fn broadcast(&self, happened: impl FnOnce() -> JournalUpdate) {
        if self.listeners.receiver_count() > 0 {
            // That the last listener has just gone is no loss.
            let _ = self.listeners.send(Arc::new(happened()));
        }
    }
}
