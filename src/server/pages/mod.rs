//! The pages: what the API offers, for people with a browser. Each page has a file here and a template of the same name; it is
//! plain HTML with links and forms, and `assets/source/app.js` adds what needs a script, such as updates while it is open.

mod account;
mod actions;
mod api;
mod assets;
mod assistant;
mod audit;
mod backfill;
mod data;
mod diff;
mod editor;
mod error;
mod execution;
mod executions;
mod explanation;
mod flow;
mod flows;
mod format;
mod import;
mod input_fields;
mod kept;
mod kestra;
mod kv;
mod live;
mod login;
mod overview;
mod packing;
mod palette;
mod partitions;
mod run;
mod sample;
mod schedules;
mod secrets;
mod settings;
mod shell;
mod state;
mod tasks;
mod topology;
mod yaml;

use std::sync::Arc;

use askama::Template;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use self::error::PageError;
use self::kept::KeptResults;
pub(super) use self::login::login_address;
use crate::server::App;
use crate::server::api::error::ApiError;

/// What pages keep between two requests.
#[derive(Default)]
pub(crate) struct KeptPages {
    grids: KeptResults<partitions::ShownGrid>,
    details: KeptResults<partitions::Details>,
    previews: KeptResults<backfill::Preview>,
}

type PageResult = Result<Response, PageError>;

/// Every page. Everything here needs a login if there is one.
pub(super) fn router(app: Arc<App>) -> Router {
    let unlimited = DefaultBodyLimit::disable;
    Router::new()
        .route("/", get(overview::show))
        .route("/flows", get(flows::show))
        .route("/flows/import", get(import::show).post(import::import).layer(DefaultBodyLimit::max(import::MAX_BYTES)))
        .route("/flows/new", get(editor::new).post(editor::create))
        .route("/flows/sample", post(sample::create))
        .route("/flows/{namespace}/{id}/edit", get(editor::show).post(editor::save))
        .route("/flows/{namespace}/{id}/restore", post(flow::restore))
        .route("/flows/{namespace}/{id}/triggers/{trigger}/{state}", post(flow::switch))
        .route("/editor/diagnose", post(editor::diagnose))
        .route("/editor/complete", post(editor::complete))
        .route("/editor/describe", post(editor::describe))
        .route("/flows/{namespace}/{id}", get(flow::show))
        .route("/flows/{namespace}/{id}/graph.svg", get(flow::graph))
        .route("/flows/{namespace}/{id}/run.json", get(run::json))
        .route("/flows/{namespace}/{id}/run", get(run::show).post(run::start).layer(unlimited()))
        .route("/flows/{namespace}/{id}/run-task", post(actions::run_task))
        .route("/flows/{namespace}/{id}/partitions", get(partitions::show))
        .route("/flows/{namespace}/{id}/backfill", get(backfill::show).post(backfill::start))
        .route("/backfills/{id}/{action}", post(backfill::control))
        .route("/executions", get(executions::show))
        .route("/executions.csv", get(executions::csv::download))
        .route("/executions.json", get(executions::json))
        .route("/executions/bulk", get(executions::bulk::show))
        .route("/executions/bulk/{action}", post(executions::bulk::apply))
        .route("/overview.json", get(overview::show))
        .route("/flows.json", get(flows::show))
        .route("/flows/{namespace}/{id}/edit.json", get(editor::json))
        .route("/flows/{namespace}/{id}/partitions.json", get(partitions::json))
        .route("/executions/{id}", get(execution::show))
        .route("/executions/{id}/graph.svg", get(execution::graph))
        .route("/executions/{id}/explain", post(explanation::show))
        .route("/executions/{id}/resume", post(actions::resume).layer(unlimited()))
        .route("/executions/{id}/{action}", post(actions::apply))
        .route("/schedules", get(schedules::show).post(schedules::switch))
        .route("/kv", get(kv::list).post(kv::set))
        .route("/kv/{namespace}/{key}", get(kv::show))
        .route("/kv/{namespace}/{key}/delete", post(kv::remove))
        .route("/secrets", get(secrets::show))
        .route("/api", get(api::show))
        .route("/settings", get(settings::show))
        .route("/settings/users/sign-out", post(account::sign_out_user))
        .route("/account", get(account::show))
        .route("/account.json", get(account::show))
        .route("/account/sign-out", post(account::sign_out))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{name}", get(tasks::show))
        .route("/schedules.json", get(schedules::show))
        .route("/kv.json", get(kv::list))
        .route("/secrets.json", get(secrets::show))
        .route("/settings.json", get(settings::show))
        .route("/tasks.json", get(tasks::list))
        .route("/api.json", get(api::show))
        .merge(data::router())
        .route("/ui", get(kestra::redirect_home))
        .route("/ui/{*rest}", get(kestra::redirect))
        .route("/audit", get(audit::show))
        .route("/audit.json", get(audit::json))
        .route("/live", get(live::stream))
        .route("/palette", get(palette::find))
        .route("/logout", post(login::sign_out))
        .with_state(app)
        .layer(middleware::map_response(with_policy))
        .layer(middleware::from_fn(noting_json))
        .layer(middleware::from_fn(packing::pack))
}

/// The login page.
pub(super) fn login_router(app: Arc<App>) -> Router {
    let login = Router::new().route("/login", get(login::show).post(login::sign_in));
    login.with_state(app).layer(middleware::map_response(with_policy))
}

/// The files that pages load, the login page too.
pub(super) fn assets_router() -> Router {
    let assets = Router::new().route("/assets/{version}/{name}", get(assets::serve));
    assets.layer(middleware::map_response(with_policy))
}

/// An error as a page.
pub(super) fn error_page(error: ApiError) -> Response {
    with_headers(PageError::from(error).into_response())
}

fn page(template: &impl Template) -> PageResult {
    template.render().map(|html| Html(html).into_response()).map_err(|error| PageError::internal(&error))
}

tokio::task_local! {
    static WANTS_JSON: bool;
}

/// Whether the page was asked for under its address with `.json`.
fn wants_json() -> bool {
    WANTS_JSON.try_with(|wanted| *wanted).unwrap_or_default()
}

async fn noting_json(request: Request, next: Next) -> Response {
    let wanted = request.uri().path().ends_with(".json");
    WANTS_JSON.scope(wanted, next.run(request)).await
}

/// A page that is there as JSON too: what it shows, under the same address with `.json` after the path.
fn page_or_json<T: Template + Serialize>(template: &T) -> PageResult {
    page_as(template, wants_json())
}

/// A page whose name may itself end in `.json`: what is there under its whole name is meant first, and only then its JSON.
fn named<T>(name: &str, find: impl Fn(&str) -> Option<T>) -> Option<(T, bool)> {
    let whole = find(name).map(|found| (found, false));
    whole.or_else(|| Some((find(name.strip_suffix(".json")?)?, true)))
}

/// The page, or what it shows as JSON.
fn page_as<T: Template + Serialize>(template: &T, is_json: bool) -> PageResult {
    if is_json { Ok(Json(template).into_response()) } else { page(template) }
}

/// Other sites keep no hold on a page that they open, and load nothing of it.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page may load and do: nothing but its own server's files, and no script within its text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

/// What a picture may load and do that is opened by its own address: nothing.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

async fn with_policy(response: Response) -> Response {
    with_headers(response)
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is = |kind: &[u8]| headers.get(header::CONTENT_TYPE).is_some_and(|found| found.as_bytes().starts_with(kind));
    let (is_html, is_picture) = (is(b"text/html"), is(b"image/svg+xml"));
    if is_html {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if is_picture {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    }
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
