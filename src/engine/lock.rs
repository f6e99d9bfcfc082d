//! One process at a time works on an execution, by a file lock that the system releases when the process ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::engine::error::EngineError;
use crate::id::ExecutionId;

/// An execution that this process works on. Its lock file goes with it.
#[derive(Debug)]
pub struct ExecutionLock {
    // Removed while the lock is held: a file that is there and not locked is that of a process that died.
    path: PathBuf,
    #[expect(dead_code, reason = "it is there to be held")]
    file: File,
}

impl Drop for ExecutionLock {
    fn drop(&mut self) {
        // One that stays is taken over by the next claim.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl ExecutionLock {
    /// Takes an execution for this process.
    ///
    /// # Errors
    /// [`EngineError::Taken`] when another process, or another part of this one, works on it.
    pub fn take(settings: &Settings, id: &ExecutionId) -> Result<Self, EngineError> {
        let path = path(settings, id);
        let failed = |error| EngineError::Lock(settings.home.join("locks"), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        match Self::at(path) {
            Ok(Some(claim)) => Ok(claim),
            Ok(None) => Err(EngineError::Taken(id.clone())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Takes an execution unless another process, or another part of this one, works on it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn take_if_free(settings: &Settings, id: &ExecutionId) -> Result<Option<Self>, EngineError> {
        match Self::take(settings, id) {
            Err(EngineError::Taken(_)) => Ok(None),
            taken => taken.map(Some),
        }
    }

    /// Locks a file that holds the name of nothing else; none when it is locked.
    pub(super) fn at(path: PathBuf) -> std::io::Result<Option<Self>> {
        loop {
            let file = File::create(&path)?;
            match file.try_lock() {
                // Whoever held it may have removed it in between: then this is a lock on nothing.
                Ok(()) if is_removed(&file) => {}
                Ok(()) => return Ok(Some(Self { path, file })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

/// Whether some process works on an execution.
pub fn is_execution_locked(settings: &Settings, id: &ExecutionId) -> bool {
    is_locked(&path(settings, id))
}

/// Whether some process holds the lock on a file.
pub fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn path(settings: &Settings, id: &ExecutionId) -> PathBuf {
    settings.home.join("locks").join(id.as_str())
}

#[cfg(unix)]
fn is_removed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|found| found.nlink() == 0)
}

#[cfg(not(unix))]
fn is_removed(_: &File) -> bool {
    false
}
