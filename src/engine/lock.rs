//! Locks between processes, as files in the home: the system releases them when a process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::engine::error::EngineError;
use crate::engine::lock_name::LockName;

/// A lock that this process holds. Its file goes with it.
#[derive(Debug)]
pub struct HomeLock {
    // Removed while the lock is held: a file that is there and not locked is that of a process that died.
    path: PathBuf,
    #[expect(dead_code, reason = "it is there to be held")]
    file: File,
}

impl Drop for HomeLock {
    fn drop(&mut self) {
        // One that stays is taken over by the next one who acquires it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl HomeLock {
    /// Acquires a lock for this process.
    ///
    /// # Errors
    /// [`EngineError::Locked`] when another process, or another part of this one, holds it.
    pub fn acquire(settings: &Settings, name: impl Into<LockName>) -> Result<Self, EngineError> {
        let name = name.into();
        let path = name.path(settings);
        let failed = |error| EngineError::Lock(settings.home.join("locks"), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        match Self::try_file(path) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(EngineError::Locked(name)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Acquires a lock unless another process, or another part of this one, holds it.
    ///
    /// # Errors
    /// When the lock's file cannot be made.
    pub fn try_acquire(settings: &Settings, name: impl Into<LockName>) -> Result<Option<Self>, EngineError> {
        match Self::acquire(settings, name) {
            Err(EngineError::Locked(_)) => Ok(None),
            acquired => acquired.map(Some),
        }
    }

    /// Locks a file that holds the name of nothing else; none when it is locked.
    pub(super) fn try_file(path: PathBuf) -> std::io::Result<Option<Self>> {
        loop {
            let file = File::create(&path)?;
            match file.try_lock() {
                // Its holder may have removed it in between: then this is a lock on nothing.
                Ok(()) if is_removed(&file) => {}
                Ok(()) => return Ok(Some(Self { path, file })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

/// Whether some process holds a lock.
pub fn is_locked(settings: &Settings, name: impl Into<LockName>) -> bool {
    is_file_locked(&name.into().path(settings))
}

/// Whether some process holds the lock on a file.
pub fn is_file_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
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
