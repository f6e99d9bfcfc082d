//! One request to an API of models, and what its refusal means.

use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::{RequestError, answer, follow, is_transient, retry_after};

/// The most bytes of an answer.
pub(super) const MAX_ANSWER: usize = 32 << 20;
/// The most bytes of an answer that is not JSON that a message may quote from.
const MAX_EXCERPT: usize = 64 << 10;
/// How much of a server's own words a message has.
const MAX_QUOTED: usize = 500;

/// What is being done, by whom messages are made.
pub(super) struct ModelCall<'a> {
    /// What messages begin with.
    pub(super) what: &'a str,
    pub(super) redactor: &'a Redactor,
}

impl ModelCall<'_> {
    /// Sends a request.
    ///
    /// # Errors
    /// When no answer comes, or a refusal.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, RequestError> {
        let response = follow::send(self.what, request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// The JSON of an answer.
    pub(super) async fn json(&self, response: Response) -> Result<Value, RequestError> {
        let bytes = answer::whole(self.what, response, MAX_ANSWER).await?.ok_or_else(|| self.too_large())?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_EXCERPT)]).into_owned();
            let quoted = self.redactor.excerpt(&head, 200);
            self.broken(&format!("{}: `{quoted}`", crate::text::not_json(&error)))
        })
    }

    /// The next piece of an answer.
    pub(super) async fn piece(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, RequestError> {
        answer::piece(self.what, response).await
    }

    /// The answer is of no use, and another one may be.
    pub(super) fn broken(&self, why: &str) -> RequestError {
        RequestError::Retryable(TaskError::transient(format!("{}: {why}", self.what)).code("bad answer"), None)
    }

    pub(super) fn too_large(&self) -> RequestError {
        let most = crate::text::size(MAX_ANSWER as u64);
        RequestError::Fatal(TaskError::permanent(format!("{}: the answer is larger than {most}", self.what)))
    }

    /// An error that a server reports in an answer of its own.
    pub(super) fn reported(&self, error: &Value) -> RequestError {
        let words = self.redactor.excerpt(&words(error).unwrap_or_else(|| error.to_string()), MAX_QUOTED);
        let message = format!("{}: the server reports an error: {words}", self.what);
        let kind = ["type", "status", "code"].iter().find_map(|key| error[*key].as_str()).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        let is_lasting = ["invalid", "auth", "permission", "not_found", "quota", "billing"];
        if is_lasting.iter().any(|word| kind.contains(word)) {
            return RequestError::Fatal(TaskError::permanent(message));
        }
        RequestError::Retryable(TaskError::transient(message), None)
    }

    async fn refusal(&self, mut response: Response) -> RequestError {
        let (status, pause) = (response.status(), retry_after(response.headers()));
        let head = answer::head(&mut response).await;
        let text = String::from_utf8_lossy(&head);
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        // Some servers send a list of one.
        let body = json.get(0).unwrap_or(&json);
        let words = words(body).unwrap_or_else(|| text.clone().into_owned());
        let words = self.redactor.excerpt(&words, MAX_QUOTED);
        let quoted = if words.is_empty() { String::new() } else { format!(": {words}") };
        let message = format!("{}: the server answered {status}{quoted}", self.what);
        let is_used_up = body.pointer("/error/code").is_some_and(|code| code == "insufficient_quota");
        if is_transient(status) && !is_used_up {
            let error = TaskError::transient(message).code(status.as_str());
            return RequestError::Retryable(error, pause.or_else(|| announced_pause(body)));
        }
        let error = TaskError::permanent(message).code(status.as_str());
        RequestError::Fatal(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.help("check the `apiKey` and what it may do"),
            StatusCode::TOO_MANY_REQUESTS => error.help("the account has nothing left to spend"),
            _ => error,
        })
    }
}

/// What a server says of an error.
fn words(body: &Value) -> Option<String> {
    let places = ["/error/message", "/message", "/error", "/detail", "/detail/0/msg"];
    let found = places.iter().find_map(|place| body.pointer(place)?.as_str());
    found.map(str::to_owned)
}

/// How long Gemini asks to wait: `{"@type": "…RetryInfo", "retryDelay": "34s"}`.
fn announced_pause(body: &Value) -> Option<Duration> {
    let details = body.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail["retryDelay"].as_str())?;
    delay.parse::<crate::duration::DurationSpec>().ok().map(|span| span.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_pause_that_gemini_asks_for_is_read() {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]);
        assert_eq!(announced_pause(&json!({"error": {"details": details}})), Some(Duration::from_secs(34)));
        assert_eq!(announced_pause(&json!({"error": {}})), None);
    }

    #[test]
    fn errors_of_all_providers_have_words() {
        let bodies = [
            json!({"error": {"message": "no"}}),
            json!({"error": "no"}),
            json!({"type": "error", "error": {"type": "x", "message": "no"}}),
            json!({"detail": "no"}),
        ];
        for body in bodies {
            assert_eq!(words(&body).as_deref(), Some("no"), "{body}");
        }
    }
}
