//! The partitions of a flow: a grid of months (or days, or hours) for each choice of its inputs, with the rows that each holds.

mod cells;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;
use chrono::TimeDelta;

pub(super) use self::cells::is_unusual;
use self::cells::{GridRow, PartitionCell, rows_of};
use super::format::{Amount, ShownTime, filters};
use super::kept::KeptValue;
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page};
use crate::clock;
use crate::engine::backfill::{GridColumn, GridRequest, PartitionReport, PartitionStatus, SourceChange, Stretch};
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Backfill, BackfillEnd, ExecutionQuery, ExpectedMark};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::flows::grid_request;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::text::{count, thousands};

/// How many backfills are looked through for those in progress.
const MAX_BACKFILLS: u32 = 20;
/// How many days a backfill that did not end well is shown, unless another one was started since.
const DAYS_TO_RETRY: i64 = 7;

/// The partitions of one choice of inputs.
struct Panel {
    name: String,
    summary: String,
    heads: Vec<String>,
    rows: Vec<GridRow>,
    /// Where its missing partitions are run, and how many there are.
    backfill: String,
    failed: Amount,
    missing: Amount,
}

/// A backfill in progress, or one that can be retried.
struct ShownBackfill {
    id: String,
    state: &'static str,
    title: String,
    progress: String,
    is_paused: bool,
    has_ended: bool,
    problem: String,
}

/// The partition that is looked at.
pub(super) struct Details {
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
    can_run: bool,
    /// The page of its load in the target's ledger, if there may be one.
    ledger: Option<String>,
}

/// What is shown of a flow's partitions, whichever of them is looked at.
pub(super) struct ShownGrid {
    panels: Vec<Panel>,
    notes: Vec<String>,
    backfills: Vec<ShownBackfill>,
    /// The queries of the page with the partitions before and after these.
    earlier: Option<String>,
    later: Option<String>,
}

