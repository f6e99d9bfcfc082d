//! Accepts connections: as many as leave the rest of the process its files, and a few more that are told whether the
//! server is well.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::health::{Health, Part};
use crate::server::api::error::ApiError;
use crate::server::router::HEALTH;
use crate::server::timeouts::WriteTimeout;

/// How long the head of a request may take, from the moment that one is waited for.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections at a time, whatever the system allows.
const MAX_CONNECTIONS: usize = 1024;
/// How many connections beyond these are answered about the server's health; the oldest makes room for a new one.
const RESERVED_FOR_HEALTH: usize = 16;
/// How long to wait before the next connection when one could not be accepted.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// How many connections there may be. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    all: Arc<Semaphore>,
    lasting: Arc<Semaphore>,
}

impl Default for ConnectionLimits {
    /// As many as half of the files that this process may open.
    fn default() -> Self {
        let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
        Self::within(files)
    }
}

impl ConnectionLimits {
    fn within(files: u64) -> Self {
        let all = usize::try_from(files / 2).unwrap_or(MAX_CONNECTIONS).clamp(RESERVED_FOR_HEALTH, MAX_CONNECTIONS);
        Self { all: Arc::new(Semaphore::new(all)), lasting: Arc::new(Semaphore::new(all / 2)) }
    }

    /// Leave to answer for a long time, to somebody who follows an execution or waits for its end. Half of the
    /// connections are left to everybody else.
    ///
    /// # Errors
    /// When too many do.
    pub(super) fn last(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let busy = "too many clients follow executions or wait for them; try again later";
        self.lasting.clone().try_acquire_owned().map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, busy))
    }

    /// Answers until it is told to stop, then until the last request has its answer.
    pub(super) async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        health: Health,
        shutdown: CancellationToken,
    ) {
        let spare = router.clone().layer(middleware::from_fn(health_only));
        let (tasks, mut reserve) = (TaskTracker::new(), VecDeque::new());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // The client has gone before it was answered, which is no problem of the server.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    health.error(Part::Connections, &format!("cannot accept connections: {error}"));
                    tokio::time::sleep(ACCEPT_DELAY).await;
                    continue;
                }
            };
            match self.all.clone().try_acquire_owned() {
                Ok(permit) => {
                    let answering = answer(stream, peer, router.clone(), true, shutdown.clone());
                    tasks.spawn(async move {
                        answering.await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    let answering = tasks.spawn(answer(stream, peer, spare.clone(), false, shutdown.clone()));
                    keep(&mut reserve, answering.abort_handle());
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
    }
}

/// Adds a connection to the reserve. Whoever sends a request at once has the answer before it is full again.
fn keep(reserve: &mut VecDeque<AbortHandle>, newest: AbortHandle) {
    reserve.retain(|connection| !connection.is_finished());
    if reserve.len() >= RESERVED_FOR_HEALTH
        && let Some(oldest) = reserve.pop_front()
    {
        oldest.abort();
    }
    reserve.push_back(newest);
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, peer: SocketAddr, router: Router, keep_alive: bool, shutdown: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(keep_alive);
    let connection = http.serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
    tokio::pin!(connection);
    // A client that breaks off, or is too slow, has no answer; nobody else need know.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// What is left to say when there are too many connections.
async fn health_only(request: Request, next: Next) -> Response {
    if request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server has too many connections; try again later");
    ([(header::RETRY_AFTER, "5")], busy).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_half_of_the_files_and_followers_half_of_the_connections() {
        let of = |files| {
            let connections = ConnectionLimits::within(files);
            (connections.all.available_permits(), connections.lasting.available_permits())
        };
        assert_eq!((of(200), of(1024), of(u64::MAX), of(0)), ((100, 50), (512, 256), (1024, 512), (16, 8)));
    }
}
