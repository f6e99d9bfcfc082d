//! `jitney mcp`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::cli::server::with_remedy;
use crate::cli::signals::SignalGuard;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::postgres::resolve;
use crate::server::mcp::McpSession;
use crate::tasks;

const MORE: &str = "\
An agent starts this command itself. In its configuration, the command is `jitney` and the arguments are
`mcp --flows FOLDER`, with absolute paths. The tools are described in docs/ai.md.

A server offers the same tools at http://ADDRESS/mcp.";

#[derive(Args)]
#[command(after_help = MORE)]
pub(super) struct Arguments {
    /// A folder of flows; may be repeated. New flows are saved in the first
    #[arg(long, value_name = "FOLDER", default_value = "flows")]
    flows: Vec<PathBuf>,
    /// Let the agent run flows, start backfills, save flows and stop executions
    #[arg(long)]
    allow_write: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    if settings.postgres.is_some() {
        resolve(settings, None).map_err(|finding| InvalidFlow::from(*finding))?;
    }
    let session =
        McpSession::open(settings, arguments.flows, tasks::ALL, arguments.allow_write).map_err(with_remedy)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    let _signals = SignalGuard::new(move || token.cancel());
    session.serve(tokio::io::stdin(), tokio::io::stdout(), stop).await.map_err(|error| {
        let finding = Diagnostic::error(format!("the lines on stdin are not those of an agent: {error}"));
        InvalidFlow::from(finding.help("let the agent start `jitney mcp`: docs/ai.md shows how"))
    })?;
    Ok(ExitStatus::Ok)
}
