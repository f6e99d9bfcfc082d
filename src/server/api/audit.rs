//! The audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};

use crate::blocking::run_blocking;
use crate::journal::{AuditQuery, AuditRow};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// The rows of a response.
pub(in crate::server) const SHOWN: u32 = 100;
/// What may become of a request.
pub(in crate::server) const RESULTS: [&str; 3] = ["done", "refused", "failed"];

/// The rows that a query selects, the newest first.
pub(in crate::server) fn find(app: &App, parameters: &QueryParameters) -> Result<Vec<AuditRow>, ApiError> {
    let text = |name: &str| parameters.one(name).map(str::to_owned);
    let result = text("result");
    if let Some(unknown) = result.as_deref().filter(|result| !RESULTS.contains(result)) {
        return Err(ApiError::unprocessable(format!("there is no result `{unknown}`; use done, refused or failed")));
    }
    let query = AuditQuery {
        user: text("user"),
        text: text("q"),
        result,
        since: since(parameters)?,
        before: parameters.read("before", "1000")?,
    };
    Ok(run_blocking(|| app.executor.journal().audit(&query, SHOWN))?)
}

/// A moment, or the beginning of a day.
fn since(parameters: &QueryParameters) -> Result<Option<DateTime<Utc>>, ApiError> {
    let day = parameters.one("since").and_then(|text| text.parse::<NaiveDate>().ok());
    match day.and_then(|day| day.and_hms_opt(0, 0, 0)) {
        Some(day) => Ok(Some(day.and_utc())),
        None => parameters.time("since"),
    }
}

/// Who asked the server to change something: the newest 100 rows, or those before a `number`.
#[utoipa::path(get, path = "/audit", tag = "audit",
    params(
        ("user" = Option<String>, Query, description = "Of this user or token"),
        ("q" = Option<String>, Query, description = "A text in action or target"),
        ("result" = Option<String>, Query, description = "done, refused or failed"),
        ("since" = Option<String>, Query, description = "A day or a time"),
        ("before" = Option<i64>, Query, description = "The `number` of the last row of the page before")),
    responses((status = 200, description = "The rows, the newest first", body = [Object])))]
pub(in crate::server) async fn list(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<Vec<AuditRow>>, ApiError> {
    find(&app, &parameters).map(Json)
}
