//! `jitney server`

mod alone;
mod lines;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::log::LogFormat;
use crate::cli::signals::{SignalGuard, leave};
use crate::cli::{ExitStatus, InvalidFlow};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::BackfillController;
use crate::engine::catalog::{Catalog, CatalogError};
use crate::engine::clock::SystemClock;
use crate::engine::executor::{Executor, Options};
use crate::engine::health::Part;
use crate::engine::scheduler::Scheduler;
use crate::engine::{Runner, SettingsHost};
use crate::journal::{Journal, StartedBy};
use crate::server::access::AccessControl;
use crate::server::arrivals::{BucketSource, FileSource, FolderSource as LocalFolders, Sensors};
use crate::server::connections::ConnectionLimits;
use crate::server::metrics::Metrics;
use crate::server::notify::Notifier;
use crate::server::readiness;
use crate::server::reports::Observers;
use crate::server::settings::ServerSettings;
use crate::server::traces::Traces;
use crate::server::{self, App};
use crate::tasks;
use crate::web::client::client;

pub(super) use alone::is_served;
use alone::only_server;
use lines::ExecutionLog;

/// How long what is cut off after the grace may take to end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variables that a server heeds.
const VARIABLES: &str = "\
Environment:
  JITNEY_HOME           the folder of all state, as --home
  JITNEY_USER, JITNEY_PASSWORD, JITNEY_TOKEN
                        a login, and a token in its place
  JITNEY_FILE_ROOTS     folders whose files values from outside may name: absolute paths, with colons between them
  JITNEY_SECRETS_DIR    the folder of secrets as files [default: /run/secrets]
  JITNEY_SCRIPT_RUNNER  `process` runs Docker tasks as processes of this machine
  JITNEY_LOG            what is logged, such as `info,jitney::scheduler=debug`
  JITNEY_LOG_LIMIT      how much of what scripts print an execution keeps [default: 32MB]
  JITNEY_MAX_DESCENDANTS
                        how many executions one may start, directly and through others [default: 10000]
  JITNEY_RETRY_TIMEOUT  how long a server that is away is retried [default: 90s]
  JITNEY_STALL_TIMEOUT  after how long of silence a load is repeated [default: 5m]

Relative paths in a flow start at the folder of its file.";

#[derive(Args)]
#[command(after_help = VARIABLES)]
pub(super) struct Arguments {
    /// A folder of flows, watched for changes; may be repeated. New flows are saved in the first
    #[arg(long, value_name = "FOLDER", default_value = "flows")]
    flows: Vec<PathBuf>,
    /// The address to answer on, or a name of this machine, such as localhost:8080
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// A name under which the server is reached, besides localhost and the address it listens on; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// The most executions that run at a time
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    /// How long running executions may take to end when the server stops; the others are resumed at the next start
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    grace: crate::duration::DurationSpec,
    /// The server's settings: notifications, retention, logins [default: jitney.yaml here or in the home folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How what happens is written on stderr: plain lines, or a JSON object for each, with time, level, target, namespace,
    /// flow, execution, task and message
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Plain)]
    pub(super) log: LogFormat,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let outside = Arc::new(SettingsHost::new(settings.clone()));
    let own = ServerSettings::load(arguments.config.as_deref(), settings).map_err(InvalidFlow)?;
    let own = own.settled(settings, &*outside).map_err(InvalidFlow::from)?;
    let warnings = own.warnings(settings, &*outside);
    let hosts = [&arguments.host[..], &own.hosts].concat();
    let access = AccessControl::at(arguments.listen, &own.users, &own.tokens, &hosts).map_err(InvalidFlow::from)?;
    let _lock = only_server(settings)?;
    clear_uploads(settings);
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| taken(arguments.listen, &error))?;
    let journal = Arc::new(Journal::open(&settings.journal())?);
    let catalog = Catalog::open(arguments.flows, tasks::ALL, journal.clone()).map_err(unusable)?;
    catalog.problems().iter().chain(&warnings).for_each(lines::finding);
    catalog.list().iter().for_each(|entry| lines::broken(entry));
    let (shutdown, asked_to_stop) = (CancellationToken::new(), CancellationToken::new());
    let _watch = stopping(arguments.grace.0, asked_to_stop.clone());
    let listening = tokio::spawn(ExecutionLog::default().follow(journal.subscribe()));
    let options = Options {
        parallel: usize::from(arguments.parallel),
        tasks: tasks::ALL,
        catalog: Some(catalog.clone()),
        takes_all: true,
    };
    let runner = Runner {
        catalog: Some(catalog.clone()),
        started_by: StartedBy::Server,
        ..Runner::new(settings.clone(), journal.clone(), Arc::new(|_| {}))
    };
    let executor = Executor::open(runner, options)?;
    let scheduler = Scheduler::new(executor.clone(), catalog.clone());
    if !listener.local_addr()?.ip().is_loopback() {
        scheduler.set_reachable();
    }
    let app = Arc::new(App {
        executor: executor.clone(),
        catalog: catalog.clone(),
        scheduler: scheduler.clone(),
        backfills: BackfillController::new(executor.clone(), catalog.clone()),
        settings: settings.clone(),
        connections: ConnectionLimits::default(),
        metrics: Metrics::default(),
        warnings,
        started: clock::now(),
    });
    let mut background = background(&app, &journal, &shutdown)?;
    let reports = reports(own, &app, outside)?;
    background.push(tokio::spawn(reports.run(app.clone(), shutdown.clone())));
    say(&format!(
        "listening on http://{}  {}  home {}",
        listener.local_addr()?,
        crate::text::count(catalog.list().len() as u64, "flow"),
        settings.home.display()
    ));
    let serving = tokio::spawn(server::run(listener, app, access, shutdown.clone()));
    asked_to_stop.cancelled().await;
    say("stopping; press Ctrl-C again to stop at once. Running executions resume at the next start");
    shutdown.cancel();
    executor.stop(arguments.grace.0).await;
    serving.await.context("the server cannot answer any more")?;
    for task in background {
        task.await?;
    }
    listening.abort();
    let left = executor.load()?.queued;
    say(&if left == 0 {
        "stopped".to_owned()
    } else {
        format!("stopped; {} to resume at the next start", crate::text::count(left as u64, "execution"))
    });
    Ok(ExitStatus::Ok)
}

