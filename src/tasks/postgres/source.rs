//! The file that a load reads, known by its content and by where it is.

use crate::storage::checksum;
use crate::task::{TaskContext, TaskError};
use crate::tasks::file_address::FileAddress;
use crate::tasks::stable_file::StableFile;

/// The file to load.
pub(super) struct SourceFile {
    /// Where it is, or a copy of it.
    pub(super) file: StableFile,
    /// What the file is called in messages and in the ledger.
    pub(super) name: String,
    /// What tells it from files of the same name.
    pub(super) address: FileAddress,
    /// Its size as it is stored.
    pub(super) bytes: u64,
    /// SHA-256 of its content, in hex.
    pub(super) sha256: String,
}

impl SourceFile {
    /// Reads the file once, for its checksum.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(super) async fn open(context: &TaskContext, from: &str) -> Result<Self, TaskError> {
        let path = context.input_file("from", from)?;
        let file = StableFile::of(context, &path).await?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let address = FileAddress::of(context, &path);
        let broke = |error: &dyn std::fmt::Display| TaskError::permanent(format!("cannot read `{name}`: {error}"));
        let path = file.path.clone();
        let summed = tokio::task::spawn_blocking(move || checksum(&path)).await;
        let (bytes, sha256) = summed.map_err(|error| broke(&error))?.map_err(|error| broke(&error))?;
        Ok(Self { file, name, address, bytes, sha256 })
    }
}
