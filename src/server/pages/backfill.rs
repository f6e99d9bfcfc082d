//! Starting a backfill: what would run is shown first. And the buttons of one that is in progress.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;
use serde_json::{Map, Value};

use super::error::PageError;
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::flow::Flow;
use crate::id::BackfillId;
use crate::journal::PartitionFilter;
use crate::server::App;
use crate::server::api::backfill_response::BackfillPlanResponse;
use crate::server::api::backfills::{CreateBackfillRequest, start as start_backfill};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::text::thousands;

/// The most partitions that the preview lists.
const MAX_PREVIEW_ROWS: usize = 500;

/// What would run.
pub(super) struct Preview {
    rows: Vec<PreviewRow>,
    /// How many partitions there are, how many more than are listed, and how many run.
    all: String,
    more: String,
    runs: usize,
    warnings: Vec<String>,
}

/// A partition of the preview.
struct PreviewRow {
    partition: String,
    last: String,
    runs: bool,
}

#[derive(Template)]
#[template(path = "backfill.html")]
struct BackfillPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    /// The fields that are sent on as they are.
    hidden: Vec<(String, String)>,
    from: String,
    to: String,
    only: &'static str,
    parallel: u32,
    preview: Option<Arc<Preview>>,
    problem: String,
}

const FILTERS: [(PartitionFilter, &str); 3] =
    [(PartitionFilter::Missing, "missing"), (PartitionFilter::Failed, "failed"), (PartitionFilter::All, "all")];

fn request(
    (namespace, id): (&str, &str),
    parameters: &QueryParameters,
    dry_run: bool,
) -> Result<CreateBackfillRequest, ApiError> {
    let pairs = parameters.pairs("inputs")?;
    let inputs: Map<String, Value> = pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let text = |name: &str| parameters.one(name).unwrap_or_default().to_owned();
    Ok(CreateBackfillRequest::of_page(
        (namespace, id),
        parameters.one("trigger").map(str::to_owned),
        (text("from"), text("to")),
        inputs,
        filter(parameters).0,
        parallel(parameters)?,
        dry_run,
    ))
}

/// What runs: only what is missing unless the page says otherwise.
fn filter(parameters: &QueryParameters) -> (PartitionFilter, &'static str) {
    let named = parameters.one("only").unwrap_or_default();
    FILTERS.into_iter().find(|(_, name)| *name == named).unwrap_or(FILTERS[0])
}

fn parallel(parameters: &QueryParameters) -> Result<u32, ApiError> {
    Ok(parameters.read("parallel", "3")?.unwrap_or(1))
}

/// What would run.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let text = |name: &str| parameters.one(name).unwrap_or_default().to_owned();
    let (preview, problem) = match parameters.one("from").is_some() {
        false => (None, String::new()),
        true => match preview(&app, &flow, &parameters).await {
            Ok(preview) => (Some(preview), String::new()),
            Err(error) if error.status().is_client_error() => (None, error.message().to_owned()),
            Err(error) => return Err(error.into()),
        },
    };
    let hidden = ["trigger", "inputs"]
        .iter()
        .flat_map(|name| parameters.all(name).map(|value| ((*name).to_owned(), value.to_owned())).collect::<Vec<_>>());
    page(&BackfillPage {
        shell: Shell::of(&app, NavPage::Flows, ""),
        address: flow_address(&namespace, &id),
        hidden: hidden.collect(),
        from: text("from"),
        to: text("to"),
        only: filter(&parameters).1,
        parallel: parallel(&parameters)?,
        preview,
        problem,
        id,
        namespace,
    })
}

async fn preview(app: &Arc<App>, flow: &Arc<Flow>, parameters: &QueryParameters) -> Result<Arc<Preview>, ApiError> {
    // Not everybody may name files.
    ApiError::check_file_inputs(app, flow, &parameters.pairs("inputs")?)?;
    let request = request((&flow.namespace, flow.id.as_str()), parameters, true)?;
    let find = async || Ok(Preview::of(&start_backfill(app, request).await?));
    Ok(app.kept.previews.get(app, flow, parameters.text(), find).await?.value)
}

impl Preview {
    fn of(plan: &BackfillPlanResponse) -> Self {
        let partitions = plan.partitions();
        let more = partitions.len().saturating_sub(MAX_PREVIEW_ROWS);
        let row = |(partition, last, runs)| PreviewRow { partition, last, runs };
        Self {
            all: thousands(partitions.len() as u64),
            more: if more > 0 { thousands(more as u64) } else { String::new() },
            runs: plan.runs(),
            warnings: plan.warnings(),
            rows: partitions.into_iter().take(MAX_PREVIEW_ROWS).map(row).collect(),
        }
    }
}

/// Starts it, and leads back to the partitions.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    body: String,
) -> Result<Redirect, PageError> {
    let parameters = QueryParameters::parse(&body);
    start_backfill(&app, request((&namespace, &id), &parameters, false)?).await?;
    Ok(Redirect::to(&format!("{}/partitions", flow_address(&namespace, &id))))
}

/// Pauses, resumes, cancels or retries a backfill.
pub(super) async fn control(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
) -> Result<Redirect, PageError> {
    let id: BackfillId = id.parse().map_err(ApiError::from)?;
    let backfill = run_blocking(|| match action.as_str() {
        "pause" => app.backfills.pause(&id).map_err(ApiError::from),
        "resume" => app.backfills.resume(&id, Vec::new()).map_err(ApiError::from),
        "cancel" => app.backfills.cancel(&id).map_err(ApiError::from),
        "retry" => app.backfills.retry(&id, Vec::new()).map_err(ApiError::from),
        _ => Err(ApiError::not_found(format!("a backfill has no action `{action}`"))),
    })?;
    Ok(Redirect::to(&format!("{}/partitions", flow_address(&backfill.namespace, &backfill.flow))))
}
