//! An execution on one page: how it stands and why, what it loaded, its tasks over time, its log and its outputs.

mod log;
mod timeline;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State as AppState};
use axum::response::Response;
use serde_json::{Map, Value};

use self::log::LogView;
use self::timeline::TimelineRow;
use super::error::PageError;
use super::flow;
use super::format::{Moment, duration, pairs};
use super::shell::{Place, Shell, flow_address};
use super::state::StateBadge;
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, State, TaskState};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::executions::Present;
use crate::server::api::parameters::QueryParameters;
use crate::text::{plain, shortened, thousands};

/// The most letters of an output that are shown.
const MAX_OUTPUT_LENGTH: usize = 2000;

/// A task run that failed.
struct Failure {
    run: String,
    message: String,
    help: String,
    attempts: u32,
}

/// The rows of its loads: `read = loaded + rejected + skipped`.
struct Reconciliation {
    read: String,
    loaded: String,
    rejected: String,
    skipped: String,
}

/// Something that a task gave.
struct Output {
    run: String,
    name: String,
    value: String,
}

/// What can be done to the execution now.
#[derive(Default)]
struct Possible {
    kill: bool,
    pause: bool,
    resume: bool,
    restart: bool,
    replay: bool,
    delete: bool,
}

impl Possible {
    fn of(state: ExecutionState, interrupted: bool) -> Self {
        let ended = state.has_ended();
        let at_work = matches!(state, ExecutionState::Running | ExecutionState::Queued | ExecutionState::Retrying);
        Self {
            kill: !ended,
            pause: at_work && !interrupted && state != ExecutionState::Retrying,
            resume: state == ExecutionState::Paused,
            restart: state.is_restartable() || interrupted,
            replay: ended,
            delete: ended,
        }
    }
}

#[derive(Template)]
#[template(path = "execution.html")]
struct ExecutionPage {
    shell: Shell,
    address: String,
    flow_address: String,
    id: String,
    namespace: String,
    flow: String,
    state: StateBadge,
    inputs: Vec<String>,
    labels: Vec<String>,
    created: Moment,
    took: String,
    trigger: String,
    possible: Possible,
    failures: Vec<Failure>,
    rows: Option<Reconciliation>,
    timeline: Vec<TimelineRow>,
    is_timeline_cut: bool,
    outputs: Vec<Output>,
    log: LogView,
}

pub(super) async fn show(
    AppState(app): AppState<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> PageResult {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let shown = run_blocking(|| of(&app, &id, &parameters))?;
    page(&shown)
}

fn of(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Result<ExecutionPage, ApiError> {
    let journal = app.executor.journal();
    let Present { state, created, interrupted } = Present::of(app, id)?;
    let (timeline, is_timeline_cut) = timeline::of(&state, app.executor.flow(&state).ok().as_deref());
    let trigger = state.created.trigger.as_ref();
    Ok(ExecutionPage {
        address: format!("/executions/{id}"),
        flow_address: flow_address(&state.created.namespace, &state.created.flow),
        shell: Shell::of(app, Place::Executions, format!("execution={id}")),
        id: id.to_string(),
        namespace: state.created.namespace.clone(),
        flow: state.created.flow.clone(),
        state: if interrupted { StateBadge::INTERRUPTED } else { StateBadge::of(state.status) },
        inputs: pairs(&state.created.inputs),
        labels: pairs(&state.labels),
        created: Moment::of(state.started.unwrap_or(created)),
        took: state.took().map(duration).unwrap_or_default(),
        trigger: trigger.map(|trigger| trigger.id.clone()).unwrap_or_default(),
        possible: Possible::of(state.status, interrupted),
        failures: failures(&state),
        rows: reconciliation(&state),
        timeline,
        is_timeline_cut,
        outputs: outputs(&state),
        log: log::of(journal, id, parameters)?,
    })
}

/// The tasks of the flow that the execution began with, as a picture.
pub(super) async fn graph(AppState(app): AppState<Arc<App>>, Path(id): Path<String>) -> Result<Response, PageError> {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let flow = run_blocking(|| {
        let state = app.executor.journal().state(&id)?.ok_or_else(|| ApiError::execution_not_found(&id))?;
        app.executor
            .flow(&state)
            .map_err(|_| ApiError::not_found("the flow that this execution began with is no longer known"))
    })?;
    Ok(flow::picture(&flow))
}

fn failures(state: &State) -> Vec<Failure> {
    let failed =
        state.tasks.iter().filter(|(_, task)| matches!(task.state, TaskState::Failed | TaskState::Retrying { .. }));
    let failure = failed.filter_map(|(run, task)| {
        let error = task.error.as_ref()?;
        Some(Failure {
            run: run.to_string(),
            message: error.message.clone(),
            help: error.help.clone().unwrap_or_default(),
            attempts: task.attempts,
        })
    });
    failure.collect()
}

/// The sums over all loads; none when nothing was loaded.
fn reconciliation(state: &State) -> Option<Reconciliation> {
    let loads: Vec<&Map<String, Value>> =
        state.tasks.values().map(|task| &task.outputs).filter(|outputs| outputs.contains_key("rows_read")).collect();
    let sum = |name: &str| loads.iter().filter_map(|outputs| outputs.get(name)?.as_u64()).sum::<u64>();
    (!loads.is_empty()).then(|| Reconciliation {
        read: thousands(sum("rows_read")),
        loaded: thousands(sum("rows_loaded")),
        rejected: thousands(sum("rows_rejected")),
        skipped: thousands(sum("rows_skipped")),
    })
}

fn outputs(state: &State) -> Vec<Output> {
    let shown = |run: &str, (name, value): (&String, &Value)| Output {
        run: run.to_owned(),
        name: name.clone(),
        value: shortened(&plain(value), MAX_OUTPUT_LENGTH).into_owned(),
    };
    let of_flow = state.outputs.iter().map(|pair| shown("", pair));
    let of_tasks =
        state.tasks.iter().flat_map(|(run, task)| task.outputs.iter().map(move |pair| shown(run.as_str(), pair)));
    of_flow.chain(of_tasks).collect()
}
