//! Writing to stdout and stderr, whose readers may have gone: `jitney executions | head -1`. A write that fails never
//! ends what is under way: a run goes on to its end, and a server keeps running.
//!
//! All text leaves through here. Control characters in it come from data: they are shown and not obeyed. JSON still says
//! the same.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use crate::text::visible;

/// Why data on stdout has been lost, if it was.
static LOST: OnceLock<String> = OnceLock::new();

/// Writes text for the user or the next program.
pub(super) fn write(text: Arguments) {
    exact(&visible(&text.to_string()));
}

/// Writes data as they are, for the next program; a terminal gets them as [`write()`] has it.
pub(super) fn data(text: &str) {
    if io::stdout().is_terminal() { exact(&visible(text)) } else { exact(text) }
}

/// Writes text of the program's own, which may be coloured. When nobody reads any more, there is nobody to miss it; any other
/// failure is told of when the program ends.
pub(super) fn exact(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(LOST.set(error.to_string())),
        _ => {}
    }
}

/// Writes the bytes of a file, for the next program.
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
                drop(LOST.set(error.to_string()));
                return Ok(());
            }
            Ok(()) if read == 0 => return Ok(()),
            Ok(()) => {}
        }
    }
}

/// Writes a message to stderr. When that fails there is no other place to say so.
pub(super) fn message(text: Arguments) {
    let text = text.to_string();
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(visible(&text).as_bytes()).and_then(|()| stderr.flush());
}

/// Why data on stdout has been lost, if it was: a full disk, not a reader who has gone.
pub(super) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
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
