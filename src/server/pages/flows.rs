//! The list of flows, each with its last executions and when it runs next.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::format::{ShownTime, pairs};
use super::shell::{NavPage, Shell, flow_address};
use super::state::StateBadge;
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::engine::catalog::CatalogEntry;
use crate::engine::scheduler::TriggerStatus;
use crate::journal::JournalError;
use crate::server::App;
use crate::server::api::parameters::QueryParameters;

/// How many executions of a flow its strip shows.
const STRIP: u32 = 12;
/// How many labels the filter offers.
const MAX_LABELS: usize = 200;

/// A bar of a strip: one execution.
#[derive(Serialize)]
pub(super) struct RunBar {
    pub(super) id: String,
    pub(super) state: StateBadge,
    /// From the left, in units of the strip.
    #[serde(skip)]
    pub(super) x: usize,
    /// Its height and where it begins.
    #[serde(skip)]
    pub(super) height: u32,
    #[serde(skip)]
    pub(super) y: u32,
}

#[derive(Serialize)]
struct ListedFlow {
    address: String,
    id: String,
    namespace: String,
    description: String,
    is_broken: bool,
    labels: Vec<FlowLabel>,
    bars: Vec<RunBar>,
    last: Option<(String, StateBadge, ShownTime)>,
    next: Option<ShownTime>,
}

/// A label, and the list of the flows that have it.
#[derive(Serialize)]
struct FlowLabel {
    text: String,
    address: String,
}

/// Which flows are meant.
#[derive(Serialize)]
struct FlowFilter {
    text: String,
    namespace: String,
    label: String,
}

impl FlowFilter {
    fn of(parameters: &QueryParameters) -> Self {
        let field = |name: &str| parameters.one(name).unwrap_or_default().to_owned();
        Self { text: field("q").to_lowercase(), namespace: field("namespace"), label: field("label") }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.namespace.is_empty() && self.label.is_empty()
    }

    fn takes(&self, entry: &CatalogEntry) -> bool {
        let description = entry.flow.description.as_deref().unwrap_or_default();
        let texts = [&entry.id, &entry.namespace, description];
        (self.namespace.is_empty() || self.namespace == entry.namespace)
            && (self.label.is_empty() || pairs(&entry.flow.labels).contains(&self.label))
            && texts.iter().any(|text| text.to_lowercase().contains(&self.text))
    }
}

#[derive(Serialize, Template)]
#[template(path = "flows.html")]
struct FlowsPage {
    #[serde(skip)]
    shell: Shell,
    flows: Vec<ListedFlow>,
    filter: FlowFilter,
    namespaces: Vec<String>,
    labels: Vec<String>,
    problems: Vec<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let filter = FlowFilter::of(&parameters);
    let entries = app.catalog.list();
    let flows = run_blocking(|| {
        let triggers = app.scheduler.triggers();
        let meant = entries.iter().filter(|entry| filter.takes(entry));
        meant.map(|entry| listed(&app, entry, &triggers)).collect::<Result<_, _>>()
    })?;
    let namespaces: BTreeSet<String> = entries.iter().map(|entry| entry.namespace.clone()).collect();
    let labels: BTreeSet<String> = entries.iter().flat_map(|entry| pairs(&entry.flow.labels)).collect();
    let problems = app.catalog.problems().iter().map(ToString::to_string).collect();
    page_or_json(&FlowsPage {
        shell: Shell::of(&app, NavPage::Flows, "all"),
        flows,
        filter,
        namespaces: namespaces.into_iter().collect(),
        labels: labels.into_iter().take(MAX_LABELS).collect(),
        problems,
    })
}

fn label(text: String) -> FlowLabel {
    FlowLabel { address: format!("/flows?{}", QueryParameters::default().with("label", &text)), text }
}

fn listed(app: &App, entry: &CatalogEntry, triggers: &[TriggerStatus]) -> Result<ListedFlow, JournalError> {
    let recent = app.executor.journal().executions_of(&entry.key(), STRIP)?;
    let longest = recent.iter().filter_map(|summary| summary.took).fold(0.0_f64, f64::max).max(0.001);
    let bars = recent.iter().rev().enumerate().map(|(index, summary)| {
        let height = (4.0 + 12.0 * (summary.took.unwrap_or(longest) / longest)).clamp(4.0, 16.0) as u32;
        RunBar {
            id: summary.id.to_string(),
            state: StateBadge::of(summary.state),
            x: index * 7,
            height,
            y: 18 - height,
        }
    });
    let last = recent.first().map(|summary| {
        (
            summary.id.to_string(),
            StateBadge::of(summary.state),
            ShownTime::of(summary.started.unwrap_or(summary.created)),
        )
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
        labels: pairs(&entry.flow.labels).into_iter().map(label).collect(),
        bars: bars.collect(),
        last,
        next: own_triggers.filter_map(|trigger| trigger.next).min().map(ShownTime::of),
    })
}
