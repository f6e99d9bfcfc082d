//! The server: it runs flows by their triggers and answers HTTP. [`Server::build`] is the one place that puts its parts
//! together.

pub mod access;
mod api;
mod audit;
mod connections;
mod databases;
mod guard;
mod lineage;
mod log;
pub mod mcp;
mod metrics;
pub mod notify;
mod observers;
mod pages;
mod readiness;
pub mod retention;
mod router;
pub mod sensors;
pub mod settings;
mod timeouts;
pub mod tls;
mod traces;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::BackfillController;
use crate::engine::catalog::{Catalog, CatalogError, RefreshReport};
use crate::engine::clock::SystemClock;
use crate::engine::executor::{Executor, ExecutorOptions};
use crate::engine::health::Component;
use crate::engine::scheduler::Scheduler;
use crate::engine::{EngineError, Runner, SettingsHost};
use crate::journal::{Journal, JournalError, JournalUpdate, StartedBy};
use crate::server::access::{AccessControl, TrustedProxies};
use crate::server::audit::AnonymousLimit;
use crate::server::connections::{ConnectionHandler, ConnectionLimits};
use crate::server::log::ExecutionLog;
use crate::server::mcp::McpSettings;
use crate::server::metrics::Metrics;
use crate::server::observers::Observers;
use crate::server::pages::KeptPages;
use crate::server::sensors::{BucketSource, FileSource, FolderSource, Sensors};
use crate::server::settings::ServerSettings;
use crate::server::tls::{Tls, TlsFiles};
use crate::task::TaskType;
use crate::text;
use crate::web::client::client;

/// How long requests in progress may take once the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a trigger's request and an event for a collector may take.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a server is started with.
pub struct ServerOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Names under which it is reached, besides those that `config` has.
    pub hosts: Vec<String>,
    /// Folders of flows; new flows are saved in the first.
    pub flows: Vec<PathBuf>,
    /// The task types that flows may use.
    pub tasks: &'static [TaskType],
    /// The most executions that run at a time.
    pub parallel: usize,
    /// The addresses of proxies that are trusted, besides those that `config` has.
    pub trust_proxy: Vec<String>,
    /// The files of the certificate and key with which the server speaks TLS, if it does.
    pub tls: Option<TlsFiles>,
    /// `jitney.yaml`, as it was read.
    pub config: ServerSettings,
}

/// Why a server could not be started, or did not end well.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ServerError {
    #[error("{0}")]
    Settings(Diagnostic),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("the system's root certificates cannot be read")]
    Certificates(#[from] reqwest::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a component of the server panicked")]
    Panicked(#[from] JoinError),
}

/// What the server's parts share.
pub struct App {
    /// Runs executions.
    pub executor: Executor,
    /// The flows.
    pub catalog: Arc<Catalog>,
    /// Acts on triggers.
    pub scheduler: Arc<Scheduler>,
    pub(crate) backfills: BackfillController,
    pub(crate) settings: Arc<Settings>,
    pub(crate) access: AccessControl,
    pub(crate) proxies: TrustedProxies,
    pub(crate) anonymous: AnonymousLimit,
    pub(crate) connections: ConnectionLimits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) kept: KeptPages,
    /// What of the server's own settings cannot work at present.
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) started: DateTime<Utc>,
    /// What agents may do at `/mcp`.
    pub(crate) mcp: McpSettings,
    /// What `jitney.yaml` and the options say, without secrets, by name.
    pub(crate) facts: Vec<(&'static str, String)>,
}

/// What settings and options say about a server.
pub(crate) struct AppFacts {
    pub(crate) access: AccessControl,
    pub(crate) proxies: TrustedProxies,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) mcp: McpSettings,
}

impl AppFacts {
    /// Those of a process that listens nowhere.
    ///
    /// # Errors
    /// Never: there are no names that could be wrong.
    pub(crate) fn local() -> Result<Self, Diagnostic> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            access: AccessControl::at(nowhere, &[], &[], &[])?,
            proxies: TrustedProxies::parse(&[])?,
            warnings: Vec::new(),
            facts: Vec::new(),
            mcp: McpSettings::default(),
        })
    }
}

