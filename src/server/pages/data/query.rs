//! A box for queries that change nothing. They run when the form is sent, never because somebody follows a link.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::chart::Chart;
use super::{DataHead, head};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::databases::{Database, MAX_SQL_BYTES, QueryAnswer, QueryLimits, QueryOutcome, QueryResult, ask};
use crate::server::pages::error::PageError;
use crate::server::pages::format::duration;
use crate::server::pages::shell::{NavPage, Shell};
use crate::server::pages::{PageResult, page};
use crate::text::{count, size};

/// What a page shows, and what a file holds.
const SHOWN: QueryLimits = QueryLimits { rows: 500, bytes: 2_000_000, value: 2_000 };
const FILE: QueryLimits = QueryLimits { rows: 200_000, bytes: 64_000_000, value: 1_000_000 };
/// The most rows that are drawn.
const MAX_DRAWN: usize = 200;

struct ShownColumn {
    name: String,
    kind: String,
    is_number: bool,
}

/// A result as a table and a chart.
struct ShownResult {
    columns: Vec<ShownColumn>,
    rows: Vec<Vec<Option<String>>>,
    chart: Option<Chart>,
    /// What the chart shows.
    drawn: String,
    summary: String,
    has_more: bool,
}

#[derive(Template)]
#[template(path = "data_query.html")]
struct QueryPage {
    shell: Shell,
    head: DataHead,
    sql: String,
    limits: String,
    problem: String,
    help: String,
    /// The bytes that the query would read, for whom it costs something.
    estimate: Option<(u64, String)>,
    result: Option<ShownResult>,
}

/// The box, with the query of the address in it.
pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (head, _) = head(&app, "query", &parameters).await?;
    answered(&app, head, parameters.one("sql").unwrap_or_default(), None)
}

/// Runs the query of the form.
pub(super) async fn run(State(app): State<Arc<App>>, body: String) -> PageResult {
    let form = QueryParameters::parse(&body);
    let (head, database) = head(&app, "query", &form).await?;
    let outcome = read(&app, database.as_ref(), &form, SHOWN).await?;
    answered(&app, head, form.one("sql").unwrap_or_default(), Some(outcome))
}

/// What a query gives. It is stopped when the reader goes away, since then this is dropped.
async fn read(
    app: &App,
    database: Option<&Database>,
    form: &QueryParameters,
    limits: QueryLimits,
) -> Result<QueryOutcome, ApiError> {
    let Some(database) = database else { return Err(ApiError::not_found("there is no database to ask")) };
    let sql = form.one("sql").unwrap_or_default();
    if sql.len() > MAX_SQL_BYTES {
        return Err(ApiError::unprocessable(format!("the query is longer than {MAX_SQL_BYTES} bytes")));
    }
    let agreed = form.read("bytes", "1000000")?;
    // Half of the connections are left to others.
    let _permit = app.connections.acquire_stream()?;
    Ok(ask(&app.settings, database, (sql, agreed), limits).await)
}

fn answered(app: &Arc<App>, head: DataHead, sql: &str, outcome: Option<QueryOutcome>) -> PageResult {
    let (mut result, mut estimate, mut error) = (None, None, None);
    match outcome {
        Some(Ok(QueryAnswer::Rows(rows, took))) => result = Some(shown(rows, took)),
        Some(Ok(QueryAnswer::Estimate(bytes))) => estimate = Some((bytes, size(bytes))),
        Some(Err(problem)) => error = Some(problem),
        None => {}
    }
    page(&QueryPage {
        shell: Shell::of(app, NavPage::Data, ""),
        head,
        sql: sql.to_owned(),
        limits: format!("at most {}, 30 s; nothing is changed", SHOWN.in_words()),
        problem: error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        help: error.and_then(|error| error.help).unwrap_or_default(),
        estimate,
        result,
    })
}

fn shown(result: QueryResult, took: Duration) -> ShownResult {
    let (chart, drawn) = chart(&result).unzip();
    let more = if result.has_more { " · there are more" } else { "" };
    ShownResult {
        summary: format!("{} in {}{more}", count(result.rows.len() as u64, "row"), duration(took)),
        columns: result
            .columns
            .into_iter()
            .map(|column| ShownColumn { name: column.name, kind: column.kind, is_number: column.is_number })
            .collect(),
        rows: result.rows,
        chart,
        drawn: drawn.unwrap_or_default(),
        has_more: result.has_more,
    }
}

/// The first column of numbers against the first other column, or against the first of all.
fn chart(result: &QueryResult) -> Option<(Chart, String)> {
    if result.rows.len() < 2 || result.rows.len() > MAX_DRAWN {
        return None;
    }
    let is_name = |index: &usize| !result.columns[*index].is_number;
    let name = (0..result.columns.len()).find(is_name).unwrap_or(0);
    let number = (0..result.columns.len()).find(|index| *index != name && result.columns[*index].is_number)?;
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let value = |row: &[Option<String>]| text(row, number).parse::<f64>().unwrap_or(0.0);
    let values: Vec<(String, f64)> = result.rows.iter().map(|row| (text(row, name), value(row))).collect();
    // A bar shows no debts.
    if values.iter().any(|(_, value)| *value < 0.0) {
        return None;
    }
    let chart = Chart::of(&values, |name, value| format!("{name}: {value}"))?;
    Some((chart, format!("{} by {}", result.columns[number].name, result.columns[name].name)))
}

/// The rows as a file.
pub(super) async fn download(State(app): State<Arc<App>>, body: String) -> Result<Response, PageError> {
    let form = QueryParameters::parse(&body);
    let (head, database) = head(&app, "query", &form).await?;
    let result = match read(&app, database.as_ref(), &form, FILE).await? {
        Ok(QueryAnswer::Rows(result, _)) => result,
        other => {
            let status = if other.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let html = answered(&app, head, form.one("sql").unwrap_or_default(), Some(other))?;
            return Ok((status, html).into_response());
        }
    };
    if result.has_more {
        let message = format!(
            "the result is larger than {}; a task of type postgres.copy_out writes it to a file of any size",
            FILE.in_words()
        );
        return Err(ApiError::unprocessable(message).into());
    }
    let text = csv(&result).map_err(|error| PageError::internal(&error))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"query.csv\""),
    ];
    Ok((headers, text).into_response())
}

fn csv(result: &QueryResult) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(result.columns.iter().map(|column| column.name.as_str()))?;
    for row in &result.rows {
        writer.write_record(row.iter().map(|value| value.as_deref().unwrap_or_default()))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
