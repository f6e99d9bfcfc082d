//! Flows from files: each is checked, those that are flows are saved, and the page shows the result for each.

use std::path::Path;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page};
use crate::diagnostic::Diagnostic;
use crate::engine::catalog::{Catalog, CatalogError};
use crate::engine::flow_file;
use crate::id::FlowKey;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::flows::texts;
use crate::server::api::form::{FormUpload, InputForm};

/// The most bytes of all files together.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The most findings that are shown of a file.
const MAX_FINDINGS: usize = 5;

/// What became of a flow.
struct ImportedFlow {
    file: String,
    /// The class, sign and word of it.
    state: (&'static str, &'static str, &'static str),
    name: String,
    address: String,
    findings: Vec<String>,
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    report: Vec<ImportedFlow>,
    imported: usize,
    replace: bool,
    folder: String,
}

/// The form.
pub(super) async fn show(State(app): State<Arc<App>>) -> PageResult {
    report(&app, Vec::new(), false)
}

/// Imports what was chosen.
pub(super) async fn import(State(app): State<Arc<App>>, upload: FormUpload) -> PageResult {
    let form = InputForm::read(upload, &app).await?;
    let replace = form.inputs.iter().any(|(name, value)| name == "replace" && value == "true");
    let catalog = app.catalog.clone();
    let importing = move || {
        let files = form.inputs.iter().filter(|(name, value)| name == "files" && !value.is_empty());
        files.flat_map(|(_, path)| file(&catalog, Path::new(path), replace)).collect::<Vec<_>>()
    };
    let flows = tokio::task::spawn_blocking(importing).await.map_err(|error| ApiError::internal(&error))?;
    report(&app, flows, replace)
}

fn report(app: &App, report: Vec<ImportedFlow>, replace: bool) -> PageResult {
    let folder = app.catalog.folders().first().map(|folder| folder.display().to_string()).unwrap_or_default();
    let imported = report.iter().filter(|flow| flow.state.0 == "ok").count();
    page(&ImportPage { shell: Shell::of(app, NavPage::Flows, ""), report, imported, replace, folder })
}

/// Imports the flows of a file: YAML texts between lines of `---`.
fn file(catalog: &Catalog, path: &Path, replace: bool) -> Vec<ImportedFlow> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let refused = |why: &str| vec![outcome(&name, REFUSED, None, vec![why.to_owned()])];
    if !path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        return refused("flows are files that end in .yaml or .yml");
    }
    let text = match flow_file::read(path) {
        Ok(text) => text,
        Err(error) => return refused(&format!("it cannot be read: {error}")),
    };
    let parts = texts(&text);
    match parts.as_slice() {
        [] => refused("it is empty"),
        // One flow stays as it is, byte for byte.
        [_] => vec![one(catalog, &name, &text, replace)],
        several => several.iter().map(|text| one(catalog, &name, text, replace)).collect(),
    }
}

const IMPORTED: (&str, &str, &str) = ("ok", "✓", "imported");
const REPLACED: (&str, &str, &str) = ("ok", "✓", "replaced");
const UNCHANGED: (&str, &str, &str) = ("idle", "–", "unchanged");
const REFUSED: (&str, &str, &str) = ("fail", "✗", "refused");

fn one(catalog: &Catalog, file: &str, text: &str, replace: bool) -> ImportedFlow {
    match catalog.create(text) {
        Ok(entry) => outcome(file, IMPORTED, Some(entry.key()), sentences(&entry.findings)),
        Err(CatalogError::Exists(key)) => {
            let known = catalog.get(&key.namespace, &key.id);
            if known.as_ref().is_some_and(|known| known.text() == text) {
                return outcome(file, UNCHANGED, Some(key), Vec::new());
            }
            if !replace {
                return outcome(file, REFUSED, Some(key), vec!["there is a flow of this name already".to_owned()]);
            }
            match catalog.save(text) {
                Ok(entry) => outcome(file, REPLACED, Some(entry.key()), sentences(&entry.findings)),
                Err(error) => outcome(file, REFUSED, Some(key), reasons(error)),
            }
        }
        Err(error) => outcome(file, REFUSED, None, reasons(error)),
    }
}

fn reasons(error: CatalogError) -> Vec<String> {
    match error {
        CatalogError::Invalid(findings) => sentences(&findings),
        error => vec![crate::text::chain(&error)],
    }
}

fn sentences(findings: &[Diagnostic]) -> Vec<String> {
    findings.iter().take(MAX_FINDINGS).map(super::editor::sentence).collect()
}

fn outcome(
    file: &str,
    state: (&'static str, &'static str, &'static str),
    key: Option<FlowKey>,
    findings: Vec<String>,
) -> ImportedFlow {
    let address = key.as_ref().map(|key| flow_address(&key.namespace, &key.id)).unwrap_or_default();
    let name = key.map(|key| key.to_string()).unwrap_or_default();
    ImportedFlow { file: file.to_owned(), state, address, name, findings }
}
