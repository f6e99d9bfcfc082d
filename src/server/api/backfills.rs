//! Backfills: creating, listing and controlling them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::blocking::run_blocking;
use crate::clock;
use crate::flow::input::to_argument as as_text;
use crate::flow::labels_of;
use crate::id::BackfillId;
use crate::journal::{Backfill, BackfillSpec, ExecutionQuery, PartitionFilter};
use crate::server::App;
use crate::server::api::backfill_response::{BackfillPlanResponse, BackfillResponse};
use crate::server::api::body::read;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::server::api::response::ResultsPage;
use crate::server::audit::note_target;
use crate::text::plain;

type BackfillResult = Result<Json<BackfillResponse>, ApiError>;

/// The most partitions that run at a time.
const MAX_PARALLEL: u32 = 64;

/// A request for a backfill.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = BackfillRequest)]
pub(in crate::server) struct CreateBackfillRequest {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
    /// The schedule whose times are the partitions; by default the flow's only one.
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month (default), day or hour.
    every: Option<String>,
    /// The first partition: a month, a day, an hour or a year, in the schedule's time zone.
    from: String,
    /// The last partition, inclusive.
    to: String,
    /// Inputs of the flow, by name; expressions may name `trigger.date`.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
    /// Which partitions run: all (default), missing (those that the target's ledger does not have) or failed.
    #[serde(default)]
    #[schema(value_type = String)]
    only: PartitionFilter,
    /// How many run at a time, 1 to 64, within the flow's own `concurrency`; 1 by default.
    #[serde(default = "one")]
    parallel: u32,
    /// Whether the earliest partition comes first (asc, default) or the latest (desc).
    #[serde(default)]
    order: SortOrder,
    /// Labels for the executions.
    #[serde(default)]
    #[schema(value_type = Object)]
    labels: Map<String, Value>,
    /// Whether no more partitions are started after one has failed.
    #[serde(default)]
    stop_on_failure: bool,
    /// Only report what would run, and the state of each partition.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PartitionOrder)]
enum SortOrder {
    #[default]
    Asc,
    Desc,
}

/// What a backfill is resumed with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeRequest {
    /// Secret inputs, which the server does not store beyond its own lifetime.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
}

fn one() -> u32 {
    1
}

/// A backfill of a trigger, as in Kestra's API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TriggerBackfillRequest {
    /// The start of the period; without an offset, it is in the time zone of the schedule.
    start: String,
    /// The end of the period; now by default.
    end: Option<String>,
    /// Inputs of the flow, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    inputs: Option<Map<String, Value>>,
    /// Labels for the executions: a map, or a list of `{key, value}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    labels: Value,
}

impl CreateBackfillRequest {
    /// The same backfill in the form of this API.
    pub(super) fn of_trigger(namespace: &str, flow_id: &str, trigger: &str, request: TriggerBackfillRequest) -> Self {
        let labels = if request.labels.is_null() { Map::new() } else { labels_of(&request.labels) };
        let to = request.end.unwrap_or_else(|| clock::now().to_rfc3339_opts(SecondsFormat::Secs, true));
        let whole = Self::whole((namespace, flow_id), (request.start, to));
        Self { trigger: Some(trigger.to_owned()), inputs: request.inputs.unwrap_or_default(), labels, ..whole }
    }

    /// The request of a form, for partitions from one to another.
    pub(in crate::server) fn of_page(
        (namespace, flow_id): (&str, &str),
        trigger: Option<String>,
        (from, to): (String, String),
        inputs: Map<String, Value>,
        only: PartitionFilter,
        parallel: u32,
        dry_run: bool,
    ) -> Self {
        Self { trigger, inputs, only, parallel, dry_run, ..Self::whole((namespace, flow_id), (from, to)) }
    }

    /// All partitions from one to another, one at a time.
    fn whole((namespace, flow_id): (&str, &str), (from, to): (String, String)) -> Self {
        Self {
            namespace: namespace.to_owned(),
            flow_id: flow_id.to_owned(),
            trigger: None,
            every: None,
            from,
            to,
            inputs: Map::new(),
            only: PartitionFilter::default(),
            parallel: one(),
            order: SortOrder::default(),
            labels: Map::new(),
            stop_on_failure: false,
            dry_run: false,
        }
    }

    fn spec(&self, file: String) -> Result<BackfillSpec, ApiError> {
        if self.trigger.is_some() && self.every.is_some() {
            return Err(ApiError::unprocessable("`trigger` and `every` cannot be combined"));
        }
        if !(1..=MAX_PARALLEL).contains(&self.parallel) {
            let message = format!("`parallel` is {}; it must be between 1 and {MAX_PARALLEL}", self.parallel);
            return Err(ApiError::unprocessable(message));
        }
        Ok(BackfillSpec {
            file,
            trigger: self.trigger.clone(),
            every: self.every.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            inputs: texts(&self.inputs),
            only: self.only,
            labels: self.labels.iter().map(|(key, value)| (key.clone(), Value::from(plain(value)))).collect(),
            parallel: self.parallel,
            descending: self.order == SortOrder::Desc,
            stop_on_failure: self.stop_on_failure,
            by_server: true,
            target: None,
        })
    }
}

fn texts(inputs: &Map<String, Value>) -> Vec<(String, String)> {
    inputs.iter().map(|(name, value)| (name.clone(), as_text(value))).collect()
}

