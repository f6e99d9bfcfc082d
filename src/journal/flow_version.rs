//! Whether anything has been written about a flow's executions since a moment: what takes long to find out is kept until then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Journal, Result};
use crate::id::FlowKey;

/// What was written of a flow's executions so far. If it is equal at two moments, nothing was written between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowVersion {
    /// What other processes have written, of whatever flow.
    others: i64,
    /// What this process has written that concerns any flow.
    common: u64,
    /// What this process has written of this one.
    own: u64,
}

/// How often this process has written about executions, by flow.
#[derive(Default)]
pub(super) struct FlowChanges(Mutex<ChangeCounts>);

#[derive(Default)]
struct ChangeCounts {
    common: u64,
    flows: HashMap<FlowKey, u64>,
}

impl FlowChanges {
    fn lock(&self) -> MutexGuard<'_, ChangeCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event of a flow that has been committed.
    pub(super) fn count(&self, namespace: &str, flow: &str) {
        *self.lock().flows.entry(FlowKey::new(namespace, flow)).or_default() += 1;
    }

    /// Counts a change that may concern any flow.
    pub(super) fn count_for_all(&self) {
        self.lock().common += 1;
    }
}

impl Journal {
    /// The version of what the journal has about a flow's executions. Log lines do not change it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn flow_version(&self, flow: &FlowKey) -> Result<FlowVersion> {
        // For the connection that writes, this number changes with what others write.
        let others = self.lock().pragma_query_value(None, "data_version", |row| row.get(0))?;
        let counts = self.changes.lock();
        Ok(FlowVersion { others, common: counts.common, own: counts.flows.get(flow).copied().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::id::{ExecutionId, TaskId};
    use crate::journal::{Event, ExecutionSpec};
    use crate::task::Level;

    #[test]
    fn a_version_changes_with_what_is_written_about_its_flow_by_whomever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        let journal = Journal::open(&file).unwrap();
        let (mine, other) = (FlowKey::new("n", "f"), FlowKey::new("n", "g"));
        let id = ExecutionId::new("e1");
        let created = ExecutionSpec { namespace: "n".to_owned(), flow: "f".to_owned(), ..ExecutionSpec::default() };
        let mut state = journal.create(&id, clock::now(), created).unwrap();
        let versions = || [&mine, &other].map(|flow| journal.flow_version(flow).unwrap());
        let begun = versions();
        journal.log(&id, clock::now(), &TaskId::new("t"), Level::Info, "a line").unwrap();
        assert_eq!(versions(), begun, "a log line is no change");
        journal.append(&id, &mut state, clock::now(), &Event::Started).unwrap();
        let started = versions();
        assert!(started[0] != begun[0] && started[1] == begun[1]);
        let elsewhere = Journal::open(&file).unwrap();
        elsewhere.delete(&id).unwrap();
        let deleted = versions();
        assert!(deleted[0] != started[0] && deleted[1] != started[1], "another process has written something");
        journal.unmark_expected(&id).unwrap();
        assert_ne!(versions(), deleted);
    }
}
