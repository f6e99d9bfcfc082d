//! Where a request comes from, without the request itself.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;

use super::proxy::OverTls;

/// Where a request comes from, and what it brings to be let in.
#[derive(Clone, Debug)]
pub(in crate::server) struct Sender {
    pub(super) headers: HeaderMap,
    /// The address of the client.
    pub(in crate::server) peer: Option<SocketAddr>,
    /// Whether the client has sent it over TLS.
    pub(super) is_secure: bool,
}

impl Sender {
    pub(in crate::server) fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        Self {
            headers: request.headers().clone(),
            peer: extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0),
            is_secure: extensions.get::<OverTls>().is_some(),
        }
    }
}
