//! The audit log: who did what, for admins.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::State;

use super::format::ShownTime;
use super::shell::{NavPage, Shell};
use super::{PageResult, page};
use crate::journal::AuditRow;
use crate::server::App;
use crate::server::api::audit::{self, RESULTS};
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

struct ShownRow {
    number: i64,
    time: ShownTime,
    user: String,
    address: String,
    action: String,
    target: String,
    status: u16,
    /// The class, sign and word of how it ended.
    result: (&'static str, &'static str, &'static str),
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    rows: Vec<ShownRow>,
    user: String,
    text: String,
    since: String,
    results: Vec<(&'static str, bool)>,
    /// The query of the rows before these.
    older: Option<String>,
    has_filter: bool,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let found = audit::find(&app, &parameters)?;
    let text = |name: &str| parameters.one(name).unwrap_or_default().to_owned();
    let chosen = text("result");
    let older = found.last().filter(|_| found.len() == audit::SHOWN as usize);
    let older = older.map(|row| parameters.with("before", &row.number.to_string()));
    let shell = Shell::of(&app, NavPage::Audit, "");
    page(&AuditPage {
        shell,
        user: text("user"),
        text: text("q"),
        since: text("since"),
        results: RESULTS.map(|name| (name, name == chosen)).to_vec(),
        has_filter: ["user", "q", "since", "result", "before"].iter().any(|name| parameters.one(name).is_some()),
        rows: found
            .into_iter()
            .map(|row| ShownRow {
                result: result(&row),
                number: row.number,
                time: ShownTime::of(row.time),
                user: row.user,
                address: row.address,
                action: row.action,
                target: row.target,
                status: row.status,
            })
            .collect(),
        older,
    })
}

/// The class, sign and word of how a row ended.
fn result(row: &AuditRow) -> (&'static str, &'static str, &'static str) {
    let word = row.result();
    match word {
        "done" => ("ok", "✓", word),
        "refused" => ("warn", "⊘", word),
        _ => ("fail", "✗", word),
    }
}

/// The same as JSON.
pub(super) async fn json(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<Vec<AuditRow>>, ApiError> {
    audit::find(&app, &parameters).map(Json)
}
