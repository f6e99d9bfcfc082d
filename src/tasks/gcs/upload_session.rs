//! A resumable upload: its session's address is kept with the task's files, so that a new attempt continues it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Body, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::address::encode;
use super::blob::Blob;
use super::send::UploadSource;
use super::store::Store;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::RequestError;

/// A session that Google has opened, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct UploadSession {
    /// Where to send the bytes. Anyone who knows it may send them.
    url: String,
    /// What the bytes are of: the object, the file, its length and its time of change.
    of: String,
}

/// How far a session is.
#[derive(Debug)]
pub(super) enum SessionProgress {
    /// So many bytes are there.
    Bytes(u64),
    /// The object is whole.
    Done(Box<Blob>),
    /// Google does not know the session any more.
    Gone,
    /// Somebody else has written the object in between.
    Overtaken,
}

impl UploadSession {
    /// Opens a session for an object that is at this generation now, 0 for none. Gives none if it is not any more.
    pub(super) async fn open(store: &Store<'_>, source: &UploadSource, now: u64) -> Result<Option<Self>, TaskError> {
        let (bucket, name) = (encode(&source.to.bucket), encode(&source.to.name));
        let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}&ifGenerationMatch={now}");
        let opened = store.retry.run(|| async {
            let request = store.api.request(Method::POST, &path).json(&source.metadata);
            let request = request.header("X-Upload-Content-Length", source.length);
            let response = store.api.send(&source.what, request).await?;
            if response.status() == StatusCode::PRECONDITION_FAILED {
                return Ok(None);
            }
            if !response.status().is_success() {
                return Err(store.explained(store.api.google_error(&source.what, response).await).request_error());
            }
            let url = response.headers().get(LOCATION).and_then(|url| url.to_str().ok());
            let missing = || TaskError::permanent(format!("{}: Google's response has no session", source.what));
            url.map(|url| Some(url.to_owned())).ok_or_else(|| RequestError::Fatal(missing()))
        });
        let Some(url) = opened.await? else { return Ok(None) };
        let session = Self { url, of: source.identity() };
        hide(&session.url, &store.context.settings.redactor);
        session.keep(&source.session_file).map_err(|error| {
            TaskError::permanent(format!("{}: cannot store {}", source.what, source.session_file.display()))
                .caused_by(error)
        })?;
        Ok(Some(session))
    }

    /// The session that an earlier attempt left, if it was of just this.
    pub(super) fn saved(source: &UploadSource, redactor: &Redactor) -> Option<Self> {
        let session: Self = serde_json::from_slice(&fs::read(&source.session_file).ok()?).ok()?;
        hide(&session.url, redactor);
        (session.of == source.identity()).then_some(session)
    }

    fn keep(&self, path: &Path) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(self)?)
    }

    /// Asks how far it is.
    pub(super) async fn progress(
        &self,
        store: &Store<'_>,
        source: &UploadSource,
    ) -> Result<SessionProgress, RequestError> {
        let request = store.api.request_to(Method::PUT, &self.url).header(CONTENT_LENGTH, 0);
        let request = request.header(CONTENT_RANGE, format!("bytes */{}", source.length));
        read(store, source, store.api.send(&source.what, request).await?).await
    }

    /// Sends what comes after the first `offset` bytes. Ends with the object, or with how far it came.
    pub(super) async fn send(
        &self,
        store: &Store<'_>,
        source: &UploadSource,
        offset: u64,
        body: Body,
    ) -> Result<SessionProgress, RequestError> {
        let (length, last) = (source.length, source.length.saturating_sub(1));
        let request = store.api.request_to(Method::PUT, &self.url).body(body).header(CONTENT_LENGTH, length - offset);
        let range =
            if length == offset { format!("bytes */{length}") } else { format!("bytes {offset}-{last}/{length}") };
        let request = request.header(CONTENT_RANGE, range).header(CONTENT_TYPE, "application/octet-stream");
        read(store, source, store.api.send(&source.what, request).await?).await
    }
}

async fn read(store: &Store<'_>, source: &UploadSource, response: Response) -> Result<SessionProgress, RequestError> {
    match response.status() {
        StatusCode::PERMANENT_REDIRECT => {
            let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
            Ok(SessionProgress::Bytes(bytes_there(range).min(source.length)))
        }
        status if status.is_success() => {
            let body = response.bytes().await.map_err(|error| RequestError::from_reqwest(&source.what, error))?;
            let blob: Blob = serde_json::from_slice(&body).map_err(|error| {
                let message = format!("{}: the response is not as Google documents it", source.what);
                RequestError::Fatal(TaskError::permanent(message).caused_by(error))
            })?;
            Ok(SessionProgress::Done(Box::new(blob.addressed())))
        }
        // 499: the session was cancelled.
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(SessionProgress::Gone),
        status if status.as_u16() == 499 => Ok(SessionProgress::Gone),
        StatusCode::PRECONDITION_FAILED => Ok(SessionProgress::Overtaken),
        _ => Err(store.explained(store.api.google_error(&source.what, response).await).request_error()),
    }
}

/// Reads `bytes=0-41`; a session without a byte says nothing.
fn bytes_there(range: &str) -> u64 {
    let last = range.rsplit_once('-').and_then(|(_, last)| last.parse::<u64>().ok());
    last.map_or(0, |last| last + 1)
}

/// Forgets a session that is of no use any more.
pub(super) fn forget(session_file: &Path) {
    // If it stays, the next request for it finds that it is gone.
    let _ = fs::remove_file(session_file);
}

fn hide(url: &str, redactor: &Redactor) {
    let id = url.split(['?', '&']).find_map(|part| part.strip_prefix("upload_id="));
    redactor.learn(id.unwrap_or(url));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_many_bytes_are_there() {
        assert_eq!(bytes_there("bytes=0-41"), 42);
        assert_eq!(bytes_there(""), 0);
    }
}
