//! Writing to stdout and stderr, whose readers may be gone: `jitney executions | head -1`. A failed write never ends a
//! run or a server.
//!
//! All output goes through here. Control characters in it come from data, and are made visible. In JSON this does not
//! change the meaning.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use super::colour::{self, Style};
use super::layout;
use super::table::Table;
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

/// Writes a table that fits the terminal to stdout.
pub(super) fn table(table: &Table) {
    exact(&table.lines(layout::width(), colour::on_stdout()));
}

/// Writes a line to stdout whose first word is in colour.
pub(super) fn led(style: Style, word: &str, rest: &str) {
    exact(&format!("{}{}\n", style.paint(word, colour::on_stdout()), visible(rest)));
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
    raw_message(&visible(&text.to_string()));
}

/// Writes a line to stderr whose first word is in colour.
pub(super) fn led_message(style: Style, word: &str, rest: &str) {
    raw_message(&format!("{}{}\n", style.paint(word, colour::on_stderr()), visible(rest)));
}

/// Writes findings to stderr, one or several.
pub(super) fn findings(text: &str) {
    raw_message(&format!("{}\n", colour::findings(&visible(text), colour::on_stderr())));
}

fn raw_message(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
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
