//! Packing a file before it is uploaded: with gzip, so that the same file gives the same bytes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tokio_util::sync::CancellationToken;

use crate::task::{TaskContext, TaskError};

/// What every gzip file begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
const CHUNK_BYTES: usize = 512 * 1024;

/// The packed file: the file itself if it is one, else `target`.
///
/// A file that an earlier attempt packed is used again, so that its upload can continue.
///
/// # Errors
/// When it cannot be read or written, or the user stops the task.
pub(super) async fn pack(context: &TaskContext, file: PathBuf, target: PathBuf) -> Result<PathBuf, TaskError> {
    let what = format!("packing {}", file.file_name().unwrap_or_default().to_string_lossy());
    let cancel = context.cancel.clone();
    let failed = |error: io::Error| TaskError::permanent(what.clone()).caused_by(error);
    let packed = tokio::task::spawn_blocking(move || pack_now(&file, target, &cancel)).await;
    let packed = packed.map_err(io::Error::other).and_then(|packed| packed).map_err(failed)?;
    packed.ok_or_else(|| TaskError::cancelled(format!("stopped {what}")))
}

/// Gives nothing when it was stopped.
fn pack_now(file: &Path, target: PathBuf, cancel: &CancellationToken) -> io::Result<Option<PathBuf>> {
    if is_packed(file)? {
        return Ok(Some(file.to_owned()));
    }
    let changed = file.metadata()?.modified()?;
    if target.metadata().and_then(|packed| packed.modified()).is_ok_and(|packed| packed >= changed) {
        return Ok(Some(target));
    }
    let part = target.with_added_extension("part");
    let mut source = File::open(file)?;
    // Neither time nor name go into the header.
    let mut packer = GzBuilder::new().write(BufWriter::new(File::create(&part)?), Compression::default());
    let mut piece = vec![0; CHUNK_BYTES];
    loop {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        match source.read(&mut piece)? {
            0 => break,
            count => packer.write_all(&piece[..count])?,
        }
    }
    packer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&part, &target)?;
    Ok(Some(target))
}

fn is_packed(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(2).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}
