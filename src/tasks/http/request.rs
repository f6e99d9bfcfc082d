//! `http.request`: a question to a web server and its answer.

use std::collections::BTreeMap;

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::options::Options;
use super::refusal;
use super::{form, message};
use crate::task::{Outage, Task, TaskContext, TaskError};
use crate::text::plain;
use crate::web::{NO_CONNECTION, Trouble, follow};

/// The largest answer that becomes an output.
const MOST: usize = 10_000_000;

/// Sends a request to a web server and gives its answer to later tasks.
///
/// It is sent once: use `retry` where a repeat does no harm. Only a connection that does not come about, so that nothing
/// was sent, is tried again for a while. Answers of more than 10 MB are for `http.download`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// An `http://` or `https://` address.
    uri: String,
    /// What is asked for.
    #[serde(default)]
    method: Method,
    /// What is added to the address behind `?`; a list gives the name several times.
    #[serde(default)]
    params: Map<String, Value>,
    /// Headers to send. None of them is passed on when the server redirects to another scheme, host or port.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What is sent: a text, or a map or list, which becomes JSON.
    #[serde(default)]
    body: Value,
    /// A form to send instead. A value may be the address of a file, or a map of `name`, `content` and `contentType`;
    /// such a form is sent in parts.
    #[serde(default, alias = "form_data")]
    form_data: Map<String, Value>,
    /// What kind of content is sent. By default it follows from the content.
    #[serde(alias = "content_type")]
    content_type: Option<String>,
    /// Logins, time limits, and which answers will do.
    #[serde(default)]
    options: Options,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
    Options,
    Trace,
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
            Method::Head => Self::HEAD,
            Method::Options => Self::OPTIONS,
            Method::Trace => Self::TRACE,
        }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The address that answered, after redirects, without login and query.
    uri: String,
    /// The status code.
    code: u16,
    /// The server's headers, names in lower case, each with its values.
    headers: BTreeMap<String, Vec<String>>,
    /// The answer's text; `json(outputs.….body)` reads JSON in it.
    body: String,
}

impl Task for Request {
    const NAME: &'static str = "http.request";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.http.Request", "io.kestra.plugin.fs.http.Request"];
    const FILES: &'static [&'static str] = &["formData"];
    const EXAMPLE: &'static str = "\
- id: products
  type: http.request
  uri: https://dummyjson.com/products
  params: {limit: 5}
  headers: {Accept: application/json}";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let url = self.address(context)?;
        let what =
            format!("{} {}", reqwest::Method::from(self.method), message::shown(&url, &context.settings.redactor));
        context.info(&what);
        let mut outage = Outage::none(&context.settings);
        loop {
            // Made anew each time: the files of a form are read as they are sent.
            let request = self.prepare(url.clone(), context).await?;
            let answered = tokio::select! {
                answered = self.ask(&what, request, context) => answered,
                () = context.cancel.cancelled() => Err(TaskError::cancelled(format!("stopped {what}"))),
            };
            match answered {
                Err(error) if error.code.as_deref() == Some(NO_CONNECTION) => outage.wait(context, error).await?,
                answered => return answered,
            }
        }
    }
}

impl Request {
    fn address(&self, context: &TaskContext) -> Result<Url, TaskError> {
        let mut url = message::address(self.uri.trim(), &context.settings.redactor)?;
        if !matches!(url.scheme(), "http" | "https") {
            let message = format!("cannot ask `{}://`: only http and https are known", url.scheme());
            return Err(
                TaskError::permanent(message).help("files of this machine are read with `read()` or http.download")
            );
        }
        for (name, value) in &self.params {
            let values = match value {
                Value::Array(items) => items.as_slice(),
                Value::Null => &[],
                one => std::slice::from_ref(one),
            };
            url.query_pairs_mut().extend_pairs(values.iter().map(|value| (name, plain(value))));
        }
        Ok(url)
    }

    async fn prepare(&self, url: Url, context: &TaskContext) -> Result<RequestBuilder, TaskError> {
        let headers = message::to_send(&self.headers, &context.settings.redactor)?;
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let kind = self.content_type.clone().or(kind);
        let request = self.options.client()?.request(self.method.into(), url);
        let request = self.options.log_in(request, &context.settings.redactor)?;
        let request = match (&self.body, self.form_data.is_empty()) {
            (Value::Null, true) => request,
            (body, true) => form::with_body(request, body, kind.as_deref()),
            (Value::Null, false) => form::with_form(request, &self.form_data, kind.as_deref(), context).await?,
            _ => return Err(TaskError::permanent("a request carries `body` or `formData`, not both")),
        };
        // What goes with the content stands already, such as the boundary of a form's parts.
        let (mut own, mut request) = (headers, request);
        if !self.body.is_null() || !self.form_data.is_empty() {
            own.remove(CONTENT_TYPE);
        } else if let Some(kind) = &self.content_type {
            request = request.header(CONTENT_TYPE, kind);
        }
        Ok(request.headers(own))
    }

    async fn ask(&self, what: &str, request: RequestBuilder, context: &TaskContext) -> Result<Outputs, TaskError> {
        let response = if self.options.follows() {
            follow::send(what, request).await
        } else {
            request.send().await.map_err(|error| Trouble::of_line(what, error))
        };
        let response = response.map_err(Trouble::into_error)?;
        let status = response.status();
        if !self.options.accept(status) {
            return Err(refusal::of_answer(what, response).await.into_error());
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
async fn whole(what: &str, mut response: Response) -> Result<Vec<u8>, TaskError> {
    let mut body = Vec::new();
    let announced = response.content_length().unwrap_or_default();
    loop {
        if announced > MOST as u64 || body.len() > MOST {
            let error = TaskError::permanent(format!("{what}: the answer is larger than {} MB", MOST / 1_000_000));
            return Err(error.help("http.download streams a file of any size into storage"));
        }
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Trouble::of_line(what, error).into_error()),
        }
    }
}

fn text(bytes: Vec<u8>, is_latin: bool, context: &TaskContext) -> String {
    if is_latin {
        return bytes.into_iter().map(char::from).collect();
    }
    String::from_utf8(bytes).unwrap_or_else(|error| {
        context.warn("the answer is no UTF-8 text, and what is none in it is lost; http.download keeps every byte");
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}
