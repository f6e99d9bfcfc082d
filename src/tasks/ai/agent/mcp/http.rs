//! A server on the web: each message is a POST, whose answer is JSON or a stream of events.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::super::definition::ToolDefinition;
use crate::ai::EventReader;
use crate::task::{TaskContext, TaskError};
use crate::web::{RequestError, answer, client, follow, header};

/// The most bytes of an answer.
const MAX_ANSWER: usize = 8 << 20;
/// Names the session that a server keeps.
const SESSION: &str = "mcp-session-id";

/// The way to a server.
pub(super) struct HttpTransport {
    client: Client,
    url: Url,
    headers: HeaderMap,
    /// The address as messages show it.
    shown: String,
}

impl HttpTransport {
    pub(super) fn new(definition: &ToolDefinition, context: &TaskContext) -> Result<Self, TaskError> {
        let redactor = &context.settings.redactor;
        let text = definition.url.as_deref().unwrap_or_default();
        let shown = redactor.clean(&crate::secret::hide_address(text.split(['?', '#']).next().unwrap_or_default()));
        let wrong = |why: String| TaskError::permanent(format!("the MCP server `{shown}` {why}"));
        let url = Url::parse(text).map_err(|error| wrong(format!("has no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http nor https".to_owned()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &definition.headers {
            // Any header may be a login, and none is quoted.
            redactor.learn(value.strip_prefix("Bearer ").unwrap_or(value));
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
        }
        let timeout = definition.timeout.map_or(super::TIMEOUT, |span| span.0);
        let client = client::of_task(timeout)?;
        Ok(Self { client, url, headers, shown })
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Every message from now on says which version of the protocol is spoken.
    pub(super) fn set_version(&mut self, version: &str) {
        if let Ok(value) = HeaderValue::from_str(version) {
            self.headers.insert("mcp-protocol-version", value);
        }
    }

    pub(super) async fn send(&mut self, message: &Value, id: Option<u64>) -> Result<Option<Value>, TaskError> {
        let what = format!("asking the MCP server {}", self.shown);
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let request = request.header(ACCEPT, "application/json, text/event-stream");
        let request = request.header(CONTENT_TYPE, "application/json").body(message.to_string());
        let response = follow::send(&what, request).await.map_err(RequestError::into_error)?;
        let status = response.status();
        if !status.is_success() {
            let error = TaskError::permanent(format!("{what}: the server answered {status}")).code(status.as_str());
            return Err(error.help("check its address, and its login in `headers`"));
        }
        if let Some(session) = response.headers().get(SESSION) {
            self.headers.insert(SESSION, session.clone());
        }
        match id {
            None => Ok(None),
            Some(id) => answer_to(id, &what, response).await.map(Some),
        }
    }
}

/// The answer to a message.
async fn answer_to(id: u64, what: &str, mut response: Response) -> Result<Value, TaskError> {
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/event-stream")));
    let (mut reader, mut whole, mut bytes) = (EventReader::default(), Vec::new(), 0);
    let is_answer = |message: &Value| message["id"] == id && message.get("method").is_none();
    while let Some(piece) = answer::piece(what, &mut response).await.map_err(RequestError::into_error)? {
        bytes += piece.len();
        if bytes > MAX_ANSWER {
            let most = crate::text::size(MAX_ANSWER as u64);
            return Err(TaskError::permanent(format!("{what}: the answer is larger than {most}")));
        }
        if !is_stream {
            whole.extend_from_slice(&piece);
            continue;
        }
        let messages = reader.add(&piece).into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
        if let Some(found) = messages.into_iter().find(is_answer) {
            return Ok(found);
        }
    }
    let found = serde_json::from_slice::<Value>(&whole).ok().filter(is_answer);
    found.ok_or_else(|| TaskError::transient(format!("{what}: it sent no answer")))
}
