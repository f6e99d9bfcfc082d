//! The content of an object to a file, by Google's own client, which continues a cut line and checks the CRC-32C.

use std::path::Path;
use std::time::Duration;

use google_cloud_storage::client::Storage;
use google_cloud_storage::read_object::ReadObjectResponse;
use google_cloud_storage::read_resume_policy::{ReadResumePolicyExt, Recommended};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::address::Address;
use super::blob::{Blob, checksum_text};
use super::store::Store;
use crate::task::TaskError;
use crate::web::RequestError;

/// How long Google may take for the next bytes. Its client sets no limit of its own.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often one download may be cut.
const MAX_CUTS: u32 = 20;

/// Fetches an object into a file, which has its name only when it is whole.
pub(super) async fn receive(store: &Store<'_>, client: &Storage, from: &Address, to: &Path) -> Result<Blob, TaskError> {
    let what = format!("downloading {from}");
    let blob = store.find(from).await?;
    let blob = blob.ok_or_else(|| {
        let message = format!("{what}: the object does not exist");
        TaskError::permanent(message).help(format!("`gcloud storage ls gs://{}/` lists the objects", from.bucket))
    })?;
    store.context.progress.set_total_bytes(blob.size);
    let part = to.with_added_extension("part");
    let fetched = store.retry.run(|| async {
        store.context.progress.bytes.store(0, std::sync::atomic::Ordering::Relaxed);
        fetch(store, client, &what, &blob, &part).await
    });
    let (length, checksum) = fetched.await?;
    if length != blob.size || blob.checksum().is_some_and(|stored| stored != checksum) {
        let message = format!(
            "{what}: received {length} bytes with CRC-32C {}, but the object has {} with {}",
            checksum_text(checksum),
            blob.size,
            blob.crc32c.as_deref().unwrap_or("unknown")
        );
        return Err(TaskError::transient(message).help("the data was damaged in transit: check any proxy"));
    }
    let renamed = tokio::fs::rename(&part, to).await;
    renamed.map_err(|error| TaskError::permanent(what).caused_by(error))?;
    Ok(blob)
}

async fn fetch(
    store: &Store<'_>,
    client: &Storage,
    what: &str,
    blob: &Blob,
    part: &Path,
) -> Result<(u64, u32), RequestError> {
    let disk = |error: std::io::Error| {
        RequestError::Fatal(TaskError::permanent(format!("{what}: cannot write {}", part.display())).caused_by(error))
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(part).await.map_err(disk)?);
    // Just this generation: an object that is overwritten meanwhile must not be mixed.
    let request = client.read_object(blob.address().full_bucket(), &blob.name);
    let request = request.set_generation(i64::try_from(blob.generation).unwrap_or_default());
    let mut answer = within(what, request.with_read_resume_policy(Recommended.with_attempt_limit(MAX_CUTS)).send())
        .await?
        .map_err(|error| store.request_error(what, error))?;
    let (mut length, mut checksum) = (0, 0);
    while let Some(piece) = next(store, what, &mut answer).await? {
        length += piece.len() as u64;
        checksum = crc32c::crc32c_append(checksum, &piece);
        store.context.progress.add_bytes(piece.len() as u64);
        file.write_all(&piece).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    file.get_ref().sync_all().await.map_err(disk)?;
    Ok((length, checksum))
}

async fn next(
    store: &Store<'_>,
    what: &str,
    answer: &mut ReadObjectResponse,
) -> Result<Option<bytes::Bytes>, RequestError> {
    let piece = within(what, answer.next()).await?;
    piece.transpose().map_err(|error| store.request_error(what, error))
}

async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> Result<T, RequestError> {
    tokio::time::timeout(IDLE_TIMEOUT, waiting).await.map_err(|_| {
        RequestError::Retryable(
            TaskError::transient(format!("{what}: no data received for {} s", IDLE_TIMEOUT.as_secs())),
            None,
        )
    })
}
