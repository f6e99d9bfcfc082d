//! The pages: what the API offers, for people with a browser. Each page has a file here and a template of the same name; it is
//! plain HTML with links and forms, and `assets/source/app.js` adds what needs a script, such as updates while it is open.

mod actions;
mod assets;
mod backfill;
mod error;
mod execution;
mod executions;
mod flow;
mod flows;
mod format;
mod input_fields;
mod live;
mod overview;
mod partitions;
mod run;
mod shell;
mod state;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::{Html, Response};
use axum::routing::{get, post};

use self::error::PageError;
use crate::server::App;

type PageResult = Result<Html<String>, PageError>;

/// Every page. Everything here needs a login if there is one.
pub(super) fn router(app: Arc<App>) -> Router {
    let unlimited = DefaultBodyLimit::disable;
    Router::new()
        .route("/", get(overview::show))
        .route("/flows", get(flows::show))
        .route("/flows/{namespace}/{id}", get(flow::show))
        .route("/flows/{namespace}/{id}/graph.svg", get(flow::graph))
        .route("/flows/{namespace}/{id}/run", get(run::show).post(run::start).layer(unlimited()))
        .route("/flows/{namespace}/{id}/partitions", get(partitions::show))
        .route("/flows/{namespace}/{id}/backfill", get(backfill::show).post(backfill::start))
        .route("/backfills/{id}/{action}", post(backfill::control))
        .route("/executions", get(executions::show))
        .route("/executions/{id}", get(execution::show))
        .route("/executions/{id}/graph.svg", get(execution::graph))
        .route("/executions/{id}/resume", post(actions::resume).layer(unlimited()))
        .route("/executions/{id}/{action}", post(actions::apply))
        .route("/live", get(live::stream))
        .route("/assets/{version}/{name}", get(assets::serve))
        .with_state(app)
        .layer(middleware::map_response(with_policy))
}

fn page(template: &impl Template) -> PageResult {
    template.render().map(Html).map_err(|error| PageError::internal(&error))
}

/// What a page may load and do: nothing but its own server's files, and no script within its text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

async fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is_html = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_html {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
