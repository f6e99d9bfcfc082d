//! Logs of executions.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;

use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::journal::{JournalError, LogFilter, LogLine, LogPosition};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// How many lines are read at a time.
const PAGE_SIZE: u32 = 2000;

/// Which lines are requested.
pub(super) fn filter(parameters: &QueryParameters) -> Result<LogFilter, ApiError> {
    Ok(LogFilter {
        min_level: parameters.level("minLevel")?,
        task: parameters.one("taskId").map(str::to_owned),
        text: parameters.one("q").map(str::to_owned),
    })
}

/// The requested lines of an execution that there is, in pages.
struct LogPages {
    app: Arc<App>,
    id: ExecutionId,
    filter: LogFilter,
    last: i64,
    is_over: bool,
}

impl LogPages {
    fn of(app: Arc<App>, id: ExecutionId, parameters: &QueryParameters) -> Result<Self, ApiError> {
        run_blocking(|| app.executor.journal().status(&id))?.ok_or_else(|| ApiError::execution_not_found(&id))?;
        Ok(Self { app, id, filter: filter(parameters)?, last: 0, is_over: false })
    }

    fn next(&mut self) -> Result<Option<Vec<LogLine>>, JournalError> {
        if self.is_over {
            return Ok(None);
        }
        let journal = self.app.executor.journal();
        let lines = journal.log_lines(&self.id, &self.filter, LogPosition::After(self.last), PAGE_SIZE)?;
        self.last = lines.last().map_or(self.last, |(number, _)| *number);
        self.is_over = lines.len() < PAGE_SIZE as usize;
        Ok(Some(lines.into_iter().map(|(_, line)| line).collect()))
    }
}

/// The log of an execution.
#[utoipa::path(get, path = "/logs/{id}", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query), ("q" = Option<String>, Query, description = "A text in the line")),
    responses((status = 200, description = "The lines, in order", body = [Object]), (status = 404, body = ApiError)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<Json<Vec<LogLine>>, ApiError> {
    let mut pages = LogPages::of(app, id.parse()?, &parameters)?;
    let mut lines = Vec::new();
    while let Some(page) = run_blocking(|| pages.next())? {
        lines.extend(page);
    }
    Ok(Json(lines))
}

/// The log of an execution as a text file.
#[utoipa::path(get, path = "/logs/{id}/download", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query), ("q" = Option<String>, Query, description = "A text in the line")),
    responses((status = 200, description = "The lines, in order", body = String), (status = 404, body = ApiError)))]
pub(super) async fn download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: QueryParameters,
) -> Result<impl IntoResponse, ApiError> {
    let id: ExecutionId = id.parse()?;
    let name = format!("attachment; filename=\"{id}.log\"");
    let pages = LogPages::of(app, id, &parameters)?;
    let text = futures_util::stream::unfold(pages, |mut pages| async move {
        let page = run_blocking(|| pages.next()).transpose()?;
        Some((page.map(|lines| written(&lines)), pages))
    });
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(text)))
}

fn written(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        // Writing into a string does not fail.
        let _ =
            writeln!(text, "{} {:<5} {} {}", line.time.to_rfc3339(), line.level, line.source.as_str(), line.message);
    }
    text
}
