//! Accepts connections, within a limit that leaves file descriptors to the rest of the process. Beyond it a few more are
//! accepted for health checks alone, so that a busy server does not look dead.

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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::health::{Component, Health};
use crate::server::access::OverTls;
use crate::server::api::error::ApiError;
use crate::server::router::HEALTH;
use crate::server::timeouts::WriteTimeout;

/// How long the head of a request may take, the wait for it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections at a time, whatever the system allows.
const MAX_CONNECTIONS: usize = 1024;
/// How many connections beyond the limit are accepted for health checks; the oldest makes room for a new one.
const RESERVED_FOR_HEALTH: usize = 16;
/// The pause after a connection could not be accepted.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// How many connections there may be. Clones share the limits.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    all: Arc<Semaphore>,
    /// For responses that last, such as event streams.
    streams: Arc<Semaphore>,
}

impl Default for ConnectionLimits {
    /// Half as many as the process may open files.
    fn default() -> Self {
        let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
        Self::within(files)
    }
}

impl ConnectionLimits {
    fn within(files: u64) -> Self {
        let all = usize::try_from(files / 2).unwrap_or(MAX_CONNECTIONS).clamp(RESERVED_FOR_HEALTH, MAX_CONNECTIONS);
        Self { all: Arc::new(Semaphore::new(all)), streams: Arc::new(Semaphore::new(all / 2)) }
    }

    /// A permit for a response that lasts until an execution ends. Half of the connections are left to short ones.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn acquire_stream(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let busy = "too many clients follow or wait for executions; try again later";
        self.streams.clone().try_acquire_owned().map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, busy))
    }

    /// Accepts and answers until `shutdown`, and returns when the last request in progress has its answer.
    pub(super) async fn serve(&self, listener: TcpListener, answers: ConnectionHandler, health: Health) {
        let health_router = answers.router.clone().layer(middleware::from_fn(health_only));
        let of_health = ConnectionHandler { router: health_router, ..answers.clone() };
        let (tasks, mut reserve) = (TaskTracker::new(), VecDeque::new());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = answers.shutdown.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // The client has left already, which is no problem of the server.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    health.report_error(Component::Connections, &format!("cannot accept connections: {error}"));
                    tokio::time::sleep(ACCEPT_DELAY).await;
                    continue;
                }
            };
            match self.all.clone().try_acquire_owned() {
                Ok(permit) => {
                    let answering = answers.clone().accept(stream, peer, true);
                    tasks.spawn(async move {
                        answering.await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    let answering = tasks.spawn(of_health.clone().accept(stream, peer, false));
                    reserve_for_health(&mut reserve, answering.abort_handle());
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
    }
}

/// Adds a connection to the reserve and aborts the oldest if it is full. A client that sends its request at once is answered
/// before that.
fn reserve_for_health(reserve: &mut VecDeque<AbortHandle>, newest: AbortHandle) {
    reserve.retain(|connection| !connection.is_finished());
    if reserve.len() >= RESERVED_FOR_HEALTH
        && let Some(oldest) = reserve.pop_front()
    {
        oldest.abort();
    }
    reserve.push_back(newest);
}

/// What connections are answered with.
#[derive(Clone)]
pub(super) struct ConnectionHandler {
    pub(super) router: Router,
    /// How TLS begins, if the server speaks it.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) shutdown: CancellationToken,
}

impl ConnectionHandler {
    /// Answers the requests of one connection, once it has shaken hands where TLS is spoken.
    async fn accept(self, stream: TcpStream, peer: SocketAddr, keep_alive: bool) {
        let stream = WriteTimeout::new(stream);
        let Some(acceptor) = self.tls.clone() else { return self.answer(stream, peer, keep_alive).await };
        // A client that cannot shake hands concerns nobody else.
        if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
            self.answer(stream, peer, keep_alive).await;
        }
    }

    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, peer: SocketAddr, keep_alive: bool) {
        let (router, is_secure) = (TowerToHyperService::new(self.router), self.tls.is_some());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            if is_secure {
                request.extensions_mut().insert(OverTls);
            }
            router.call(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(keep_alive);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // An error means that the client left or was too slow, and concerns nobody else.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Answers health checks, and everything else with 503.
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
            (connections.all.available_permits(), connections.streams.available_permits())
        };
        assert_eq!((of(200), of(1024), of(u64::MAX), of(0)), ((100, 50), (512, 256), (1024, 512), (16, 8)));
    }
}
