//! An execution on one page: how it stands and why, what it loaded, its tasks over time, its log and its outputs.

mod evaluate;
mod facts;
mod failure;
mod files;
mod log;
mod metrics;
mod outputs;
mod timeline;
mod topology;
mod yaml;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State as AppState};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Map, Value};

use self::evaluate::Evaluation;
use self::facts::FactGroup;
use self::failure::Failure;
use self::files::{FilesView, ShownContent};
use self::log::LogView;
use self::metrics::RunMetrics;
use self::outputs::OutputGroup;
use self::timeline::Timeline;
use self::yaml::YamlLine;
use super::assistant;
use super::error::PageError;
use super::flow;
use super::format::{ShownTime, duration, filters, pairs};
use super::input_fields::{self, Element, InputField};
use super::page;
use super::shell::{NavPage, Shell, flow_address, segment};
use super::state::StateBadge;
use crate::blocking::run_blocking;
use crate::engine::{runnable_alone, wanted_by_pauses};
use crate::flow::input::resolve_partial_without_host;
use crate::flow::{Flow, Input};
use crate::id::{ExecutionId, RunId};
use crate::journal::{BACKFILL_LABEL, ExecutionState, PARTITION_LABEL, State};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::executions::Present;
use crate::server::api::parameters::QueryParameters;
use crate::text::{plain, size, thousands};

