//! The tables that were loaded, with their rows by month, and the names that a query may use.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::chart::Chart;
use super::{DataHead, head};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::databases::{Database, LoadedTable, ReadOnly, TableColumns};
use crate::server::pages::format::Amount;
use crate::server::pages::shell::{NavPage, Shell};
use crate::server::pages::{PageResult, page_or_json};
use crate::task::TaskError;
use crate::text::count;

/// The most tables that are shown.
const MAX_TABLES: usize = 50;

#[derive(Serialize)]
struct ShownTable {
    name: String,
    summary: String,
    rows: Amount,
    chart: Option<Chart>,
    /// Where its loads and a query of it are.
    loads: String,
    query: String,
}

#[derive(Serialize, Template)]
#[template(path = "data_tables.html")]
struct TablesPage {
    #[serde(skip)]
    shell: Shell,
    head: DataHead,
    tables: Vec<ShownTable>,
    others: usize,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (mut head, database) = head(&app, "tables", &parameters).await?;
    let mut tables = Vec::new();
    if let Some(database) = &database {
        match read(&app, database).await {
            Ok(read) => tables = read,
            Err(error) => head.failed(&error),
        }
    }
    let others = tables.len().saturating_sub(MAX_TABLES);
    let shown = tables.into_iter().take(MAX_TABLES).map(|table| shown(table, &parameters)).collect();
    page_or_json(&TablesPage { shell: Shell::of(&app, NavPage::Data, ""), head, tables: shown, others })
}

async fn read(app: &App, database: &Database) -> Result<Vec<LoadedTable>, TaskError> {
    let session = ReadOnly::open(&app.settings, database).await?;
    let tables = match session.ledger().await? {
        Some(ledger) => session.loaded_tables(&ledger).await?,
        None => Vec::new(),
    };
    session.finish();
    Ok(tables)
}

fn shown(table: LoadedTable, parameters: &QueryParameters) -> ShownTable {
    let sql = format!("SELECT * FROM {} LIMIT 100", table.target);
    ShownTable {
        summary: format!("{} · {}", count(table.partitions, "partition"), count(table.months.len() as u64, "month")),
        rows: Amount(table.rows),
        chart: Chart::of_months(&table.months),
        loads: format!("/data?{}", parameters.with("table", &table.target)),
        query: format!("/data/query?{}", parameters.with("sql", &sql)),
        name: table.target,
    }
}

/// The tables with their columns, for a script that completes names.
pub(super) async fn columns(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<TableColumns>, ApiError> {
    let (_, database) = head(&app, "", &parameters).await?;
    let Some(database) = database else { return Ok(Json(TableColumns::new())) };
    let read = async {
        let session = ReadOnly::open(&app.settings, &database).await?;
        let columns = session.columns().await?;
        session.finish();
        Ok::<_, TaskError>(columns)
    };
    read.await.map(Json).map_err(|error| ApiError::new(axum::http::StatusCode::BAD_GATEWAY, error.message))
}
