//! `http.request`: a question to a web server and its answer.

use std::collections::BTreeMap;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{self, Method, RequestContent};
use super::options::RequestOptions;
use super::{error_response, message, options};
use crate::task::{FieldConflict, OutageTracker, Task, TaskContext, TaskError};
use crate::web::{NO_CONNECTION, RequestError, answer};

/// The largest answer that becomes an output.
const MAX_BODY_BYTES: usize = 10_000_000;

/// Sends an HTTP request and passes the response to later tasks.
///
/// It is sent once: use `retry` if repeating it does no harm. Only if the connection cannot be established, so that
/// nothing was sent, is it retried for some time. For responses of more than 10 MB use `http.download`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpRequest {
    /// An `http://` or `https://` address.
    uri: String,
    /// The HTTP method.
    #[serde(default)]
    method: Method,
    /// Query parameters, added to the address after `?`; a list repeats the name.
    #[serde(default)]
    params: Map<String, Value>,
    /// Headers to send. None of them is passed on when the server redirects to another scheme, host or port.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The content to send: a text, or a map or list, which is sent as JSON.
    #[serde(default)]
    body: Value,
    /// A form to send instead. A value may be the address of a file, or a map of `name`, `content` and `contentType`;
    /// such a form is sent in parts.
    #[serde(default, alias = "form_data")]
    form_data: Map<String, Value>,
    /// The media type of the content. By default it is derived from the content.
    #[serde(alias = "content_type")]
    content_type: Option<String>,
    /// Logins, timeouts, and which responses are accepted.
    #[serde(default)]
    options: RequestOptions,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The address after redirects, without login and query.
    uri: String,
    /// The status code.
    code: u16,
    /// The response headers: names in lower case, each with its values.
    headers: BTreeMap<String, Vec<String>>,
    /// The text of the response; to parse it as JSON: `json(outputs.….body)`.
    body: String,
}

impl Task for HttpRequest {
    const NAME: &'static str = "http.request";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.http.Request", "io.kestra.plugin.fs.http.Request"];
    const FILES: &'static [&'static str] = &["formData"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = options::WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: products
  type: http.request
  uri: https://dummyjson.com/products
  params: {limit: 5}
  headers: {Accept: application/json}";
    type Outputs = Outputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        content::conflicts(&self.body, &self.form_data, &self.options)
    }

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let url = self.address(context)?;
        let what = format!(
            "{} {}",
            reqwest::Method::from(self.method),
            message::display_address(&url, &context.settings.redactor)
        );
        context.info(&what);
        let mut outage = OutageTracker::none(&context.settings);
        loop {
            let answered = tokio::select! {
                answered = self.send(&what, url.clone(), context) => answered,
                () = context.cancel.cancelled() => Err(TaskError::cancelled(format!("stopped {what}"))),
            };
            match answered {
                Err(error) if error.code.as_deref() == Some(NO_CONNECTION) => outage.wait(context, error).await?,
                answered => return answered,
            }
        }
    }
}

impl HttpRequest {
    fn address(&self, context: &TaskContext) -> Result<Url, TaskError> {
        let mut url = message::address(self.uri.trim(), &context.settings.redactor)?;
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("cannot send a request to `{}://`: only http and https are supported", url.scheme());
            return Err(
                TaskError::permanent(message).help("to read files on this machine, use `read()` or http.download")
            );
        }
        content::add_params(&mut url, &self.params);
        Ok(url)
    }

    fn content(&self, context: &TaskContext) -> Result<RequestContent<'_>, TaskError> {
        Ok(RequestContent {
            method: self.method,
            headers: message::to_send(&self.headers, &context.settings.redactor)?,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            form_data: &self.form_data,
            options: &self.options,
        })
    }

    async fn send(&self, what: &str, url: Url, context: &TaskContext) -> Result<Outputs, TaskError> {
        let content = self.content(context)?;
        // Made anew each time: the files of a form are read as they are sent.
        let request = content.request(&self.options.client()?, url, context).await?;
        let response = content.send(what, request).await;
        let response = response.map_err(RequestError::into_error)?;
        let status = response.status();
        if !self.options.accept(status) {
            return Err(error_response::read_error(what, response, &context.settings.redactor).await.into_error());
        }
        if status.is_client_error() || status.is_server_error() {
            context.warn(format!("{what}: the server answered {status}"));
        }
        let redactor = &context.settings.redactor;
        let (uri, headers) =
            (message::place(response.url(), redactor), message::received(response.headers(), redactor));
        let is_latin = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            let kind = String::from_utf8_lossy(kind.as_bytes()).to_lowercase();
            kind.contains("iso-8859-1") || kind.contains("latin1")
        });
        let body = text(whole(what, response).await?, is_latin, context);
        Ok(Outputs { uri, code: status.as_u16(), headers, body })
    }
}

/// The answer's bytes.
async fn whole(what: &str, response: Response) -> Result<Vec<u8>, TaskError> {
    let body = match response.content_length() {
        Some(announced) if announced > MAX_BODY_BYTES as u64 => None,
        _ => answer::whole(what, response, MAX_BODY_BYTES).await.map_err(RequestError::into_error)?,
    };
    body.ok_or_else(|| {
        TaskError::permanent(format!("{what}: the response is larger than {} MB", MAX_BODY_BYTES / 1_000_000))
            .help("use http.download, which streams a file of any size into storage")
    })
}

fn text(bytes: Vec<u8>, is_latin: bool, context: &TaskContext) -> String {
    if is_latin {
        return bytes.into_iter().map(char::from).collect();
    }
    String::from_utf8(bytes).unwrap_or_else(|error| {
        context.warn("the response is not UTF-8 text, so other bytes in it are lost; http.download keeps every byte");
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}
