//! Why a server did not give the file: which failures may pass, and what to say of the others.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use super::{backoff, page};
use crate::task::TaskError;

/// A try that failed.
pub(super) enum Trouble {
    /// May pass; the server may have said after how long.
    Again(TaskError, Option<Duration>),
    /// Will happen again.
    Stop(TaskError),
}

impl Trouble {
    /// The line was cut, or could not be had.
    pub(super) fn of_line(what: &str, error: reqwest::Error) -> Self {
        let (redirects, unusable) = (error.is_redirect(), error.is_builder());
        let timeout = error.is_timeout();
        // The address is in `what`, without its password.
        let mut told = TaskError::permanent(what).because(error.without_url());
        if told.message.contains("invalid peer certificate") {
            return Self::Stop(told.help(
                "if a private authority signed the server's certificate, name its file in SSL_CERT_FILE; \
                 also check this machine's clock",
            ));
        }
        if redirects || unusable {
            return Self::Stop(told);
        }
        if timeout && !told.message.contains("timed out") {
            told.message.push_str(": timed out");
        }
        Self::Again(TaskError::transient(told.message).help("check the address, the network and any proxy"), None)
    }
}

/// Whether the same request may be answered better a little later.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500..)
}

/// What to make of an answer that is no file; `what` was being done.
pub(super) async fn of_answer(what: &str, mut response: Response) -> Trouble {
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| backoff::retry_after(value, Utc::now()));
    // The page only explains; a failure to read it must not hide the status.
    let head = response.chunk().await.ok().flatten().unwrap_or_default();
    let words = page::words(&head);
    let quoted = if words.is_empty() { words } else { format!(": {words}") };
    let message = format!("{what}: the server answered {status}{quoted}");
    if may_pass(status) {
        return Trouble::Again(TaskError::transient(message), asked);
    }
    let error = TaskError::permanent(message);
    Trouble::Stop(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            error.help("if the server wants a login, give it in `headers`, such as `Authorization: Bearer …`")
        }
        _ => error,
    })
}
