//! The folders of this machine.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;

use super::{ArrivedFile, FileSource, Listing};

/// The folders of this machine.
pub struct FolderSource;

impl FileSource for FolderSource {
    fn has(&self, address: &str) -> bool {
        !address.contains("://")
    }

    fn soon(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn list<'a>(&'a self, look: &'a Listing) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>> {
        Box::pin(async move {
            let mut found = Vec::new();
            let listed = files(Path::new(&look.address), look.deep, &mut found);
            listed.map_err(|error| format!("cannot look at {}: {error}", look.address))?;
            Ok(found)
        })
    }
}

fn files(folder: &Path, deep: bool, found: &mut Vec<ArrivedFile>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        // What is gone by now has not arrived.
        let Ok(about) = entry.path().metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // A link to a folder may lead back up.
        if deep && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&entry.path(), deep, found)?;
        }
        if about.is_file() {
            let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let mark = format!("{} {}", about.len(), time.as_nanos());
            let uri = entry.path().display().to_string();
            let time = i128::try_from(time.as_nanos()).unwrap_or_default();
            found.push(ArrivedFile { uri, name, mark, size: about.len(), time, is_whole: false });
        }
    }
    Ok(())
}
