//! The partitions of a flow: a grid of months (or days, or hours) for each choice of its inputs, with the rows that each holds.

mod cells;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;

pub(super) use self::cells::is_unusual;
use self::cells::{GridRow, PartitionCell, rows_of};
use super::format::{ShownTime, filters};
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::backfill::{GridColumn, GridRequest, PartitionReport, PartitionStatus, SourceChange};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Backfill, ExecutionQuery, ExpectedMark};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::flows::grid_request;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::text::{count, thousands};

/// How many backfills are looked through for those in progress.
const MAX_BACKFILLS: u32 = 20;

/// The partitions of one choice of inputs.
struct Panel {
    name: String,
    summary: String,
    heads: Vec<String>,
    rows: Vec<GridRow>,
    /// Where its missing partitions are run, and how many there are.
    backfill: String,
    failed: usize,
    missing: usize,
}

/// A backfill in progress.
struct ShownBackfill {
    id: String,
    state: &'static str,
    title: String,
    progress: String,
    is_paused: bool,
    problem: String,
}

/// The partition that is looked at.
struct Details {
    column: String,
    cell: PartitionCell,
    message: String,
    note: String,
    loaded: Option<ShownTime>,
    rows: String,
    source: String,
    execution: String,
    /// The preview of a backfill of this partition alone.
    backfill: String,
}

#[derive(Template)]
#[template(path = "partitions.html")]
struct PartitionsPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    panels: Vec<Panel>,
    notes: Vec<String>,
    backfills: Vec<ShownBackfill>,
    details: Option<Details>,
    /// Queries of this page: with the sources looked at, without the details, and of all partitions when it shows some.
    check: String,
    close: String,
    all: Option<String>,
}

/// What was read of a flow's partitions.
struct ReadPartitions {
    panels: Vec<Panel>,
    notes: Vec<String>,
    details: Option<Details>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let request = grid_request(&app, &flow, &parameters)?;
    let (owner, reader, given) = (app.clone(), flow.clone(), parameters.clone());
    let reading = async move || read(&owner, &reader, &request, &given).await;
    let ReadPartitions { panels, notes, details } = run_on_pool(reading).await?;
    let backfills = run_blocking(|| backfills(&app, &flow))?;
    page(&PartitionsPage {
        // A page that is read again with each change would ask the sources each time.
        shell: Shell::of(
            &app,
            NavPage::Flows,
            if parameters.is_on("check") { String::new() } else { format!("namespace={namespace}&flow={id}") },
        ),
        address: flow_address(&namespace, &id),
        panels,
        notes,
        backfills,
        details,
        check: parameters.with("check", "true"),
        close: parameters.without("cell").text(),
        all: parameters.one("from").or(parameters.one("to")).map(|_| parameters.without("from").without("to").text()),
        id,
        namespace,
    })
}

/// The same as the API gives it.
pub(super) async fn json(Path((namespace, id)): Path<(String, String)>, parameters: QueryParameters) -> Redirect {
    let api = format!("/api/v1{}/partitions", flow_address(&namespace, &id));
    Redirect::to(&if parameters.text().is_empty() { api } else { format!("{api}?{}", parameters.text()) })
}

async fn read(
    app: &App,
    flow: &Flow,
    request: &GridRequest,
    parameters: &QueryParameters,
) -> Result<ReadPartitions, ApiError> {
    let grid = app.executor.runner().grid(flow, request, clock::now()).await?;
    let address = format!("{}/backfill", flow_address(&flow.namespace, flow.id.as_str()));
    let details = grid.columns.iter().find_map(|column| details(column, &address, parameters));
    let known = || grid.columns.iter().flat_map(|column| &column.known);
    let expected = app.executor.journal().expected(known().filter_map(|known| known.execution.as_ref()))?;
    let panels = grid.columns.iter().map(|column| panel(column, &expected, &address, parameters)).collect();
    Ok(ReadPartitions { panels, notes: grid.notes, details })
}

