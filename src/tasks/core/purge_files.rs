//! `purge_files`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::task::{Task, TaskContext, TaskError};

/// Deletes the files that the tasks of this execution have stored, when they are no longer needed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeFiles {}

/// What was deleted.
#[derive(Serialize, JsonSchema)]
pub struct Purged {
    /// How many files there were.
    files: usize,
}

impl Task for PurgeFiles {
    const NAME: &'static str = "purge_files";
    const ALIASES: &'static [&'static str] = &[
        "io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles",
        "io.kestra.plugin.core.storage.PurgeExecution",
        "io.kestra.core.tasks.storages.PurgeExecution",
    ];
    const EXAMPLE: &'static str = "\
- id: tidy
  type: purge_files";
    type Outputs = Purged;

    async fn run(&self, context: &TaskContext) -> Result<Purged, TaskError> {
        let files = context
            .storage
            .purge()
            .map_err(|error| TaskError::permanent("cannot delete the stored files").because(error))?;
        Ok(Purged { files })
    }
}
