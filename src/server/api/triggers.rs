//! Triggers: what starts flows by itself, when it will next, and why it did not.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::scheduler::TriggerStatus;
use crate::journal::TriggerKey;
use crate::server::App;
use crate::server::api::backfills::{CreateBackfillRequest, TriggerBackfillRequest, start};
use crate::server::api::body::read;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::response::ResultsPage;
use crate::server::audit::note_target;

/// A trigger.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TriggerResponse {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
    /// The trigger's id.
    trigger_id: String,
    /// Its type: `schedule`, `webhook`, `flow`, `file`, `http`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether it is disabled, in the flow or by request.
    disabled: bool,
    /// The latest date that it has processed.
    date: DateTime<Utc>,
    /// The next date of a schedule.
    next_execution_date: Option<DateTime<Utc>>,
    /// The execution that must end before the trigger starts another.
    execution_id: Option<String>,
    /// Why it did not start an execution when it should have.
    problem: Option<String>,
    /// The backfill that the request has started.
    #[serde(skip_serializing_if = "Option::is_none")]
    backfill_id: Option<String>,
}

impl From<TriggerStatus> for TriggerResponse {
    fn from(status: TriggerStatus) -> Self {
        Self {
            namespace: status.namespace,
            flow_id: status.flow,
            trigger_id: status.id,
            kind: status.kind,
            disabled: status.disabled,
            date: status.last,
            next_execution_date: status.next,
            execution_id: status.waits_for.map(|id| id.to_string()),
            problem: status.problem,
            backfill_id: None,
        }
    }
}

/// A change to a trigger: enable or disable it, start a backfill, or both.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TriggerSwitch {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
    /// The trigger's id.
    trigger_id: String,
    /// Whether it is to be disabled.
    disabled: Option<bool>,
    /// The moments of the past that its flow is run for.
    backfill: Option<TriggerBackfillRequest>,
}

/// Lists all triggers, by flow.
#[utoipa::path(get, path = "/triggers/search", tag = "triggers",
    params(("namespace" = Option<String>, Query), ("flowId" = Option<String>, Query), ("page" = Option<usize>, Query),
        ("size" = Option<usize>, Query)),
    responses((status = 200, description = "A page of triggers", body = Object), (status = 422, body = ApiError)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<ResultsPage<TriggerResponse>>, ApiError> {
    let (size, skipped) = parameters.page()?;
    let matches = |status: &TriggerStatus| {
        parameters.one("namespace").is_none_or(|namespace| namespace == status.namespace)
            && parameters.one("flowId").is_none_or(|flow| flow == status.flow)
    };
    let found: Vec<TriggerStatus> = run_blocking(|| app.scheduler.triggers()).into_iter().filter(matches).collect();
    let total = found.len() as u64;
    let page = found.into_iter().skip(skipped as usize).take(size as usize);
    Ok(Json(ResultsPage { results: page.map(TriggerResponse::from).collect(), total }))
}

/// Disables or enables a trigger, or starts a backfill of its schedule. Times that were missed while it was disabled
/// are not made up for.
#[utoipa::path(put, path = "/triggers", tag = "triggers", request_body = TriggerSwitch,
    responses((status = 200, body = TriggerResponse), (status = 404, body = ApiError), (status = 409, body = ApiError),
        (status = 422, body = ApiError)))]
pub(super) async fn switch(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<TriggerResponse>, ApiError> {
    let TriggerSwitch { namespace, flow_id, trigger_id, disabled, backfill } = read(&body)?;
    note_target(format!("{namespace}.{flow_id}.{trigger_id}"));
    let key = TriggerKey { namespace, flow: flow_id, trigger: trigger_id };
    if disabled.is_none() && backfill.is_none() {
        return Err(ApiError::unprocessable("the body has neither `disabled` nor `backfill`"));
    }
    find(&app, &key)?;
    if let Some(disabled) = disabled {
        set_disabled(&app, &key, disabled)?;
    }
    let started = match backfill {
        Some(request) => {
            let request = CreateBackfillRequest::of_trigger(&key.namespace, &key.flow, &key.trigger, request);
            start(&app, request).await?.id()
        }
        None => None,
    };
    Ok(Json(TriggerResponse { backfill_id: started, ..find(&app, &key)?.into() }))
}

fn find(app: &App, key: &TriggerKey) -> Result<TriggerStatus, ApiError> {
    let TriggerKey { namespace, flow, trigger } = key;
    let is_it =
        |status: &TriggerStatus| status.namespace == *namespace && status.flow == *flow && status.id == *trigger;
    let not_found = || ApiError::not_found(format!("there is no trigger `{trigger}` in the flow `{namespace}.{flow}`"));
    run_blocking(|| app.scheduler.triggers()).into_iter().find(is_it).ok_or_else(not_found)
}

/// Disables or enables a trigger.
///
/// # Errors
/// When there is no such trigger, or the text of its flow disables it.
pub(crate) fn set_disabled(app: &App, key: &TriggerKey, disabled: bool) -> Result<(), ApiError> {
    find(app, key)?;
    run_blocking(|| app.scheduler.set_disabled(key, disabled, clock::now()))?;
    if !disabled && find(app, key)?.disabled {
        let trigger = &key.trigger;
        return Err(ApiError::conflict(format!("`{trigger}` is disabled in the text of the flow: enable it there")));
    }
    Ok(())
}