/// The rows of its loads: `read = loaded + rejected + skipped`.
struct Reconciliation {
    read: String,
    loaded: String,
    rejected: String,
    skipped: String,
    /// How many bytes the files have, and how fast they were read.
    bytes: String,
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

/// What the lower part of the page shows. Only that is read.
enum Tab {
    Log(Box<LogView>),
    Outputs(Vec<OutputGroup>),
    Files(Box<FilesView>),
    Inputs(Vec<FactGroup>),
    Metrics(Vec<RunMetrics>),
    Yaml(Vec<YamlLine>),
    Evaluate(Evaluation),
}

/// The link to a tab.
struct TabLink {
    title: String,
    query: String,
    is_here: bool,
}

/// The tabs by the value of `show`; the first is shown if there is none.
const TABS: [(&str, &str); 7] = [
    ("log", "Log"),
    ("outputs", "Outputs"),
    ("files", "Files"),
    ("inputs", "Inputs"),
    ("metrics", "Metrics"),
    ("yaml", "YAML"),
    ("evaluate", "Evaluate"),
];

/// An execution that this one comes from.
struct OriginExecution {
    words: String,
    id: String,
}

#[derive(Template)]
#[template(path = "execution.html")]
struct ExecutionPage {
    shell: Shell,
    address: String,
    flow_address: String,
    /// Whether the flow is still there.
    is_in_catalog: bool,
    id: String,
    namespace: String,
    flow: String,
    revision: u32,
    state: StateBadge,
    inputs: Vec<String>,
    labels: Vec<String>,
    /// The labels as they are edited.
    label_lines: String,
    created: ShownTime,
    took: String,
    trigger: String,
    origin: Option<OriginExecution>,
    /// The executions of the flow before and after this one.
    older: Option<String>,
    newer: Option<String>,
    possible: Possible,
    /// The tasks that a replay may begin with.
    tasks: Vec<String>,
    /// The tasks that a replay may run alone.
    alone: Vec<String>,
    /// Who has said that it loaded as many rows as expected, and when.
    expected: Option<(String, ShownTime)>,
    /// What its pauses ask for.
    questions: Vec<InputField>,
    failures: Vec<Failure>,
    /// Whether a model can be asked why it failed.
    is_explained: bool,
    rows: Option<Reconciliation>,
    timeline: Timeline,
    /// The tasks as SVG; none if they are too many for the page, or no longer known.
    topology: Option<String>,
    is_flow_known: bool,
    tabs: Vec<TabLink>,
    tab: Tab,
}

pub(super) async fn show(
    AppState(app): AppState<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<Response, PageError> {
    if let Some(id) = id.strip_suffix(".json") {
        return Ok(Redirect::to(&format!("/api/v1/executions/{}", segment(id))).into_response());
    }
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let shown = run_blocking(|| of(&app, &id, &parameters))?;
    Ok(page(&shown)?.into_response())
}

fn of(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Result<ExecutionPage, ApiError> {
    let journal = app.executor.journal();
    let Present { state, created, interrupted } = Present::of(app, id)?;
    let known = app.executor.flow(&state).ok();
    let flow = known.as_deref();
    let spec = &state.created;
    let (older, newer) = journal.neighbours(&spec.namespace, &spec.flow, id)?;
    let now = app.catalog.flow(&spec.namespace, &spec.flow);
    let failures = failure::of(&state, flow, now.as_deref());
    Ok(ExecutionPage {
        address: format!("/executions/{id}"),
        flow_address: flow_address(&spec.namespace, &spec.flow),
        is_in_catalog: app.catalog.get(&spec.namespace, &spec.flow).is_some(),
        shell: Shell::of(app, NavPage::Executions, format!("execution={id}")),
        id: id.to_string(),
        namespace: spec.namespace.clone(),
        flow: spec.flow.clone(),
        revision: spec.revision.unwrap_or(1),
        state: if interrupted { StateBadge::INTERRUPTED } else { StateBadge::of(state.status) },
        inputs: pairs(&spec.inputs),
        labels: pairs(&state.labels),
        label_lines: label_lines(&state),
        created: ShownTime::of(state.started.unwrap_or(created)),
        took: state.took().map(duration).unwrap_or_default(),
        trigger: spec.trigger.as_ref().map(|trigger| trigger.id.clone()).unwrap_or_default(),
        origin: origin(&state),
        older: older.map(|id| id.to_string()),
        newer: newer.map(|id| id.to_string()),
        possible: Possible::of(state.status, interrupted),
        tasks: flow.iter().flat_map(|flow| &flow.steps).map(|step| step.id.to_string()).collect(),
        alone: flow.map(runnable_alone).unwrap_or_default().into_iter().map(str::to_owned).collect(),
        is_explained: state.status == ExecutionState::Failed && assistant::is_offered(app),
        expected: journal.expected([id])?.remove(id).map(|mark| (mark.user, ShownTime::of(mark.time))),
        questions: flow.map(|flow| questions(&state, flow)).unwrap_or_default(),
        rows: reconciliation(&state),
        timeline: timeline::of(app, id, &state, flow, parameters)?,
        topology: flow.and_then(|flow| topology::of(&state, flow)),
        is_flow_known: flow.is_some(),
        tabs: tabs(app, id, parameters),
        tab: tab(app, id, &state, flow, &failures, parameters)?,
        failures,
    })
}

/// The fields of what its pauses ask for.
fn questions(state: &State, flow: &Flow) -> Vec<InputField> {
    let paused: Vec<RunId> = state.paused().map(|(run, _)| run.clone()).collect();
    let inputs: Vec<Input> = wanted_by_pauses(flow, &paused).into_iter().flatten().collect();
    input_fields::of(&inputs, &resolve_partial_without_host(&inputs, &[]), &[], &[])
}

/// The labels that people may change, one a line.
fn label_lines(state: &State) -> String {
    let own = |name: &str| [BACKFILL_LABEL, PARTITION_LABEL].contains(&name);
    let lines =
        state.labels.iter().filter(|(name, _)| !own(name)).map(|(name, value)| format!("{name}: {}\n", plain(value)));
    lines.collect()
}

fn origin(state: &State) -> Option<OriginExecution> {
    let parent = state.created.parent.as_ref().map(|parent| ("sub-execution of", &parent.execution));
    let (words, id) = parent.or_else(|| state.created.original.as_ref().map(|id| ("replay of", id)))?;
    let words = match &state.created.only {
        Some(only) => format!("{only} alone, with the outputs of"),
        None => words.to_owned(),
    };
    Some(OriginExecution { words, id: id.to_string() })
}

fn tabs(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Vec<TabLink> {
    let here = parameters.one("show").unwrap_or("log");
    let files = files::number(app, id);
    let kept = QueryParameters::default().adding("open", parameters.one("open").unwrap_or_default());
    let link = |(name, title): (&str, &str)| TabLink {
        title: if name == "files" && files > 0 { format!("{title} {files}") } else { title.to_owned() },
        query: kept.with("show", if name == "log" { "" } else { name }),
        is_here: here == name,
    };
    TABS.into_iter().map(link).collect()
}

fn tab(
    app: &App,
    id: &ExecutionId,
    state: &State,
    flow: Option<&Flow>,
    failures: &[Failure],
    parameters: &QueryParameters,
) -> Result<Tab, ApiError> {
    Ok(match parameters.one("show") {
        Some("outputs") => Tab::Outputs(outputs::of(state)),
        Some("files") => Tab::Files(Box::new(files::of(app, id, parameters)?)),
        Some("inputs") => Tab::Inputs(facts::of(state, flow)),
        Some("metrics") => Tab::Metrics(metrics::of(state)),
        Some("yaml") => {
            let failed: Vec<usize> = failures.iter().map(|failure| failure.line).collect();
            Tab::Yaml(yaml::of(state, &failed))
        }
        Some("evaluate") => Tab::Evaluate(evaluate::of(app, id, state, parameters)?),
        _ => Tab::Log(Box::new(log::of(app.executor.journal(), id, parameters)?)),
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

/// The sums over all loads; none when nothing was loaded.
fn reconciliation(state: &State) -> Option<Reconciliation> {
    let loads: Vec<&Map<String, Value>> =
        state.tasks.values().map(|task| &task.outputs).filter(|outputs| outputs.contains_key("rows_read")).collect();
    let sum = |name: &str| loads.iter().filter_map(|outputs| outputs.get(name)?.as_u64()).sum::<u64>();
    let (bytes, seconds) = (sum("bytes"), state.took().map_or(0.0, |took| took.as_secs_f64()));
    let rate = if seconds > 0.0 { format!(", {}/s", size((bytes as f64 / seconds) as u64)) } else { String::new() };
    (!loads.is_empty()).then(|| Reconciliation {
        bytes: if bytes > 0 { format!("{} read{rate}", size(bytes)) } else { "in all".to_owned() },
        read: thousands(sum("rows_read")),
        loaded: thousands(sum("rows_loaded")),
        rejected: thousands(sum("rows_rejected")),
        skipped: thousands(sum("rows_skipped")),
    })
}
