//! A large file to an object, however often the line is cut: Google is asked how far it is, and the rest is sent.

use std::sync::atomic::Ordering;

use futures_util::TryStreamExt;
use reqwest::Body;

use super::pieces::Pieces;
use super::send::{Outcome, Source};
use super::session::{self, Reached, Session};
use super::store::Store;
use crate::task::TaskError;
use crate::web::RequestError;

/// An upload under way.
struct Upload<'a> {
    store: &'a Store<'a>,
    source: &'a Source,
    session: Option<Session>,
    /// Whether Google has to be asked how far the session is.
    unsure: bool,
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
pub(super) async fn send(store: &Store<'_>, source: &Source, now: u64) -> Result<Outcome, TaskError> {
    let left = Session::left(source, &store.context.settings.redactor);
    let before = store.context.progress.bytes.load(Ordering::Relaxed);
    let is_left = left.is_some();
    let mut upload = Upload { store, source, session: left, unsure: is_left, is_left, furthest: 0, resumed: 0, before };
    let mut failed = 0;
    loop {
        let furthest = upload.furthest;
        let outcome = tokio::select! {
            outcome = upload.attempt(now) => outcome,
            () = store.context.cancel.cancelled() => return Err(stopped(source)),
        };
        let (error, asked) = match outcome {
            Ok(outcome) => return Ok(outcome),
            Err(RequestError::Stop(error)) => return Err(error),
            Err(RequestError::Again(error, asked)) => (error, asked),
        };
        // Only failures in a row that get no further count.
        failed = if upload.furthest > furthest { 1 } else { failed + 1 };
        store.retry.pause(failed, error, asked).await?;
    }
}

fn stopped(source: &Source) -> TaskError {
    TaskError::cancelled(format!("stopped {}", source.what))
        .help("the part that is there is kept: the next attempt continues from it")
}

impl Upload<'_> {
    async fn attempt(&mut self, now: u64) -> Result<Outcome, RequestError> {
        if !self.source.is_unchanged() {
            let message = format!("{}: the file has changed meanwhile", self.source.what);
            return Err(RequestError::Stop(
                TaskError::permanent(message).help("write it under another name first, then upload"),
            ));
        }
        let session = match self.session.clone() {
            Some(session) => session,
            None => match Session::open(self.store, self.source, now).await.map_err(RequestError::Stop)? {
                Some(session) => self.session.insert(session).clone(),
                None => return Ok((None, 0, 0)),
            },
        };
        let offset = match self.unsure {
            true => match session.reached(self.store, self.source).await? {
                Reached::Bytes(there) => there,
                other => return self.end(other, None).await,
            },
            false => 0,
        };
        if std::mem::take(&mut self.is_left) {
            self.resumed = offset;
        }
        (self.unsure, self.furthest) = (true, self.furthest.max(offset));
        self.send_from(&session, offset).await
    }

    async fn send_from(&mut self, session: &Session, offset: u64) -> Result<Outcome, RequestError> {
        let progress = self.store.context.progress.clone();
        progress.bytes.store(self.before + offset, Ordering::Relaxed);
        let (pieces, checksum) = Pieces::read(&self.source.path, self.source.length, offset).split();
        let body = Body::wrap_stream(pieces.inspect_ok(move |piece| progress.add_bytes(piece.len() as u64)));
        let reached = session.send(self.store, self.source, offset, body).await?;
        self.end(reached, checksum.await.ok()).await
    }

    async fn end(&mut self, reached: Reached, checksum: Option<u32>) -> Result<Outcome, RequestError> {
        let what = &self.source.what;
        match reached {
            Reached::Done(blob) => Ok((Some(*blob), self.checksum(checksum).await?, self.resumed)),
            Reached::Overtaken => Ok((None, 0, 0)),
            Reached::Bytes(there) => {
                let message = format!("{what}: Google has {there} of {} bytes", self.source.length);
                Err(RequestError::Again(TaskError::transient(message), None))
            }
            Reached::Gone => {
                session::forget(&self.source.kept);
                (self.session, self.unsure, self.is_left, self.resumed) = (None, false, false, 0);
                let message = format!("{what}: Google does not know the upload's session any more; it starts over");
                Err(RequestError::Again(TaskError::transient(message), None))
            }
        }
    }

    /// The file's checksum: as it was sent, or read again where an earlier attempt had sent the last byte.
    async fn checksum(&self, sent: Option<u32>) -> Result<u32, RequestError> {
        match sent {
            Some(checksum) => Ok(checksum),
            None => self.source.checksum().await.map_err(RequestError::Stop),
        }
    }
}