#[derive(Template)]
#[template(path = "partitions.html")]
struct PartitionsPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    grid: Arc<ShownGrid>,
    /// Whether it is to be read again soon, because something has been written since it was found.
    is_stale: bool,
    details: Option<Arc<Details>>,
    /// The name of the partition that is looked at.
    chosen: String,
    from: String,
    to: String,
    /// The other fields of the form that chooses a period.
    kept: Vec<(String, String)>,
    /// Queries of this page: with the sources looked at, without the details, and of all partitions when it shows some.
    check: String,
    close: String,
    all: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let request = grid_request(&app, &flow, &parameters)?;
    let query = parameters.without("cell");
    let (owner, reader, wanted, given) = (app.clone(), flow.clone(), request.clone(), query.clone());
    let find = async move || run_on_pool(async move || read(&owner, &reader, &wanted, &given).await).await;
    // Sources are asked each time.
    let KeptValue { value: grid, is_stale } = match request.check {
        true => KeptValue { value: Arc::new(find().await?), is_stale: false },
        false => app.kept.grids.get(&app, &flow, query.text(), find).await?,
    };
    let looking = async || details(&app, &flow, &request, &parameters).await;
    // A partition that is no longer there is as good as none.
    let details = match parameters.one("cell") {
        None => None,
        Some(_) if request.check => looking().await.ok().map(Arc::new),
        Some(_) => app.kept.details.get(&app, &flow, parameters.text(), looking).await.ok().map(|found| found.value),
    };
    let one = |name| parameters.one(name).unwrap_or_default().to_owned();
    page(&PartitionsPage {
        // A page that is read again with each change would ask the sources each time.
        shell: Shell::of(
            &app,
            NavPage::Flows,
            if parameters.is_on("check") { String::new() } else { format!("namespace={namespace}&flow={id}") },
        ),
        address: flow_address(&namespace, &id),
        grid,
        is_stale,
        details,
        chosen: one("cell"),
        from: one("from"),
        to: one("to"),
        kept: ["trigger", "every", "inputs"].iter().flat_map(|name| parameters.pairs_of(name)).collect(),
        check: parameters.with("check", "true"),
        close: query.text(),
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
) -> Result<ShownGrid, ApiError> {
    let grid = app.executor.runner().grid(flow, request, clock::now()).await?;
    let address = format!("{}/backfill", flow_address(&flow.namespace, flow.id.as_str()));
    let known = || grid.columns.iter().flat_map(|column| &column.known);
    let expected = app.executor.journal().expected(known().filter_map(|known| known.execution.as_ref()))?;
    let moved = |stretch: Option<Stretch>| {
        let Stretch { from, to } = stretch?;
        Some(parameters.without("from").without("to").adding("from", &from).adding("to", &to).text())
    };
    Ok(ShownGrid {
        panels: grid.columns.iter().map(|column| panel(column, &expected, &address, parameters)).collect(),
        backfills: backfills(app, flow)?,
        notes: grid.notes,
        earlier: moved(grid.earlier),
        later: moved(grid.later),
    })
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
    let wanted = column.known.iter().filter(|known| can_run(known)).count();
    let rows: u64 = column.known.iter().filter_map(|known| cells::rows(&known.status)).sum();
    let (heads, grid_rows) = rows_of(column, expected, parameters);
    Panel {
        name: column.name.clone(),
        summary: format!(
            "{} of {} loaded · {}",
            thousands(loaded as u64),
            thousands(wanted as u64),
            count(rows, "row")
        ),
        heads,
        rows: grid_rows,
        backfill: format!("{address}?{}", backfill_query(column)),
        failed: Amount(failed as u64),
        missing: Amount(missing as u64),
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
    let mut runnable = column.known.iter().filter(|known| can_run(known));
    if let Some(first) = runnable.next() {
        let last = runnable.next_back().unwrap_or(first);
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

/// The partition that the address names.
async fn details(
    app: &Arc<App>,
    flow: &Arc<Flow>,
    request: &GridRequest,
    parameters: &QueryParameters,
) -> Result<Details, ApiError> {
    let none = || ApiError::not_found("there is no such partition");
    let (_, partition) = parameters.one("cell").and_then(|cell| cell.rsplit_once('|')).ok_or_else(none)?;
    let [from, to] = [Some(partition.to_owned()), Some(partition.to_owned())];
    let request = GridRequest { from, to, ..request.clone() };
    let (owner, reader, given) = (app.clone(), flow.clone(), parameters.clone());
    let looking = async move || {
        let grid = owner.executor.runner().grid(&reader, &request, clock::now()).await?;
        let address = format!("{}/backfill", flow_address(&reader.namespace, reader.id.as_str()));
        let has_ledger = reader.all_steps().iter().any(|step| step.task.ledger.is_some());
        grid.columns.iter().find_map(|column| details_in(column, &address, has_ledger, &given)).ok_or_else(none)
    };
    run_on_pool(looking).await
}

fn details_in(column: &GridColumn, address: &str, has_ledger: bool, parameters: &QueryParameters) -> Option<Details> {
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
        can_run: can_run(known),
        ledger: known
            .execution
            .as_ref()
            .filter(|_| has_ledger && cells::rows(&known.status).is_some())
            .map(|id| format!("/data?{}", QueryParameters::default().with("q", id.as_str()))),
    })
}

/// Whether the flow takes an execution for a partition.
fn can_run(known: &PartitionReport) -> bool {
    !matches!(known.status, PartitionStatus::Skipped { .. })
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

/// The backfills of the flow that have not ended, and the newest one if it has partitions to retry.
fn backfills(app: &App, flow: &Flow) -> Result<Vec<ShownBackfill>, ApiError> {
    let query = ExecutionQuery {
        namespace: Some(flow.namespace.clone()),
        flow: Some(flow.id.to_string()),
        ..ExecutionQuery::default()
    };
    let (_, found) = app.executor.journal().backfills(&query, MAX_BACKFILLS, 0)?;
    let since = clock::now() - TimeDelta::days(DAYS_TO_RETRY);
    let can_be_retried = |backfill: &Backfill| {
        matches!(backfill.outcome, Some(BackfillEnd::Failed | BackfillEnd::Cancelled))
            && backfill.ended.is_some_and(|ended| ended >= since)
    };
    // The namespaces below are others.
    let own = found.iter().filter(|backfill| backfill.namespace == flow.namespace).enumerate();
    let wanted =
        own.filter(|(place, backfill)| backfill.outcome.is_none() || (*place == 0 && can_be_retried(backfill)));
    wanted.map(|(_, backfill)| shown(app, backfill)).collect()
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
        progress: format!(
            "{} at a time · {} of {} done{failed}",
            backfill.spec.parallel,
            thousands(done as u64),
            thousands(states.len() as u64)
        ),
        is_paused: backfill.outcome.is_none() && state != "RUNNING" && state != "CANCELLING",
        has_ended: backfill.outcome.is_some(),
        problem: backfill.problem.clone().unwrap_or_default(),
    })
}
