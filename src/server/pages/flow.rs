//! A flow: its tasks as a picture, its text, its triggers, revisions and last executions.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::PageError;
use super::executions::ListedExecution;
use super::format::Moment;
use super::shell::{Place, Shell, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::engine::scheduler::TriggerStatus;
use crate::flow::Flow;
use crate::flow::graph::FlowGraph;
use crate::journal::ExecutionQuery;
use crate::server::App;
use crate::server::api::error::ApiError;

/// How many executions are shown.
const SHOWN: u32 = 20;

struct ShownTrigger {
    id: String,
    kind: &'static str,
    is_on: bool,
    next: Option<Moment>,
    problem: String,
}

#[derive(Template)]
#[template(path = "flow.html")]
struct FlowPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    description: String,
    revision: u32,
    file: String,
    text: String,
    findings: Vec<(String, bool)>,
    triggers: Vec<ShownTrigger>,
    executions: Vec<ListedExecution>,
    is_broken: bool,
}

pub(super) async fn show(State(app): State<Arc<App>>, Path((namespace, id)): Path<(String, String)>) -> PageResult {
    let entry = app.catalog.get(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let query =
        ExecutionQuery { namespace: Some(namespace.clone()), flow: Some(id.clone()), ..ExecutionQuery::default() };
    let (executions, triggers) = run_blocking(|| {
        let found = app.executor.journal().search(&query, SHOWN, 0)?.executions;
        let listed = found.iter().map(|summary| ListedExecution::of(&app, summary)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, ApiError>((listed, app.scheduler.triggers()))
    })?;
    let own = triggers.into_iter().filter(|status| status.namespace == namespace && status.flow == id);
    page(&FlowPage {
        address: flow_address(&namespace, &id),
        shell: Shell::of(&app, Place::Flows, format!("namespace={namespace}&flow={id}")),
        description: entry.flow.description.clone().unwrap_or_default(),
        revision: entry.revision,
        file: entry.file.display().to_string(),
        text: entry.text().to_owned(),
        findings: entry.findings.iter().map(|finding| (finding.to_string(), finding.is_error())).collect(),
        triggers: own.map(shown).collect(),
        executions,
        is_broken: entry.is_broken,
        id,
        namespace,
    })
}

fn shown(status: TriggerStatus) -> ShownTrigger {
    ShownTrigger {
        id: status.id,
        kind: status.kind,
        is_on: !status.disabled,
        next: status.next.map(Moment::of),
        problem: status.problem.unwrap_or_default(),
    }
}

/// The flow's tasks as a picture.
pub(super) async fn graph(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    Ok(picture(&flow))
}

pub(super) fn picture(flow: &Flow) -> Response {
    let picture = run_blocking(|| FlowGraph::of(flow).to_svg());
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-cache")], picture).into_response()
}
