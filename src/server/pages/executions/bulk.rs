//! The same for all executions that match the filters: a page that says how many, and asks before it is done.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;

use super::ListedExecution;
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::executor::BulkAction;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::error::PageError;
use crate::server::pages::shell::{NavPage, Shell};
use crate::server::pages::{PageResult, page};
use crate::text::{count, thousands};

/// How many of the executions the page shows.
const SHOWN: u32 = 10;
/// How many refusals it shows.
const MAX_REFUSALS: usize = 100;

/// An action with its words: what the button says, and what was done.
const ACTIONS: [(&str, &str, &str); 5] = [
    ("restart", "Restart", "restarted"),
    ("resume", "Resume", "resumed"),
    ("pause", "Pause", "paused"),
    ("kill", "Kill", "killed"),
    ("delete", "Delete", "deleted"),
];

/// The link to an action's page.
pub(in crate::server::pages) struct BulkLink {
    pub(in crate::server::pages) words: String,
    pub(in crate::server::pages) query: String,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    shell: Shell,
    action: &'static str,
    words: String,
    is_dangerous: bool,
    role: &'static str,
    total: u64,
    executions: Vec<ListedExecution>,
    /// The query of the selected executions, and that of the list.
    query: String,
    /// What was done, and what was refused.
    outcome: Option<(String, Vec<(String, String)>)>,
}

/// The links to all actions on what a query matches.
pub(super) fn links(filters: &QueryParameters, total: u64) -> Vec<BulkLink> {
    let link = |(action, words, _): (&str, &str, &str)| BulkLink {
        words: format!("{words} {}…", thousands(total)),
        query: filters.with("action", action),
    };
    ACTIONS.into_iter().map(link).collect()
}

fn role(action: &str) -> &'static str {
    if action == "delete" { "admin" } else { "operator" }
}

/// Says how many executions an action would change. What is created from now on is not among them.
pub(in crate::server::pages) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (action, words, _) = named(parameters.one("action").unwrap_or_default())?;
    let now = clock::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    let meant = parameters.without("action").without("page").without("size");
    let meant = if meant.one("endDate").is_some() { meant } else { meant.adding("endDate", &now) };
    let shown = run_blocking(|| {
        let found = app.executor.journal().search(&meant.query_in(&app)?, SHOWN, 0)?;
        let listed = found.executions.iter().map(|summary| ListedExecution::of(&app, summary));
        let executions = listed.collect::<Result<Vec<_>, _>>()?;
        let words = format!("{words} {}", count(found.total, "execution"));
        Ok::<_, ApiError>(of(&app, action, words, found.total, executions, meant.text(), None))
    })?;
    page(&shown)
}

/// Does it, and says what could not be done.
pub(in crate::server::pages) async fn apply(
    State(app): State<Arc<App>>,
    Path(action): Path<String>,
    parameters: QueryParameters,
) -> Result<Response, PageError> {
    let (action, words, done) = named(&action)?;
    let Some(bulk) = BulkAction::named(action) else { return Err(unknown(action).into()) };
    let query = run_blocking(|| parameters.query_in(&app))?;
    let results = app.executor.bulk(&query, bulk).await?;
    let refused = results.iter().filter_map(|(id, result)| Some((id.to_string(), result.as_ref().err()?.to_string())));
    let refused: Vec<(String, String)> = refused.collect();
    let outcome = format!("{} {done}", count((results.len() - refused.len()) as u64, "execution"));
    let outcome = match refused.len() {
        0 => outcome,
        several => format!("{outcome}, {} refused", thousands(several as u64)),
    };
    let refused = refused.into_iter().take(MAX_REFUSALS).collect();
    let shown = of(&app, action, words.to_owned(), 0, Vec::new(), String::new(), Some((outcome, refused)));
    Ok(page(&shown)?.into_response())
}

fn of(
    app: &App,
    action: &'static str,
    words: String,
    total: u64,
    executions: Vec<ListedExecution>,
    query: String,
    outcome: Option<(String, Vec<(String, String)>)>,
) -> BulkPage {
    let shell = Shell::of(app, NavPage::Executions, "");
    let is_dangerous = ["kill", "delete"].contains(&action);
    BulkPage { shell, action, words, is_dangerous, role: role(action), total, executions, query, outcome }
}

fn named(action: &str) -> Result<(&'static str, &'static str, &'static str), ApiError> {
    ACTIONS.into_iter().find(|(name, ..)| *name == action).ok_or_else(|| unknown(action))
}

fn unknown(action: &str) -> ApiError {
    ApiError::not_found(format!("`{action}` is not an action for several executions"))
}
