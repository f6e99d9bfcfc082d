//! The server: what runs when nobody watches.

pub mod access;
mod api;
pub mod arrivals;
pub mod connections;
pub mod lineage;
pub mod metrics;
pub mod notify;
pub mod readiness;
pub mod reports;
pub mod retention;
mod router;
pub mod settings;
mod slow;
pub mod traces;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::BackfillController;
use crate::engine::catalog::Catalog;
use crate::engine::executor::Executor;
use crate::engine::scheduler::Scheduler;
use crate::server::access::AccessControl;
use crate::server::connections::ConnectionLimits;
use crate::server::metrics::Metrics;

/// How long calls that are under way may take once the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// What the server's parts share.
pub struct App {
    /// Runs executions.
    pub executor: Executor,
    /// The flows.
    pub catalog: Arc<Catalog>,
    /// Acts on triggers.
    pub scheduler: Arc<Scheduler>,
    /// Drives backfills.
    pub backfills: BackfillController,
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// How many may call at a time.
    pub connections: ConnectionLimits,
    /// What is counted.
    pub metrics: Metrics,
    /// What of the server's own settings cannot work as things stand.
    pub warnings: Vec<Diagnostic>,
    /// When the server started.
    pub started: DateTime<Utc>,
}

/// Answers calls of those who have `access` until it is told to stop.
pub async fn run(listener: TcpListener, app: Arc<App>, access: AccessControl, shutdown: CancellationToken) {
    let (connections, health) = (app.connections.clone(), app.executor.health().clone());
    let serving = connections.serve(listener, router::router(app, access), health, shutdown.clone());
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! { () = serving => {}, () = late => {} }
}
