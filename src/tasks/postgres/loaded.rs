//! What a task that loads a file gives to later tasks.

use schemars::JsonSchema;
use serde::Serialize;

use super::source::SourceFile;
use crate::task::Level;
use crate::tasks::counts::{Counts, no_rows};

/// What was loaded. `rows_read = rows_loaded + rows_rejected + rows_skipped`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Loaded {
    /// The table.
    pub(super) table: String,
    /// The server with its database, as `postgres://host:port/database`.
    pub(super) server: String,
    /// The file's name.
    pub(super) source: String,
    /// SHA-256 of the file, in hex.
    pub(super) source_sha256: String,
    /// Rows in the file; of `postgres.copy_in` those that COPY counts, without any that a trigger leaves out.
    pub(super) rows_read: u64,
    /// Rows that are new or changed in the table.
    pub(super) rows_loaded: u64,
    /// Rows that did not fit.
    pub(super) rows_rejected: u64,
    /// Rows that were there already, that the transform left out, or that the table's triggers kept out.
    pub(super) rows_skipped: u64,
    /// Those of `rows_skipped` that a step of the transform left out.
    pub(super) rows_left_out: u64,
    /// Those of `rows_skipped` that the table's triggers kept out or stored elsewhere.
    pub(super) rows_kept_out: u64,
    /// The address of the file with the rows that did not fit, if there were any.
    pub(super) rejected_uri: Option<String>,
    /// Whether the ledger knew this very load, so that nothing was done.
    pub(super) already_loaded: bool,
    /// The size of the file in bytes, as it is stored.
    pub(super) bytes: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// `rows_loaded` under Kestra's name.
    #[serde(rename = "rowCount")]
    pub(super) row_count: u64,
    /// What there is to log once the load is committed.
    #[serde(skip)]
    pub(super) notes: Vec<Note>,
}

/// A line for the log.
pub(super) type Note = (Level, String);

impl Loaded {
    /// A load that has these counts.
    pub(super) fn of(table: &str, source: &SourceFile, counts: Counts, seconds: f64) -> Self {
        Self {
            table: table.to_owned(),
            source: source.name.clone(),
            source_sha256: source.sha256.clone(),
            rows_read: counts.read,
            rows_loaded: counts.loaded,
            rows_rejected: counts.rejected,
            rows_skipped: counts.skipped,
            bytes: source.bytes,
            seconds,
            row_count: counts.loaded,
            notes: (counts.read == 0).then(|| (Level::Warn, no_rows(&source.name))).into_iter().collect(),
            ..Self::default()
        }
    }

    /// Has a line logged once the load is committed.
    pub(super) fn noting(mut self, level: Level, message: impl Into<String>) -> Self {
        self.notes.push((level, message.into()));
        self
    }

    /// A load that was done before, and is not done again.
    pub(super) fn known(table: &str, source: &SourceFile, earlier: Counts) -> Self {
        Self { already_loaded: true, ..Self::of(table, source, earlier.again(), 0.0) }
    }
}
