//! A session with a server.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use rand::seq::SliceRandom;
use tokio::time::Instant;
use tokio_postgres::config::{LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, CancelToken, Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::task::{OutageTracker, TaskContext, TaskError};
use crate::text::percent_encode;

use super::address::{AddressOrigin, PostgresAddress};
use super::dial::{DialError, DriverConnection, Route, TargetHost};
use super::error::RefusedHost;
use super::resolve::{FlowAddress, RequestedServer, resolve};
use super::tap::LastError;
use super::wait_monitor::WaitMonitor;
use super::{error, managed, tls, variables};

/// The oldest version that jitney is tested with.
const MIN_VERSION: u32 = 13;

/// How long a server that says it is starting is waited for; after a crash in the middle of a load it reads back what
/// it had written.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a request to cancel may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// By these a server that knows them notices within two minutes that this process is gone, and frees its locks. They
/// are asked for one by one: a server, or a pooler in between, may refuse any.
const DISCONNECT_DETECTION: [&str; 2] = [
    "SET tcp_keepalives_idle TO 60; SET tcp_keepalives_interval TO 10; SET tcp_keepalives_count TO 6",
    "SET client_connection_check_interval TO '10s'",
];
/// The first version that looks after its client while it works.
const CLIENT_CHECK_VERSION: u32 = 14;

/// A connection that is ready for statements. Dropping it closes the connection; the server then rolls back.
pub struct PostgresSession {
    /// The driver's client.
    pub client: Client,
    /// Which server it is and who named it: `PostgreSQL 15.18 at localhost:5432/ny_taxi, from --postgres`.
    pub description: String,
    /// The server and the database alone: `localhost:5432/ny_taxi`.
    pub server: String,
    /// What there is to say about the server, for the log.
    pub notes: Vec<String>,
    notices: Arc<Mutex<Vec<String>>>,
    pub(super) handle: SessionControl,
}

/// What can be done with a session besides its statements.
#[derive(Clone)]
pub(super) struct SessionControl {
    pub(super) route: Route,
    pub(super) last_error: Arc<LastError>,
    /// Ends the connection at once when set.
    closed: CancellationToken,
    cancel: CancelToken,
}

impl SessionControl {
    /// Asks the server to stop the statement that runs now.
    pub(super) async fn interrupt(&self) {
        let ask = async {
            let line = self.route.line().await.ok()?;
            self.cancel.cancel_query_raw(line, self.route.handshake(Arc::default())).await.ok()
        };
        // A server that cannot be reached any more has stopped it already, or will when it sees the connection gone.
        let _ = tokio::time::timeout(CANCEL_TIMEOUT, ask).await;
    }

    /// Closes the connection without a word to the server.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// The error with the server's reason in it, where a connection broke and the server had said why.
    pub(super) fn with_reason(&self, problem: TaskError) -> TaskError {
        match self.last_error.last() {
            Some(said) if said.is_fatal => error::with_reason(problem, &said),
            _ => problem,
        }
    }
}

/// Notices beyond this many are dropped: a loop that raises one per row must not fill the memory.
const MAX_NOTICES: usize = 200;

impl PostgresSession {
    /// The server's notices and warnings since the last call.
    pub fn take_notices(&self) -> Vec<String> {
        self.notices.lock().map(|mut notices| std::mem::take(&mut *notices)).unwrap_or_default()
    }

    /// Has the server print dates and times in ISO 8601, for statements whose rows are read as text. A load has the
    /// settings of its database and user: defaults, triggers and checks may print dates too.
    pub async fn print_iso_dates(&self) -> Result<(), TaskError> {
        let set = self.client.batch_execute("SET datestyle TO 'ISO'").await;
        set.map_err(|problem| error::explain("setting the style of dates", &problem))
    }

    /// Asks the server to stop the statement that runs now. What it did is rolled back.
    pub async fn interrupt(&self) {
        self.handle.interrupt().await;
    }

    /// Looks after the waits for this session.
    pub fn watch<'a>(&self, context: &'a TaskContext) -> WaitMonitor<'a> {
        WaitMonitor::new(self.handle.clone(), context)
    }

    /// Waits for `work` unless the user stops the execution first; then the running statement is stopped too.
    ///
    /// # Errors
    /// The work's own, or [`TaskError::cancelled`] saying that `doing` was stopped.
    pub async fn unless_cancelled<T>(
        &self,
        cancel: &CancellationToken,
        doing: &str,
        work: impl Future<Output = Result<T, TaskError>>,
    ) -> Result<T, TaskError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                self.interrupt().await;
                Err(TaskError::cancelled(format!("{doing} was stopped; the server was asked to stop the statement")))
            }
            result = work => result.map_err(|problem| self.handle.with_reason(problem)),
        }
    }
}

