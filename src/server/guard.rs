//! What every request passes before its handler: the checks of `access`. What it wants to change is written down, whether it
//! may or not.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::server::access::{Call, Identity, Sender};
use crate::server::api::error::ApiError;
use crate::server::audit;
use crate::server::{App, pages};

/// Rejects requests of other sites, those without a valid login where one is needed, and those for which the login's role is
/// not enough.
pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let (call, sender, wanted) = (Call::of(&mut request).await, Sender::of(&request), RequestedView::of(&request));
    let answered = audit::with_targets(async {
        match admit(&app, &call, &sender, request).await {
            Ok((identity, request)) => (identity.clone(), identity.scope(next.run(request)).await),
            Err((identity, error)) => (identity.clone(), identity.scope(async { wanted.refused(error) }).await),
        }
    });
    let ((identity, response), noted) = answered.await;
    if call.is_change() {
        let target = if noted.is_empty() { call.target() } else { noted };
        audit::record(&app, &identity.name, &sender, (&call.action(), &target), response.status());
    }
    response
}

type RefusedCall = (Arc<Identity>, ApiError);

async fn admit(
    app: &App,
    call: &Call,
    sender: &Sender,
    request: Request,
) -> Result<(Arc<Identity>, Request), RefusedCall> {
    let nobody = |error| (Identity::nobody(), error);
    app.access.check_site(&request).map_err(nobody)?;
    let identity = app.access.identify(sender, app.executor.journal()).await.map_err(nobody)?;
    if let Some(refusal) = call.refusal(&identity) {
        return Err((identity, refusal));
    }
    match app.access.check_form(&identity, request).await {
        Ok(request) => Ok((identity, request)),
        Err(error) => Err((identity, error)),
    }
}

/// What a client wants to see: a browser a page, where it shows one.
struct RequestedView {
    is_page: bool,
    is_browser: bool,
    /// The page, to which the login page leads back.
    address: String,
}

impl RequestedView {
    fn of(request: &Request) -> Self {
        let is_get = [Method::GET, Method::HEAD].contains(request.method());
        Self {
            is_page: accepts_html(request.headers()),
            is_browser: request.headers().contains_key("sec-fetch-mode"),
            address: if is_get { request.uri().path_and_query().map_or("/", |path| path.as_str()) } else { "/" }
                .to_owned(),
        }
    }

    fn refused(&self, error: ApiError) -> Response {
        match (error.status(), self.is_page) {
            (StatusCode::UNAUTHORIZED, true) => Redirect::to(&pages::login_address(&self.address)).into_response(),
            // A browser would ask for a password in a window of its own.
            (StatusCode::UNAUTHORIZED, false) if !self.is_browser => {
                ([(header::WWW_AUTHENTICATE, "Basic realm=\"jitney\"")], error).into_response()
            }
            (_, true) => pages::error_page(error),
            (_, false) => error.into_response(),
        }
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/html"))
}

/// Lets requests to the login page through, except for those of other sites.
pub(super) async fn guard_site(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.access.check_site(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => RequestedView::of(&request).refused(error),
    }
}

/// Writes down a call of a webhook, without its key.
pub(super) async fn record_webhook(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let (call, sender) = (Call::of(&mut request).await, Sender::of(&request));
    let response = next.run(request).await;
    audit::record(&app, "", &sender, ("call webhook", &call.webhook()), response.status());
    response
}

/// Marks a request that [`guard`] would let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authenticated;

/// Lets every request through, and marks those that [`guard`] would let through.
pub(super) async fn recognize(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let sender = Sender::of(&request);
    // Without a login there is nothing to check, and so no delay.
    let is_checked = app.access.has_login(&sender) && app.access.check_site(&request).is_ok();
    if is_checked && app.access.identify(&sender, app.executor.journal()).await.is_ok() {
        request.extensions_mut().insert(Authenticated);
    }
    next.run(request).await
}
