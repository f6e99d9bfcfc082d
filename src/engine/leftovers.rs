//! What processes that have died left in the home folder: locks, working folders of tasks, uploads.

use std::path::PathBuf;

use crate::config::Settings;
use crate::engine::lock::{self, HomeLock};
use crate::id::ExecutionId;
use crate::journal::{Journal, JournalError};

/// The locks that nobody holds.
pub fn dead_locks(settings: &Settings) -> Vec<PathBuf> {
    let locks = entries(settings.home.join("locks"));
    locks.filter(|path| path.is_file() && !lock::is_file_locked(path)).collect()
}

/// Removes the locks that nobody holds; how many there were. One that somebody takes meanwhile stays.
pub fn remove_dead_locks(settings: &Settings) -> usize {
    // One that cannot be removed stays, and is not counted. A lock's file is removed while it is held, so that nobody loses a
    // lock that they have just acquired.
    let removed = dead_locks(settings).into_iter().filter_map(|path| HomeLock::try_file(path).ok().flatten());
    removed.map(drop).count()
}

/// Folders that tasks of executions worked in that have ended, or that nobody knows of.
///
/// # Errors
/// When the journal cannot be read.
pub fn old_work(settings: &Settings, journal: &Journal) -> Result<Vec<PathBuf>, JournalError> {
    let mut old = Vec::new();
    for folder in entries(settings.home.join("work")) {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = ExecutionId::new(name.split('.').next().unwrap_or_default());
        if !lock::is_locked(settings, &id) && journal.ended(&id)?.is_none_or(|ended| ended.is_some()) {
            old.push(folder);
        }
    }
    Ok(old)
}

/// Uploads to a server that has died. Called only where no server runs.
pub fn old_uploads(settings: &Settings) -> Vec<PathBuf> {
    entries(settings.uploads()).collect()
}

fn entries(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path())
}
