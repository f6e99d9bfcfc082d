//! The newest execution of each partition, no matter who started it.

use std::collections::HashMap;

use super::calendar::PartitionKey;
use super::partition_run::{PartitionRun, Partitioned};
use crate::engine::{EngineError, Runner};
use crate::id::FlowKey;
use crate::journal::Summary;

/// The most executions of a flow that are looked through, the newest first.
const MAX_EXECUTIONS: u32 = 200_000;

/// The newest executions of a flow's partitions, without their inputs and labels.
pub struct LastRuns {
    /// Whether the inputs alone tell the partitions apart.
    told_by_inputs: bool,
    newest: HashMap<String, Summary>,
}

impl LastRuns {
    /// That of a partition.
    pub fn of(&self, of: &Partitioned, run: &PartitionRun) -> Option<&Summary> {
        self.newest.get(&of.key_of_run(run, self.told_by_inputs))
    }
}

impl Runner {
    /// The newest executions of a flow's partitions, `first` being one of them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_runs(&self, of: &Partitioned, first: &PartitionKey) -> Result<LastRuns, EngineError> {
        let told_by_inputs = of.is_told_by_inputs(self, first);
        let mut newest = HashMap::new();
        let flow = FlowKey::new(&of.flow.namespace, of.flow.id.to_string());
        self.journal.each_execution_of(&flow, MAX_EXECUTIONS, |mut summary| {
            // One task alone leaves no partition loaded.
            if summary.only.is_some() {
                return;
            }
            let key = of.key_of_execution(&summary, told_by_inputs);
            newest.entry(key).or_insert_with(|| {
                (summary.inputs, summary.labels) = Default::default();
                summary
            });
        })?;
        Ok(LastRuns { told_by_inputs, newest })
    }
}
