//! Executions: starting, listing and controlling them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::executor::BulkAction;
use crate::engine::scheduler::{WebhookCall, WebhookError};
use crate::engine::{ExecutionRequest, ReplayPart, is_interrupted};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{State as ExecutionRecord, Summary};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::form::{FormUpload, InputForm};
use crate::server::api::parameters::{FlowPath, QueryParameters};
use crate::server::api::response::{ExecutionResponse, ResultsPage};
use crate::text::{json_or_text, plain};

type ExecutionResult = Result<Json<ExecutionResponse>, ApiError>;

/// The response with an execution's present state.
pub(super) fn shown(app: &App, id: &ExecutionId) -> ExecutionResult {
    run_blocking(|| read(app, id)).map(Json)
}

fn read(app: &App, id: &ExecutionId) -> Result<ExecutionResponse, ApiError> {
    let Present { state, interrupted, .. } = Present::of(app, id)?;
    Ok(ExecutionResponse::whole(id, &state, interrupted))
}

/// An execution as it stands now.
pub(in crate::server) struct Present {
    pub(in crate::server) state: ExecutionRecord,
    pub(in crate::server) created: DateTime<Utc>,
    /// Whether no process works on it though it has not ended.
    pub(in crate::server) interrupted: bool,
}

impl Present {
    pub(in crate::server) fn of(app: &App, id: &ExecutionId) -> Result<Self, ApiError> {
        let journal = app.executor.journal();
        let state = journal.state(id)?.ok_or_else(|| ApiError::execution_not_found(id))?;
        let created = journal.summary(id)?.map(|summary| summary.created).unwrap_or_default();
        let interrupted = is_interrupted(&app.settings, journal, id, state.status, created)?;
        Ok(Self { state, created, interrupted })
    }
}

/// The id, if there is such an execution: otherwise its form need not be read.
fn existing(app: &App, id: &str) -> Result<ExecutionId, ApiError> {
    let id: ExecutionId = id.parse()?;
    run_blocking(|| app.executor.journal().status(&id))?
        .map(|_| id.clone())
        .ok_or_else(|| ApiError::execution_not_found(&id))
}

/// Starts a flow.
#[utoipa::path(post, path = "/executions/{namespace}/{id}", tag = "executions",
    params(("labels" = Option<Vec<String>>, Query, description = "`key:value`, may be repeated"),
        ("wait" = Option<bool>, Query, description = "Respond when the execution has ended"),
        ("scheduleDate" = Option<String>, Query, description = "The date that the execution is for")),
    request_body(content = Object, content_type = "multipart/form-data", description = "The inputs as form fields, files as file parts"),
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    FlowPath { namespace, id }: FlowPath,
    parameters: QueryParameters,
    upload: FormUpload,
) -> ExecutionResult {
    let entry = app.catalog.get(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let _permit = parameters.is_on("wait").then(|| app.connections.acquire_stream()).transpose()?;
    let form = InputForm::read(upload, &app).await?;
    let (labels, trigger_date) = (parameters.label_map()?, parameters.time("scheduleDate")?);
    let execution = run_blocking(|| {
        let inputs = app.executor.resolve(&entry.flow, &form.inputs)?;
        app.executor
            .submit(&entry.flow, ExecutionRequest { inputs, labels, trigger_date, ..ExecutionRequest::default() })
    })?;
    if parameters.is_on("wait") {
        app.executor.wait(&execution).await?;
    }
    shown(&app, &execution)
}

/// One execution, with its task runs.
#[utoipa::path(get, path = "/executions/{id}", tag = "executions",
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError)))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> ExecutionResult {
    shown(&app, &id.parse()?)
}

/// Executions, the newest first.
#[utoipa::path(get, path = "/executions/search", tag = "executions",
    params(("namespace" = Option<String>, Query), ("flowId" = Option<String>, Query), ("state" = Option<Vec<String>>, Query),
        ("id" = Option<Vec<String>>, Query), ("labels" = Option<Vec<String>>, Query),
        ("startDate" = Option<String>, Query, description = "A moment or a day"),
        ("endDate" = Option<String>, Query, description = "A moment, or the last day"),
        ("q" = Option<String>, Query), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, description = "A page of executions", body = Object), (status = 422, body = ApiError)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<ResultsPage<ExecutionResponse>>, ApiError> {
    let (size, skipped) = parameters.page()?;
    let journal = app.executor.journal();
    let (page, triggers) = run_blocking(|| {
        let page = journal.search(&parameters.query_in(&app)?, size, skipped)?;
        let triggers = journal.triggers(&page.executions)?;
        Ok::<_, ApiError>((page, triggers))
    })?;
    let listed = |summary: &Summary| {
        let interrupted = is_interrupted(&app.settings, journal, &summary.id, summary.state, summary.created)?;
        Ok(ExecutionResponse::listed(summary, triggers.get(&summary.id), interrupted))
    };
    let results = run_blocking(|| page.executions.iter().map(listed).collect::<Result<_, ApiError>>())?;
    Ok(Json(ResultsPage { results, total: page.total }))
}

