//! What the buttons of an execution do. Each leads back to the execution's page, or to that of its repetition.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::error::PageError;
use crate::blocking::run_blocking;
use crate::engine::executor::BulkAction;
use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::error::ApiError;
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

/// Does what the last part of the address says.
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    parameters: QueryParameters,
) -> Result<Redirect, PageError> {
    let id: ExecutionId = id.parse().map_err(ApiError::from)?;
    let shown = match (action.as_str(), BulkAction::named(&action)) {
        ("replay", _) => run_blocking(|| app.executor.replay(&id, parameters.one("task"), Vec::new()))?,
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
