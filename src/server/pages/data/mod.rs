//! The data that flows have loaded: every load with its reconciliation, the tables by month, queries, and what data-quality rules
//! said.

mod chart;
mod loads;
mod quality;
mod query;
mod rule;
mod tables;

use axum::Router;
use axum::routing::{get, post};
use serde::Serialize;
use std::sync::Arc;

use super::executions::FilterChoice;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::server::databases::{Database, Databases};
use crate::task::TaskError;

/// The pages of the data.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/data", get(loads::show))
        .route("/data.json", get(loads::show))
        .route("/data/tables.json", get(tables::show))
        .route("/data/quality.json", get(quality::show))
        .route("/data/tables", get(tables::show))
        .route("/data/tables/columns.json", get(tables::columns))
        .route("/data/query", get(query::show).post(query::run))
        .route("/data/query.csv", post(query::download))
        .route("/data/quality", get(quality::show))
}

/// What is above each of these pages: the choice of a database, and what keeps it from being read.
#[derive(Serialize)]
struct DataHead {
    /// The page, by its name.
    here: &'static str,
    databases: Vec<FilterChoice>,
    /// The one that is shown.
    name: String,
    origin: String,
    /// The query of an address that keeps the choice.
    query: String,
    notes: Vec<String>,
    problem: String,
    help: String,
}

impl DataHead {
    fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    fn failed(&mut self, error: &TaskError) {
        self.problem.clone_from(&error.message);
        self.help = error.help.clone().unwrap_or_default();
    }
}

/// The databases, and the one that the address asks for.
async fn head(
    app: &Arc<App>,
    here: &'static str,
    parameters: &QueryParameters,
) -> Result<(DataHead, Option<Database>), ApiError> {
    let owner = app.clone();
    let databases = run_on_pool(async move || Ok(Databases::of(&owner).await)).await?;
    let wanted = parameters.one("db");
    let chosen = databases.choose(wanted).cloned();
    if let (Some(wanted), None) = (wanted, &chosen) {
        return Err(ApiError::not_found(format!("no flow and no setting names the database `{wanted}`")));
    }
    let choice = |known: &Database| FilterChoice {
        is_chosen: chosen.as_ref().is_some_and(|chosen| chosen.name == known.name),
        value: known.name.clone(),
    };
    let head = DataHead {
        here,
        databases: databases.known.iter().map(choice).collect(),
        name: chosen.as_ref().map(|chosen| chosen.name.clone()).unwrap_or_default(),
        origin: chosen.as_ref().map(|chosen| chosen.origin.clone()).unwrap_or_default(),
        query: wanted.map(|wanted| QueryParameters::default().with("db", wanted)).unwrap_or_default(),
        notes: databases.notes,
        problem: String::new(),
        help: String::new(),
    };
    Ok((head, chosen))
}
