//! Why a server did not give the file, in its own words.

use reqwest::{Response, StatusCode};

use super::page;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::{RequestError, answer, is_transient, retry_after};

/// What to make of an answer that is no file; `what` was being done.
pub(super) async fn read_error(what: &str, mut response: Response, redactor: &Redactor) -> RequestError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let words = page::words(&answer::head(&mut response).await, redactor);
    let quoted = if words.is_empty() { words } else { format!(": {words}") };
    let message = format!("{what}: the server answered {status}{quoted}");
    if is_transient(status) {
        return RequestError::Retryable(TaskError::transient(message).code(status.as_str()), retry_after);
    }
    let error = TaskError::permanent(message).code(status.as_str());
    RequestError::Fatal(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            error.help("if the server requires a login, set it in `headers`, such as `Authorization: Bearer …`")
        }
        _ => error,
    })
}