/// Runs a flow for a past period. If the same backfill exists and has not ended, it is resumed.
#[utoipa::path(post, path = "/backfills", tag = "backfills", request_body = CreateBackfillRequest,
    responses((status = 200, description = "Every partition, and the backfill unless it is a dry run", body = BackfillPlanResponse),
        (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn create(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<BackfillPlanResponse>, ApiError> {
    start(&app, read(&body)?).await.map(Json)
}

/// Starts a backfill, or plans it if it is a dry run.
pub(in crate::server) async fn start(
    app: &Arc<App>,
    request: CreateBackfillRequest,
) -> Result<BackfillPlanResponse, ApiError> {
    let (namespace, id) = (&request.namespace, &request.flow_id);
    note_target(format!("{namespace}.{id}"));
    let entry = app.catalog.get(namespace, id).ok_or_else(|| ApiError::flow_not_found(namespace, id))?;
    let spec = request.spec(entry.file.display().to_string())?;
    ApiError::check_file_inputs(app, &entry.flow, &spec.inputs)?;
    let (controller, dry_run) = (app.clone(), request.dry_run);
    let starting = async move || Ok(controller.backfills.start(entry.flow.clone(), spec, dry_run).await?);
    let mut started = run_on_pool(starting).await?;
    let backfill = match started.backfill.take() {
        Some(backfill) => Some(shown(app, backfill).await?),
        None => None,
    };
    Ok(BackfillPlanResponse::new(namespace, id, started, backfill))
}

/// Backfills, the newest first.
#[utoipa::path(get, path = "/backfills", tag = "backfills",
    params(("namespace" = Option<String>, Query), ("flowId" = Option<String>, Query), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, description = "A page of backfills, without their partitions", body = Object), (status = 422, body = ApiError)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<ResultsPage<BackfillResponse>>, ApiError> {
    let (size, skipped) = parameters.page()?;
    let query = ExecutionQuery {
        namespace: parameters.one("namespace").map(str::to_owned),
        flow: parameters.one("flowId").map(str::to_owned),
        ..ExecutionQuery::default()
    };
    let (total, found) = run_blocking(|| app.executor.journal().backfills(&query, size, skipped))?;
    let mut results = Vec::with_capacity(found.len());
    for listed in found {
        results.push(shown(&app, run_blocking(|| app.backfills.find(&listed.id))?).await?.listed());
    }
    Ok(Json(ResultsPage { results, total }))
}

/// One backfill, with every partition.
///
/// # Errors
/// When there is none.
pub(in crate::server) async fn described(app: &Arc<App>, id: &str) -> Result<BackfillResponse, ApiError> {
    let id = id.parse()?;
    shown(app, run_blocking(|| app.backfills.find(&id))?).await
}

/// One backfill, with every partition.
#[utoipa::path(get, path = "/backfills/{id}", tag = "backfills",
    responses((status = 200, body = BackfillResponse), (status = 404, body = ApiError)))]
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> BackfillResult {
    described(&app, &id).await.map(Json)
}

/// Starts no more partitions until it is resumed; running ones continue to their end.
#[utoipa::path(post, path = "/backfills/{id}/pause", tag = "backfills",
    responses((status = 200, body = BackfillResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn pause(State(app): State<Arc<App>>, Path(id): Path<String>) -> BackfillResult {
    let id = id.parse()?;
    shown(&app, run_blocking(|| app.backfills.pause(&id))?).await.map(Json)
}

/// Resumes a backfill that is paused or interrupted.
#[utoipa::path(post, path = "/backfills/{id}/resume", tag = "backfills", request_body = ResumeRequest,
    responses((status = 200, body = BackfillResponse), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn resume(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> BackfillResult {
    let (id, inputs) = with_inputs(&app, &id, &body)?;
    shown(&app, run_blocking(|| app.backfills.resume(&id, inputs))?).await.map(Json)
}

/// Stops the running partitions, and starts no more.
#[utoipa::path(post, path = "/backfills/{id}/cancel", tag = "backfills",
    responses((status = 200, body = BackfillResponse), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> BackfillResult {
    let id = id.parse()?;
    shown(&app, run_blocking(|| app.backfills.cancel(&id))?).await.map(Json)
}

/// Runs again the partitions that failed, were stopped or were never started.
#[utoipa::path(post, path = "/backfills/{id}/retry", tag = "backfills", request_body = ResumeRequest,
    responses((status = 200, body = BackfillResponse), (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub(super) async fn retry(State(app): State<Arc<App>>, Path(id): Path<String>, body: Bytes) -> BackfillResult {
    let (id, inputs) = with_inputs(&app, &id, &body)?;
    shown(&app, run_blocking(|| app.backfills.retry(&id, inputs))?).await.map(Json)
}

/// The backfill that is to be resumed or retried, and the inputs in the body.
fn with_inputs(app: &App, id: &str, body: &Bytes) -> Result<(BackfillId, Vec<(String, String)>), ApiError> {
    let ResumeRequest { inputs } = read(body)?;
    let (id, inputs) = (id.parse()?, texts(&inputs));
    let backfill = run_blocking(|| app.backfills.find(&id))?;
    if let Some(flow) = app.catalog.flow(&backfill.namespace, &backfill.flow) {
        ApiError::check_file_inputs(app, &flow, &inputs)?;
    }
    Ok((id, inputs))
}

/// The response with a backfill's present state. With thousands of partitions that takes a moment, so it runs on a thread of
/// the blocking pool.
async fn shown(app: &Arc<App>, backfill: Backfill) -> Result<BackfillResponse, ApiError> {
    let app = app.clone();
    let reading = move || {
        let cells = app.executor.runner().partition_states(&backfill)?;
        Ok(BackfillResponse::new(&backfill, app.backfills.state(&backfill), &cells))
    };
    tokio::task::spawn_blocking(reading).await.map_err(|error| ApiError::internal(&error))?
}
