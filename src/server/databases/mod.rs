//! The databases that flows and settings name, read by the pages about data: what was loaded, and queries that change
//! nothing.

mod ask;
mod bigquery;
mod loads;
mod read_only;
mod tables;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::clock;
use crate::config::Settings;
use crate::engine::catalog::CatalogEntry;
use crate::engine::{HypotheticalRun, InputHost};
use crate::flow::input;
use crate::postgres::{FlowAddress, PostgresAddress, RequestedServer, managed, resolve};
use crate::server::App;
use crate::task::TaskType;

pub(super) use ask::{MAX_SQL_BYTES, QueryAnswer, QueryOutcome, ask};
pub(super) use loads::{LoadFilter, LoadTotals, RecordedLoad};
pub(super) use read_only::{QueryLimits, QueryResult, ReadOnly};
pub(super) use tables::{LoadedTable, TableColumns};

/// The name of the private server in addresses of pages.
const PRIVATE: &str = "private";
/// The most flows whose addresses are looked at.
const MAX_FLOWS: usize = 500;
/// The fields of a task that say where its database is.
const FIELDS: &[&str] = &["url", "username", "password"];

/// A database.
#[derive(Clone, Debug)]
pub(super) struct Database {
    /// What pages call it: `user@host:port/database`, never with a password.
    pub(super) name: String,
    /// Who names it.
    pub(super) origin: String,
    target: DatabaseTarget,
}

#[derive(Clone, Debug)]
enum DatabaseTarget {
    Postgres(Box<PostgresAddress>),
    /// The private server, which has its address once it runs.
    Private,
    /// BigQuery with the server's own credentials.
    BigQuery,
}

impl Database {
    /// Whether queries on it cost by the bytes that they read.
    pub(super) fn is_bigquery(&self) -> bool {
        matches!(self.target, DatabaseTarget::BigQuery)
    }
}

/// The databases, that of the settings first, and what is known of none.
pub(super) struct Databases {
    pub(super) known: Vec<Database>,
    pub(super) notes: Vec<String>,
}

impl Databases {
    /// Those that settings and flows name. Connects to nothing.
    pub(super) async fn of(app: &App) -> Self {
        let mut all = Self { known: Vec::new(), notes: Vec::new() };
        match default(&app.settings) {
            Ok(found) => all.known.extend(found),
            Err(problem) => all.notes.push(problem),
        }
        // The command line's word wins over all flows'.
        if app.settings.postgres.is_none() {
            all.add_those_of_flows(app).await;
        }
        all.known.extend(uses_bigquery(app).then(|| Database {
            name: "BigQuery".to_owned(),
            origin: "with this server's Google credentials".to_owned(),
            target: DatabaseTarget::BigQuery,
        }));
        all
    }

    /// The one that a page asks for, else the first.
    pub(super) fn choose(&self, name: Option<&str>) -> Option<&Database> {
        match name {
            Some(name) => self.known.iter().find(|known| known.name == name),
            None => self.known.first(),
        }
    }

    async fn add_those_of_flows(&mut self, app: &App) {
        let mut seen: BTreeMap<String, ()> = BTreeMap::new();
        for entry in app.catalog.list().into_iter().take(MAX_FLOWS) {
            // Flows that write the same address are rendered once.
            let is_new = |written: &String| seen.insert(written.clone(), ()).is_none();
            if addresses_in(&entry).filter(is_new).count() > 0 {
                self.add(app, &entry).await;
            }
        }
    }

    async fn add(&mut self, app: &App, entry: &CatalogEntry) {
        let now = clock::now();
        let none: [(String, String); 0] = [];
        let inputs = input::resolve(&entry.flow, &none, &InputHost::at(now)).unwrap_or_else(|_| Map::new());
        let run = HypotheticalRun { inputs, date: now, trigger: None };
        let wanted = |task: &TaskType| (task.system() == "postgres").then_some(FIELDS);
        for found in app.executor.runner().dry_run(&entry.flow, &run, wanted).await {
            let Ok(fields) = found.fields else { continue };
            let field = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
            let (url, user, password) = (field("url"), field("username"), field("password"));
            if url.as_deref().is_none_or(str::is_empty) {
                continue;
            }
            let address = FlowAddress::of(url.as_ref(), user.as_ref(), password.as_ref(), &found.files);
            match resolve(&app.settings, Some(&address)) {
                Ok(RequestedServer::Server(address)) => {
                    let origin = format!("the flow {}", entry.id);
                    let private = managed::is_own(&app.settings, &address);
                    let name = if private { PRIVATE.to_owned() } else { name_of(&address) };
                    if !self.known.iter().any(|known| known.name == name) {
                        self.known.push(Database { name, origin, target: DatabaseTarget::Postgres(address) });
                    }
                }
                Ok(RequestedServer::Managed) => {}
                Err(problem) => self.notes.push(format!("{}: {}", entry.id, problem.message)),
            }
        }
    }
}

/// Whether a flow has a task on BigQuery.
fn uses_bigquery(app: &App) -> bool {
    let has_one = |entry: &CatalogEntry| entry.flow.all_steps().iter().any(|step| step.task.system() == "bigquery");
    app.catalog.list().iter().any(|entry| has_one(entry))
}

/// The database of a flow that names none; none while the private server has no data.
fn default(settings: &Settings) -> Result<Option<Database>, String> {
    match resolve(settings, None) {
        Ok(RequestedServer::Server(address)) => {
            let origin = address.origin.to_string();
            Ok(Some(Database { name: name_of(&address), origin, target: DatabaseTarget::Postgres(address) }))
        }
        Ok(RequestedServer::Managed) => match managed::status(settings) {
            Ok(status) if status.major.is_some() => Ok(Some(Database {
                name: PRIVATE.to_owned(),
                origin: "managed by jitney".to_owned(),
                target: DatabaseTarget::Private,
            })),
            Ok(_) => Ok(None),
            Err(error) => Err(error.message),
        },
        Err(problem) => Err(problem.message),
    }
}

fn name_of(address: &PostgresAddress) -> String {
    format!("{}@{address}", address.user())
}

/// The addresses as the tasks of a flow write them, with all that may change what they mean.
fn addresses_in(entry: &CatalogEntry) -> impl Iterator<Item = String> {
    let variables = Value::Object(entry.flow.variables.clone()).to_string();
    let steps = entry.flow.all_steps();
    let written = steps.into_iter().filter(|step| step.task.system() == "postgres").filter_map(move |step| {
        let url = step.fields.get("url").filter(|url| !url.is_null())?;
        let login = ["username", "password"].map(|name| step.fields.get(name).cloned().unwrap_or_default());
        Some(format!("{} {url} {} {} {variables}", entry.namespace, login[0], login[1]))
    });
    written.collect::<Vec<_>>().into_iter()
}
