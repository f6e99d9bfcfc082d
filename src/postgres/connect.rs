//! A session with the server that is meant.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::task::{TaskContext, TaskError};

use super::address::{Address, Origin};
use super::resolve::{FlowAddress, Wanted, resolve};
use super::{error, managed, tls};

/// The oldest version that jitney is tested with.
const OLDEST: u32 = 13;

/// How long a server that says it is starting is waited for; after a crash in the middle of a load it reads back what
/// it had written.
const STARTING: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const GLANCE: Duration = Duration::from_millis(100);

/// A connection that is ready for statements. Dropping it closes the connection; the server then rolls back.
pub struct Session {
    /// The driver's client.
    pub client: Client,
    /// Which server it is and who named it: `PostgreSQL 15.18 at localhost:5432/ny_taxi, from --postgres`.
    pub description: String,
    /// The server and the database alone: `localhost:5432/ny_taxi`.
    pub server: String,
    /// What there is to say about the server, for the log.
    pub notes: Vec<String>,
    notices: Arc<Mutex<Vec<String>>>,
    cancel: CancelToken,
    tls: Option<MakeRustlsConnect>,
}

/// Notices beyond this many are dropped: a loop that raises one per row must not fill the memory.
const MOST_NOTICES: usize = 200;

impl Session {
    /// The server's notices and warnings since the last call.
    pub fn take_notices(&self) -> Vec<String> {
        self.notices.lock().map(|mut notices| std::mem::take(&mut *notices)).unwrap_or_default()
    }

    /// Asks the server to stop the statement that runs now. What it did is rolled back.
    pub async fn interrupt(&self) {
        // A server that cannot be reached any more has stopped it already, or will when it sees the connection gone.
        let _ = match &self.tls {
            Some(tls) => self.cancel.cancel_query(tls.clone()).await,
            None => self.cancel.cancel_query(NoTls).await,
        };
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
                Err(TaskError::cancelled(format!("{doing} was stopped; the server rolled the statement back")))
            }
            result = work => result,
        }
    }
}

/// Connects to the server that is meant, starting the managed one if need be.
///
/// # Errors
/// When the address cannot be read, the server cannot be reached, or it refuses the login.
pub async fn connect(settings: &Settings, flow: Option<&FlowAddress>) -> Result<Session, TaskError> {
    connect_saying(settings, flow, &|_| {}).await
}

/// The same for a task: logs which server it is, and gives up when the user stops the execution.
///
/// # Errors
/// As [`connect`], or [`TaskError::cancelled`].
pub async fn connect_for(context: &TaskContext, flow: Option<&FlowAddress>) -> Result<Session, TaskError> {
    let say = |line: &str| context.info(line);
    let session = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return Err(TaskError::cancelled("connecting to Postgres was stopped")),
        session = connect_saying(&context.settings, flow, &say) => session?,
    };
    context.info_once(format!("using {}", session.description));
    session.notes.iter().for_each(|note| context.warn(note));
    Ok(session)
}

async fn connect_saying(
    settings: &Settings,
    flow: Option<&FlowAddress>,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Session, TaskError> {
    let wanted = resolve(settings, flow)
        .map_err(|problem| TaskError { help: problem.help.clone(), ..TaskError::permanent(problem.message.clone()) })?;
    let address = match wanted {
        Wanted::Server(address) => *address,
        Wanted::Managed => managed::ensure_running_saying(settings, say).await?,
    };
    connect_to(&address).await
}

/// Connects to a known address. A server that is still starting, or recovering from a crash, is waited for.
///
/// # Errors
/// When the server cannot be reached or refuses the login.
pub async fn connect_to(address: &Address) -> Result<Session, TaskError> {
    let tls = tls::connector(address)?;
    let patience = Instant::now() + STARTING;
    let session = loop {
        match open(address, tls.clone()).await {
            Err(problem) if problem.code() == Some(&SqlState::CANNOT_CONNECT_NOW) && Instant::now() < patience => {
                tokio::time::sleep(GLANCE).await;
            }
            result => break result,
        }
    };
    session.map_err(|problem| error::explain_connect(&problem, address))
}

async fn open(address: &Address, tls: Option<MakeRustlsConnect>) -> Result<Session, tokio_postgres::Error> {
    let notices = Arc::<Mutex<Vec<String>>>::default();
    let (client, version) = match &tls {
        Some(tls) => {
            let (client, connection) = address.config.connect(tls.clone()).await?;
            (client, drive(connection, notices.clone()))
        }
        None => {
            let (client, connection) = address.config.connect(NoTls).await?;
            (client, drive(connection, notices.clone()))
        }
    };
    // Keys are made from dates as text, so a server's own style must not change them.
    client.batch_execute("SET datestyle TO 'ISO'").await?;
    let cancel = client.cancel_token();
    Ok(Session {
        client,
        description: describe(address, &version),
        server: address.to_string(),
        notes: notes(&version),
        notices,
        cancel,
        tls,
    })
}

/// Keeps the connection going in the background and gives the server's version.
fn drive<S, T>(mut connection: Connection<S, T>, notices: Arc<Mutex<Vec<String>>>) -> String
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").unwrap_or("of an unknown version").to_owned();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        // An error ends the stream; the statement under way gets its own.
        while let Some(Ok(message)) = messages.next().await {
            if let (AsyncMessage::Notice(notice), Ok(mut notices)) = (message, notices.lock())
                && notices.len() < MOST_NOTICES
                && !is_expected(&notice)
            {
                notices.push(format!("{}: {}", notice.severity(), notice.message()));
            }
        }
    });
    version
}

/// What `IF NOT EXISTS` asks for is no news.
fn is_expected(notice: &DbError) -> bool {
    [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::DUPLICATE_COLUMN, SqlState::DUPLICATE_SCHEMA]
        .contains(notice.code())
}

fn describe(address: &Address, version: &str) -> String {
    let version = version.split_whitespace().next().unwrap_or_default();
    match address.origin {
        Origin::Managed => {
            format!("PostgreSQL {version}, managed by jitney (127.0.0.1:{}/{})", address.port(), address.database())
        }
        _ => format!("PostgreSQL {version} at {address}, {}", address.origin),
    }
}

fn notes(version: &str) -> Vec<String> {
    let major = version.split(['.', ' ']).next().and_then(|number| number.parse::<u32>().ok());
    let old = major.filter(|major| *major < OLDEST);
    old.map(|major| format!("PostgreSQL {major} is older than {OLDEST}, the oldest that jitney is tested with"))
        .into_iter()
        .collect()
}
