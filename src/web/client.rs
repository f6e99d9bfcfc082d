//! The one way in which this program speaks HTTP.

use std::time::Duration;

use crate::task::TaskError;

/// How long a server may take to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Chooses ring for all TLS of this process; every call after the first changes nothing.
///
/// rustls is built without a provider of its own choice, so that one serves all connections: this one.
pub fn install_crypto() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that trusts the system's root certificates (`SSL_CERT_FILE` replaces them) and uses the proxy that the
/// environment names. It gives up on a server that sends nothing for `idle`. It follows no redirects by itself:
/// [`follow::send`](super::follow::send) does.
///
/// # Errors
/// When the system's root certificates cannot be read.
pub fn client(idle: Duration) -> reqwest::Result<reqwest::Client> {
    builder(CONNECT_TIMEOUT.min(idle), idle).build()
}

/// Such a client for a task.
///
/// # Errors
/// As [`client`].
pub fn of_task(idle: Duration) -> Result<reqwest::Client, TaskError> {
    client(idle).map_err(|error| TaskError::permanent("cannot prepare the connection").caused_by(error))
}

/// What makes such a client, with a time limit for the connection too.
pub fn builder(connect: Duration, idle: Duration) -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(concat!("jitney/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(connect)
        .read_timeout(idle)
}
