//! What the palette finds: pages, flows with what can be done to them, and executions by their id.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::shell::{flow_address, places};
use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// The most entries of an answer.
const MAX_ENTRIES: usize = 12;

/// Somewhere to go.
#[derive(Serialize)]
pub(super) struct PaletteEntry {
    title: String,
    kind: &'static str,
    address: String,
}

impl PaletteEntry {
    fn new(title: impl Into<String>, kind: &'static str, address: impl Into<String>) -> Self {
        Self { title: title.into(), kind, address: address.into() }
    }
}

/// Where the words of `q` lead: each has to be in the title.
pub(super) async fn find(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<Json<Vec<PaletteEntry>>, ApiError> {
    let text = parameters.one("q").unwrap_or_default().trim().to_lowercase();
    let mut found: Vec<PaletteEntry> = execution(&app, &text)?.into_iter().collect();
    let pages = places().map(|(name, address)| PaletteEntry::new(name, "page", address));
    let flows = app.catalog.list();
    let actions = flows.iter().flat_map(|flow| {
        let address = flow_address(&flow.namespace, &flow.id);
        let name = format!("{}.{}", flow.namespace, flow.id);
        [
            PaletteEntry::new(name.clone(), "flow", address.clone()),
            PaletteEntry::new(format!("Run {name}"), "action", format!("{address}/run")),
            PaletteEntry::new(format!("Partitions of {name}"), "page", format!("{address}/partitions")),
        ]
    });
    let has_all = |entry: &PaletteEntry| {
        let title = entry.title.to_lowercase();
        text.split_whitespace().all(|word| title.contains(word))
    };
    found.extend(pages.chain(actions).filter(has_all).take(MAX_ENTRIES));
    Ok(Json(found))
}

/// The execution whose id this is.
fn execution(app: &App, text: &str) -> Result<Option<PaletteEntry>, ApiError> {
    let Ok(id) = text.parse::<ExecutionId>() else { return Ok(None) };
    let state = run_blocking(|| app.executor.journal().state(&id))?;
    Ok(state.map(|state| {
        let title = format!("{id} of {}.{}", state.created.namespace, state.created.flow);
        PaletteEntry::new(title, "execution", format!("/executions/{id}"))
    }))
}
