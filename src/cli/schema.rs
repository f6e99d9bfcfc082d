//! `jitney schema`

use clap::Args;

use crate::cli::Exit;
use crate::cli::out::outln;
use crate::flow;
use crate::tasks::ALL;

#[derive(Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> anyhow::Result<Exit> {
    outln!("{}", serde_json::to_string_pretty(&flow::schema(ALL))?);
    Ok(Exit::Ok)
}
