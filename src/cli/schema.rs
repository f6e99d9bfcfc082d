//! `jitney schema`

use clap::Args;

use crate::cli::ExitStatus;
use crate::cli::out::outln;
use crate::flow;
use crate::tasks::ALL;

#[derive(Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> anyhow::Result<ExitStatus> {
    outln!("{}", serde_json::to_string_pretty(&flow::schema(ALL))?);
    Ok(ExitStatus::Ok)
}
