//! Which address leads where.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::{Value, json};

use super::App;
use crate::server::access::{Access, guard};
use crate::server::api;
use crate::server::api::problem::Problem;
use crate::server::slow;

/// All addresses of the server, for those who have `access`. Health checks need none, and a webhook has a key of its own.
pub(super) fn router(app: Arc<App>, access: Access) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(app.clone())
        .merge(api::router(app.clone()))
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(access, guard));
    let open = Router::new().route(HEALTH, get(health)).with_state(app.clone()).merge(api::webhooks(app));
    open.merge(guarded).layer(middleware::map_request(slow::limited))
}

/// Where it is asked whether the server is well.
pub(super) const HEALTH: &str = "/health";

/// Where nothing is.
async fn nothing(uri: Uri) -> Problem {
    Problem::missing(format!("there is nothing at {}; /api/v1/openapi.json describes what there is", uri.path()))
}

/// Whether the server can do its work.
async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    match app.executor.load() {
        Ok(load) => (StatusCode::OK, Json(json!({"status": "UP", "load": load, "started": app.started}))),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "DOWN", "problem": error.to_string()}))),
    }
}

/// What Prometheus reads.
async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let load = app.executor.load()?;
    let disk = app.metrics.disk(app.settings.clone()).await;
    app.metrics.set(load.running, load.queued, disk.map_err(|error| Problem::internal(&error))?);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics.text()))
}
