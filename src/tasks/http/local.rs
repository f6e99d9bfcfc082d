//! A file of this machine in place of a server's: copied and checked alike.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::partial_file::{self, PartialFile};
use crate::secret::Redactor;
use crate::task::Progress;
use crate::text::count;

/// Copies `from` to `target` and gives its length and SHA-256, or what is wrong with it. Ends early when cancelled.
pub(super) fn copy(
    from: &Path,
    target: &Path,
    limit: u64,
    sha256: Option<String>,
    cancel: &CancellationToken,
    (progress, redactor): (&Progress, &Redactor),
) -> io::Result<Result<(u64, String), String>> {
    let mut source = File::open(from)?;
    let length = source.metadata()?.len();
    if length > limit {
        return Ok(Err(format!("has {}, more than `max_bytes: {limit}` allows", count(length, "byte"))));
    }
    progress.set_total_bytes(length);
    partial_file::discard(target)?;
    let mut part = PartialFile::open(target, "")?;
    let mut buffer = vec![0; 1 << 17];
    while let count @ 1.. = source.read(&mut buffer)? {
        part.append(&buffer[..count])?;
        progress.add_bytes(count as u64);
        if cancel.is_cancelled() || part.is_broken() {
            break;
        }
    }
    if cancel.is_cancelled() {
        return partial_file::discard(target).map(|()| Err("was not copied completely".to_owned()));
    }
    let length = part.length();
    Ok(part.finish(sha256.as_deref(), redactor)?.map(|sha256| (length, sha256)))
}
