//! The sample months for a server without flows: their files, the flow that loads them, and the form that runs it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::Redirect;

use super::error::PageError;
use super::shell::flow_address;
use crate::clock;
use crate::engine::catalog::{Catalog, CatalogError};
use crate::sample::year;
use crate::server::App;
use crate::server::api::error::ApiError;

/// Of two requests the second finds what the first has written.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes what is not there yet, and shows the form.
pub(super) async fn create(State(app): State<Arc<App>>) -> Result<Redirect, PageError> {
    let catalog = app.catalog.clone();
    let written = tokio::task::spawn_blocking(move || write(&catalog)).await;
    written.map_err(|error| ApiError::internal(&error))??;
    Ok(Redirect::to(&format!("{}/run", flow_address(year::NAMESPACE, year::ID))))
}

/// The files come first: there is no flow without what it reads.
fn write(catalog: &Catalog) -> Result<(), CatalogError> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let known = catalog.get(year::NAMESPACE, year::ID);
    let of_flow = known.as_ref().and_then(|entry| entry.file.parent().map(ToOwned::to_owned));
    let new = || catalog.folders().first().map(|folder| folder.join(year::NAMESPACE)).unwrap_or_default();
    let folder = of_flow.unwrap_or_else(new).join(year::FOLDER);
    year::write_year(&folder, clock::now().date_naive()).map_err(|error| CatalogError::File {
        what: "write the sample months to",
        file: folder.clone(),
        error,
    })?;
    match catalog.create(year::FLOW) {
        Ok(_) | Err(CatalogError::Exists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
