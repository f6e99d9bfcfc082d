//! The lock of the home folder, which only one server may use at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::InvalidFlow;
use crate::cli::home_errors::unusable_home;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::lock::is_file_locked;

fn path(settings: &Settings) -> PathBuf {
    settings.home.join("server.lock")
}

/// Whether a server is using the home folder.
pub(in crate::cli) fn is_served(settings: &Settings) -> bool {
    is_file_locked(&path(settings))
}

/// Locks the home folder for this server until the file is closed.
///
/// # Errors
/// [`InvalidFlow`] when another server holds the lock.
pub(super) fn lock_home(settings: &Settings) -> anyhow::Result<File> {
    let path = path(settings);
    let context = || format!("cannot use {}", path.display());
    let opened = crate::home::make_private(&settings.home)
        .and_then(|()| File::options().read(true).write(true).create(true).truncate(false).open(&path));
    let mut file = opened.map_err(|error| unusable_home(&error, settings))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number is only informative; the message is correct without it.
            let _ = file.read_to_string(&mut pid);
            let message =
                format!("another server is already using {}: process {}", settings.home.display(), pid.trim());
            let help = "stop that server, or choose another folder for this one with `--home`";
            return Err(InvalidFlow::from(Diagnostic::error(message).help(help)).into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    file.set_len(0).and_then(|()| file.rewind()).with_context(context)?;
    writeln!(file, "{}", std::process::id()).with_context(context)?;
    Ok(file)
}
