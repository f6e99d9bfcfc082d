//! `jitney server`

mod browser;
mod lock;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::cli::log::LogFormat;
use crate::cli::signals::{SignalGuard, exit_now};
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::catalog::CatalogError;
use crate::server::settings::ServerSettings;
use crate::server::tls::TlsFiles;
use crate::server::{Server, ServerError, ServerOptions};
use crate::tasks;
use crate::text;

pub(super) use lock::is_served;
use lock::lock_home;

/// How long executions may take to end once they have been cancelled at the end of the grace period.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The environment variables that a server uses.
const VARIABLES: &str = "\
Environment:
  JITNEY_HOME           the folder that holds all state, like --home
  JITNEY_USER, JITNEY_PASSWORD, JITNEY_TOKEN
                        a login, and a token that can be used instead
  JITNEY_FILE_ROOTS     folders whose files inputs from API calls and webhooks may name: absolute paths,
                        separated by colons
  JITNEY_SECRETS_DIR    the folder with a file for each secret [default: /run/secrets]
  JITNEY_SCRIPT_RUNNER  `process` runs Docker tasks as processes on this machine
  JITNEY_LOG            the filter of the log, such as `info,jitney::scheduler=debug`
  JITNEY_LOG_LIMIT      how much script output is stored for each execution [default: 32MB]
  JITNEY_MAX_DESCENDANTS
                        how many executions one may start, directly and indirectly [default: 10000]
  JITNEY_RETRY_TIMEOUT  how long to retry when a service is unreachable [default: 90s]
  JITNEY_STALL_TIMEOUT  after how long without progress a load is retried [default: 5m]

Relative paths in a flow are relative to the folder of its file.";

#[derive(Args)]
#[command(after_help = VARIABLES)]
pub(super) struct Arguments {
    /// A folder of flows, watched for changes; may be repeated. New flows are saved in the first
    #[arg(long, value_name = "FOLDER", default_value = "flows")]
    flows: Vec<PathBuf>,
    /// The address to listen on, as a number or a name of this machine, such as localhost:8080
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// A host name of the server, in addition to localhost and the address that it listens on; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// The PEM file of the certificate with which the server speaks TLS; it is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A proxy whose X-Forwarded-For, -Proto and -Host are believed, by address or network; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    trust_proxy: Vec<String>,
    /// The maximum number of executions that run at a time
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    /// How long to wait for running executions when the server stops; those that do not end are resumed at the next start
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    grace: crate::duration::DurationSpec,
    /// The settings file: notifications, retention, logins [default: jitney.yaml here or in the home folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Open the pages in the browser
    #[arg(long)]
    open: bool,
    /// The format of the log on stderr: plain lines, or JSON objects with time, level, target, namespace, flow,
    /// execution, task and message
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Plain)]
    pub(super) log: LogFormat,
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let config = ServerSettings::load(arguments.config.as_deref(), settings).map_err(InvalidFlow)?;
    let settings = &Arc::new(settings.with_ai(config.models(settings)));
    let _lock = lock_home(settings)?;
    let options = ServerOptions {
        listen: arguments.listen,
        hosts: arguments.host,
        flows: arguments.flows,
        tasks: tasks::ALL,
        parallel: usize::from(arguments.parallel),
        trust_proxy: arguments.trust_proxy,
        tls: arguments.tls_cert.zip(arguments.tls_key).map(|(certificate, key)| TlsFiles { certificate, key }),
        config,
    };
    let (shutdown, grace) = (CancellationToken::new(), arguments.grace.0);
    let _signals = stop_on_signal(grace, shutdown.clone());
    let server = Server::build(settings, options).map_err(with_remedy)?;
    if arguments.open {
        browser::open(settings, server.address());
    }
    let left = server.run(shutdown, grace).await.map_err(with_remedy)?;
    let text = match left {
        0 => "stopped".to_owned(),
        _ => format!("stopped; {} will be resumed at the next start", text::count(left as u64, "execution")),
    };
    tracing::info!(target: "jitney::server", "{text}");
    Ok(ExitStatus::Ok)
}

/// Parses an address to listen on, which may have a host name.
fn address(text: &str) -> Result<SocketAddr, String> {
    let example = "write an address and a port, such as 127.0.0.1:8080 or localhost:8080";
    let Some((host, port)) = text.rsplit_once(':') else { return Err(format!("the port is missing: {example}")) };
    if port.parse::<u16>().is_err() {
        return Err(format!("`{port}` is not a port number: {example}"));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let found = text.to_socket_addrs().map_err(|error| format!("cannot resolve `{host}`: {error}"))?;
    let found: Vec<SocketAddr> = found.collect();
    // Clients reach `localhost` over IPv4 everywhere.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("`{host}` has no address"))
}

/// Lets the first signal stop the server. The process ends soon after the grace period even if a thread hangs in a call that
/// cannot be cancelled: what it was doing is resumed at the next start.
fn stop_on_signal(grace: Duration, shutdown: CancellationToken) -> SignalGuard {
    let deadline = grace.saturating_add(ABORT_TIMEOUT);
    SignalGuard::new(move || {
        shutdown.cancel();
        std::thread::sleep(deadline);
        let text = "cannot stop cleanly, exiting now; running executions are resumed at the next start";
        tracing::warn!(target: "jitney::server", "{text}");
        exit_now()
    })
}

/// Adds a remedy to errors of the command line or of a setting. Other errors are passed on unchanged, since
/// `home_errors.rs` recognises errors of the home folder by their types.
pub(super) fn with_remedy(error: ServerError) -> anyhow::Error {
    match error {
        ServerError::Settings(finding) => InvalidFlow::from(finding).into(),
        ServerError::Listen(..) => {
            let finding = Diagnostic::error(error.to_string()).help("choose another port with `--listen`");
            InvalidFlow::from(finding).into()
        }
        ServerError::Catalog(error @ CatalogError::File { .. }) => {
            let finding = Diagnostic::error(text::chain(&error)).help("specify the folder of flows with `--flows`");
            InvalidFlow::from(finding).into()
        }
        ServerError::Catalog(error) => error.into(),
        ServerError::Journal(error) => error.into(),
        ServerError::Engine(error) => error.into(),
        ServerError::Certificates(_) | ServerError::Panicked(_) => error.into(),
    }
}
