//! What every request passes before its handler: the checks of `access`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::server::access::{AccessControl, Identity};
use crate::server::api::error::ApiError;

/// Rejects requests of other sites, those without a valid login where one is needed, and those for which the login's role is
/// not enough.
pub(super) async fn guard(State(access): State<Arc<AccessControl>>, mut request: Request, next: Next) -> Response {
    match admit(&access, &mut request).await {
        Ok(identity) => identity.scope(next.run(request)).await,
        Err(error) if error.has_status(StatusCode::UNAUTHORIZED) => {
            ([(header::WWW_AUTHENTICATE, "Basic realm=\"jitney\"")], error).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn admit(access: &AccessControl, request: &mut Request) -> Result<Arc<Identity>, ApiError> {
    access.check_site(request)?;
    let identity = access.identify(&request.headers().clone(), peer(request)).await?;
    access.check_role(&identity, request).await?;
    Ok(identity)
}

fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0)
}

/// Marks a request that [`guard`] would let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authenticated;

/// Lets every request through, and marks those that [`guard`] would let through.
pub(super) async fn recognize(State(access): State<Arc<AccessControl>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    // Without a login there is nothing to check, and so no delay.
    let has_login = access.is_open() || headers.contains_key(header::AUTHORIZATION);
    if has_login && access.check_site(&request).is_ok() && access.identify(&headers, peer(&request)).await.is_ok() {
        request.extensions_mut().insert(Authenticated);
    }
    next.run(request).await
}
