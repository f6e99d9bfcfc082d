//! Logs of executions.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;

use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::journal::LogLine;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::task::Level;

/// Which lines are requested.
pub(super) struct LogQuery {
    least: Level,
    task: Option<String>,
}

impl LogQuery {
    pub(super) fn of(parameters: &QueryParameters) -> Result<Self, ApiError> {
        let least = parameters.level("minLevel")?.unwrap_or(Level::Debug);
        Ok(Self { least, task: parameters.one("taskId").map(str::to_owned) })
    }

    pub(super) fn matches(&self, line: &LogLine) -> bool {
        line.level >= self.least && self.task.as_ref().is_none_or(|task| task == line.source.as_str())
    }
}

fn lines(app: &App, id: &ExecutionId, parameters: &QueryParameters) -> Result<Vec<LogLine>, ApiError> {
    let journal = app.executor.journal();
    journal.state(id)?.ok_or_else(|| ApiError::execution_not_found(id))?;
    let query = LogQuery::of(parameters)?;
    Ok(journal.logs(id)?.into_iter().filter(|line| query.matches(line)).collect())
}

/// The log of an execution.
#[utoipa::path(get, path = "/logs/{id}", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query)),
    responses((status = 200, description = "The lines, in order", body = [Object]), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<Json<Vec<LogLine>>, ApiError> {
    let id = id.parse()?;
    run_blocking(|| lines(&app, &id, &parameters)).map(Json)
}

/// The log of an execution as a text file.
#[utoipa::path(get, path = "/logs/{id}/download", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query)),
    responses((status = 200, description = "The lines, in order", body = String), (status = 404, body = ApiError)))]
pub(super) async fn download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<impl IntoResponse, ApiError> {
    let id = id.parse()?;
    let name = format!("attachment; filename=\"{id}.log\"");
    let mut text = String::new();
    for line in run_blocking(|| lines(&app, &id, &parameters))? {
        // Writing into a string does not fail.
        let _ =
            writeln!(text, "{} {:<5} {} {}", line.time.to_rfc3339(), line.level, line.source.as_str(), line.message);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], text))
}
