//! The server: what runs when nobody watches.

pub mod access;
mod api;
pub mod arrivals;
pub mod lineage;
pub mod metrics;
pub mod notify;
pub mod reports;
pub mod retention;
mod router;
pub mod settings;
pub mod traces;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::engine::backfill::Keeper;
use crate::engine::catalog::Catalog;
use crate::engine::executor::Executor;
use crate::engine::scheduler::Scheduler;
use crate::server::access::Access;
use crate::server::metrics::Metrics;

/// How long calls that are under way may take once the server stops.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// What the server's parts share.
pub struct App {
    /// Runs executions.
    pub executor: Executor,
    /// The flows.
    pub catalog: Arc<Catalog>,
    /// Acts on triggers.
    pub scheduler: Arc<Scheduler>,
    /// Drives backfills.
    pub backfills: Keeper,
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// What is counted.
    pub metrics: Metrics,
    /// When the server started.
    pub started: DateTime<Utc>,
}

/// Answers calls of those who have `access` until it is told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, app: Arc<App>, access: Access, shutdown: CancellationToken) -> io::Result<()> {
    let stop = shutdown.clone().cancelled_owned();
    let serving = axum::serve(listener, router::router(app, access)).with_graceful_shutdown(stop);
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_CALLS).await;
    };
    tokio::select! { served = serving => served, () = late => Ok(()) }
}
