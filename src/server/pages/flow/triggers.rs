//! The triggers of a flow: when they start it next, what holds them back, and their switches.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use serde::Serialize;

use crate::engine::catalog::CatalogEntry;
use crate::engine::scheduler::TriggerStatus;
use crate::flow::Trigger;
use crate::journal::TriggerKey;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::triggers::set_disabled;
use crate::server::pages::error::PageError;
use crate::server::pages::format::ShownTime;
use crate::server::pages::schedules::next_times;
use crate::server::pages::shell::flow_address;

#[derive(Serialize)]
pub(super) struct ShownTrigger {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) is_on: bool,
    /// Why its switch does nothing.
    pub(super) locked: &'static str,
    /// The cron expression of a schedule.
    pub(super) times: String,
    pub(super) next: Vec<ShownTime>,
    /// The execution that it waits for.
    pub(super) waits_for: String,
    pub(super) problem: String,
}

/// The triggers of a flow as they stand.
pub(super) fn of(app: &App, entry: &CatalogEntry) -> Vec<ShownTrigger> {
    let all = app.scheduler.triggers();
    let own = all.into_iter().filter(|status| status.namespace == entry.namespace && status.flow == entry.id);
    own.map(|status| shown(entry, status)).collect()
}

fn shown(entry: &CatalogEntry, status: TriggerStatus) -> ShownTrigger {
    let defined = entry.flow.triggers.iter().find(|trigger| trigger.id == status.id);
    let locked = match defined {
        _ if entry.flow.disabled => "The flow is disabled in its text.",
        Some(trigger) if trigger.common.disabled => "It is disabled in the text of the flow.",
        _ => "",
    };
    let planned = defined.filter(|_| status.next.is_some() && !status.disabled);
    ShownTrigger {
        times: defined.and_then(cron).unwrap_or_default(),
        next: planned.map(|trigger| next_times(trigger, status.next)).unwrap_or_default(),
        waits_for: status.waits_for.map(|id| id.to_string()).unwrap_or_default(),
        id: status.id,
        kind: status.kind,
        is_on: !status.disabled,
        locked,
        problem: status.problem.unwrap_or_default(),
    }
}

fn cron(trigger: &Trigger) -> Option<String> {
    let crate::flow::trigger::TriggerKind::Schedule(schedule, _) = &trigger.on else { return None };
    let zone = schedule.timezone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
    Some(format!("{}{zone}", schedule.cron))
}

/// Switches a trigger on or off, and leads back to its flow.
pub(in crate::server::pages) async fn switch(
    State(app): State<Arc<App>>,
    Path((namespace, id, trigger, state)): Path<(String, String, String, String)>,
) -> Result<Redirect, PageError> {
    let is_off = match state.as_str() {
        "on" => false,
        "off" => true,
        _ => return Err(ApiError::not_found(format!("a trigger is `on` or `off`, not `{state}`")).into()),
    };
    let key = TriggerKey { namespace: namespace.clone(), flow: id.clone(), trigger };
    set_disabled(&app, &key, is_off)?;
    Ok(Redirect::to(&format!("{}#triggers", flow_address(&namespace, &id))))
}
