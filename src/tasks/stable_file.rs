//! Files that stay as they are while they are read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::task::{TaskContext, TaskError};

/// A file to read, removed afterwards if it is a copy.
#[derive(Debug)]
pub(super) struct StableFile {
    /// Its location.
    pub path: PathBuf,
    is_copy: bool,
}

impl StableFile {
    /// The file itself; of a Parquet file outside of the storage a copy in it. Parquet files are mapped into memory, and
    /// a process that reads a mapped file ends at once, by `SIGBUS`, when somebody else cuts the file off.
    ///
    /// # Errors
    /// When the file cannot be copied.
    pub(super) async fn of(context: &TaskContext, path: &Path) -> Result<Self, TaskError> {
        if context.storage.holds(path) || !is_parquet(path) {
            return Ok(Self { path: path.to_owned(), is_copy: false });
        }
        // The name tells the format.
        let name = format!("copy-of-{}", path.file_name().unwrap_or_default().to_string_lossy());
        let copy = Self { path: context.output_file(&name)?.path, is_copy: true };
        let (from, to) = (path.to_owned(), copy.path.clone());
        let copied = tokio::task::spawn_blocking(move || std::fs::copy(from, to)).await;
        let copied = copied.map_err(std::io::Error::other).flatten();
        let failed =
            |error| TaskError::permanent(format!("cannot copy {} to read it", path.display())).caused_by(error);
        copied.map(|_| copy).map_err(failed)
    }
}

impl Drop for StableFile {
    fn drop(&mut self) {
        if self.is_copy {
            // What is left of it goes with the execution's files.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn is_parquet(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start == b"PAR1"
}
