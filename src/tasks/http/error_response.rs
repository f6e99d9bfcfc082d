//! Why a server did not give the file, in its own words.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::page;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::{RequestError, is_transient, retry_after};

/// More of a page is not looked at,
const MAX_PAGE_BYTES: usize = 64 << 10;
/// nor waited for any longer. What comes may come in many pieces, and a secret in two of them.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What to make of an answer that is no file; `what` was being done.
pub(super) async fn read_error(what: &str, mut response: Response, redactor: &Redactor) -> RequestError {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let words = page::words(&head(&mut response).await, redactor);
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

/// The beginning of the page. It only explains: a failure to read it must not hide the status.
async fn head(response: &mut Response) -> Vec<u8> {
    let mut head = Vec::new();
    let reading = async {
        while head.len() < MAX_PAGE_BYTES
            && let Ok(Some(piece)) = response.chunk().await
        {
            head.extend_from_slice(&piece);
        }
    };
    // What came until then must do.
    let _ = tokio::time::timeout(PAGE_TIMEOUT, reading).await;
    head
}