fn say(text: &str) {
    tracing::info!(target: "jitney::server", "{text}");
}

/// An address to listen on, as a number or by a name of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let example = "write an address and a port, such as 127.0.0.1:8080 or localhost:8080";
    let Some((host, port)) = text.rsplit_once(':') else { return Err(format!("there is no port: {example}")) };
    if port.parse::<u16>().is_err() {
        return Err(format!("`{port}` is not a port, a number up to 65535: {example}"));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let found = text.to_socket_addrs().map_err(|error| format!("`{host}` is not found: {error}"))?;
    let found: Vec<SocketAddr> = found.collect();
    // Others reach `localhost` by the older protocol everywhere.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("`{host}` has no address"))
}

/// Lets the first signal stop the server. Whatever a thread does that cannot be cut off, the process ends soon after the
/// grace: what is under way goes on at the next start.
fn stopping(grace: Duration, asked: CancellationToken) -> SignalGuard {
    let most = grace.saturating_add(ABORT_TIMEOUT);
    SignalGuard::new(move || {
        asked.cancel();
        std::thread::sleep(most);
        let text = "cannot stop cleanly and exits now. Running executions resume at the next start";
        tracing::warn!(target: "jitney::server", "{text}");
        leave()
    })
}

/// Those who are told of what happens.
fn reports(own: ServerSettings, app: &App, outside: Arc<SettingsHost>) -> anyhow::Result<Observers> {
    let roots = "the system's root certificates cannot be read";
    let (journal, settings) = (app.executor.journal().clone(), app.settings.clone());
    let notifier = Notifier::new(own.notifications, journal, settings, outside, tasks::ALL);
    let lineage = own.openlineage.map(|collector| client(Duration::from_secs(30)).map(|client| (client, collector)));
    let traces = own.opentelemetry.map(|endpoint| Traces::to(&endpoint)).transpose();
    let notifier = notifier.context(roots)?;
    notifier.take_over_names()?;
    Ok(Observers {
        notifier,
        lineage: lineage.transpose().context(roots)?,
        traces: traces.map_err(|problem| InvalidFlow::from(Diagnostic::error(problem)))?,
        retention: own.retention,
    })
}

/// Starts what works beside the answers.
fn background(
    app: &Arc<App>,
    journal: &Arc<Journal>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Vec<tokio::task::JoinHandle<()>>> {
    let app_ = app;
    let App { catalog, scheduler, .. } = &**app;
    let (stop, health) = (shutdown.clone(), app.executor.health().clone());
    let watching = tokio::spawn(catalog.clone().watch(health.clone(), stop, move |found| {
        let look = match found {
            Ok(look) => look,
            Err(error) => return health.bad(Part::Flows, crate::text::chain(&error)),
        };
        look.changes.iter().for_each(lines::change);
        look.problems.iter().for_each(lines::finding);
        if look.unreadable.is_empty() {
            health.good(Part::Flows);
        } else {
            let problems: Vec<&str> = look.unreadable.iter().map(|problem| problem.message.as_str()).collect();
            health.bad(Part::Flows, problems.join("; "));
        }
    }));
    let (clock, stop, scheduler_) = (Arc::new(SystemClock), shutdown.clone(), scheduler.clone());
    let scheduling = tokio::spawn(async move { scheduler_.run(clock, stop).await });
    let client = client(Duration::from_secs(30)).context("the system's root certificates cannot be read")?;
    let places: Vec<Box<dyn FileSource>> =
        vec![Box::new(LocalFolders), Box::new(BucketSource::new(app.settings.clone()))];
    let arrivals = Arc::new(Sensors::new(scheduler.clone(), journal.clone(), places, client));
    let stop = shutdown.clone();
    let arriving = tokio::spawn(async move { arrivals.run(stop).await });
    let (app, stop) = (app.clone(), shutdown.clone());
    let keeping = tokio::spawn(async move { app.backfills.run(stop).await });
    let looking = tokio::spawn(readiness::watch(app_.clone(), shutdown.clone()));
    Ok(vec![watching, scheduling, arriving, keeping, looking])
}

/// What is wrong with a folder of flows is wrong with the command line.
fn unusable(error: CatalogError) -> anyhow::Error {
    match &error {
        CatalogError::File { .. } => {
            let finding = Diagnostic::error(crate::text::chain(&error));
            InvalidFlow::from(finding.help("`--flows` names the folder of flows")).into()
        }
        _ => error.into(),
    }
}

/// Removes what a server was sent that was killed before an execution had its copy.
fn clear_uploads(settings: &Settings) {
    let uploads = settings.uploads();
    match std::fs::remove_dir_all(&uploads) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(target: "jitney::server", "cannot remove old uploads in {}: {error}", uploads.display());
        }
        _ => {}
    }
}

fn taken(address: SocketAddr, error: &std::io::Error) -> InvalidFlow {
    let finding = Diagnostic::error(format!("cannot listen on {address}: {error}"));
    finding.help("choose another port with `--listen`").into()
}