fn panel(
    column: &GridColumn,
    expected: &BTreeMap<ExecutionId, ExpectedMark>,
    address: &str,
    parameters: &QueryParameters,
) -> Panel {
    let loaded = column.known.iter().filter(|known| matches!(known.status, PartitionStatus::Loaded { .. })).count();
    let failed = column.known.iter().filter(|known| known.status.is_failed()).count();
    let waiting =
        |known: &&PartitionReport| matches!(known.status, PartitionStatus::Waiting | PartitionStatus::Stopped);
    let missing = column.known.iter().filter(waiting).count();
    let rows: u64 = column.known.iter().filter_map(|known| cells::rows(&known.status)).sum();
    let (heads, grid_rows) = rows_of(column, expected, parameters);
    Panel {
        name: column.name.clone(),
        summary: format!("{loaded} of {} loaded · {}", column.known.len(), count(rows, "row")),
        heads,
        rows: grid_rows,
        backfill: format!("{address}?{}", backfill_query(column)),
        failed,
        missing,
    }
}

/// What the backfill page needs to know of a column.
fn backfill_query(column: &GridColumn) -> String {
    let mut query = QueryParameters::default();
    if let Some(trigger) = column.schedule.trigger() {
        query = query.adding("trigger", &trigger.id);
    }
    for (name, value) in column.inputs() {
        query = query.adding("inputs", &format!("{name}:{value}"));
    }
    let ends = column.known.first().zip(column.known.last());
    if let Some((first, last)) = ends {
        query = query.adding("from", &first.partition).adding("to", &last.partition);
    }
    query.text()
}

/// The same for one of its partitions, whether it is loaded or not.
fn one(column: &GridColumn, known: &PartitionReport) -> String {
    let query = QueryParameters::parse(&backfill_query(column));
    let only = if cells::rows(&known.status).is_some() { "all" } else { "missing" };
    query
        .without("from")
        .without("to")
        .adding("from", &known.partition)
        .adding("to", &known.partition)
        .with("only", only)
}

fn details(column: &GridColumn, address: &str, parameters: &QueryParameters) -> Option<Details> {
    let looked_at = parameters.one("cell")?;
    let known = column.known.iter().find(|known| cells::name(column, known) == looked_at)?;
    let message = match &known.status {
        PartitionStatus::Failed { message, .. } => message.clone(),
        PartitionStatus::Skipped { reason } => reason.clone(),
        _ => String::new(),
    };
    Some(Details {
        column: column.name.clone(),
        cell: PartitionCell::of(column, known, parameters),
        message,
        note: known.note.clone().unwrap_or_default(),
        loaded: known.loaded.map(ShownTime::of),
        rows: cells::rows(&known.status).map(thousands).unwrap_or_default(),
        source: known.source.as_ref().map(source_text).unwrap_or_default(),
        execution: known.execution.as_ref().map(ToString::to_string).unwrap_or_default(),
        backfill: format!("{address}?{}", one(column, known)),
    })
}

fn source_text(source: &SourceChange) -> String {
    match source {
        SourceChange::Same => "unchanged".to_owned(),
        SourceChange::Changed(why) => format!("changed: {why}"),
        SourceChange::New => "there".to_owned(),
        SourceChange::Gone => "no longer there".to_owned(),
        SourceChange::NotThere => "not there yet".to_owned(),
        SourceChange::Unknown(why) => format!("unknown: {why}"),
    }
}

/// The backfills of the flow that have not ended.
fn backfills(app: &App, flow: &Flow) -> Result<Vec<ShownBackfill>, ApiError> {
    let query = ExecutionQuery {
        namespace: Some(flow.namespace.clone()),
        flow: Some(flow.id.to_string()),
        ..ExecutionQuery::default()
    };
    let (_, found) = app.executor.journal().backfills(&query, MAX_BACKFILLS, 0)?;
    found.iter().filter(|backfill| backfill.outcome.is_none()).map(|backfill| shown(app, backfill)).collect()
}

fn shown(app: &App, backfill: &Backfill) -> Result<ShownBackfill, ApiError> {
    let backfill = app.backfills.find(&backfill.id)?;
    let states = app.executor.runner().partition_states(&backfill)?;
    let done = states.iter().filter(|state| state.status.is_complete() || state.status.is_failed()).count();
    let failed = states.iter().filter(|state| state.status.is_failed()).count();
    let failed = if failed > 0 { format!(" · {failed} failed") } else { String::new() };
    let state = app.backfills.state(&backfill);
    Ok(ShownBackfill {
        id: backfill.id.to_string(),
        state,
        title: format!("Backfill {} to {}", backfill.spec.from, backfill.spec.to),
        progress: format!("{} at a time · {done} of {} done{failed}", backfill.spec.parallel, states.len()),
        is_paused: state != "RUNNING" && state != "CANCELLING",
        problem: backfill.problem.clone().unwrap_or_default(),
    })
}
