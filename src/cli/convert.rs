//! `jitney convert`

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::io_error;
use crate::cli::out::{data, errln};
use crate::cli::{ExitStatus, InvalidFlow, flows};
use crate::flow::convert::{Converted, convert};
use crate::flow::parse;
use crate::tasks;

#[derive(Args)]
pub(super) struct Arguments {
    /// The flow's file
    flow: PathBuf,
    /// Change the file in place instead of printing the result
    #[arg(long)]
    write: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let name = arguments.flow.display().to_string();
    let text = flows::text(&arguments.flow)?;
    let Converted { text: converted, changes, skipped } =
        convert(&name, &text, tasks::ALL).map_err(|finding| InvalidFlow::from(*finding))?;
    skipped.iter().for_each(|finding| errln!("{finding}\n"));
    let parsed = parse(&name, &converted, tasks::ALL);
    if parsed.flow.is_none() {
        if !arguments.write {
            data(&converted);
        }
        return Err(InvalidFlow(parsed.findings).into());
    }
    let names = if changes == 1 { "1 name".to_owned() } else { format!("{changes} names") };
    if !arguments.write {
        data(&converted);
    } else if changes > 0 {
        std::fs::write(&arguments.flow, converted).map_err(|error| io_error(format_args!("write {name}"), &error))?;
    }
    errln!("{name}: {names} converted, {} not converted", skipped.len());
    Ok(ExitStatus::Ok)
}
