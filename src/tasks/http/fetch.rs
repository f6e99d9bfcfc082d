//! Getting a file from a web server, however often the line is cut.
//!
//! Every try opens the part as if the process had just started, so that a cut line and a killed process are the same
//! thing: what is in the part is continued if the server still has the same file, else the part starts over.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::Digest;
use tokio::sync::mpsc;

use super::content::RequestContent;
use super::partial_file::{self, FileIdentity, PartialFile};
use super::{disk_space, error_response, similar_files};
use crate::clock;
use crate::task::{TaskContext, TaskError};
use crate::text::{count, thousands};
use crate::web::{NO_CONNECTION, RequestError, backoff};

/// Pieces of a few KiB that may wait for the disk.
const MAX_QUEUED: usize = 64;
/// Tries that may fail in a row, if the task does not say it.
const MAX_ATTEMPTS: u32 = 5;
/// The longest pause before a try, unless the server asks for more.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// Waiting for a server ends after so long, even if it asks for each pause itself.
const RETRY_TIMEOUT: Duration = Duration::from_secs(600);
/// The code of a line that is too slow: what came over it is no progress.
const TOO_SLOW: &str = "too slow";
/// Bytes between two looks at the disk.
const DISK_CHECK_BYTES: u64 = 16 << 20;
/// What a file is that came whole and yet cannot be used.
pub(super) const CORRUPT: &str = "corrupt";

/// A file to get.
pub(super) struct Fetch<'a> {
    pub(super) context: &'a TaskContext,
    pub(super) client: Client,
    pub(super) url: Url,
    /// The address as messages show it.
    pub(super) display_address: String,
    pub(super) content: RequestContent<'a>,
    /// Tries in a row that get no byte further.
    pub(super) attempts: Option<u32>,
    /// Bytes a second, on the average of `idle_timeout`.
    pub(super) min_speed: u64,
    pub(super) idle_timeout: Duration,
    pub(super) max_bytes: u64,
    pub(super) sha256: Option<String>,
    pub(super) target: PathBuf,
}

/// A file that is here, whole and checked.
pub(super) struct Fetched {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) length: u64,
    pub(super) sha256: String,
    /// Bytes that the last try did not have to get again.
    pub(super) resumed: u64,
}

