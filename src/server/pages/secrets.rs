//! The secrets that flows name: where each comes from, and which are missing. Values are never shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::engine::{available_secrets, secrets_named_in, source_of_secret};
use crate::server::App;
use crate::server::api::parameters::QueryParameters;

/// How many of the flows that name a secret are shown.
const SHOWN_FLOWS: usize = 8;

/// A secret in the list.
#[derive(Serialize)]
struct ListedSecret {
    name: String,
    /// Where its value comes from, for each folder of flows that name it.
    sources: Vec<String>,
    /// Why there is none.
    problem: String,
    /// The flows that name it, and how many more do.
    flows: Vec<(String, String)>,
    others: usize,
}

#[derive(Serialize, Template)]
#[template(path = "secrets.html")]
struct SecretsPage {
    #[serde(skip)]
    shell: Shell,
    text: String,
    missing: usize,
    secrets: Vec<ListedSecret>,
}

/// What is known of a name: the flows that name it, and the folders they lie in.
#[derive(Default)]
struct Named {
    flows: Vec<(String, String)>,
    folders: Vec<PathBuf>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let text = parameters.one("q").unwrap_or_default().to_lowercase();
    let mut secrets = run_blocking(|| listed(&app));
    secrets.retain(|secret| secret.name.to_lowercase().contains(&text));
    // Those that are missing need attention.
    secrets.sort_by(|a, b| (a.problem.is_empty(), &a.name).cmp(&(b.problem.is_empty(), &b.name)));
    page_or_json(&SecretsPage {
        shell: Shell::of(&app, NavPage::Secrets, ""),
        text: parameters.one("q").unwrap_or_default().to_owned(),
        missing: secrets.iter().filter(|secret| !secret.problem.is_empty()).count(),
        secrets,
    })
}

fn listed(app: &App) -> Vec<ListedSecret> {
    let mut names: BTreeMap<String, Named> = BTreeMap::new();
    for entry in app.catalog.list() {
        for name in secrets_named_in(entry.text()) {
            let named = names.entry(name.to_owned()).or_default();
            named.flows.push((entry.id.clone(), flow_address(&entry.namespace, &entry.id)));
            if !named.folders.contains(&entry.flow.folder) {
                named.folders.push(entry.flow.folder.clone());
            }
        }
    }
    for folder in app.catalog.folders() {
        for name in available_secrets(&app.settings, folder) {
            let known = names.keys().any(|known| known.eq_ignore_ascii_case(&name));
            if !known {
                names.entry(name).or_default().folders.push(folder.clone());
            }
        }
    }
    names.into_iter().map(|(name, named)| one(app, name, named)).collect()
}

fn one(app: &App, name: String, named: Named) -> ListedSecret {
    let found = |folder: &Path| source_of_secret(&app.settings, folder, &name);
    let (mut sources, mut problem) = (Vec::new(), String::new());
    for folder in &named.folders {
        match found(folder) {
            Ok(source) if sources.contains(&source) => {}
            Ok(source) => sources.push(source),
            Err(error) => problem = error,
        }
    }
    let others = named.flows.len().saturating_sub(SHOWN_FLOWS);
    let flows = named.flows.into_iter().take(SHOWN_FLOWS).collect();
    ListedSecret { name, sources, problem, flows, others }
}