impl App {
    /// Puts together what the parts share.
    pub(crate) fn assemble(
        executor: Executor,
        catalog: Arc<Catalog>,
        scheduler: Arc<Scheduler>,
        facts: AppFacts,
    ) -> Arc<Self> {
        let AppFacts { access, proxies, warnings, facts, mcp } = facts;
        Arc::new(Self {
            backfills: BackfillController::new(executor.clone(), catalog.clone()),
            settings: executor.runner().settings.clone(),
            executor,
            catalog,
            scheduler,
            access,
            proxies,
            anonymous: AnonymousLimit::default(),
            connections: ConnectionLimits::default(),
            metrics: Arc::default(),
            kept: KeptPages::default(),
            warnings,
            started: clock::now(),
            mcp,
            facts,
        })
    }
}

/// A server that listens, and does not answer yet.
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<Tls>,
    observers: Observers,
    sensors: Arc<Sensors>,
    /// Subscribed before the executor takes over what an earlier process left, so that the log has all of it.
    updates: Receiver<Arc<JournalUpdate>>,
}

impl Server {
    /// Puts a server together on a home folder that no other server uses. It needs a runtime: the executor resumes what an
    /// earlier process left at once.
    ///
    /// # Errors
    /// When a setting is wrong, the address is in use, or a folder cannot be used.
    pub fn build(settings: &Arc<Settings>, options: ServerOptions) -> Result<Self, ServerError> {
        let ServerOptions { listen, hosts, flows, tasks, parallel, trust_proxy, tls, config } = options;
        let host = Arc::new(SettingsHost::new(settings.clone()));
        let config = config.rendered(settings, &*host).map_err(ServerError::Settings)?;
        let hosts = [&hosts[..], &config.hosts].concat();
        let access = AccessControl::at(listen, &config.users, &config.tokens, &hosts).map_err(ServerError::Settings)?;
        let proxies = TrustedProxies::parse(&[trust_proxy, config.trust_proxy.clone()].concat())
            .map_err(ServerError::Settings)?;
        let tls = tls.map(Tls::new).transpose().map_err(ServerError::Settings)?;
        remove_uploads(settings);
        let listener = bind(listen).map_err(|error| ServerError::Listen(listen, error))?;
        let journal = Arc::new(Journal::open(&settings.journal())?);
        let catalog = Catalog::open(flows, tasks, journal.clone())?;
        let warnings = config.warnings(settings, &*host);
        let (facts, mcp) = (config.facts(), config.mcp);
        catalog.problems().iter().chain(&warnings).for_each(log::finding);
        catalog.list().iter().for_each(|entry| log::broken(entry));
        let updates = journal.subscribe();
        let runner = Runner {
            catalog: Some(catalog.clone()),
            started_by: StartedBy::Server,
            ..Runner::new(settings.clone(), journal.clone(), Arc::new(|_| {}))
        };
        let options = ExecutorOptions { parallel, tasks, catalog: Some(catalog.clone()), takes_over: true };
        let executor = Executor::open(runner, options)?;
        let scheduler = Scheduler::new(executor.clone(), catalog.clone());
        if !listen.ip().is_loopback() {
            scheduler.set_reachable();
        }
        let sources: Vec<Box<dyn FileSource>> =
            vec![Box::new(FolderSource), Box::new(BucketSource::new(settings.clone()))];
        let sensors = Arc::new(Sensors::new(scheduler.clone(), journal.clone(), sources, client(CLIENT_TIMEOUT)?));
        let observers = Observers::new(config, &journal, settings, host, tasks)?;
        let app = App::assemble(executor, catalog, scheduler, AppFacts { access, proxies, warnings, facts, mcp });
        Ok(Self { app, listener, tls, observers, sensors, updates })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// What the parts share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Runs until `shutdown` is cancelled. Running executions then have `grace` to end; gives how many are left to the next
    /// start.
    ///
    /// Everything stops at once except for the log and the executor, which ends last: what triggers and clients had started
    /// by then is either done or in the queue.
    ///
    /// # Errors
    /// When a part panicked, or the journal cannot be read at the end.
    pub async fn run(self, shutdown: CancellationToken, grace: Duration) -> Result<usize, ServerError> {
        let Self { app, listener, tls, observers, sensors, updates } = self;
        let log = tokio::spawn(ExecutionLog::default().follow(updates));
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let mut parts = JoinSet::new();
        parts.spawn(watch_flows(app.clone(), shutdown.clone()));
        parts.spawn(readiness::watch(app.clone(), shutdown.clone()));
        parts.spawn(observers.run(app.clone(), shutdown.clone()));
        parts.spawn(sensors.run(shutdown.clone()));
        let (scheduler, stop) = (app.scheduler.clone(), shutdown.clone());
        parts.spawn(async move { scheduler.run(Arc::new(SystemClock), stop).await });
        let (controller, stop) = (app.clone(), shutdown.clone());
        parts.spawn(async move { controller.backfills.run(stop).await });
        let (flows, home) = (app.catalog.list().len() as u64, app.settings.home.display());
        let scheme = if tls.is_some() { "https" } else { "http" };
        tracing::info!(target: "jitney::server", "listening on {scheme}://{address}  {}  home {home}", text::count(flows, "flow"));
        log::first_code(&app.access, scheme, &address);
        parts.spawn(serve(listener, app.clone(), tls, shutdown.clone()));
        shutdown.cancelled().await;
        let text = "stopping; press Ctrl-C again to exit immediately. Running executions are resumed at the next start";
        tracing::info!(target: "jitney::server", "{text}");
        app.executor.stop(grace).await;
        while let Some(ended) = parts.join_next().await {
            ended?;
        }
        log.abort();
        Ok(app.executor.load()?.queued)
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Answers requests until `shutdown`, and then those in progress for as long as [`SHUTDOWN_TIMEOUT`].
async fn serve(listener: TcpListener, app: Arc<App>, tls: Option<Tls>, shutdown: CancellationToken) {
    let (connections, health) = (app.connections.clone(), app.executor.health().clone());
    let acceptor = tls.as_ref().map(|tls| tls.acceptor.clone());
    let watching = async {
        if let Some(tls) = &tls {
            tls.watch(health.clone(), shutdown.clone()).await;
        }
    };
    let answers = ConnectionHandler { router: router::router(app), tls: acceptor, shutdown: shutdown.clone() };
    let serving = async { tokio::join!(connections.serve(listener, answers, health.clone()), watching) };
    let timeout = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! { _ = serving => {}, () = timeout => {} }
}

/// Reads flows again when their files change, and reports what is wrong with them.
async fn watch_flows(app: Arc<App>, shutdown: CancellationToken) {
    let health = app.executor.health().clone();
    let reload = move |reloaded: Result<RefreshReport, CatalogError>| {
        let reloaded = match reloaded {
            Ok(reloaded) => reloaded,
            Err(error) => return health.report_failure(Component::Flows, text::chain(&error)),
        };
        reloaded.changes.iter().for_each(log::change);
        reloaded.problems.iter().for_each(log::finding);
        if reloaded.unreadable.is_empty() {
            health.report_success(Component::Flows);
        } else {
            let problems: Vec<&str> = reloaded.unreadable.iter().map(|problem| problem.message.as_str()).collect();
            health.report_failure(Component::Flows, problems.join("; "));
        }
    };
    app.catalog.clone().watch(app.executor.health().clone(), shutdown, reload).await;
}

/// Removes files that were uploaded to a server which was killed before an execution had its copy.
fn remove_uploads(settings: &Settings) {
    let uploads = settings.uploads();
    match std::fs::remove_dir_all(&uploads) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(target: "jitney::server", "cannot remove old uploads in {}: {error}", uploads.display());
        }
        _ => {}
    }
}
