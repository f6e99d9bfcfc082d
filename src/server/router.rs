//! Which address leads where.

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
use crate::engine::health::{Health, Part};
use crate::server::access::{AccessControl, Authenticated, guard, recognize};
use crate::server::api;
use crate::server::api::error::{ApiError, FailureMessage, in_json};
use crate::server::readiness::{Readiness, ReadinessStatus};
use crate::server::timeouts;

/// All addresses of the server, for those who have `access`. Health checks need none, though `/ready`
/// gives its reasons to these alone, and a webhook has a key of its own.
pub(super) fn router(app: Arc<App>, access: AccessControl) -> Router {
    let health = app.executor.health().clone();
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(app.clone())
        .merge(api::router(app.clone()))
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(access.clone(), guard));
    let readiness = Router::new()
        .route("/ready", get(ready))
        .with_state(app.clone())
        .layer(middleware::from_fn_with_state(access, recognize));
    let open = Router::new().route(HEALTH, get(alive)).with_state(app.clone()).merge(api::webhooks(app));
    let all = open.merge(readiness).merge(guarded);
    all.layer(middleware::map_request(timeouts::limited))
        .layer(middleware::map_response(in_json))
        .layer(middleware::from_fn_with_state(health, observe))
}

/// Where it is asked whether the server is well.
pub(super) const HEALTH: &str = "/health";

/// Logs calls, and reports answers that say that the server itself failed.
async fn observe(State(health): State<Health>, request: Request, next: Next) -> Response {
    // The path of a webhook ends with its key.
    let path = request.uri().path();
    let path = path.find(WEBHOOK).map_or(path, |at| &path[..at + WEBHOOK.len()]).to_owned();
    let (method, began) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    let (status, millis) = (response.status().as_u16(), began.elapsed().as_millis());
    tracing::debug!(target: "jitney::http", "{method} {path}  {status} in {millis} ms");
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        let problem = response.extensions().get::<FailureMessage>().map_or("no reason was given", |known| &known.0);
        health.error(Part::Api, &format!("a call could not be answered: {problem}"));
    }
    response
}

/// What the paths of webhooks have in them.
const WEBHOOK: &str = "/webhook/";

/// Where nothing is.
async fn nothing(uri: Uri) -> ApiError {
    ApiError::missing(format!("there is nothing at {}; /api/v1/openapi.json describes what there is", uri.path()))
}

/// How long `/health` waits to hear how much there is to do.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(300);

/// That the server is alive. How much there is to do is told if it is known at once: a journal that is busy or cannot be
/// used is no reason to restart a server.
async fn alive(State(app): State<Arc<App>>) -> Json<Value> {
    let executor = app.executor.clone();
    let load = tokio::time::timeout(QUEUE_TIMEOUT, tokio::task::spawn_blocking(move || executor.load().ok())).await;
    let load = load.ok().and_then(Result::ok).flatten();
    Json(json!({"status": "UP", "load": load, "started": app.started}))
}

/// Whether the server can do its work, and why not.
async fn ready(State(app): State<Arc<App>>, knows: Option<Extension<Authenticated>>) -> (StatusCode, Json<Readiness>) {
    let ready = Readiness::of(&app, knows.is_some());
    let code = if ready.status == ReadinessStatus::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(ready))
}

/// What Prometheus reads.
///
/// They are answered in any case: it is when something fails that somebody looks at them. What cannot be measured keeps its
/// last value.
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let health = app.executor.health();
    if let Some(load) = health.note(Part::Metrics, app.executor.load()) {
        app.metrics.set_load(load.running, load.queued);
    }
    match app.metrics.disk(app.settings.clone()).await {
        Ok(disk) => app.metrics.set_disk(disk),
        Err(error) => health.error(Part::Metrics, &format!("the home cannot be measured: {error}")),
    }
    app.metrics.set_errors(health.counts());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.text())
}
