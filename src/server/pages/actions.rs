//! What the buttons of an execution do. Each leads back to the execution's page, or to that of its repetition.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;

use super::error::PageError;
use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// Does what the last part of the address says.
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Path((id, action)): Path<(String, String)>,
    parameters: QueryParameters,
) -> Result<Redirect, PageError> {
    let id = ExecutionId::new(id);
    let executor = &app.executor;
    let shown = run_blocking(|| match action.as_str() {
        "kill" => executor.kill(&id).map(|()| id.clone()),
        "pause" => executor.pause(&id).map(|()| id.clone()),
        "resume" => executor.resume(&id, Vec::new()).map(|()| id.clone()),
        "restart" => executor.restart(&id, Vec::new()).map(|()| id.clone()),
        "replay" => executor.replay(&id, parameters.one("task"), Vec::new()),
        _ => Ok(id.clone()),
    });
    match action.as_str() {
        "kill" | "pause" | "resume" | "restart" | "replay" => Ok(Redirect::to(&format!("/executions/{}", shown?))),
        "delete" => {
            executor.delete(&id).await?;
            Ok(Redirect::to("/executions"))
        }
        _ => Err(ApiError::not_found(format!("an execution has no action `{action}`")).into()),
    }
}
