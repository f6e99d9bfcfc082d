//! The list of flows, each with its last executions and when it runs next.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::format::Moment;
use super::shell::{Place, Shell, flow_address};
use super::state::StateBadge;
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::engine::catalog::Entry;
use crate::engine::scheduler::TriggerStatus;
use crate::journal::JournalError;
use crate::server::App;
use crate::server::api::parameters::QueryParameters;

/// How many executions of a flow its strip shows.
const STRIP: u32 = 12;

/// A bar of a strip: one execution.
pub(super) struct Bar {
    pub(super) id: String,
    pub(super) state: StateBadge,
    /// From the left, in units of the strip.
    pub(super) x: usize,
    /// Its height and where it begins.
    pub(super) height: u32,
    pub(super) y: u32,
}

struct ListedFlow {
    address: String,
    id: String,
    namespace: String,
    description: String,
    is_broken: bool,
    bars: Vec<Bar>,
    last: Option<(String, StateBadge, Moment)>,
    next: Option<Moment>,
}

#[derive(Template)]
#[template(path = "flows.html")]
struct FlowsPage {
    shell: Shell,
    flows: Vec<ListedFlow>,
    text: String,
    problems: Vec<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let text = parameters.one("q").unwrap_or_default().to_owned();
    let is_meant = |entry: &&Arc<Entry>| entry.id.contains(&text) || entry.namespace.contains(&text);
    let entries = app.catalog.list();
    let flows = run_blocking(|| {
        let triggers = app.scheduler.triggers();
        entries.iter().filter(is_meant).map(|entry| listed(&app, entry, &triggers)).collect::<Result<_, _>>()
    })?;
    let problems = app.catalog.problems().iter().map(ToString::to_string).collect();
    page(&FlowsPage { shell: Shell::of(&app, Place::Flows, "all"), flows, text, problems })
}

fn listed(app: &App, entry: &Entry, triggers: &[TriggerStatus]) -> Result<ListedFlow, JournalError> {
    let recent = app.executor.journal().executions(Some(&entry.id), STRIP)?;
    let own: Vec<_> = recent.iter().filter(|summary| summary.namespace == entry.namespace).collect();
    let longest = own.iter().filter_map(|summary| summary.took).fold(0.0_f64, f64::max).max(0.001);
    let bars = own.iter().rev().enumerate().map(|(index, summary)| {
        let height = (4.0 + 12.0 * (summary.took.unwrap_or(longest) / longest)).clamp(4.0, 16.0) as u32;
        Bar { id: summary.id.to_string(), state: StateBadge::of(summary.state), x: index * 7, height, y: 18 - height }
    });
    let last = own.first().map(|summary| {
        (summary.id.to_string(), StateBadge::of(summary.state), Moment::of(summary.started.unwrap_or(summary.created)))
    });
    let own_triggers = triggers
        .iter()
        .filter(|trigger| trigger.namespace == entry.namespace && trigger.flow == entry.id && !trigger.disabled);
    Ok(ListedFlow {
        address: flow_address(&entry.namespace, &entry.id),
        id: entry.id.clone(),
        namespace: entry.namespace.clone(),
        description: entry
            .flow
            .description
            .as_deref()
            .and_then(|text| text.lines().next())
            .unwrap_or_default()
            .to_owned(),
        is_broken: entry.is_broken,
        bars: bars.collect(),
        last,
        next: own_triggers.filter_map(|trigger| trigger.next).min().map(Moment::of),
    })
}
