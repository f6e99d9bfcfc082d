//! Writing to stdout and stderr, whose readers may be gone: `jitney executions | head -1`. A failed write never ends a
//! run or a server.
//!
//! All output goes through here. Control characters in it come from data, and are made visible. In JSON this does not
//! change the meaning.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use crate::text::visible;

/// The error that lost data on stdout, if there was one.
static WRITE_ERROR: OnceLock<String> = OnceLock::new();

/// Writes text for the user or the next program.
pub(super) fn write(text: Arguments) {
    exact(&visible(&text.to_string()));
}

/// Writes data unchanged for another program; on a terminal as [`write()`] does.
pub(super) fn data(text: &str) {
    if io::stdout().is_terminal() { exact(&visible(text)) } else { exact(text) }
}

/// Writes text of the program itself, which may be coloured. If the reader is gone, nothing is lost; any other failure
/// is reported when the program ends.
pub(super) fn exact(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(WRITE_ERROR.set(error.to_string())),
        _ => {}
    }
}

/// Writes the bytes of a file, for another program.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn copy(file: &mut std::fs::File) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = io::Read::read(file, &mut block)?;
        let written = stdout.write_all(&block[..read]).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                drop(WRITE_ERROR.set(error.to_string()));
                return Ok(());
            }
            Ok(()) if read == 0 => return Ok(()),
            Ok(()) => {}
        }
    }
}

/// Writes a message to stderr. If that fails, there is no other place to report it.
pub(super) fn message(text: Arguments) {
    let text = text.to_string();
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(visible(&text).as_bytes()).and_then(|()| stderr.flush());
}

/// The error that lost data on stdout, if there was one: a full disk, but not a closed pipe.
pub(super) fn write_error() -> Option<&'static str> {
    WRITE_ERROR.get().map(String::as_str)
}

/// `println!` for data on stdout.
macro_rules! outln {
    () => { $crate::cli::out::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// `print!` for data on stdout.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::out::write(format_args!($($text)*)) };
}

/// `eprintln!` for messages on stderr.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::out::message(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprint!` for messages on stderr.
macro_rules! err {
    ($($text:tt)*) => { $crate::cli::out::message(format_args!($($text)*)) };
}

pub(super) use {err, errln, out, outln};
