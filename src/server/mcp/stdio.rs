//! `jitney mcp`: an agent's own process, on a home folder that a server and terminals may use at the same time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmcp::serve_server;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, AgentCaller};
use crate::config::Settings;
use crate::engine::Runner;
use crate::engine::catalog::Catalog;
use crate::engine::executor::{Executor, ExecutorOptions};
use crate::engine::scheduler::Scheduler;
use crate::journal::{Journal, StartedBy};
use crate::server::access::Identity;
use crate::server::{App, AppFacts, ServerError, watch_flows};
use crate::task::TaskType;

/// The longest request, in bytes.
const MAX_LINE_BYTES: usize = 4 << 20;
/// How long running executions have to end once the agent is gone.
const GRACE: Duration = Duration::from_secs(5);
const HOW_TO_ALLOW: &str = "tell the user: `jitney mcp --allow-write` allows it";

/// The tools on a home folder, for an agent that started this process.
pub struct McpSession {
    app: Arc<App>,
    may_change: bool,
}

impl McpSession {
    /// Opens the journal and the flows. Executions that the agent starts belong to the server of the home folder: those that
    /// have not ended when the agent goes are resumed by it, and their values may not name files of this machine.
    ///
    /// # Errors
    /// When a folder or the journal cannot be used.
    pub fn open(
        settings: &Arc<Settings>,
        flows: Vec<PathBuf>,
        tasks: &'static [TaskType],
        may_change: bool,
    ) -> Result<Self, ServerError> {
        let journal = Arc::new(Journal::open(&settings.journal())?);
        let catalog = Catalog::open(flows, tasks, journal.clone())?;
        let runner = Runner {
            catalog: Some(catalog.clone()),
            started_by: StartedBy::Server,
            ..Runner::new(settings.clone(), journal, Arc::new(|_| {}))
        };
        let options = ExecutorOptions { catalog: Some(catalog.clone()), ..ExecutorOptions::new(tasks) };
        let executor = Executor::open(runner, options)?;
        // Nothing is triggered here: it is asked, and never runs.
        let scheduler = Scheduler::new(executor.clone(), catalog.clone());
        let facts = AppFacts::local().map_err(ServerError::Settings)?;
        Ok(Self { app: App::assemble(executor, catalog, scheduler, facts), may_change })
    }

    /// Answers requests, a line each, until there are no more or `stop` is cancelled.
    ///
    /// # Errors
    /// When the first lines are not those of an agent.
    pub async fn serve(
        self,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
        stop: CancellationToken,
    ) -> Result<(), Box<rmcp::service::ServerInitializeError>> {
        let Self { app, may_change } = self;
        let background = tokio::spawn(watch_flows(app.clone(), stop.clone()));
        let (controller, stopped) = (app.clone(), stop.clone());
        // What it does not start itself is not run by it either.
        let backfills = may_change.then(|| tokio::spawn(async move { controller.backfills.run(stopped).await }));
        let caller =
            AgentCaller { identity: Identity::anybody(), sender: None, may_change, how_to_allow: HOW_TO_ALLOW };
        let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(MAX_LINE_BYTES);
        let ended = tokio::select! {
            served = serve(Agent::new(app.clone(), caller), transport) => served,
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        app.executor.stop(GRACE).await;
        background.abort();
        backfills.iter().for_each(tokio::task::JoinHandle::abort);
        ended
    }
}

async fn serve(
    agent: Agent,
    transport: AsyncRwTransport<
        rmcp::RoleServer,
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin + 'static,
    >,
) -> Result<(), Box<rmcp::service::ServerInitializeError>> {
    match serve_server(agent, transport).await {
        Ok(running) => {
            // However it ends: the agent is gone.
            let _ = running.waiting().await;
            Ok(())
        }
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(Box::new(error)),
    }
}
