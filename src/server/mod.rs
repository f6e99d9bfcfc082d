//! The server: what runs when nobody watches.

pub mod arrivals;
mod router;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::engine::catalog::Catalog;
use crate::engine::executor::Executor;
use crate::engine::scheduler::Scheduler;

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
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// When the server started.
    pub started: DateTime<Utc>,
}

/// Answers calls until it is told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, app: Arc<App>, shutdown: CancellationToken) -> io::Result<()> {
    let stop = shutdown.clone().cancelled_owned();
    let serving = axum::serve(listener, router::router(app)).with_graceful_shutdown(stop);
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_CALLS).await;
    };
    tokio::select! { served = serving => served, () = late => Ok(()) }
}
