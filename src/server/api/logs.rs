//! What executions logged.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;

use crate::id::ExecutionId;
use crate::journal::LogLine;
use crate::server::App;
use crate::server::api::parameters::Parameters;
use crate::server::api::problem::Problem;

const LEVELS: [&str; 4] = ["DEBUG", "INFO", "WARN", "ERROR"];

/// Which lines are wanted.
pub(super) struct Wanted {
    least: usize,
    task: Option<String>,
}

impl Wanted {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Problem> {
        let level = parameters.one("minLevel").unwrap_or("DEBUG").to_uppercase();
        let level = if level == "TRACE" { "DEBUG".to_owned() } else { level };
        let least = LEVELS.iter().position(|name| *name == level);
        let least = least.ok_or_else(|| Problem::wrong(format!("there is no level `{level}`")))?;
        Ok(Self { least, task: parameters.one("taskId").map(str::to_owned) })
    }

    pub(super) fn has(&self, line: &LogLine) -> bool {
        let level = LEVELS.iter().position(|name| *name == line.level).unwrap_or(LEVELS.len());
        level >= self.least && self.task.as_ref().is_none_or(|task| *task == line.task)
    }
}

fn lines(app: &App, id: String, parameters: &Parameters) -> Result<Vec<LogLine>, Problem> {
    let id = ExecutionId::new(id);
    let journal = app.executor.journal();
    journal.state(&id)?.ok_or_else(|| Problem::no_execution(&id))?;
    let wanted = Wanted::of(parameters)?;
    Ok(journal.logs(&id)?.into_iter().filter(|line| wanted.has(line)).collect())
}

/// The log of an execution.
#[utoipa::path(get, path = "/logs/{id}", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query)),
    responses((status = 200, description = "The lines, in order", body = [Object]), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Vec<LogLine>>, Problem> {
    lines(&app, id, &parameters).map(Json)
}

/// The log of an execution as a text file.
#[utoipa::path(get, path = "/logs/{id}/download", tag = "logs",
    params(("minLevel" = Option<String>, Query), ("taskId" = Option<String>, Query)),
    responses((status = 200, description = "The lines, in order", body = String), (status = 404, body = Problem)))]
pub(super) async fn download(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let name = format!("attachment; filename=\"{}.log\"", id.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
    let mut text = String::new();
    for line in lines(&app, id, &parameters)? {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{} {:<5} {} {}", line.time.to_rfc3339(), line.level, line.task, line.message);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], text))
}
