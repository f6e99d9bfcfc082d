//! The routes outside the API, and what all routes share: access control, timeouts, logging.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use serde_json::{Value, json};

use super::App;
use crate::blocking::run_blocking;
use crate::engine::health::{Component, Health};
use crate::server::api;
use crate::server::api::error::{ApiError, FailureMessage, as_json};
use crate::server::guard::{Authenticated, guard, guard_site, recognize, record_webhook};
use crate::server::mcp;
use crate::server::pages;
use crate::server::readiness::{Readiness, ReadinessStatus};
use crate::server::timeouts;

/// All routes. Everything needs a login but the login page and its files, `/health`, `/ready` (which gives its reasons to
/// clients with one) and webhooks, which have keys of their own. A route that is added to `guarded` is safe by default:
/// without a rule in `access/routes.rs` it needs the role admin.
pub(super) fn router(app: Arc<App>) -> Router {
    let state = app.executor.health().clone();
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(app.clone())
        .merge(api::router(app.clone()))
        .merge(mcp::router(app.clone()))
        .merge(pages::router(app.clone()))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), guard));
    let login = pages::login_router(app.clone()).layer(middleware::from_fn_with_state(app.clone(), guard_site));
    let readiness = Router::new()
        .route("/ready", get(ready))
        .with_state(app.clone())
        .layer(middleware::from_fn_with_state(app.clone(), recognize));
    let webhooks = api::webhooks(app.clone()).layer(middleware::from_fn_with_state(app.clone(), record_webhook));
    let open = Router::new().route(HEALTH, get(health)).with_state(app.clone()).merge(webhooks);
    let all = open.merge(pages::assets_router()).merge(login).merge(readiness).merge(guarded);
    all.layer(middleware::map_request(timeouts::limited))
        .layer(middleware::map_request(move |request| std::future::ready(app.proxies.apply(request))))
        .layer(middleware::map_response(as_json))
        .layer(middleware::from_fn_with_state(state, observe))
}

pub(super) const HEALTH: &str = "/health";

/// Logs requests, and reports responses with which the server admits a failure of its own.
async fn observe(State(health): State<Health>, request: Request, next: Next) -> Response {
    // The path of a webhook ends with its key.
    let path = request.uri().path();
    let path = path.find(WEBHOOK).map_or(path, |at| &path[..at + WEBHOOK.len()]).to_owned();
    let (method, began) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    let (status, millis) = (response.status().as_u16(), began.elapsed().as_millis());
    tracing::debug!(target: "jitney::http", "{method} {path}  {status} in {millis} ms");
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        let problem = response.extensions().get::<FailureMessage>().map_or("no reason was given", |failure| &failure.0);
        health.report_error(Component::Api, &format!("a request failed: {problem}"));
    }
    response
}

/// The part of a webhook's path before namespace, flow and key.
const WEBHOOK: &str = "/webhook/";

async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found(format!("no resource at {}; /api/v1/openapi.json describes the API", uri.path()))
}

/// How long `/health` waits for the journal to count executions.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(300);

/// That the process is alive. The load is left out if it is not known at once: a journal that is busy or cannot be used is no
/// reason to restart the server.
async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    let executor = app.executor.clone();
    let load = tokio::time::timeout(QUEUE_TIMEOUT, tokio::task::spawn_blocking(move || executor.load().ok())).await;
    let load = load.ok().and_then(Result::ok).flatten();
    Json(json!({"status": "UP", "load": load, "started": app.started}))
}

/// Whether the server can do its work.
async fn ready(State(app): State<Arc<App>>, login: Option<Extension<Authenticated>>) -> (StatusCode, Json<Readiness>) {
    let ready = Readiness::of(&app, login.is_some());
    let code = if ready.status == ReadinessStatus::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(ready))
}

/// The metrics for Prometheus. They are answered in any case, since they are needed most when something fails: what cannot
/// be measured keeps its last value.
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let health = app.executor.health();
    if let Some(load) = health.record(Component::Metrics, run_blocking(|| app.executor.load())) {
        app.metrics.set_load(load.running, load.queued);
    }
    match app.metrics.disk(app.settings.clone()).await {
        Ok(disk) => app.metrics.set_disk(disk),
        Err(error) => health.report_error(Component::Metrics, &format!("cannot measure the home folder: {error}")),
    }
    app.metrics.set_errors(health.error_counts());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text())
}
