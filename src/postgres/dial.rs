//! From an address to a connection: hosts in turn, TLS if it is wanted, all within a time limit.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_postgres::config::{self, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PostgresAddress, TlsMode};
use super::tap::{ErrorTap, LastError};

/// What a client sends to ask for TLS: the length of the message and a number that is no protocol version.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A connection in either direction.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {
    /// What ties a login to the TLS below it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl Duplex for TcpStream {}
impl Duplex for UnixStream {}

/// A connection before any TLS. A type of its own and not the box alone: over a trait object the compiler cannot see
/// that the driver's futures may move between threads.
pub(super) struct PlainStream(Box<dyn Duplex>);

impl AsyncRead for PlainStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

type TlsConnection = <MakeRustlsConnect as MakeTlsConnect<PlainStream>>::Stream;

impl Duplex for TlsConnection {
    fn channel_binding(&self) -> ChannelBinding {
        TlsStream::channel_binding(self)
    }
}

/// One of the hosts that an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetHost {
    /// The name for certificates and messages, or the folder of a socket.
    name: String,
    place: HostPlace,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPlace {
    /// A host's name, or its number.
    Network(String),
    Socket(PathBuf),
}

impl TargetHost {
    /// The hosts of an address, in order.
    pub(super) fn all(address: &PostgresAddress) -> Vec<Self> {
        let config = &address.config;
        let (names, numbers, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
        let host = |index: usize| {
            let number = numbers.get(index).map(ToString::to_string);
            let (name, place) = match (names.get(index), number) {
                (Some(config::Host::Unix(folder)), None) => {
                    (folder.display().to_string(), HostPlace::Socket(folder.clone()))
                }
                (Some(config::Host::Tcp(name)), number) => {
                    (name.clone(), HostPlace::Network(number.unwrap_or_else(|| name.clone())))
                }
                (_, number) => {
                    let number = number.unwrap_or_else(|| "localhost".to_owned());
                    (number.clone(), HostPlace::Network(number))
                }
            };
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            Self { name, place, port }
        };
        (0..names.len().max(numbers.len()).max(1)).map(host).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn is_socket(&self) -> bool {
        matches!(self.place, HostPlace::Socket(_))
    }
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.name.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.name, self.port)
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Nothing answers there, or the line broke.
    Connection(io::Error),
    /// The server accepted the connection, or not even that, and then said nothing for so long.
    Timeout(Duration),
    /// The server is none of those that the address wants.
    WrongSessionKind(&'static str),
    /// The server was reached, and the session did not come about.
    Driver(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for DialError {
    fn from(error: tokio_postgres::Error) -> Self {
        match line_error(&error) {
            Some(line) => Self::Connection(io::Error::new(line.kind(), line.to_string())),
            None => Self::Driver(error),
        }
    }
}

/// The network failure that caused an error; a TLS failure is none.
fn line_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(line) = cause.downcast_ref::<io::Error>() {
            let is_line = !matches!(line.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
            return Some(line).filter(|_| is_line);
        }
        next = cause.source();
    }
    None
}

/// How to reach one host, for the session and for its second connection.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) address: PostgresAddress,
    pub(super) host: TargetHost,
    pub(super) tls: Option<MakeRustlsConnect>,
}

/// What the driver gives.
pub(super) type DriverConnection = (Client, Connection<PlainStream, ErrorTap>);

impl Route {
    /// Connects and logs in. Each address that the host's name stands for gets the whole time limit.
    ///
    /// # Errors
    /// The last address's failure.
    pub(super) async fn open(&self, last_error: &Arc<LastError>) -> Result<DriverConnection, DialError> {
        let mut config = self.address.config.clone();
        // The handshake is ours, TLS or not, so that there is one kind of stream.
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        let (config, last_error) = (&config, last_error);
        self.at_each(|line| async move { Ok(config.connect_raw(line, self.handshake(last_error.clone())).await?) })
            .await
    }

    /// Opens a connection for a request to cancel.
    ///
    /// # Errors
    /// When there is no connection.
    pub(super) async fn line(&self) -> Result<PlainStream, DialError> {
        self.at_each(|line| async move { Ok(line) }).await
    }

    /// What the driver calls to shake hands.
    pub(super) fn handshake(&self, last_error: Arc<LastError>) -> Handshake {
        Handshake { route: self.clone(), last_error }
    }

    async fn at_each<T, F>(&self, then: impl Fn(PlainStream) -> F) -> Result<T, DialError>
    where
        F: Future<Output = Result<T, DialError>>,
    {
        let limit = self.address.connect_timeout();
        let name = match &self.host.place {
            HostPlace::Socket(folder) => {
                let path = folder.join(format!(".s.PGSQL.{}", self.host.port));
                let work = async {
                    let stream = UnixStream::connect(path).await.map_err(DialError::Connection)?;
                    then(PlainStream(Box::new(stream))).await
                };
                return within(limit, work).await;
            }
            HostPlace::Network(name) => name,
        };
        let found = tokio::time::timeout(limit, lookup_host((name.as_str(), self.host.port))).await;
        let found = found.map_err(|_| DialError::Timeout(limit))?.map_err(DialError::Connection)?;
        let mut failure =
            DialError::Connection(io::Error::new(io::ErrorKind::NotFound, "the name stands for no address"));
        for address in found {
            let work = async {
                let stream = TcpStream::connect(address).await.map_err(DialError::Connection)?;
                self.set_options(&stream).map_err(DialError::Connection)?;
                then(PlainStream(Box::new(stream))).await
            };
            match within(limit, work).await {
                Err(problem) => failure = problem,
                opened => return opened,
            }
        }
        Err(failure)
    }

    /// Keepalives find a peer that vanished. `tcp_user_timeout` is set only if the address asks: it also cuts the line
    /// to a server that takes nothing because it waits for a lock, and the watch of a load knows these two apart.
    fn set_options(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (config, socket) = (&self.address.config, SockRef::from(stream));
        #[cfg(target_os = "linux")]
        if let Some(limit) = config.get_tcp_user_timeout() {
            socket.set_tcp_user_timeout(Some(*limit))?;
        }
        if !config.get_keepalives() {
            return Ok(());
        }
        let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
        if let Some(interval) = config.get_keepalives_interval() {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = config.get_keepalives_retries() {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(DialError::Timeout(limit)))
}

/// Asks for TLS where it is wanted, and gives the stream that the driver speaks over.
pub(super) struct Handshake {
    route: Route,
    last_error: Arc<LastError>,
}

type BoxError = Box<dyn Error + Sync + Send>;

impl TlsConnect<PlainStream> for Handshake {
    type Stream = ErrorTap;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<ErrorTap, BoxError>> + Send>>;

    fn connect(self, line: PlainStream) -> Self::Future {
        Box::pin(async move {
            let line = match &self.route.tls {
                Some(tls) if !self.route.host.is_socket() => self.secure(tls.clone(), line).await?,
                _ => line.0,
            };
            Ok(ErrorTap::new(line, self.last_error))
        })
    }
}

impl Handshake {
    async fn secure(&self, mut tls: MakeRustlsConnect, mut line: PlainStream) -> Result<Box<dyn Duplex>, BoxError> {
        let Route { address, host, .. } = &self.route;
        if address.config.get_ssl_negotiation() == SslNegotiation::Postgres {
            line.write_all(&TLS_REQUEST).await?;
            line.flush().await?;
            let mut answer = [0];
            line.read_exact(&mut answer).await?;
            if answer != [b'S'] {
                return if address.tls == TlsMode::Prefer {
                    Ok(line.0)
                } else {
                    Err("server does not support TLS".into())
                };
            }
        }
        let connector = MakeTlsConnect::<PlainStream>::make_tls_connect(&mut tls, &host.name)?;
        Ok(Box::new(connector.connect(line).await?))
    }
}
