//! A try that failed: whether another one may do better.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

use super::{backoff, reason};
use crate::clock;
use crate::task::TaskError;

/// The code of the error that no connection came about, so that nothing was sent.
pub const NO_CONNECTION: &str = "no connection";

/// A try that failed.
#[derive(Debug)]
pub enum RequestError {
    /// May pass; the server may have said after how long.
    Retryable(TaskError, Option<Duration>),
    /// Will happen again.
    Fatal(TaskError),
}

impl RequestError {
    /// The error, for a caller that does not try again.
    pub fn into_error(self) -> TaskError {
        match self {
            Self::Retryable(error, _) | Self::Fatal(error) => error,
        }
    }

    /// The line was cut, or could not be had; `what` was being done.
    pub fn from_reqwest(what: &str, error: reqwest::Error) -> Self {
        let (unusable, unconnected, timeout) = (error.is_builder(), error.is_connect(), error.is_timeout());
        // The address is in `what`, without its password.
        let error = TaskError::permanent(format!("{what}: {}", reason(&error)));
        if error.message.contains("invalid peer certificate") {
            return Self::Fatal(error.help(
                "if the server's certificate was signed by a private authority, set SSL_CERT_FILE to the file of \
                 the authority's certificate; also check the clock of this machine",
            ));
        }
        if unusable {
            return Self::Fatal(error);
        }
        let code = match (unconnected, timeout) {
            (true, _) => NO_CONNECTION,
            (_, true) => "timeout",
            _ => "no answer",
        };
        let error = TaskError::transient(error.message).code(code);
        Self::Retryable(error.help("check the address, the network and any proxy"), None)
    }
}

/// Whether the same request may be answered better a little later.
pub fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..)
}

/// How long the server asks to be left alone.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    backoff::retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, clock::now())
}
