//! `file.decompress`

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::storage::StoredFile;
use crate::stream::bytes::{Compression, FileBytes, UnpackLimits};
use crate::task::{Progress, Task, TaskContext, TaskError};
use crate::tasks::file_address::FileAddress;

/// Unpacks a file into storage: gzip (also with several members), zstd, or a zip archive with one file in it.
///
/// The format is detected from the first bytes; an uncompressed file is copied unchanged. Most flows do not need this
/// task, because tasks that read files also unpack them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decompress {
    /// The file: an address in storage, or a path relative to the flow's folder.
    from: String,
    /// The unpacked file's name in storage. By default the packed file's name without `.gz`, `.zst` or `.zip`.
    name: Option<String>,
    /// The format that the file must have. By default any of the three, or uncompressed.
    compression: Option<Algorithm>,
    /// The maximum unpacked size in bytes, as a protection against decompression bombs. By default 64 GiB.
    max_bytes: Option<u64>,
    /// The maximum ratio of unpacked to packed size, for files that unpack to more than 1 GiB. By default 1000.
    max_ratio: Option<u64>,
}

/// A way to pack a file.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Algorithm {
    Gzip,
    Zstd,
    Zip,
}

impl From<Algorithm> for Compression {
    fn from(kind: Algorithm) -> Self {
        match kind {
            Algorithm::Gzip => Self::Gzip,
            Algorithm::Zstd => Self::Zstd,
            Algorithm::Zip => Self::Zip,
        }
    }
}

/// The unpacked file.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Decompressed {
    /// Its address in storage.
    pub uri: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Task for Decompress {
    const NAME: &'static str = "file.decompress";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.compress.FileDecompress"];
    const FILES: &'static [&'static str] = &["from"];
    const EXAMPLE: &'static str = "\
- id: unpack
  type: file.decompress
  from: \"{{ outputs.extract.uri }}\"";
    type Outputs = Decompressed;

    async fn run(&self, context: &TaskContext) -> Result<Decompressed, TaskError> {
        let source = context.input_file("from", &self.from)?;
        let target = context.output_file(&self.target_name(&source))?;
        let content = self.open(&source, context.progress.clone())?;
        let (path, cancel) = (target.path.clone(), context.cancel.clone());
        let bytes = tokio::task::spawn_blocking(move || store(content, &path, &cancel))
            .await
            .map_err(|error| TaskError::permanent("unpacking failed").caused_by(error))??;
        context.note_origin(&target.path, &FileAddress::of(context, &source).whole)?;
        let StoredFile { uri, .. } = target;
        Ok(Decompressed { uri, bytes })
    }
}

impl Decompress {
    fn target_name(&self, source: &Path) -> String {
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.rsplit_once('.').map(|(stem, _)| stem).filter(|_| Compression::of_extension(&name).is_some());
        self.name.clone().unwrap_or_else(|| stem.unwrap_or(&name).to_owned())
    }

    fn open(&self, source: &Path, progress: Arc<Progress>) -> Result<FileBytes, TaskError> {
        let default = UnpackLimits::default();
        let limits = UnpackLimits {
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            max_ratio: self.max_ratio.unwrap_or(default.max_ratio),
        };
        let content = FileBytes::open(source, &self.from, limits, progress)?;
        match self.compression.map(Compression::from) {
            Some(due) if due != content.compression() => {
                let message = format!("`{}` is {} data, not {due}", self.from, content.compression());
                Err(TaskError::permanent(message).help("remove `compression`: the format is detected from the file"))
            }
            _ => Ok(content),
        }
    }
}

/// Writes the content to a temporary name and renames the file once it is complete.
fn store(content: FileBytes, target: &Path, cancel: &CancellationToken) -> Result<u64, TaskError> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".part");
    let partial = Path::new(&partial);
    let stored = copy(content, partial, cancel)
        .and_then(|bytes| std::fs::rename(partial, target).map(|()| bytes).map_err(|error| refused(target, error)));
    if stored.is_err() {
        // The first error is the one to report; a leftover is only untidy.
        let _ = std::fs::remove_file(partial);
    }
    stored
}

fn copy(mut content: FileBytes, target: &Path, cancel: &CancellationToken) -> Result<u64, TaskError> {
    let mut file = File::create(target).map_err(|error| refused(target, error))?;
    let (mut bytes, mut used) = (0, Vec::new());
    while let Some(block) = content.next_block(used)? {
        if cancel.is_cancelled() {
            return Err(TaskError::cancelled("unpacking was stopped"));
        }
        file.write_all(&block).map_err(|error| refused(target, error))?;
        bytes += block.len() as u64;
        used = block;
    }
    Ok(bytes)
}

fn refused(path: &Path, error: std::io::Error) -> TaskError {
    TaskError::permanent(format!("cannot write {}", path.display())).caused_by(error)
}
