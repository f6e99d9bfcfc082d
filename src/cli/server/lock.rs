//! The lock of a home folder: one server at a time uses it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::InvalidFlow;
use crate::cli::home_errors::unusable;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::lock::is_file_locked;

fn path(settings: &Settings) -> PathBuf {
    settings.home.join("server.lock")
}

/// Whether a server runs on the home folder.
pub(in crate::cli) fn is_served(settings: &Settings) -> bool {
    is_file_locked(&path(settings))
}

/// Locks the home folder for this server, for as long as the file is open.
///
/// # Errors
/// [`InvalidFlow`] when there is one.
pub(super) fn lock_home(settings: &Settings) -> anyhow::Result<File> {
    let path = path(settings);
    let context = || format!("cannot use {}", path.display());
    let opened = crate::home::make_private(&settings.home)
        .and_then(|()| File::options().read(true).write(true).create(true).truncate(false).open(&path));
    let mut file = opened.map_err(|error| unusable(&error, settings))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The number is for people; without it the message is still right.
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