/// Restarts an execution: runs again, in the same execution, the tasks that did not succeed.
#[utoipa::path(post, path = "/executions/{id}/restart", tag = "executions",
    params(("retarget" = Option<bool>, Query, description = "Continue with the server's Postgres and Google Cloud project instead of the original ones")),
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn restart(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
    upload: FormUpload,
) -> ExecutionResult {
    let id = existing(&app, &id)?;
    let form = InputForm::read(upload, &app).await?;
    retarget(&app, &id, &parameters).await?;
    run_blocking(|| app.executor.restart(&id, form.inputs.clone()))?;
    shown(&app, &id)
}

/// Replays an execution from a task, or one task of it alone, as a new execution; the results of earlier tasks are kept.
#[utoipa::path(post, path = "/executions/{id}/replay", tag = "executions",
    params(("taskRunId" = Option<String>, Query, description = "The task to start from; by default the first"),
        ("only" = Option<bool>, Query, description = "Run this task alone"),
        ("latestRevision" = Option<bool>, Query, description = "Use the flow as it is now instead of as it was")),
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> ExecutionResult {
    let part = replay_part(parameters.one("taskRunId"), parameters.is_on("only"))?;
    let again = run_blocking(|| replay_as(&app, &id.parse()?, &part, parameters.is_on("latestRevision")))?;
    shown(&app, &again)
}

/// The part of an execution that is to be replayed.
pub(in crate::server) fn replay_part(task: Option<&str>, only: bool) -> Result<ReplayPart, ApiError> {
    match task.filter(|task| !task.is_empty()) {
        Some(task) if only => Ok(ReplayPart::Only(task.to_owned())),
        Some(task) => Ok(ReplayPart::From(task.to_owned())),
        None if only => Err(ApiError::unprocessable("`only` needs the task that is to run")),
        None => Ok(ReplayPart::All),
    }
}

/// Replays it with the flow as it was, or as it is now.
pub(in crate::server) fn replay_as(
    app: &App,
    id: &ExecutionId,
    part: &ReplayPart,
    is_latest: bool,
) -> Result<ExecutionId, ApiError> {
    let flow = if is_latest { Some(latest_flow(app, id)?) } else { None };
    Ok(app.executor.replay(id, part, flow.as_ref(), Vec::new())?)
}

fn latest_flow(app: &App, id: &ExecutionId) -> Result<Arc<Flow>, ApiError> {
    let summary = app.executor.journal().summary(id)?.ok_or_else(|| ApiError::execution_not_found(id))?;
    let entry = app.catalog.get(&summary.namespace, &summary.flow);
    let entry = entry.ok_or_else(|| ApiError::flow_not_found(&summary.namespace, &summary.flow))?;
    match entry.is_broken {
        true => Err(ApiError::conflict(format!("the flow `{}` has errors", summary.flow))),
        false => Ok(entry.flow.clone()),
    }
}

/// Pauses an execution: running tasks continue to their end, and no more are started until it is resumed.
#[utoipa::path(post, path = "/executions/{id}/pause", tag = "executions",
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn pause(State(app): State<Arc<App>>, Path(id): Path<String>) -> ExecutionResult {
    let id = id.parse()?;
    run_blocking(|| app.executor.pause(&id))?;
    shown(&app, &id)
}

/// Resumes a paused execution.
#[utoipa::path(post, path = "/executions/{id}/resume", tag = "executions",
    params(("retarget" = Option<bool>, Query, description = "Continue with the server's Postgres and Google Cloud project instead of the original ones")),
    request_body(content = Object, content_type = "multipart/form-data", description = "The inputs that the pause asks for"),
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
    upload: FormUpload,
) -> ExecutionResult {
    let id = existing(&app, &id)?;
    let form = InputForm::read(upload, &app).await?;
    retarget(&app, &id, &parameters).await?;
    run_blocking(|| app.executor.resume(&id, form.inputs.clone()))?;
    shown(&app, &id)
}

/// Moves an execution to the server's own target, if the request asks for it.
async fn retarget(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Result<(), ApiError> {
    if parameters.is_on("retarget") {
        app.executor.runner().retarget(id).await?;
    }
    Ok(())
}

/// Adds labels to an execution that has ended, or changes those of the same names.
#[utoipa::path(post, path = "/executions/{id}/labels", tag = "executions",
    request_body(content = Object, description = "A list of labels, each with `key` and `value`"),
    responses((status = 200, body = ExecutionResponse), (status = 404, body = ApiError), (status = 409, body = ApiError),
        (status = 422, body = ApiError)))]
