//! The folders of this machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;

use super::{ArrivedFile, FileSource, ListRequest};

/// Lists folders of this machine.
pub struct FolderSource;

impl FileSource for FolderSource {
    fn serves(&self, address: &str) -> bool {
        !address.contains("://")
    }

    fn retry_delay(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>> {
        let (folder, recursive) = (PathBuf::from(&request.address), request.recursive);
        // A network folder may take long, or hang.
        let listing = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            add_files(&folder, recursive, &mut found).map(|()| found)
        });
        Box::pin(async move {
            let listed = listing.await.unwrap_or_else(|panic| Err(panic.into()));
            listed.map_err(|error| format!("cannot read {}: {error}", request.address))
        })
    }
}

fn add_files(folder: &Path, recursive: bool, found: &mut Vec<ArrivedFile>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        // It may have been removed since.
        let Ok(metadata) = entry.path().metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // Links to folders are not followed: they may lead back up.
        if recursive && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_files(&entry.path(), recursive, found)?;
        }
        if metadata.is_file() {
            let time =
                metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let version = format!("{} {}", metadata.len(), time.as_nanos());
            let uri = entry.path().display().to_string();
            let time = i128::try_from(time.as_nanos()).unwrap_or_default();
            found.push(ArrivedFile { uri, name, version, size: metadata.len(), time, is_complete: false });
        }
    }
    Ok(())
}
