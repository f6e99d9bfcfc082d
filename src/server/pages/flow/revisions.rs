//! The texts that a flow has had: what each changed, and bringing one back.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use serde::Serialize;

use crate::blocking::run_blocking;
use crate::engine::catalog::CatalogEntry;
use crate::engine::is_whole;
use crate::id::FlowKey;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::diff::{self, DiffLine};
use crate::server::pages::error::PageError;
use crate::server::pages::format::ShownTime;
use crate::server::pages::shell::flow_address;

/// How many are listed.
const LISTED: u32 = 20;

#[derive(Serialize)]
pub(super) struct ShownRevision {
    pub(super) number: u32,
    pub(super) time: ShownTime,
    pub(super) is_current: bool,
}

/// A revision that is being looked at, compared with the text of now.
pub(super) struct OpenRevision {
    pub(super) number: u32,
    pub(super) lines: Vec<DiffLine>,
    /// Why it cannot be restored.
    pub(super) locked: &'static str,
    /// What tells the file's text of now.
    pub(super) base: String,
}

/// The newest revisions of a flow.
pub(super) fn of(app: &App, entry: &CatalogEntry) -> Result<Vec<ShownRevision>, ApiError> {
    let found = app.executor.journal().revision_times(&entry.namespace, &entry.id, LISTED)?;
    let shown =
        |(number, time)| ShownRevision { number, time: ShownTime::of(time), is_current: number == entry.revision };
    Ok(found.into_iter().map(shown).collect())
}

impl OpenRevision {
    pub(super) fn of(app: &App, entry: &CatalogEntry, number: u32) -> Result<Self, ApiError> {
        let revision = app.executor.journal().revision(&entry.namespace, &entry.id, number)?;
        let revision = revision.ok_or_else(|| missing(&entry.id, number))?;
        let lines = diff::lines(entry.text(), &revision.text);
        let locked = match () {
            () if lines.is_empty() => "It is the text of now.",
            () if !is_whole(&revision) => "A password was written out in it, which is not kept.",
            () => "",
        };
        let base = app.catalog.text_to_edit(&entry.namespace, &entry.id)?.digest;
        Ok(Self { number, lines, locked, base })
    }
}

fn missing(id: &str, number: u32) -> ApiError {
    ApiError::not_found(format!("the flow `{id}` has no revision {number}"))
}

/// Saves the text of a revision as the flow's newest one.
pub(in crate::server::pages) async fn restore(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    body: String,
) -> Result<Redirect, PageError> {
    let form = QueryParameters::parse(&body);
    let number = form.read::<u32>("revision", "3")?.unwrap_or_default();
    let base = form.one("base").unwrap_or_default();
    run_blocking(|| {
        let revision = app.executor.journal().revision(&namespace, &id, number)?;
        let revision = revision.ok_or_else(|| missing(&id, number))?;
        if !is_whole(&revision) {
            return Err(ApiError::conflict(format!(
                "a password was written out in revision {number}, which is not kept"
            )));
        }
        app.catalog.save_edit(&FlowKey::new(&namespace, &id), base, &revision.text)?;
        Ok(())
    })?;
    Ok(Redirect::to(&flow_address(&namespace, &id)))
}
