//! The triggers of all flows: what starts each, when it will next, how that went the last time, and a switch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Redirect;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::PageError;
use super::executions::FilterChoice;
use super::format::ShownTime;
use super::shell::{NavPage, Shell, flow_address};
use super::state::StateBadge;
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::schedule;
use crate::engine::scheduler::TriggerStatus;
use crate::flow::trigger::{Trigger, TriggerKind};
use crate::id::FlowKey;
use crate::journal::{JournalError, Summary, TriggerKey};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::triggers::set_disabled;
use crate::server::audit::note_target;

/// How many triggers one page shows.
const PAGE_SIZE: usize = 50;
/// How many of its next moments a schedule shows.
const SHOWN_TIMES: usize = 5;
/// Among how many of a flow's latest executions the last one of a trigger is looked for.
const MAX_LOOKED_AT: u32 = 50;

/// The choices of the filter by state.
const STATES: [&str; 4] = ["on", "off", "held back", "failed last"];
const KINDS: [&str; 5] = ["schedule", "flow", "file", "webhook", "http"];

/// The last execution that a trigger started.
#[derive(Serialize)]
struct LastRun {
    address: String,
    state: StateBadge,
    at: ShownTime,
}

#[derive(Serialize)]
struct ListedTrigger {
    namespace: String,
    flow: String,
    address: String,
    id: String,
    kind: &'static str,
    /// What it waits for, in a few words.
    on: String,
    is_on: bool,
    /// Whether the text of the flow switches it off, which no switch can change.
    is_off_in_text: bool,
    next: Vec<ShownTime>,
    waits_for: Option<String>,
    problem: String,
    last: Option<LastRun>,
}

#[derive(Serialize, Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    #[serde(skip)]
    shell: Shell,
    total: usize,
    text: String,
    states: Vec<FilterChoice>,
    kinds: Vec<FilterChoice>,
    triggers: Vec<ListedTrigger>,
    has_filter: bool,
    /// The filter, as it is sent along with a switch.
    query: String,
    previous: Option<String>,
    next: Option<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (text, state) = (parameters.one("q").unwrap_or_default(), parameters.one("state").unwrap_or_default());
    let kind = parameters.one("type").unwrap_or_default();
    let is_meant = |status: &TriggerStatus| {
        let names = [&status.namespace, &status.flow, &status.id];
        (kind.is_empty() || status.kind == kind) && names.iter().any(|name| name.contains(text))
    };
    let number = parameters.read("page", "1")?.unwrap_or(1_usize).max(1);
    let skipped = PAGE_SIZE.saturating_mul(number - 1);
    let (total, triggers) = run_blocking(|| listed(&app, is_meant, state, skipped))?;
    let choice = |chosen: &str, value: &&str| FilterChoice { value: (*value).to_owned(), is_chosen: *value == chosen };
    let to = |page: usize| parameters.with("page", &page.to_string());
    page_or_json(&SchedulesPage {
        shell: Shell::of(&app, NavPage::Schedules, "all"),
        total,
        states: STATES.iter().map(|value| choice(state, value)).collect(),
        kinds: KINDS.iter().map(|value| choice(kind, value)).collect(),
        triggers,
        has_filter: ["q", "state", "type"].iter().any(|name| parameters.one(name).is_some()),
        previous: (number > 1).then(|| to(number - 1)),
        next: (total > PAGE_SIZE.saturating_mul(number)).then(|| to(number.saturating_add(1))),
        query: parameters.text(),
        text: text.to_owned(),
    })
}

/// How many triggers there are in a state, and those of a page. Their last executions are looked up for the page alone, unless
/// these decide what is on it.
fn listed(
    app: &App,
    is_meant: impl Fn(&TriggerStatus) -> bool,
    state: &str,
    skipped: usize,
) -> Result<(usize, Vec<ListedTrigger>), JournalError> {
    let has_state = |status: &TriggerStatus| match state {
        "on" => !status.disabled,
        "off" => status.disabled,
        "held back" => status.waits_for.is_some() || status.problem.is_some(),
        _ => true,
    };
    let mut found = app.scheduler.triggers();
    found.retain(|status| is_meant(status) && has_state(status));
    if state == "failed last" {
        let mut all = with_last_runs(app, found)?;
        all.retain(|trigger| trigger.last.as_ref().is_some_and(|last| last.state.class == "fail"));
        return Ok((all.len(), all.into_iter().skip(skipped).take(PAGE_SIZE).collect()));
    }
    let total = found.len();
    let page = found.into_iter().skip(skipped).take(PAGE_SIZE).collect();
    Ok((total, with_last_runs(app, page)?))
}

