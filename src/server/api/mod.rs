//! The HTTP interface under `/api/v1` (and `/api/v1/main`, where Kestra's scripts look), described by itself at
//! `/api/v1/openapi.json`.

pub(super) mod audit;
pub(super) mod backfill_response;
pub(super) mod backfills;
mod body;
pub(super) mod error;
pub(super) mod executions;
pub(super) mod files;
pub(super) mod flows;
mod follow;
pub(super) mod form;
pub(super) mod kv;
mod logs;
pub(super) mod parameters;
mod plugins;
pub(super) mod pool;
pub(super) mod response;
pub(super) mod triggers;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use utoipa::OpenApi;

use crate::server::App;

/// The largest flow that is taken, and the largest body of a webhook.
const MAX_TEXT_BYTES: usize = 4 << 20;

#[derive(OpenApi)]
#[openapi(
    info(title = "Jitney", description = "Flows, their executions, backfills and logs."),
    servers((url = "/api/v1")),
    paths(
        audit::list,
        backfills::cancel, backfills::create, backfills::pause, backfills::resume, backfills::retry, backfills::search,
        backfills::show, executions::bulk, executions::create, executions::delete, executions::evaluate, executions::kill, executions::pause,
        executions::label, executions::replay, executions::restart, executions::resume, executions::search, executions::show,
        executions::webhook, files::download, flows::create, flows::import, flows::partitions, flows::remove, flows::search,
        flows::show, flows::update, flows::validate, follow::execution, follow::logs, kv::get, kv::list, kv::remove,
        kv::set, logs::download, logs::list, plugins::list, triggers::search, triggers::switch,
    )
)]
struct OpenApiDescription;

/// The description of the interface, as `/openapi.json` gives it.
pub(super) fn description() -> serde_json::Value {
    serde_json::to_value(OpenApiDescription::openapi()).unwrap_or_default()
}

/// Every address of the interface that a login is needed for.
pub(super) fn router(app: Arc<App>) -> Router {
    let large = || DefaultBodyLimit::disable();
    let api = Router::new()
        .route("/flows", post(flows::create))
        .route("/flows/import", post(flows::import))
        .route("/flows/validate", post(flows::validate))
        .route("/flows/search", get(flows::search))
        .route("/flows/{namespace}/{id}", get(flows::show).put(flows::update).delete(flows::remove))
        .route("/flows/{namespace}/{id}/partitions", get(flows::partitions))
        .route("/audit", get(audit::list))
        .route("/backfills", get(backfills::search).post(backfills::create))
        .route("/backfills/{id}", get(backfills::show))
        .route("/backfills/{id}/pause", post(backfills::pause))
        .route("/backfills/{id}/resume", post(backfills::resume))
        .route("/backfills/{id}/cancel", post(backfills::cancel))
        .route("/backfills/{id}/retry", post(backfills::retry))
        .route("/executions/search", get(executions::search))
        .route("/executions/{namespace}/{id}", post(executions::create).layer(large()))
        .route("/executions/{id}", get(executions::show).delete(executions::delete))
        .route("/executions/{id}/eval", post(executions::evaluate))
        .route("/executions/{id}/file", get(files::download).post(executions::create).layer(large()))
        .route("/executions/{id}/follow", get(follow::execution).post(executions::create).layer(large()))
        .route("/executions/{id}/restart", post(executions::restart).layer(large()))
        .route("/executions/{id}/replay", post(executions::replay))
        .route("/executions/{id}/labels", post(executions::label))
        .route("/executions/{id}/pause", post(executions::pause))
        .route("/executions/{id}/resume", post(executions::resume).layer(large()))
        .route("/executions/{id}/kill", delete(executions::kill).post(executions::create).layer(large()))
        .route("/executions/{action}/by-query", post(executions::bulk))
        .route("/logs/{id}", get(logs::list))
        .route("/logs/{id}/follow", get(follow::logs))
        .route("/logs/{id}/download", get(logs::download))
        .route("/namespaces/{namespace}/kv", get(kv::list))
        .route("/namespaces/{namespace}/kv/{key}", get(kv::get).put(kv::set).delete(kv::remove))
        .route("/triggers", put(triggers::switch))
        .route("/triggers/search", get(triggers::search))
        .route("/plugins", get(plugins::list))
        .route("/openapi.json", get(async || Json(description())))
        .layer(DefaultBodyLimit::max(MAX_TEXT_BYTES))
        .with_state(app);
    under_both(api)
}

/// The addresses that others call by a key.
pub(super) fn webhooks(app: Arc<App>) -> Router {
    let webhook = post(executions::webhook).get(executions::webhook).put(executions::webhook);
    let api = Router::new().route("/executions/webhook/{namespace}/{id}/{key}", webhook);
    under_both(api.layer(DefaultBodyLimit::max(MAX_TEXT_BYTES)).with_state(app))
}

fn under_both(api: Router) -> Router {
    Router::new().nest("/api/v1/main", api.clone()).nest("/api/v1", api)
}
