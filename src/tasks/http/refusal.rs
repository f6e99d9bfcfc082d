//! Why a server did not give the file, in its own words.

use reqwest::{Response, StatusCode};

use super::page;
use crate::task::TaskError;
use crate::web::{Trouble, may_pass, retry_after};

/// What to make of an answer that is no file; `what` was being done.
pub(super) async fn of_answer(what: &str, mut response: Response) -> Trouble {
    let status = response.status();
    let asked = retry_after(response.headers());
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
