//! `jitney replay`

use std::sync::Arc;

use clap::Args;

use crate::cli::exit::explain;
use crate::cli::run::RunSession;
use crate::cli::target::OnTargetChange;
use crate::cli::{ExitStatus, InvalidFlow, executions};
use crate::config::Settings;
use crate::engine::ReplayPart;

#[derive(Args)]
#[command(
    after_help = "The replay uses the flow as it was when the execution started; with --from or --only, the files of earlier tasks must still exist.\nTo use a corrected flow: jitney run FLOW."
)]
pub(super) struct Arguments {
    /// The id of the execution, or a prefix of it
    id: String,
    /// The task to start from; earlier tasks are not run again [default: the first]
    #[arg(long, value_name = "TASK")]
    from: Option<String>,
    /// Run this task alone, with the outputs of the tasks before it
    #[arg(long, value_name = "TASK", conflicts_with = "from")]
    only: Option<String>,
    /// A secret input of the flow, which the journal does not store; may be repeated
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::inputs::parse_pair)]
    input: Vec<(String, String)>,
    #[command(flatten)]
    retarget: OnTargetChange,
    /// Print the execution as JSON when it ends
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let session = RunSession::open(settings, arguments.json)?;
    let executor = &session.executor;
    let old = executions::find(executor.journal(), &arguments.id)?;
    let state = executions::state(executor.journal(), &old)?;
    if !arguments.retarget.retarget {
        executor.runner().check_target(&format!("execution {old}"), state.target.as_ref()).map_err(explain)?;
    }
    let prepared = executor.restore(&state, arguments.input).map_err(InvalidFlow)?;
    let part = match (arguments.from, arguments.only) {
        (_, Some(task)) => ReplayPart::Only(task),
        (Some(task), None) => ReplayPart::From(task),
        (None, None) => ReplayPart::All,
    };
    let (id, prepared) = executor.create_replay(&old, &prepared, &part).map_err(explain)?;
    let (id, state) = session.start(&id, &prepared).await?;
    Ok(session.report(&id, &state, arguments.json))
}
