//! A file of this machine sent along with its load job, piece by piece.
//!
//! The crate has no uploads; Google's own crate for BigQuery has none either. This is the resumable upload of the JSON
//! API: a session is opened with the job, takes pieces of the file, and answers the last one with the job.

use std::io::SeekFrom;
use std::path::PathBuf;

use bytes::Bytes;
use gcp_bigquery_client::model::job::Job;
use reqwest::header::{CONTENT_RANGE, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::client::BigQueryClient;
use crate::gcp::ApiFailure;
use crate::task::TaskError;
use crate::web::RequestError;

/// A multiple of 256 KiB, as Google wants it; the only memory that an upload takes.
const CHUNK_BYTES: u64 = 8 * 1024 * 1024;

/// A file to send.
#[derive(Clone, Debug)]
pub(super) struct LocalFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// An upload in progress.
pub(super) struct MediaUpload<'a> {
    pub(super) bigquery: &'a BigQueryClient<'a>,
    pub(super) what: &'a str,
    pub(super) job: &'a Job,
    pub(super) file: &'a LocalFile,
}

/// How far a session is.
enum UploadProgress {
    Bytes(u64),
    Done(Box<Job>),
    Rejected(ApiFailure),
}

impl MediaUpload<'_> {
    /// Sends the file, and gives the job that reads it.
    pub(super) async fn send(&self) -> Result<Job, ApiFailure> {
        self.bigquery.context.progress.set_total_bytes(self.file.bytes);
        let session = self.open().await?;
        let (mut there, mut failed, mut unsure) = (0, 0, false);
        loop {
            let piece = match unsure {
                true => None,
                false => Some(self.piece(there).await?),
            };
            let step = self.step(&session, there, piece);
            let outcome = tokio::select! {
                outcome = step => outcome,
                () = self.bigquery.context.cancel.cancelled() => return Err(TaskError::cancelled("stopped").into()),
            };
            match outcome {
                Ok(UploadProgress::Done(job)) => return Ok(*job),
                Ok(UploadProgress::Rejected(failure)) => return Err(failure),
                Ok(UploadProgress::Bytes(now)) => {
                    if now > there {
                        failed = 0;
                        self.bigquery.context.progress.add_bytes(now - there);
                    }
                    (there, unsure) = (now, false);
                }
                Err(RequestError::Fatal(error)) => return Err(error.into()),
                Err(RequestError::Retryable(error, retry_after)) => {
                    failed += 1;
                    unsure = true;
                    self.bigquery.retry.pause(failed, error, retry_after).await?;
                }
            }
        }
    }

    /// Opens a session, whose address nobody else may know.
    async fn open(&self) -> Result<String, ApiFailure> {
        let (api, project) = (&self.bigquery.api, &self.bigquery.project);
        let path = format!("/upload/bigquery/v2/projects/{project}/jobs?uploadType=resumable");
        let opened = self.bigquery.retry.run(|| async {
            let request = api.request(Method::POST, &path).json(self.job);
            let request = request.header("X-Upload-Content-Length", self.file.bytes);
            let response = api.send(self.what, request).await?;
            if !response.status().is_success() {
                return self.refused(response).await.map(Err);
            }
            let url = response.headers().get(LOCATION).and_then(|url| url.to_str().ok());
            let missing = || TaskError::permanent(format!("{}: Google's response has no session", self.what));
            url.map(|url| Ok(url.to_owned())).ok_or_else(|| RequestError::Fatal(missing()))
        });
        let url = opened.await??;
        let id = url.split(['?', '&']).find_map(|part| part.strip_prefix("upload_id="));
        self.bigquery.context.settings.redactor.learn(id.unwrap_or(&url));
        Ok(url)
    }

    /// Sends a piece, or asks how far the session is.
    async fn step(&self, session: &str, there: u64, piece: Option<Bytes>) -> Result<UploadProgress, RequestError> {
        let total = self.file.bytes;
        let range = match &piece {
            Some(piece) if !piece.is_empty() => format!("bytes {there}-{}/{total}", there + piece.len() as u64 - 1),
            _ => format!("bytes */{total}"),
        };
        let request = self.bigquery.api.request_to(Method::PUT, session).header(CONTENT_RANGE, range);
        let response = self.bigquery.api.send(self.what, request.body(piece.unwrap_or_default())).await?;
        match response.status() {
            StatusCode::PERMANENT_REDIRECT => Ok(UploadProgress::Bytes(bytes_there(&response).min(total))),
            status if status.is_success() => {
                let body = response.bytes().await.map_err(|error| RequestError::from_reqwest(self.what, error))?;
                let job = serde_json::from_slice(&body).map_err(|error| {
                    let message = format!("{}: the response is not as Google documents it", self.what);
                    RequestError::Fatal(TaskError::permanent(message).caused_by(error))
                })?;
                Ok(UploadProgress::Done(Box::new(job)))
            }
            _ => self.refused(response).await.map(UploadProgress::Rejected),
        }
    }

    async fn refused(&self, response: Response) -> Result<ApiFailure, RequestError> {
        let google_error = self.bigquery.explained(self.bigquery.api.google_error(self.what, response).await);
        if google_error.is_transient() {
            Err(google_error.request_error())
        } else {
            Ok(ApiFailure::Rejected(Box::new(google_error)))
        }
    }

    async fn piece(&self, from: u64) -> Result<Bytes, TaskError> {
        let read = async {
            let mut file = File::open(&self.file.path).await?;
            file.seek(SeekFrom::Start(from)).await?;
            let mut piece = Vec::new();
            file.take(CHUNK_BYTES.min(self.file.bytes - from)).read_to_end(&mut piece).await?;
            std::io::Result::Ok(Bytes::from(piece))
        };
        read.await.map_err(|error| {
            let file = self.file.path.display();
            TaskError::permanent(format!("{}: cannot read {file}", self.what)).caused_by(error)
        })
    }
}

/// Reads `bytes=0-41`; a session without a byte says nothing.
fn bytes_there(response: &Response) -> u64 {
    let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let last = range.rsplit_once('-').and_then(|(_, last)| last.parse::<u64>().ok());
    last.map_or(0, |last| last + 1)
}
