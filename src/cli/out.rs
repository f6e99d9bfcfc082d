//! Writing to stdout, whose reader may have gone: `jitney executions | head -1`.

use std::fmt::Arguments;
use std::io::{self, Write};

use crate::cli::Exit;

/// Writes data for the user or the next program. When nobody reads any more, the program ends: it has done what was
/// asked.
pub(super) fn write(text: Arguments) {
    let mut stdout = io::stdout().lock();
    if stdout.write_fmt(text).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(i32::from(Exit::Ok as u8));
    }
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

pub(super) use {out, outln};
