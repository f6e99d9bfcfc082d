//! A large file to an object, however often the line is cut: Google is asked how far it is, and the rest is sent.

use std::sync::atomic::Ordering;

use futures_util::TryStreamExt;
use reqwest::Body;

use super::pieces::Pieces;
use super::send::{UploadOutcome, UploadSource};
use super::store::Store;
use super::upload_session::{self, SessionProgress, UploadSession};
use crate::task::TaskError;
use crate::web::RequestError;

/// An upload in progress.
struct ResumableUpload<'a> {
    store: &'a Store<'a>,
    source: &'a UploadSource,
    session: Option<UploadSession>,
    /// Whether Google has to be asked how far the session is.
    is_stale: bool,
    /// Whether an earlier attempt left the session, and Google has not been asked yet.
    is_left: bool,
    /// The most that was there whenever Google was asked.
    furthest: u64,
    /// Bytes that an earlier attempt had sent.
    resumed: u64,
    /// Bytes of the task that were done before this file.
    before: u64,
}

/// Sends a file over an object that is at generation `now`, 0 for none.
pub(super) async fn send(store: &Store<'_>, source: &UploadSource, now: u64) -> Result<UploadOutcome, TaskError> {
    let saved = UploadSession::saved(source, &store.context.settings.redactor);
    let before = store.context.progress.bytes.load(Ordering::Relaxed);
    let is_left = saved.is_some();
    let mut upload =
        ResumableUpload { store, source, session: saved, is_stale: is_left, is_left, furthest: 0, resumed: 0, before };
    let mut failed = 0;
    loop {
        let furthest = upload.furthest;
        let outcome = tokio::select! {
            outcome = upload.attempt(now) => outcome,
            () = store.context.cancel.cancelled() => return Err(stopped(source)),
        };
        let (error, retry_after) = match outcome {
            Ok(outcome) => return Ok(outcome),
            Err(RequestError::Fatal(error)) => return Err(error),
            Err(RequestError::Retryable(error, retry_after)) => (error, retry_after),
        };
        // Only failures in a row that get no further count.
        failed = if upload.furthest > furthest { 1 } else { failed + 1 };
        store.retry.pause(failed, error, retry_after).await?;
    }
}

fn stopped(source: &UploadSource) -> TaskError {
    TaskError::cancelled(format!("stopped {}", source.what))
        .help("the uploaded part is kept: the next attempt continues from it")
}

impl ResumableUpload<'_> {
    async fn attempt(&mut self, now: u64) -> Result<UploadOutcome, RequestError> {
        if !self.source.is_unchanged() {
            let message = format!("{}: the file changed during the upload", self.source.what);
            return Err(RequestError::Fatal(
                TaskError::permanent(message).help("write it under another name first, then upload it"),
            ));
        }
        let session = match self.session.clone() {
            Some(session) => session,
            None => match UploadSession::open(self.store, self.source, now).await.map_err(RequestError::Fatal)? {
                Some(session) => self.session.insert(session).clone(),
                None => return Ok((None, 0, 0)),
            },
        };
        let offset = match self.is_stale {
            true => match session.progress(self.store, self.source).await? {
                SessionProgress::Bytes(there) => there,
                other => return self.end(other, None).await,
            },
            false => 0,
        };
        if std::mem::take(&mut self.is_left) {
            self.resumed = offset;
        }
        (self.is_stale, self.furthest) = (true, self.furthest.max(offset));
        self.send_from(&session, offset).await
    }

    async fn send_from(&mut self, session: &UploadSession, offset: u64) -> Result<UploadOutcome, RequestError> {
        let progress = self.store.context.progress.clone();
        progress.bytes.store(self.before + offset, Ordering::Relaxed);
        let (pieces, checksum) = Pieces::read(&self.source.path, self.source.length, offset).split();
        let body = Body::wrap_stream(pieces.inspect_ok(move |piece| progress.add_bytes(piece.len() as u64)));
        let progress = session.send(self.store, self.source, offset, body).await?;
        self.end(progress, checksum.await.ok()).await
    }

    async fn end(&mut self, progress: SessionProgress, checksum: Option<u32>) -> Result<UploadOutcome, RequestError> {
        let what = &self.source.what;
        match progress {
            SessionProgress::Done(blob) => Ok((Some(*blob), self.checksum(checksum).await?, self.resumed)),
            SessionProgress::Overtaken => Ok((None, 0, 0)),
            SessionProgress::Bytes(there) => {
                let message = format!("{what}: Google has {there} of {} bytes", self.source.length);
                Err(RequestError::Retryable(TaskError::transient(message), None))
            }
            SessionProgress::Gone => {
                upload_session::forget(&self.source.session_file);
                (self.session, self.is_stale, self.is_left, self.resumed) = (None, false, false, 0);
                let message = format!("{what}: the upload session has expired; starting over");
                Err(RequestError::Retryable(TaskError::transient(message), None))
            }
        }
    }

    /// The file's checksum: as it was sent, or read again where an earlier attempt had sent the last byte.
    async fn checksum(&self, sent: Option<u32>) -> Result<u32, RequestError> {
        match sent {
            Some(checksum) => Ok(checksum),
            None => self.source.checksum().await.map_err(RequestError::Fatal),
        }
    }
}
