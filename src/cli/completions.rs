//! `jitney completions`

use clap::Args;
use clap_complete::{Shell, generate};

use crate::cli::ExitStatus;
use crate::cli::out::data;

#[derive(Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitStatus {
    let mut script = Vec::new();
    generate(arguments.shell, &mut super::command(), "jitney", &mut script);
    data(&String::from_utf8_lossy(&script));
    ExitStatus::Ok
}
