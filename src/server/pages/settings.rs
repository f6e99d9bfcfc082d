//! The server itself: whether it can do its work, where it keeps things, what it is set to, and what is missing on the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::account::{self, ShownUser};
use super::format::{ShownTime, filters};
use super::shell::{NavPage, Shell};
use super::state::StateBadge;
use super::{PageResult, page_or_json};
use crate::blocking::run_blocking;
use crate::config::Settings;
use crate::doctor::{self, DoctorFinding};
use crate::engine::health::Component;
use crate::gcp::Service;
use crate::postgres::{RequestedServer, managed, resolve};
use crate::secret::{hide_literals, is_secret_name};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::server::readiness::{Readiness, ReadinessCheck, ReadinessStatus};
use crate::storage::DiskSpace;
use crate::text::size;

/// The variables of the environment that are shown, by what their names begin with.
const PREFIXES: [&str; 4] = ["JITNEY_", "PG", "GOOGLE_", "OTEL_"];
/// Those that are shown by their whole names.
const NAMES: [&str; 4] = ["DATABASE_URL", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "CLOUDSDK_CONFIG"];

/// A part of the server.
#[derive(Serialize)]
struct ShownComponent {
    name: &'static str,
    state: StateBadge,
    problem: String,
    errors: u64,
}

/// What `jitney doctor` says of a thing.
#[derive(Serialize)]
struct ShownCheck {
    what: &'static str,
    state: StateBadge,
    detail: String,
    fix: String,
}

#[derive(Serialize, Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    #[serde(skip)]
    shell: Shell,
    state: StateBadge,
    components: Vec<ShownComponent>,
    problems: Vec<(String, bool)>,
    started: ShownTime,
    facts: Vec<(&'static str, String)>,
    services: Vec<(&'static str, String)>,
    variables: Vec<(String, String)>,
    users: Vec<ShownUser>,
    findings: Option<Vec<ShownCheck>>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let findings = match parameters.is_on("check") {
        false => None,
        true => {
            let settings = app.settings.clone();
            Some(run_on_pool(async move || Ok(doctor::check(&settings).await)).await?)
        }
    };
    let usage = app.metrics.disk(app.settings.clone()).await;
    let (readiness, disk, load, services) = run_blocking(|| {
        (Readiness::of(&app, true), DiskSpace::of(&app.settings.home), app.executor.load(), services(&app.settings))
    });
    let mut facts =
        vec![("Version", env!("CARGO_PKG_VERSION").to_owned()), ("Home", app.settings.home.display().to_string())];
    facts.extend(disk.ok().map(|disk| ("Disk", format!("{} free of {}", size(disk.free), size(disk.all)))));
    if let Ok(usage) = usage {
        facts.extend([("Journal", size(usage.journal)), ("Files of executions", size(usage.files))]);
    }
    let folders: Vec<String> = app.catalog.folders().iter().map(|folder| folder.display().to_string()).collect();
    facts.push(("Folders of flows", folders.join(", ")));
    if let Ok(load) = load {
        facts.push(("Executions", format!("{} of {} slots, {} queued", load.running, load.parallel, load.queued)));
    }
    facts.extend(app.facts.iter().cloned());
    page_or_json(&SettingsPage {
        shell: Shell::of(&app, NavPage::Settings, ""),
        state: StateBadge::of_readiness(readiness.status),
        components: components(&app, readiness.checks),
        problems: readiness.problems.iter().flatten().map(|found| (found.to_string(), found.is_error())).collect(),
        started: ShownTime::of(app.started),
        facts,
        services,
        variables: variables(&app.settings),
        users: run_blocking(|| account::users(&app)).map_err(ApiError::from)?,
        findings: findings.map(|found| found.into_iter().map(shown).collect()),
    })
}

/// All components, those that readiness speaks of with their state and the others with their errors.
fn components(app: &App, checks: Vec<ReadinessCheck>) -> Vec<ShownComponent> {
    let counts: BTreeMap<Component, u64> = app.executor.health().error_counts();
    let one = |part: &Component| {
        let check = checks.iter().find(|check| check.name == *part);
        ShownComponent {
            name: part.as_str(),
            state: StateBadge::of_readiness(check.map_or(ReadinessStatus::Up, |check| check.status)),
            problem: check.and_then(|check| check.problem.clone()).unwrap_or_default(),
            errors: counts.get(part).copied().unwrap_or_default(),
        }
    };
    Component::ALL.iter().map(one).collect()
}

/// The servers that flows use where they name none. Connects to nothing.
fn services(settings: &Settings) -> Vec<(&'static str, String)> {
    let postgres = match resolve(settings, None) {
        Ok(RequestedServer::Server(address)) => format!("{address}, {}", address.origin),
        Ok(RequestedServer::Managed) => match managed::status(settings) {
            Ok(status) if status.running => format!("private server in {}, running", status.folder.display()),
            Ok(status) if status.major.is_some() => {
                format!("private server in {}; it starts when a flow needs it", status.folder.display())
            }
            Ok(_) => "none; a private server is created when a flow needs one".to_owned(),
            Err(error) => error.message,
        },
        Err(problem) => problem.message.clone(),
    };
    let google = [("Cloud Storage", Service::Storage), ("BigQuery", Service::BigQuery)];
    let emulators = google.into_iter().filter_map(|(name, service)| {
        service.emulator(settings).map(|address| (name, format!("emulator at {}", hide_literals(&address))))
    });
    std::iter::once(("Postgres", postgres)).chain(emulators).collect()
}

/// The variables of the environment that change what the server does; those that are secret only with that they are set.
fn variables(settings: &Settings) -> Vec<(String, String)> {
    let is_meant = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name);
    let shown = |(name, value): (&str, &str)| {
        let shown = settings.redactor.clean(&hide_literals(value));
        let value = if is_secret_name(name) { "✱✱✱".to_owned() } else { shown };
        (name.to_owned(), value)
    };
    settings.variables("").filter(|(name, value)| is_meant(name) && !value.is_empty()).map(shown).collect()
}

fn shown(finding: DoctorFinding) -> ShownCheck {
    ShownCheck {
        what: finding.what,
        state: StateBadge::of_finding(finding.state),
        detail: finding.detail,
        fix: finding.fix.unwrap_or_default(),
    }
}
