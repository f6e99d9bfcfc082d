//! The list of executions, with its filters in the address.

pub(super) mod bulk;
pub(super) mod causes;
pub(super) mod csv;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Redirect;
use serde::Serialize;

use self::bulk::BulkLink;
use self::causes::ShownCause;
use super::format::{ShownTime, duration, filters, short_pairs};
use super::shell::{NavPage, Shell};
use super::state::StateBadge;
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::engine::{EngineError, is_interrupted};
use crate::journal::Summary;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::text::thousands;

/// The states of the filter.
const STATES: [&str; 9] =
    ["FAILED", "RUNNING", "QUEUED", "SUCCESS", "WARNING", "PAUSED", "KILLED", "CANCELLED", "INTERRUPTED"];

/// The most flows to choose from; the id of one of more is typed.
const MAX_CHOICES: usize = 200;

/// An execution in a list.
#[derive(Serialize)]
pub(super) struct ListedExecution {
    pub(super) id: String,
    pub(super) flow: String,
    pub(super) state: StateBadge,
    pub(super) inputs: Vec<String>,
    pub(super) began: ShownTime,
    pub(super) took: String,
    pub(super) rows: String,
}

impl ListedExecution {
    pub(super) fn of(app: &App, summary: &Summary) -> Result<Self, EngineError> {
        let journal = app.executor.journal();
        let interrupted = is_interrupted(&app.settings, journal, &summary.id, summary.state, summary.created)?;
        let took = summary.took.map(|seconds| duration(std::time::Duration::from_secs_f64(seconds.max(0.0))));
        Ok(Self {
            id: summary.id.to_string(),
            flow: summary.flow.clone(),
            state: if interrupted { StateBadge::INTERRUPTED } else { StateBadge::of(summary.state) },
            inputs: summary
                .only
                .iter()
                .map(|only| format!("only {only}"))
                .chain(short_pairs(&summary.inputs))
                .collect(),
            began: ShownTime::of(summary.started.unwrap_or(summary.created)),
            took: took.unwrap_or_default(),
            rows: if summary.rows > 0 { thousands(summary.rows) } else { String::new() },
        })
    }
}

/// A choice of a filter.
#[derive(Serialize)]
pub(super) struct FilterChoice {
    pub(super) value: String,
    pub(super) is_chosen: bool,
}

/// The filters of the list as the form has them.
struct Filters {
    states: Vec<FilterChoice>,
    /// The flows to choose from; none if they are too many.
    flows: Vec<FilterChoice>,
    flow: String,
    text: String,
    label: String,
    from: String,
    to: String,
    is_empty: bool,
}

/// The parameters that filter.
const FILTERS: [&str; 8] = ["state", "flowId", "q", "labels", "namespace", "startDate", "endDate", "id"];

impl Filters {
    fn of(app: &App, parameters: &QueryParameters) -> Self {
        let choice = |name: &'static str| {
            let chosen: Vec<&str> = parameters.all(name).collect();
            move |value: String| FilterChoice {
                is_chosen: chosen.iter().any(|chosen| chosen.eq_ignore_ascii_case(&value)),
                value,
            }
        };
        let mut flows: Vec<String> = app.catalog.list().iter().map(|entry| entry.id.clone()).collect();
        flows.dedup();
        if flows.len() > MAX_CHOICES {
            flows.clear();
        }
        let one = |name| parameters.one(name).unwrap_or_default().to_owned();
        Self {
            states: STATES.map(str::to_owned).into_iter().map(choice("state")).collect(),
            flows: flows.into_iter().map(choice("flowId")).collect(),
            flow: one("flowId"),
            text: one("q"),
            label: one("labels"),
            from: one("startDate"),
            to: one("endDate"),
            is_empty: FILTERS.iter().all(|name| parameters.one(name).is_none()),
        }
    }
}

#[derive(Template)]
#[template(path = "executions.html")]
struct ExecutionsPage {
    shell: Shell,
    total: String,
    filters: Filters,
    executions: Vec<ListedExecution>,
    /// The failures by their cause, where these are wanted.
    causes: Option<Vec<ShownCause>>,
    newer: Option<String>,
    older: Option<String>,
    /// The query of the filters, that by cause, and that of the list.
    query: String,
    by_cause: String,
    as_list: String,
    bulk: Vec<BulkLink>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let shown = run_blocking(|| of(&app, &parameters))?;
    page(&shown)
}

/// The list as the API gives it.
pub(super) async fn json(parameters: QueryParameters) -> Redirect {
    Redirect::to(&format!("/api/v1/executions/search?{}", parameters.text()))
}

fn of(app: &App, parameters: &QueryParameters) -> Result<ExecutionsPage, ApiError> {
    let (size, skipped) = parameters.page()?;
    let query = parameters.query_in(app)?;
    let found = app.executor.journal().search(&query, size, skipped)?;
    let causes = match parameters.one("group") {
        Some("cause") => Some(causes::of(app, &query, causes::MAX_FAILURES)?),
        _ => None,
    };
    let listed = found.executions.iter().map(|summary| ListedExecution::of(app, summary));
    let executions = listed.collect::<Result<Vec<_>, _>>()?;
    let number = skipped / size.max(1) + 1;
    let is_last = u64::from(skipped) + executions.len() as u64 >= found.total;
    let filters = ["page", "size", "group"].iter().fold(parameters.clone(), |query, name| query.without(name));
    Ok(ExecutionsPage {
        shell: Shell::of(app, NavPage::Executions, "all"),
        total: thousands(found.total),
        filters: Filters::of(app, parameters),
        newer: (number > 1).then(|| parameters.with("page", &(number - 1).to_string())),
        older: (!is_last).then(|| parameters.with("page", &(number + 1).to_string())),
        query: filters.text(),
        by_cause: filters.with("group", "cause"),
        as_list: filters.text(),
        bulk: bulk::links(&filters, found.total),
        executions,
        causes,
    })
}
