//! The `jitney` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    jitney::cli::run()
}
