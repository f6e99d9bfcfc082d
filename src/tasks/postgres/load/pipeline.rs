//! The way from a file to the bytes of a COPY: read and parsed on one thread, transformed and encoded on another,
//! sent by a third, with bounded queues in between, so that memory stays flat and the server never waits long.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use polars::prelude::{DataFrame, PolarsResult};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::encode::{Encoder, unwritable};
use super::key::RowKey;
use super::partition::{Misplaced, misplaced};
use super::spelling::{Comparison, Spellings};
use crate::clock;
use crate::stream::{BadRow, Batches, ColumnSpec, Reader};
use crate::task::{Progress, TaskError};
use crate::tasks::polars::plan::TransformPlan;

/// Batches that wait between parsing and encoding.
const PARSED_AHEAD: usize = 2;
/// Parcels that wait between encoding and sending.
const ENCODED_AHEAD: usize = 4;
/// Batches that had to be sent as text, after which all others are too: each change costs an answer of the server.
const MAX_CHANGES: usize = 8;

/// All that the threads need.
pub(super) struct CopyPipeline {
    pub(super) reader: Reader,
    pub(super) wanted: Vec<ColumnSpec>,
    pub(super) plan: TransformPlan,
    pub(super) encoder: Arc<Encoder>,
    /// What makes the keys of `row_id`.
    pub(super) key: Option<Arc<RowKey>>,
    /// Whether the server reads all values, none being sent in binary.
    pub(super) is_text: bool,
    /// The columns that would be loaded into the partition's column, which gets its value from the load's mode.
    pub(super) partition: Vec<String>,
    pub(super) scratch: PathBuf,
    pub(super) progress: Arc<Progress>,
}

/// How a parcel's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowFormat {
    Binary,
    Text,
}

/// What the threads have for the server. Only the task that sends rows may use the connection, so a thread that needs an
/// answer asks for it in the same queue as the rows go, and waits. The rows before it are sent by then.
pub(super) enum ServerRequest {
    /// Rows to store.
    Rows(EncodedBatch),
    /// Rows of which only the server knows the keys.
    Keys(KeyRequest),
    /// Values of which only the server knows whether they are the partition's.
    Compare(Comparison),
}

/// Rows that wait for their keys.
pub(super) struct KeyRequest {
    /// The rows, numbered, with the columns of the key alone.
    pub(super) rows: DataFrame,
    /// Takes a key for each row.
    pub(super) reply: oneshot::Sender<Vec<Option<String>>>,
}

/// The rows of one batch, ready to be sent.
pub(super) struct EncodedBatch {
    pub(super) form: RowFormat,
    pub(super) bytes: Bytes,
    /// The same rows as they were encoded.
    pub(super) frame: DataFrame,
    /// Rows of the file that the batch stands for.
    pub(super) read: u64,
    /// Rows that the reader or a rule refused.
    pub(super) bad: Vec<BadRow>,
    /// Rows that say another partition than the load's.
    pub(super) misplaced: Vec<Misplaced>,
}

impl CopyPipeline {
    /// Starts the threads. When the orders end, the handle says whether all of them came, and what data-quality rules
    /// had to say.
    pub(super) fn start(self) -> (mpsc::Receiver<ServerRequest>, JoinHandle<Result<Vec<String>, TaskError>>) {
        let (sender, receiver) = mpsc::channel(ENCODED_AHEAD);
        (receiver, tokio::task::spawn_blocking(move || self.work(&sender)))
    }

    fn work(mut self, sender: &mpsc::Sender<ServerRequest>) -> Result<Vec<String>, TaskError> {
        if let Some(key) = &self.key {
            self.plan = self.plan.with_keys(key.clone().maker(sender.clone()));
        }
        let rounded = self.reader.rounded();
        let batches = self.plan.run(ahead(self.reader, self.wanted), &self.scratch, clock::now());
        let mut spellings = Spellings::new(sender.clone());
        let mut changes = 0;
        for batch in batches {
            let batch = batch?;
            let (frame, misplaced) = misplaced(&self.encoder, &self.partition, &mut spellings, batch.frame)
                .map_err(|error| unwritable(&error))?;
            let (form, bytes) = encode(&self.encoder, &frame, self.is_text).map_err(|error| unwritable(&error))?;
            changes += usize::from(form == RowFormat::Text);
            self.is_text |= changes > MAX_CHANGES;
            self.progress.add_rows(batch.rows_read);
            let batch = EncodedBatch { form, bytes, frame, read: batch.rows_read, bad: batch.bad, misplaced };
            if sender.blocking_send(ServerRequest::Rows(batch)).is_err() {
                return Err(TaskError::cancelled("the load was stopped"));
            }
        }
        // The steps have removed their files; a folder that is not there was not needed.
        let _ = std::fs::remove_dir(&self.scratch);
        Ok(self.plan.warnings().into_iter().chain(rounded()).collect())
    }
}

fn encode(encoder: &Encoder, frame: &DataFrame, is_text: bool) -> PolarsResult<(RowFormat, Bytes)> {
    if !is_text && let Some(bytes) = encoder.binary(frame)? {
        return Ok((RowFormat::Binary, bytes));
    }
    Ok((RowFormat::Text, encoder.text(frame)?))
}

/// Reads and parses on a thread of its own.
pub(super) fn ahead(reader: Reader, wanted: Vec<ColumnSpec>) -> Batches {
    let (sender, receiver) = sync_channel(PARSED_AHEAD);
    std::thread::spawn(move || {
        for batch in reader.batches(wanted) {
            // Nobody wants the rest when the load has failed.
            if sender.send(batch).is_err() {
                break;
            }
        }
    });
    Box::new(receiver.into_iter())
}
