//! The list of executions, with its filters in the address.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::format::{Moment, duration, pairs};
use super::shell::{Place, Shell};
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

/// An execution in a list.
pub(super) struct ListedExecution {
    pub(super) id: String,
    pub(super) flow: String,
    pub(super) state: StateBadge,
    pub(super) inputs: Vec<String>,
    pub(super) began: Moment,
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
            inputs: pairs(&summary.inputs),
            began: Moment::of(summary.started.unwrap_or(summary.created)),
            took: took.unwrap_or_default(),
            rows: if summary.rows > 0 { thousands(summary.rows) } else { String::new() },
        })
    }
}

/// A choice of a filter.
#[derive(Serialize)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) is_chosen: bool,
}

#[derive(Template)]
#[template(path = "executions.html")]
struct ExecutionsPage {
    shell: Shell,
    total: String,
    states: Vec<Choice>,
    flows: Vec<Choice>,
    text: String,
    executions: Vec<ListedExecution>,
    newer: Option<String>,
    older: Option<String>,
    has_filter: bool,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (size, skipped) = parameters.page()?;
    let (total, executions) = run_blocking(|| {
        let found = app.executor.journal().search(&parameters.query_in(&app)?, size, skipped)?;
        let listed = found.executions.iter().map(|summary| ListedExecution::of(&app, summary));
        Ok::<_, ApiError>((found.total, listed.collect::<Result<Vec<_>, _>>()?))
    })?;
    let number = skipped / size.max(1) + 1;
    let is_last = u64::from(skipped) + executions.len() as u64 >= total;
    let choice = |name: &'static str| {
        let chosen: Vec<&str> = parameters.all(name).collect();
        move |value: String| Choice {
            is_chosen: chosen.iter().any(|chosen| chosen.eq_ignore_ascii_case(&value)),
            value,
        }
    };
    let mut flows: Vec<String> = app.catalog.list().iter().map(|entry| entry.id.clone()).collect();
    flows.dedup();
    page(&ExecutionsPage {
        shell: Shell::of(&app, Place::Executions, "all"),
        total: thousands(total),
        states: STATES.map(str::to_owned).into_iter().map(choice("state")).collect(),
        flows: flows.into_iter().map(choice("flowId")).collect(),
        text: parameters.one("q").unwrap_or_default().to_owned(),
        has_filter: ["state", "flowId", "q", "labels", "namespace", "startDate", "endDate"]
            .iter()
            .any(|name| parameters.one(name).is_some()),
        newer: (number > 1).then(|| parameters.with("page", &(number - 1).to_string())),
        older: (!is_last).then(|| parameters.with("page", &(number + 1).to_string())),
        executions,
    })
}
