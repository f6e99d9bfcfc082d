//! `jitney infer`

use std::sync::Arc;

use clap::Args;

use crate::cli::ExitStatus;
use crate::cli::load::{Description, FetchedFile, FileArguments, Place};
use crate::cli::out::out;
use crate::config::Settings;

#[derive(Args)]
#[command(
    after_help = "The whole file is read. A type is inferred only if every value has it and nothing is lost by it."
)]
pub(super) struct Arguments {
    /// The file, its http(s):// address, or `-` for stdin
    #[arg(value_name = "FILE|URL|-")]
    file: String,
    #[command(flatten)]
    how: FileArguments,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let local = match FetchedFile::bring(&Place::of(&arguments.file), settings, (true, false)).await? {
        Ok(local) => local,
        Err(failed) => return Ok(failed.exit),
    };
    let described = Description::of(&local, &arguments.how, false).await;
    local.discard(settings);
    out!("{}", described?.yaml());
    Ok(ExitStatus::Ok)
}
