//! Which address leads where.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::App;

/// All addresses of the server.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new().route("/health", get(health)).with_state(app)
}

/// Whether the server can do its work.
async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    match app.executor.load() {
        Ok(load) => (StatusCode::OK, Json(json!({"status": "UP", "load": load, "started": app.started}))),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "DOWN", "problem": error.to_string()}))),
    }
}
