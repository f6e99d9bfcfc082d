//! The way from a file to the bytes of a COPY: read and parsed on one thread, transformed and encoded on another,
//! sent by a third, with bounded queues in between, so that memory stays flat and the server never waits long.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bytes::{Bytes, BytesMut};
use chrono::Utc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::encode;
use crate::stream::{Batches, Column, Reader};
use crate::task::{Progress, TaskError};
use crate::tasks::bad_rows::Rejected;
use crate::tasks::polars::plan::Plan;
use crate::tasks::postgres::target::Field;

/// Batches that wait between parsing and encoding.
const PARSED_AHEAD: usize = 2;
/// Chunks that wait between encoding and sending.
const ENCODED_AHEAD: usize = 4;
/// How large a chunk grows before it is handed over, in bytes.
const CHUNK: usize = 256 * 1024;

/// All that the threads need.
pub(super) struct Feed {
    pub(super) reader: Reader,
    pub(super) wanted: Vec<Column>,
    pub(super) plan: Plan,
    /// For each field from the file: its place among the plan's columns.
    pub(super) used: Vec<usize>,
    /// The fields that are sent, the constant one last.
    pub(super) fields: Vec<Field>,
    /// The constant field's bytes.
    pub(super) constant: Option<Vec<u8>>,
    pub(super) rejected: Rejected,
    pub(super) scratch: PathBuf,
    pub(super) progress: Arc<Progress>,
    /// What the file is called in messages.
    pub(super) source: String,
}

/// What came of it.
pub(super) struct Fed {
    /// Rows in the file.
    pub(super) read: u64,
    /// Rows that were sent.
    pub(super) sent: u64,
    /// Rows that were set aside.
    pub(super) rejected: u64,
    /// The file that holds those.
    pub(super) rejected_uri: Option<String>,
    /// What data-quality rules had to say.
    pub(super) warnings: Vec<String>,
}

impl Feed {
    /// Starts the threads. The receiver gives the bytes to send; when it ends, the handle says whether all of them came.
    pub(super) fn start(self) -> (mpsc::Receiver<Bytes>, JoinHandle<Result<Fed, TaskError>>) {
        let (sender, receiver) = mpsc::channel(ENCODED_AHEAD);
        (receiver, tokio::task::spawn_blocking(move || self.work(&sender)))
    }

    fn work(mut self, sender: &mpsc::Sender<Bytes>) -> Result<Fed, TaskError> {
        let batches = self.plan.run(ahead(self.reader, self.wanted.clone()), &self.scratch, Utc::now());
        let mut out = BytesMut::with_capacity(2 * CHUNK);
        out.extend_from_slice(encode::HEADER);
        let (mut read, mut sent) = (0, 0);
        for batch in batches {
            let batch = batch?;
            self.rejected.take(&batch.bad)?;
            let columns: Vec<_> =
                self.used.iter().filter_map(|index| batch.frame.columns().get(*index).cloned()).collect();
            let encoded =
                encode::rows(&columns, &self.fields, self.constant.as_deref(), batch.frame.height(), &mut out);
            match encoded
                .map_err(|error| TaskError::permanent("a column cannot be converted for the table").because(error))?
            {
                Ok(()) => {}
                Err(misfit) => return Err(explain(&self.source, sent, &misfit)),
            }
            read += batch.rows_read;
            sent += batch.frame.height() as u64;
            self.progress.add_rows(batch.rows_read);
            if out.len() >= CHUNK && !hand_over(sender, &mut out) {
                return Err(TaskError::cancelled("the load was stopped"));
            }
        }
        out.extend_from_slice(&encode::TRAILER);
        hand_over(sender, &mut out);
        // The steps have removed their files; a folder that is not there was not needed.
        let _ = std::fs::remove_dir(&self.scratch);
        Ok(Fed {
            read,
            sent,
            rejected: self.rejected.count(),
            rejected_uri: self.rejected.uri().map(str::to_owned),
            warnings: self.plan.warnings(),
        })
    }
}

/// Whether somebody still wants the bytes.
fn hand_over(sender: &mpsc::Sender<Bytes>, out: &mut BytesMut) -> bool {
    let chunk = out.split().freeze();
    out.reserve(2 * CHUNK);
    sender.blocking_send(chunk).is_ok()
}

/// Reads and parses on a thread of its own.
fn ahead(reader: Reader, wanted: Vec<Column>) -> Batches {
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

fn explain(source: &str, sent: u64, misfit: &encode::Misfit) -> TaskError {
    let row = sent + misfit.row as u64 + 1;
    TaskError::permanent(format!("{source}: row {row} of those to load: `{}`: {}", misfit.column, misfit.message))
}
