//! The list of flows, each with its last executions and when it runs next.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::format::{Amount, ShownTime, pairs};
use super::shell::{NavPage, Shell, flow_address};
use super::state::StateBadge;
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::engine::catalog::CatalogEntry;
use crate::engine::scheduler::TriggerStatus;
use crate::id::FlowKey;
use crate::journal::JournalError;
use crate::server::App;
use crate::server::api::parameters::QueryParameters;
use crate::text::count;

/// How many executions of a flow its strip shows.
const STRIP: u32 = 12;
/// How many flows a page shows.
const PAGE_SIZE: usize = 100;
/// How many labels, and how many namespaces, the filter offers.
const MAX_LABELS: usize = 200;
/// How many problems of files are shown.
const MAX_PROBLEMS: usize = 20;

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
    /// How many flows match.
    total: Amount,
    flows: Vec<ListedFlow>,
    /// The queries of the pages before and after this one.
    before: Option<String>,
    after: Option<String>,
    filter: FlowFilter,
    namespaces: Vec<String>,
    labels: Vec<String>,
    problems: Vec<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let filter = FlowFilter::of(&parameters);
    let entries = app.catalog.list();
    let meant: Vec<&CatalogEntry> = entries.iter().map(AsRef::as_ref).filter(|entry| filter.takes(entry)).collect();
    let number = parameters.read("page", "1")?.unwrap_or(1_usize).max(1);
    let pages: Vec<&[&CatalogEntry]> = meant.chunks(PAGE_SIZE).collect();
    let shown = pages.get(number - 1).copied().unwrap_or_default();
    let flows = run_blocking(|| {
        let next = next_times(app.scheduler.triggers());
        shown.iter().map(|entry| listed(&app, entry, &next)).collect::<Result<_, _>>()
    })?;
    let namespaces: BTreeSet<String> = entries.iter().map(|entry| entry.namespace.clone()).collect();
    let labels: BTreeSet<String> = entries.iter().flat_map(|entry| pairs(&entry.flow.labels)).collect();
    let found = app.catalog.problems();
    let mut problems: Vec<String> = found.iter().take(MAX_PROBLEMS).map(ToString::to_string).collect();
    if found.len() > MAX_PROBLEMS {
        problems.push(format!(
            "{} like these; `jitney validate` lists all",
            count((found.len() - MAX_PROBLEMS) as u64, "more problem")
        ));
    }
    let to = |page: usize| parameters.with("page", &page.to_string());
    page_or_json(&FlowsPage {
        shell: Shell::of(&app, NavPage::Flows, "all"),
        total: Amount(meant.len() as u64),
        flows,
        before: (number > 1 && number <= pages.len() + 1).then(|| to(number - 1)),
        after: (number < pages.len()).then(|| to(number + 1)),
        filter,
        namespaces: namespaces.into_iter().take(MAX_LABELS).collect(),
        labels: labels.into_iter().take(MAX_LABELS).collect(),
        problems,
    })
}

fn label(text: String) -> FlowLabel {
    FlowLabel { address: format!("/flows?{}", QueryParameters::default().with("label", &text)), text }
}

/// When each flow that has a trigger which is on starts next.
fn next_times(triggers: Vec<TriggerStatus>) -> HashMap<FlowKey, DateTime<Utc>> {
    let mut next = HashMap::new();
    for trigger in triggers.into_iter().filter(|trigger| !trigger.disabled) {
        let Some(time) = trigger.next else { continue };
        let earliest = next.entry(FlowKey::new(trigger.namespace, trigger.flow)).or_insert(time);
        *earliest = time.min(*earliest);
    }
    next
}

fn listed(app: &App, entry: &CatalogEntry, next: &HashMap<FlowKey, DateTime<Utc>>) -> Result<ListedFlow, JournalError> {
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
        next: next.get(&entry.key()).copied().map(ShownTime::of),
    })
}