/// Connects to the server that settings and flow name, starting the managed one if need be.
///
/// # Errors
/// When the address cannot be read, the server cannot be reached, or it refuses the login.
pub async fn connect(settings: &Settings, flow: Option<&FlowAddress>) -> Result<PostgresSession, TaskError> {
    connect_reporting(settings, flow, &|_| {}).await
}

/// The same for a task: logs which server it is, retries while the server is away, and gives up when the user stops
/// the execution.
///
/// # Errors
/// As [`connect`], or [`TaskError::cancelled`].
pub async fn connect_for(context: &TaskContext, flow: Option<&FlowAddress>) -> Result<PostgresSession, TaskError> {
    let mut outage = OutageTracker::none(&context.settings);
    loop {
        match connect_once(context, flow).await {
            Err(problem) => outage.wait(context, problem).await?,
            connected => return connected,
        }
    }
}

/// The same without retries, for a task that has its own.
///
/// # Errors
/// As [`connect_for`].
pub async fn connect_once(context: &TaskContext, flow: Option<&FlowAddress>) -> Result<PostgresSession, TaskError> {
    let report = |line: &str| context.info(line);
    let session = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return Err(TaskError::cancelled("connecting to Postgres was stopped")),
        session = connect_reporting(&context.settings, flow, &report) => session?,
    };
    context.info_once(format!("using {}", session.description));
    session.notes.iter().for_each(|note| context.warn(note));
    Ok(session)
}

async fn connect_reporting(
    settings: &Settings,
    flow: Option<&FlowAddress>,
    report: &(dyn Fn(&str) + Sync),
) -> Result<PostgresSession, TaskError> {
    let wanted = resolve(settings, flow)
        .map_err(|problem| TaskError { help: problem.help.clone(), ..TaskError::permanent(problem.message.clone()) })?;
    let address = match wanted {
        RequestedServer::Server(address) => *address,
        RequestedServer::Managed => {
            let mut address = managed::ensure_running(settings, report).await?;
            address.set_session(settings.variable("PGOPTIONS").unwrap_or_default());
            address.set_session(&variables::session(settings));
            address
        }
    };
    let mut session = connect_to(&address).await?;
    session.notes.extend(variables::unsupported(settings));
    Ok(session)
}

