//! `purge_files`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::storage::StoredFile;
use crate::task::{Task, TaskContext, TaskError};
use crate::text::count;

/// Deletes the files that the tasks of this execution have stored, when they are no longer needed. Files of rejected
/// rows (`on_bad_row: reject`) are kept, since these rows exist nowhere else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeFiles {
    /// Whether files of rejected rows are kept. With `false`, they are deleted, too.
    #[serde(default = "yes", alias = "keepRejected")]
    keep_rejected: bool,
}

fn yes() -> bool {
    true
}

/// What was deleted.
#[derive(Serialize, JsonSchema)]
pub struct Purged {
    /// How many files were deleted.
    files: usize,
    /// The addresses of the files of rejected rows that were kept.
    kept: Vec<String>,
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
        let purged = match self.keep_rejected {
            true => context.storage.purge_but_rejects(),
            false => context.storage.purge().map(|files| (files, Vec::new())),
        };
        let (files, kept) =
            purged.map_err(|error| TaskError::permanent("cannot delete the stored files").caused_by(error))?;
        for file in &kept {
            context.info(format!("kept {}{}", file.uri, rows(file)));
        }
        Ok(Purged { files, kept: kept.into_iter().map(|file| file.uri).collect() })
    }
}

/// How many rows a file of rejected rows has, in brackets; nothing where it cannot be read.
fn rows(file: &StoredFile) -> String {
    let Ok(mut reader) = csv::Reader::from_path(&file.path) else { return String::new() };
    format!(" ({})", count(reader.records().count() as u64, "row"))
}
