//! The file that a load reads, known by its content.

use std::path::PathBuf;

use crate::storage::checksum;
use crate::task::TaskError;

/// The file to load.
pub(super) struct Source {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What the file is called in messages and in the ledger.
    pub(super) name: String,
    /// Its size as it is stored.
    pub(super) bytes: u64,
    /// SHA-256 of its content, in hex.
    pub(super) sha256: String,
}

impl Source {
    /// Reads the file once, for its checksum.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn open(path: PathBuf) -> Result<Self, TaskError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let broke = |error: &dyn std::fmt::Display| TaskError::permanent(format!("cannot read `{name}`: {error}"));
        let file = path.clone();
        let summed = tokio::task::spawn_blocking(move || checksum(&file)).await;
        let (bytes, sha256) = summed.map_err(|error| broke(&error))?.map_err(|error| broke(&error))?;
        Ok(Self { path, name, bytes, sha256 })
    }
}
