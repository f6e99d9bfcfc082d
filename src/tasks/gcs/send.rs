//! A file to an object: not at all if it is there already, in one request if it is small, else so that it can be
//! continued; and compared with what Google then says it has.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use google_cloud_storage::client::Storage;
use serde_json::{Map, Value};

use super::address::Address;
use super::blob::{Blob, checksum_text};
use super::store::Store;
use super::upload_session;
use super::{pieces, resumable_upload};
use crate::task::TaskError;
use crate::web::RequestError;

/// Up to here a file is sent in one request, which is sent again whole when the line is cut.
const MAX_SINGLE_REQUEST: u64 = 8 * 1024 * 1024;
/// How often an object that is not what was sent is sent again: something on the way damages it.
const MAX_ATTEMPTS: u32 = 3;

/// A file and where it shall go.
#[derive(Clone, Debug)]
pub(super) struct UploadSource {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    changed: u128,
    pub(super) to: Address,
    /// What is being done, for messages.
    pub(super) what: String,
    /// Where the upload's session is kept.
    pub(super) session_file: PathBuf,
    /// The object's own metadata, as the JSON API names it.
    pub(super) metadata: Map<String, Value>,
}

/// An object that holds the file now.
#[derive(Debug)]
pub(super) struct UploadedObject {
    pub(super) blob: Blob,
    /// Whether it was there already.
    pub(super) skipped: bool,
    /// Bytes that an earlier attempt had sent.
    pub(super) resumed: u64,
}

impl UploadSource {
    pub(super) fn open(
        path: &Path,
        to: Address,
        session_file: PathBuf,
        metadata: Map<String, Value>,
    ) -> Result<Self, TaskError> {
        let what = format!("uploading {} to {to}", path.file_name().unwrap_or_default().to_string_lossy());
        let about = path.metadata().map_err(|error| TaskError::permanent(what.clone()).caused_by(error))?;
        let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |time| time.as_nanos());
        Ok(Self { path: path.to_owned(), length: about.len(), changed, to, what, session_file, metadata })
    }

    /// What a session is of: bytes of another file must never follow these.
    pub(super) fn identity(&self) -> String {
        let metadata = Value::Object(self.metadata.clone());
        // A resume may come to the same file from another folder.
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        format!("{} {} {} {} {metadata}", self.to, path.display(), self.length, self.changed)
    }

    /// Whether the file is still the one that was opened.
    pub(super) fn is_unchanged(&self) -> bool {
        Self::open(&self.path, self.to.clone(), PathBuf::new(), Map::new())
            .is_ok_and(|now| now.length == self.length && now.changed == self.changed)
    }

    pub(super) async fn checksum(&self) -> Result<u32, TaskError> {
        pieces::checksum(self.path.clone())
            .await
            .map_err(|error| TaskError::permanent(self.what.clone()).caused_by(error))
    }
}

/// Sends a file, unless the object already has its length and checksum.
pub(super) async fn send(
    store: &Store<'_>,
    client: &Storage,
    source: &UploadSource,
) -> Result<UploadedObject, TaskError> {
    let mut damaged = None;
    for _ in 0..MAX_ATTEMPTS {
        let there = store.find(&source.to).await?;
        if let Some(blob) = there.as_ref().filter(|blob| blob.size == source.length)
            && blob.checksum() == Some(source.checksum().await?)
        {
            upload_session::forget(&source.session_file);
            return Ok(UploadedObject { blob: blob.clone(), skipped: true, resumed: 0 });
        }
        let now = there.map_or(0, |blob| blob.generation);
        let (outcome, checksum, resumed) = match source.length {
            0..MAX_SINGLE_REQUEST => small(store, client, source, now).await?,
            _ => resumable_upload::send(store, source, now).await?,
        };
        upload_session::forget(&source.session_file);
        // Another writer came in between, or our own answer was lost: what is there now tells.
        let Some(blob) = outcome else { continue };
        if blob.size == source.length && blob.checksum() == Some(checksum) {
            return Ok(UploadedObject { blob, skipped: false, resumed });
        }
        damaged = Some(reject(store, source, &blob, checksum).await?);
    }
    Err(damaged.unwrap_or_else(|| {
        let message = format!("{}: another process keeps writing the same object", source.what);
        TaskError::transient(message).help("use a different object name for each writer")
    }))
}

/// Removes an object that is not what was sent, so that nobody reads it.
async fn reject(store: &Store<'_>, source: &UploadSource, blob: &Blob, checksum: u32) -> Result<TaskError, TaskError> {
    let message = format!(
        "{}: the object has {} bytes with CRC-32C {}, but the file has {} with {}",
        source.what,
        blob.size,
        blob.crc32c.as_deref().unwrap_or("unknown"),
        source.length,
        checksum_text(checksum)
    );
    store.context.warn(format!("{message}; it is deleted and uploaded again"));
    store.delete(&source.to, Some(blob.generation)).await?;
    Ok(TaskError::transient(message).help("the data was damaged in transit: check the network and any proxy"))
}

/// The result of an upload: the object, if it was written; the file's checksum; how many bytes were there before.
pub(super) type UploadOutcome = (Option<Blob>, u32, u64);

async fn small(
    store: &Store<'_>,
    client: &Storage,
    source: &UploadSource,
    now: u64,
) -> Result<UploadOutcome, TaskError> {
    let bytes = tokio::fs::read(&source.path).await;
    let bytes = Bytes::from(bytes.map_err(|error| TaskError::permanent(source.what.clone()).caused_by(error))?);
    let checksum = crc32c::crc32c(&bytes);
    let written = store.retry.run(|| async {
        let text = |name: &str| source.metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let request = client
            .write_object(source.to.full_bucket(), &source.to.name, bytes.clone())
            .with_known_crc32c(checksum)
            .with_resumable_upload_threshold(usize::MAX)
            .with_idempotency(false)
            .set_if_generation_match(i64::try_from(now).unwrap_or_default())
            .set_content_type(text("contentType"))
            .set_content_encoding(text("contentEncoding"))
            .set_content_disposition(text("contentDisposition"))
            .set_cache_control(text("cacheControl"))
            .set_storage_class(text("storageClass"))
            .set_metadata(own_metadata(source));
        match tokio::time::timeout(super::receive::IDLE_TIMEOUT, request.send_unbuffered()).await {
            Ok(Ok(object)) => Ok(Some(object)),
            Ok(Err(error)) if error.http_status_code() == Some(412) => Ok(None),
            Ok(Err(error)) => Err(store.request_error(&source.what, error)),
            Err(_) => Err(RequestError::Retryable(TaskError::transient(format!("{}: timed out", source.what)), None)),
        }
    });
    let Some(object) = written.await? else { return Ok((None, checksum, 0)) };
    store.context.progress.add_bytes(source.length);
    let blob = Blob {
        bucket: source.to.bucket.clone(),
        name: object.name,
        size: object.size.unsigned_abs(),
        crc32c: object.checksums.and_then(|sums| sums.crc32c).map(checksum_text),
        generation: object.generation.unsigned_abs(),
        content_type: Some(object.content_type).filter(|text| !text.is_empty()),
        ..Blob::default()
    };
    Ok((Some(blob.addressed()), checksum, 0))
}

fn own_metadata(source: &UploadSource) -> Vec<(String, String)> {
    let map = source.metadata.get("metadata").and_then(Value::as_object);
    let pairs = map.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}
