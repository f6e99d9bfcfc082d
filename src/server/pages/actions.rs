//! What the buttons of an execution do. Each leads back to the execution's page, or to that of its repetition.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::error::PageError;
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::executor::{BulkAction, parse_labels};
use crate::id::ExecutionId;
use crate::journal::ExpectedMark;
use crate::server::App;
use crate::server::access::Identity;
use crate::server::api::error::ApiError;
use crate::server::api::executions::{replay_as, replay_part};
use crate::server::api::form::{FormUpload, InputForm};
use crate::server::api::parameters::QueryParameters;

/// Resumes an execution with the answers that its pauses ask for. A field that was left empty has no value.
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    upload: FormUpload,
) -> Result<Redirect, PageError> {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let form = InputForm::read(upload, &app).await?;
    let given = form.inputs.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    run_blocking(|| app.executor.resume(&id, given))?;
    Ok(Redirect::to(&format!("/executions/{id}")))
}

/// Runs one task of a flow as it is now, with inputs and outputs of an earlier execution.
pub(super) async fn run_task(
    State(app): State<Arc<App>>,
    Path((namespace, flow)): Path<(String, String)>,
    body: String,
) -> Result<Redirect, PageError> {
    let form = QueryParameters::parse(&body);
    let id: ExecutionId = form.one("execution").unwrap_or_default().parse().map_err(ApiError::from)?;
    let part = replay_part(form.one("task"), true)?;
    let new = run_blocking(|| {
        let earlier = app.executor.journal().summary(&id)?.ok_or_else(|| ApiError::execution_not_found(&id))?;
        if (&earlier.namespace, &earlier.flow) != (&namespace, &flow) {
            return Err(ApiError::unprocessable(format!("{id} is an execution of the flow `{}`", earlier.flow)));
        }
        replay_as(&app, &id, &part, true)
    })?;
    Ok(Redirect::to(&format!("/executions/{new}")))
}

/// Notes who says that an execution has loaded as many rows as expected, or takes that back.
fn expect(app: &App, id: &ExecutionId, is_expected: bool) -> Result<(), ApiError> {
    let journal = app.executor.journal();
    let status = journal.status(id)?.ok_or_else(|| ApiError::execution_not_found(id))?;
    if !status.has_ended() {
        return Err(ApiError::conflict(format!("{id} has not ended")));
    }
    let mark = ExpectedMark { user: Identity::current().name.clone(), time: clock::now() };
    Ok(if is_expected { journal.mark_expected(id, &mark) } else { journal.unmark_expected(id) }?)
}

/// Does what the last part of the address says.
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    parameters: QueryParameters,
    body: String,
) -> Result<Redirect, PageError> {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let form = QueryParameters::parse(&body);
    let shown = match (action.as_str(), BulkAction::named(&action)) {
        ("replay", _) => {
            let task = parameters.one("task").or_else(|| form.one("task"));
            let part = replay_part(task, form.is_on("only"))?;
            run_blocking(|| replay_as(&app, &id, &part, false))?
        }
        ("expect" | "unexpect", _) => {
            run_blocking(|| expect(&app, &id, action == "expect"))?;
            if parameters.one("next") == Some("overview") {
                return Ok(Redirect::to("/"));
            }
            id
        }
        ("labels", _) => {
            let labels = parse_labels(form.one("labels").unwrap_or_default());
            let labels = labels.map_err(|finding| ApiError::findings(vec![finding]))?;
            run_blocking(|| app.executor.set_labels(&id, &labels, true))?;
            id
        }
        (_, Some(action)) => {
            app.executor.apply(&id, action).await?;
            if action == BulkAction::Delete {
                return Ok(Redirect::to("/executions"));
            }
            id
        }
        (_, None) => return Err(ApiError::not_found(format!("an execution has no action `{action}`")).into()),
    };
    Ok(Redirect::to(&format!("/executions/{shown}")))
}
