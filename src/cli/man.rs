//! `jitney man`: the manual pages, for packagers.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitStatus;
use crate::cli::exit::io_error;
use crate::cli::out::errln;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder, such as man1; it is created if necessary
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let folder = &arguments.folder;
    let shown = folder.display();
    fs::create_dir_all(folder).map_err(|error| io_error(format_args!("create the folder {shown}"), &error))?;
    clap_mangen::generate_to(super::command(), folder)
        .map_err(|error| io_error(format_args!("write the manual pages into {shown}"), &error))?;
    errln!("Wrote the manual pages into {shown}");
    Ok(ExitStatus::Ok)
}