/// Connects to a known address, its hosts in turn. A server that is still starting, or recovering from a crash, is
/// waited for.
///
/// # Errors
/// When no host can be reached, or all refuse the login.
pub async fn connect_to(address: &PostgresAddress) -> Result<PostgresSession, TaskError> {
    let tls = tls::connector(address)?;
    let deadline = Instant::now() + STARTUP_TIMEOUT;
    loop {
        let mut refused = Vec::new();
        let mut hosts = TargetHost::all(address);
        if address.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            hosts.shuffle(&mut rand::rng());
        }
        for host in hosts {
            match open(Route { address: address.clone(), host: host.clone(), tls: tls.clone() }).await {
                Ok(session) => return Ok(session),
                Err(failure) => refused.push(RefusedHost { host, failure }),
            }
        }
        let is_starting = refused.iter().any(|refused| refused.code() == Some(&SqlState::CANNOT_CONNECT_NOW));
        if !is_starting || Instant::now() > deadline {
            return Err(error::explain_connect(&refused, address));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A session at one host, ready for statements.
pub(super) async fn open(route: Route) -> Result<PostgresSession, DialError> {
    let last_error = Arc::<LastError>::default();
    let notices = Arc::<Mutex<Vec<String>>>::default();
    let closed = CancellationToken::new();
    let limit = route.address.connect_timeout();
    let (client, version) = drive(route.open(&last_error).await?, notices.clone(), closed.clone());
    let ready = async {
        let checks_client = major(&version).is_some_and(|major| major >= CLIENT_CHECK_VERSION);
        for statement in &DISCONNECT_DETECTION[..if checks_client { 2 } else { 1 }] {
            // Without them it takes the server longer, and that is all.
            let _ = client.batch_execute(statement).await;
        }
        check_kind(&client, route.address.config.get_target_session_attrs()).await
    };
    let ready = tokio::time::timeout(limit, ready).await.unwrap_or(Err(DialError::Timeout(limit)));
    if let Err(failure) = ready {
        closed.cancel();
        return Err(failure);
    }
    last_error.clear();
    let cancel = client.cancel_token();
    Ok(PostgresSession {
        client,
        description: describe_server(&route, &version),
        server: public_address(&route),
        notes: notes(&version),
        notices,
        handle: SessionControl { route, last_error, closed, cancel },
    })
}

/// Whether the server is of the kind that the address wants: one that takes writes, or one that does not.
async fn check_kind(client: &Client, wanted: TargetSessionAttrs) -> Result<(), DialError> {
    if wanted == TargetSessionAttrs::Any {
        return Ok(());
    }
    let messages = client.simple_query("SHOW transaction_read_only").await?;
    let read_only = messages.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
        _ => false,
    });
    match wanted {
        TargetSessionAttrs::ReadWrite if read_only => Err(DialError::WrongSessionKind("it takes no writes")),
        TargetSessionAttrs::ReadOnly if !read_only => Err(DialError::WrongSessionKind("it takes writes")),
        _ => Ok(()),
    }
}

/// Keeps the connection going in the background and gives the server's version.
fn drive(
    (client, mut connection): DriverConnection,
    notices: Arc<Mutex<Vec<String>>>,
    closed: CancellationToken,
) -> (Client, String) {
    let version = connection.parameter("server_version").unwrap_or("of an unknown version").to_owned();
    tokio::spawn(closed.run_until_cancelled_owned(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        // An error ends the stream; the statement in progress gets its own.
        while let Some(Ok(message)) = messages.next().await {
            if let (AsyncMessage::Notice(notice), Ok(mut notices)) = (message, notices.lock())
                && notices.len() < MAX_NOTICES
                && !is_routine(&notice)
            {
                notices.push(format!("{}: {}", notice.severity(), notice.message()));
            }
        }
    }));
    (client, version)
}

/// What `IF NOT EXISTS` asks for is no news.
fn is_routine(notice: &DbError) -> bool {
    [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::DUPLICATE_COLUMN, SqlState::DUPLICATE_SCHEMA]
        .contains(notice.code())
}

/// Server and database as other programs reach them: the private server by loopback, and a folder with a socket in the
/// form that addresses have for it.
fn public_address(Route { address, host, .. }: &Route) -> String {
    let host = match address.origin {
        AddressOrigin::Managed => format!("127.0.0.1:{}", host.port()),
        _ if address.is_socket() => format!("{}:{}", percent_encode(&address.host()), host.port()),
        _ => host.to_string(),
    };
    format!("{host}/{}", address.database())
}

fn describe_server(route: &Route, version: &str) -> String {
    let Route { address, host, .. } = route;
    let version = version.split_whitespace().next().unwrap_or_default();
    match address.origin {
        AddressOrigin::Managed => format!("PostgreSQL {version}, managed by jitney ({})", public_address(route)),
        _ => format!("PostgreSQL {version} at {host}/{}, {}", address.database(), address.origin),
    }
}

fn major(version: &str) -> Option<u32> {
    version.split(['.', ' ']).next()?.parse().ok()
}

fn notes(version: &str) -> Vec<String> {
    let old = major(version).filter(|major| *major < MIN_VERSION);
    old.map(|major| format!("PostgreSQL {major} is older than {MIN_VERSION}, the oldest that jitney is tested with"))
        .into_iter()
        .collect()
}