fn with_last_runs(app: &App, found: Vec<TriggerStatus>) -> Result<Vec<ListedTrigger>, JournalError> {
    let mut latest: BTreeMap<FlowKey, Vec<Summary>> = BTreeMap::new();
    let mut listed = Vec::new();
    for status in found {
        let executions = match latest.entry(FlowKey::new(&status.namespace, &status.flow)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let executions = app.executor.journal().executions_of(place.key(), MAX_LOOKED_AT)?;
                place.insert(executions)
            }
        };
        listed.push(one(app, executions, status));
    }
    Ok(listed)
}

fn one(app: &App, latest: &[Summary], status: TriggerStatus) -> ListedTrigger {
    let entry = app.catalog.get(&status.namespace, &status.flow);
    let trigger = entry.as_ref().and_then(|entry| entry.flow.triggers.iter().find(|known| known.id == status.id));
    let is_its = |summary: &&Summary| summary.trigger.as_deref() == Some(status.id.as_str());
    let last = latest.iter().find(is_its).map(|summary| LastRun {
        address: format!("/executions/{}", summary.id),
        state: StateBadge::of(summary.state),
        at: ShownTime::of(summary.started.unwrap_or(summary.created)),
    });
    let in_text = entry.as_ref().is_some_and(|entry| entry.flow.disabled)
        || trigger.is_some_and(|trigger| trigger.common.disabled);
    ListedTrigger {
        address: flow_address(&status.namespace, &status.flow),
        on: trigger.map(waits_on).unwrap_or_default(),
        next: trigger.map(|trigger| next_times(trigger, status.next)).unwrap_or_default(),
        kind: status.kind,
        is_on: !status.disabled,
        is_off_in_text: in_text,
        waits_for: status.waits_for.map(|id| id.to_string()),
        problem: status.problem.unwrap_or_default(),
        namespace: status.namespace,
        flow: status.flow,
        id: status.id,
        last,
    }
}

/// The next moments of a schedule, the first as the scheduler has planned it; of one that is off, those that it would have.
pub(super) fn next_times(trigger: &Trigger, planned: Option<DateTime<Utc>>) -> Vec<ShownTime> {
    let count = SHOWN_TIMES - usize::from(planned.is_some());
    let later = schedule::upcoming(trigger, planned.unwrap_or_else(clock::now), count);
    planned.into_iter().chain(later).map(ShownTime::of).collect()
}

/// What a trigger waits for, as its flow says it. A webhook's key is a secret.
fn waits_on(trigger: &Trigger) -> String {
    match &trigger.on {
        TriggerKind::Schedule(schedule, times) => format!("{} {}", schedule.cron, times.zone()),
        TriggerKind::File(arrival) => {
            let (folder, pattern) = arrival.folder_and_pattern();
            format!("{folder}/{pattern}")
        }
        TriggerKind::Webhook(_) | TriggerKind::Flow(_) | TriggerKind::Http(_) => String::new(),
    }
}

/// Switches a trigger on or off, and leads back to the list as it was.
pub(super) async fn switch(
    State(app): State<Arc<App>>,
    query: QueryParameters,
    body: String,
) -> Result<Redirect, PageError> {
    let form = QueryParameters::parse(&body);
    let field = |name: &str| {
        let missing = || ApiError::unprocessable(format!("the form has no field `{name}`"));
        form.one(name).map(str::to_owned).ok_or_else(missing)
    };
    let key = TriggerKey { namespace: field("namespace")?, flow: field("flow")?, trigger: field("trigger")? };
    note_target(format!("{}.{}.{} {}", key.namespace, key.flow, key.trigger, field("to")?));
    set_disabled(&app, &key, field("to")? == "off")?;
    let query = query.text();
    Ok(Redirect::to(&if query.is_empty() { "/schedules".to_owned() } else { format!("/schedules?{query}") }))
}
