//! A flow: its tasks as a picture, its text, its triggers, revisions and last executions.

mod revisions;
mod triggers;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::PageError;
use super::executions::ListedExecution;
use super::format::pairs;
use super::shell::{NavPage, Shell, flow_address};
use super::yaml::{self, CodeLine};
use super::{PageResult, named, page_as, topology};
use crate::blocking::run_blocking;
use crate::diagnostic::Diagnostic;
use crate::engine::runnable_alone;
use crate::flow::Flow;
use crate::flow::graph::FlowGraph;
use crate::journal::ExecutionQuery;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use revisions::{OpenRevision, ShownRevision};
use triggers::ShownTrigger;

pub(super) use revisions::restore;
pub(super) use triggers::switch;

/// How many executions are shown.
const SHOWN: u32 = 20;

#[derive(Serialize, Template)]
#[template(path = "flow.html")]
struct FlowPage {
    #[serde(skip)]
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    description: String,
    labels: Vec<String>,
    revision: u32,
    file: String,
    text: String,
    #[serde(skip)]
    topology: String,
    #[serde(skip)]
    lines: Vec<CodeLine>,
    findings: Vec<FlowFinding>,
    triggers: Vec<ShownTrigger>,
    revisions: Vec<ShownRevision>,
    #[serde(skip)]
    open: Option<OpenRevision>,
    executions: Vec<ListedExecution>,
    is_broken: bool,
    /// The tasks that can run alone.
    alone: Vec<String>,
}

/// What is wrong with the flow's text.
#[derive(Serialize)]
struct FlowFinding {
    text: String,
    is_error: bool,
    /// The line of the text; 0 where all of it is meant.
    line: usize,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let found = named(&id, |id| app.catalog.get(&namespace, id));
    let (entry, is_json) = found.ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let id = entry.id.clone();
    let asked = parameters.read::<u32>("revision", "3")?;
    let query =
        ExecutionQuery { namespace: Some(namespace.clone()), flow: Some(id.clone()), ..ExecutionQuery::default() };
    let (executions, triggers, revisions, open) = run_blocking(|| {
        let found = app.executor.journal().search(&query, SHOWN, 0)?.executions;
        let listed = found.iter().map(|summary| ListedExecution::of(&app, summary)).collect::<Result<Vec<_>, _>>()?;
        let open = asked.map(|number| OpenRevision::of(&app, &entry, number)).transpose()?;
        Ok::<_, ApiError>((listed, triggers::of(&app, &entry), revisions::of(&app, &entry)?, open))
    })?;
    let finding = |finding: &Diagnostic| FlowFinding {
        text: finding.to_string(),
        is_error: finding.is_error(),
        line: finding.line,
    };
    let shown = FlowPage {
        address: flow_address(&namespace, &id),
        shell: Shell::of(&app, NavPage::Flows, format!("namespace={namespace}&flow={id}")),
        description: entry.flow.description.clone().unwrap_or_default(),
        labels: pairs(&entry.flow.labels),
        revision: entry.revision,
        file: entry.file.display().to_string(),
        topology: run_blocking(|| topology::with_lines(&entry.flow)),
        text: entry.text().to_owned(),
        lines: yaml::lines(entry.text()),
        findings: entry.findings.iter().map(finding).collect(),
        triggers,
        revisions,
        open,
        executions,
        is_broken: entry.is_broken,
        alone: runnable_alone(&entry.flow).into_iter().map(str::to_owned).collect(),
        id,
        namespace,
    };
    page_as(&shown, is_json)
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