impl Fetch<'_> {
    /// Tries until the file is here or nothing more helps.
    pub(super) async fn run(&self) -> Result<Fetched, TaskError> {
        let mut furthest = partial_file::bytes_left(&self.target);
        let (mut failed, mut began, mut logged) = (0, Instant::now(), String::new());
        loop {
            let (error, retry_after) = match self.attempt().await {
                Ok(fetched) => return Ok(fetched),
                Err(RequestError::Fatal(error)) => return Err(error),
                Err(RequestError::Retryable(error, retry_after)) => (error, retry_after),
            };
            let reached = partial_file::bytes_left(&self.target);
            if failed == 0 || (reached > furthest && error.code.as_deref() != Some(TOO_SLOW)) {
                (furthest, failed, began) = (reached.max(furthest), 0, Instant::now());
            }
            failed += 1;
            let pause = self.pause(failed, began.elapsed(), retry_after, error)?;
            if logged != pause.why.message {
                let plan = self.plan(retry_after.is_some().then_some(pause.length));
                self.context.warn(format!("{}; {plan}", pause.why.message));
                logged = pause.why.message;
            }
            tokio::time::sleep(pause.length).await;
        }
    }

    /// How it continues after a failure: for how long, or how often, and when next if the server asked for a pause.
    fn plan(&self, retry_after: Option<Duration>) -> String {
        let limit = match self.attempts {
            Some(attempts) => format!("up to {} attempts in a row", count(u64::from(attempts), "attempt")),
            None => format!("for up to {} s", self.context.settings.retry_timeout.as_secs()),
        };
        let next =
            retry_after.map(|retry_after| format!(", next in {:.1} s as the server asks", retry_after.as_secs_f64()));
        format!("retrying {limit}{}", next.unwrap_or_default())
    }

    /// How long to wait after the `failed`th failure in a row, the first of which is `ago`.
    ///
    /// # Errors
    /// The failure itself, if there is no use in another try.
    fn pause(
        &self,
        failed: u32,
        ago: Duration,
        retry_after: Option<Duration>,
        mut error: TaskError,
    ) -> Result<RetryPause, TaskError> {
        if let Some(until) = backoff::too_long(retry_after, clock::now()) {
            error.message = format!("{}; {until}", error.message);
            return Err(error);
        }
        let length = backoff::pause(failed, retry_after, rand::random());
        let length = if retry_after.is_some() { length } else { length.min(MAX_DELAY) };
        let is_enough = match self.attempts {
            Some(attempts) => failed >= attempts.max(1),
            // What it does on the server, it might do twice.
            None if !self.content.is_plain() && error.code.as_deref() != Some(NO_CONNECTION) => true,
            None => failed >= MAX_ATTEMPTS && ago + length > self.context.settings.retry_timeout,
        };
        if is_enough || ago + length > RETRY_TIMEOUT { Err(error) } else { Ok(RetryPause { length, why: error }) }
    }

    /// What tells the address from others, without what its query says.
    fn source(&self) -> String {
        let digest = crate::text::hex(&sha2::Sha256::digest(self.url.query().unwrap_or_default()));
        format!("{} {digest}", self.display_address)
    }

    async fn attempt(&self) -> Result<Fetched, RequestError> {
        let (target, url) = (self.target.clone(), self.source());
        let part = self.blocking(move || PartialFile::open(&target, &url)).await?;
        let response = self.request(&part).await?;
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let part = self.prepare(part, &response)?;
        let resumed = part.length();
        let part = self.receive(part, response).await?;
        let part = self.decode(part, &headers).await?;
        let length = part.length();
        let (sha256, redactor) = (self.sha256.clone(), self.context.settings.redactor.clone());
        match self.blocking(move || part.finish(sha256.as_deref(), &redactor)).await? {
            Ok(sha256) => Ok(Fetched { code, headers, length, sha256, resumed }),
            Err(damage) => Err(self.damaged(&damage, resumed)),
        }
    }

    async fn request(&self, part: &PartialFile) -> Result<Response, RequestError> {
        let url = self.url.clone();
        let request = self.content.request(&self.client, url, self.context).await.map_err(RequestError::Fatal)?;
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let (Some(validator), 1.., true) = (part.identity.validator(), part.length(), self.content.is_plain()) {
            request = request.header(RANGE, format!("bytes={}-", part.length())).header(IF_RANGE, validator);
        }
        let response = self.content.send(&self.what(), request).await?;
        match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE if part.length() > 0 => {
                Err(self.start_over("the server's file is shorter than the downloaded part"))
            }
            status if self.content.options.accept_file(status) => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(self.missing(response.status()).await),
            _ => Err(error_response::read_error(&self.what(), response, &self.context.settings.redactor).await),
        }
    }

    async fn missing(&self, status: StatusCode) -> RequestError {
        let nearest = similar_files::on_server(&self.client, &self.url, &self.content.headers).await;
        let help = nearest.unwrap_or_else(|| "check the address; the server does not list its files".to_owned());
        let message = format!("there is no file at {}: the server answered {status}", self.display_address);
        RequestError::Fatal(TaskError::permanent(message).code(status.as_str()).help(help))
    }

    /// Decides whether the answer continues the part or replaces it.
    fn prepare(&self, mut part: PartialFile, response: &Response) -> Result<PartialFile, RequestError> {
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| content_range(value.to_str().ok()?));
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let length = if partial { range.and_then(|range| range.1) } else { response.content_length() };
        if let Some(length) = length.filter(|length| *length > self.max_bytes) {
            return Err(self.too_large(&format!("it has {}", count(length, "byte"))));
        }
        if let Some(length) = length {
            self.check_disk_space(length.saturating_sub(if partial { part.length() } else { 0 }))?;
        }
        let text = |name: HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let identity =
            FileIdentity { url: self.source(), etag: text(ETAG), last_modified: text(LAST_MODIFIED), length };
        if !partial {
            part.restart(identity).map_err(|error| self.disk(error))?;
        } else if range.is_none_or(|range| range.0 != part.length()) || !part.identity.agrees(&identity) {
            return Err(self.start_over("the server's file has changed"));
        }
        let progress = &self.context.progress;
        progress.bytes.store(part.length(), Ordering::Relaxed);
        progress.set_total_bytes(length.unwrap_or(0));
        Ok(part)
    }

    /// Lets the body flow into the part. Writing, hashing and checking happen on a thread of their own.
    async fn receive(&self, part: PartialFile, response: Response) -> Result<PartialFile, RequestError> {
        let start = part.length();
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        let writer = self.blocking(move || part.fill(receiver));
        let (part, read) = tokio::join!(writer, self.read(response, sender, start));
        let part = part?;
        match (read, part.identity.length) {
            _ if part.is_broken() => Ok(part),
            (Err(trouble), _) => Err(trouble),
            (Ok(()), Some(length)) if length != part.length() => {
                let length = count(length, "byte");
                let message =
                    format!("{}: the connection ended after {} of {length}", self.what(), thousands(part.length()));
                Err(RequestError::Retryable(TaskError::transient(message), None))
            }
            _ => Ok(part),
        }
    }

    async fn read(&self, mut response: Response, sender: mpsc::Sender<Bytes>, start: u64) -> Result<(), RequestError> {
        let (mut reached, mut looked) = (start, start);
        let mut window = (Instant::now(), start);
        while let Some(piece) = response.chunk().await.map_err(|error| self.cut(reached, error))? {
            reached += piece.len() as u64;
            if reached > self.max_bytes {
                return Err(self.too_large("the download continues from there"));
            }
            if reached - looked >= DISK_CHECK_BYTES {
                self.check_disk_space(DISK_CHECK_BYTES)?;
                looked = reached;
            }
            self.context.progress.add_bytes(piece.len() as u64);
            if sender.send(piece).await.is_err() {
                break; // The writer has stopped, and says why.
            }
            let (since, before) = window;
            if since.elapsed() >= self.idle_timeout {
                self.check_speed(reached - before, since.elapsed())?;
                window = (Instant::now(), reached);
            }
        }
        Ok(())
    }

    fn check_speed(&self, bytes: u64, took: Duration) -> Result<(), RequestError> {
        let speed = bytes as f64 / took.as_secs_f64();
        if speed >= self.min_speed as f64 {
            return Ok(());
        }
        let message = format!("{}: the speed fell to {speed:.0} bytes per second", self.what());
        let help = format!("for a slow server, set a lower `min_speed` than {}", self.min_speed);
        Err(RequestError::Retryable(TaskError::transient(message).code(TOO_SLOW).help(help), None))
    }

    /// Ends the download before it fills the disk, which the journal may need.
    fn check_disk_space(&self, wanted: u64) -> Result<(), RequestError> {
        match disk_space::shortage(&self.target, wanted) {
            None => Ok(()),
            Some(lack) => {
                // What is here would keep the disk full.
                let _ = partial_file::discard(&self.target);
                let error = TaskError::permanent(format!("{}: {lack}", self.what())).code("disk full");
                Err(RequestError::Fatal(error.help("free some space, or limit the size with `max_bytes`")))
            }
        }
    }

    /// Unpacks what the server packed for the way, although it was asked not to. A `.gz` that is gzip once is the file
    /// itself: some servers say so of such a file.
    async fn decode(&self, part: PartialFile, headers: &HeaderMap) -> Result<PartialFile, RequestError> {
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
        match encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(part),
            "gzip" | "x-gzip" => {
                let limit = self.max_bytes;
                self.blocking(move || part.decode(limit)).await
            }
            other => {
                let _ = partial_file::discard(&self.target);
                let message = format!("{}: the server sends it with `Content-Encoding: {other}`", self.what());
                Err(RequestError::Fatal(
                    TaskError::permanent(message)
                        .code(CORRUPT)
                        .help("it was asked to send the file unencoded; an `Accept-Encoding` in `headers` may help"),
                ))
            }
        }
    }

    fn what(&self) -> String {
        format!("downloading {}", self.display_address)
    }

    fn cut(&self, reached: u64, error: reqwest::Error) -> RequestError {
        RequestError::from_reqwest(
            &format!("{}: the connection was lost after {}", self.what(), count(reached, "byte")),
            error,
        )
    }

    fn too_large(&self, how: &str) -> RequestError {
        let message = format!("{}: the file is larger than `max_bytes: {}`: {how}", self.what(), self.max_bytes);
        // What is here can never become a file that is allowed.
        let _ = partial_file::discard(&self.target);
        RequestError::Fatal(
            TaskError::permanent(message).help("increase `max_bytes` if the file is expected to be that large"),
        )
    }

    fn start_over(&self, why: &str) -> RequestError {
        match partial_file::discard(&self.target) {
            Ok(()) => {
                RequestError::Retryable(TaskError::transient(format!("{}: {why}, starting over", self.what())), None)
            }
            Err(error) => self.disk(error),
        }
    }

    fn damaged(&self, damage: &str, resumed: u64) -> RequestError {
        let message = format!("the file from {} {damage}", self.display_address);
        if resumed > 0 {
            // The pieces may not fit together: the file deserves one try in one piece.
            return RequestError::Retryable(TaskError::transient(message).code(CORRUPT), None);
        }
        RequestError::Fatal(
            TaskError::permanent(message).code(CORRUPT).help("open the address in a browser, or try another source"),
        )
    }

    fn disk(&self, error: std::io::Error) -> RequestError {
        let message = format!("cannot write {}", self.target.display());
        RequestError::Fatal(TaskError::permanent(message).caused_by(error).help("check its free space and permissions"))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, RequestError> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(std::io::Error::other).flatten().map_err(|error| self.disk(error))
    }
}

/// A pause before another try.
struct RetryPause {
    length: Duration,
    why: TaskError,
}

/// First byte and whole length of `bytes 100-199/200`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, length) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, length.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn a_content_range_is_read() {
        assert_eq!(content_range("bytes 100-199/200"), Some((100, Some(200))));
        assert_eq!(content_range("bytes 0-1/*"), Some((0, None)));
        assert_eq!(content_range("bytes */200"), None);
    }
}