pub(super) async fn label(State(app): State<Arc<App>>, Path(id): Path<String>, body: String) -> ExecutionResult {
    let given: Vec<GivenLabel> = serde_json::from_str(&body)
        .map_err(|error| ApiError::unprocessable(format!("the labels are not a list of `key` and `value`: {error}")))?;
    let labels: Vec<(String, String)> = given.into_iter().map(|label| (label.key, plain(&label.value))).collect();
    let id = id.parse()?;
    run_blocking(|| app.executor.set_labels(&id, &labels, false))?;
    shown(&app, &id)
}

/// A label in a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenLabel {
    key: String,
    value: Value,
}

/// Evaluates an expression over an execution: what it gives, or what is wrong with it. Secrets are masked.
#[utoipa::path(post, path = "/executions/{id}/eval", tag = "executions",
    request_body(content = String, content_type = "text/plain", description = "The expression, with or without `{{ }}`"),
    responses((status = 200, description = "`result`, or `error`", body = Object), (status = 404, body = ApiError)))]
pub(super) async fn evaluate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    expression: String,
) -> Result<Json<Value>, ApiError> {
    let id = id.parse()?;
    let evaluated = run_blocking(|| app.executor.evaluate(&id, expression.trim()))?;
    Ok(Json(match evaluated {
        Ok(result) => json!({"result": result}),
        Err(error) => json!({"error": error}),
    }))
}

/// Stops it.
#[utoipa::path(delete, path = "/executions/{id}/kill", tag = "executions",
    responses((status = 202, description = "The execution is being killed"), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn kill(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id = id.parse()?;
    run_blocking(|| app.executor.kill(&id))?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes an execution with its events, logs and files.
#[utoipa::path(delete, path = "/executions/{id}", tag = "executions",
    responses((status = 204, description = "Deleted"), (status = 404, body = ApiError)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.executor.delete(&id.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Applies an action to all executions that match a query.
#[utoipa::path(post, path = "/executions/{action}/by-query", tag = "executions",
    params(("action" = String, Path, description = "restart, pause, resume, kill or delete"),
        ("namespace" = Option<String>, Query), ("flowId" = Option<String>, Query), ("state" = Option<Vec<String>>, Query)),
    responses((status = 200, description = "The number of executions, and the failures", body = Object), (status = 422, body = ApiError)))]
pub(super) async fn bulk(
    State(app): State<Arc<App>>,
    Path(action): Path<String>,
    parameters: QueryParameters,
) -> Result<Json<Value>, ApiError> {
    let action = BulkAction::named(&action)
        .ok_or_else(|| ApiError::not_found(format!("`{action}` is not an action for a query")))?;
    let done = app.executor.bulk(&run_blocking(|| parameters.query_in(&app))?, action).await?;
    let failed: Map<String, Value> = done
        .iter()
        .filter_map(|(id, result)| Some((id.to_string(), json!(result.as_ref().err()?.to_string()))))
        .collect();
    Ok(Json(json!({"count": done.len() - failed.len(), "failed": failed})))
}

/// Starts a flow through its webhook trigger.
#[utoipa::path(post, path = "/executions/webhook/{namespace}/{id}/{key}", tag = "executions",
    request_body(content = Object, description = "The value that the flow reads as `trigger.body`"),
    responses((status = 200, body = ExecutionResponse), (status = 204, description = "The conditions of the trigger do not hold"), (status = 404, body = ApiError)))]
pub(super) async fn webhook(
    State(app): State<Arc<App>>,
    Path((namespace, id, key)): Path<(String, String, String)>,
    parameters: QueryParameters,
    headers: HeaderMap,
    body: Bytes,
) -> Result<axum::response::Response, ApiError> {
    use axum::response::IntoResponse;
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = json_or_text(text).map_err(ApiError::unprocessable)?;
    let call = WebhookCall { body, headers: header_map(&headers), parameters: parameters.map() };
    match run_blocking(|| app.scheduler.webhook(&namespace, &id, &key, call, clock::now())) {
        Ok(execution) => Ok(shown(&app, &execution)?.into_response()),
        Err(WebhookError::Conditions) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(WebhookError::Unknown) => Err(ApiError::not_found("there is no such webhook")),
        Err(WebhookError::Refused(error)) => Err(error.into()),
        Err(WebhookError::Undecided(problem)) => Err(ApiError::conflict(problem)),
    }
}

/// Headers by name, without those that carry logins.
fn header_map(headers: &HeaderMap) -> Map<String, Value> {
    let secret = ["authorization", "cookie", "proxy-authorization"];
    let names = headers.keys().filter(|name| !secret.contains(&name.as_str()));
    let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    names.map(|name| (name.to_string(), json!(values(name)))).collect()
}
