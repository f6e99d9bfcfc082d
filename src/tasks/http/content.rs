//! What a request consists of besides its address: method, headers, content and login.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::form;
use super::options::RequestOptions;
use crate::task::{FieldConflict, TaskContext, TaskError};
use crate::text::plain;
use crate::web::{RequestError, follow};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    #[default]
    #[serde(alias = "get")]
    Get,
    #[serde(alias = "post")]
    Post,
    #[serde(alias = "put")]
    Put,
    #[serde(alias = "patch")]
    Patch,
    #[serde(alias = "delete")]
    Delete,
    #[serde(alias = "head")]
    Head,
    #[serde(alias = "options")]
    Options,
    #[serde(alias = "trace")]
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

/// A request without its address.
pub(super) struct RequestContent<'a> {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a Value,
    pub(super) form_data: &'a Map<String, Value>,
    pub(super) options: &'a RequestOptions,
}

impl RequestContent<'_> {
    /// Whether it is a `GET` that carries nothing, so that a repeat does no harm.
    pub(super) fn is_plain(&self) -> bool {
        self.method == Method::Get && self.is_bare()
    }

    fn is_bare(&self) -> bool {
        self.body.is_null() && self.form_data.is_empty()
    }

    /// The request. The files of a form are read as they are sent: it is made anew for each try.
    ///
    /// # Errors
    /// When a part of the login or a file is missing.
    pub(super) async fn request(
        &self,
        client: &Client,
        url: Url,
        context: &TaskContext,
    ) -> Result<RequestBuilder, TaskError> {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = self.content_type.or(kind);
        let request = client.request(self.method.into(), url);
        let request = self.options.authenticate(request, &context.settings.redactor)?;
        let mut headers = self.headers.clone();
        if kind.is_some() || !self.is_bare() {
            // The content brings its own, such as the boundary of a form's parts.
            headers.remove(CONTENT_TYPE);
        }
        let request = match (kind, self.form_data.is_empty()) {
            (_, false) => form::with_form(request, self.form_data, kind, context).await?,
            _ if !self.body.is_null() => form::with_body(request, self.body, kind),
            (Some(kind), true) => request.header(CONTENT_TYPE, kind),
            (None, true) => request,
        };
        Ok(request.headers(headers))
    }

    /// Sends it, and follows redirects unless the options say no; `what` is being done.
    ///
    /// # Errors
    /// When no answer comes, or a redirect cannot be followed.
    pub(super) async fn send(&self, what: &str, request: RequestBuilder) -> Result<Response, RequestError> {
        if self.options.follows() {
            return follow::send(what, request).await;
        }
        request.send().await.map_err(|error| RequestError::from_reqwest(what, error))
    }
}

/// What contradicts itself in the fields that all requests have.
pub(super) fn conflicts(body: &Value, form_data: &Map<String, Value>, options: &RequestOptions) -> Vec<FieldConflict> {
    let mut conflicts = options.conflicts();
    if !body.is_null() && !form_data.is_empty() {
        let message = "`body` and `formData` cannot be combined";
        conflicts.push(FieldConflict::between(["body", "formData", "form_data"], message));
    }
    conflicts
}

/// Adds what follows `?`; a list gives the name several times.
pub(super) fn add_params(url: &mut Url, params: &Map<String, Value>) {
    for (name, value) in params {
        let values = match value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        url.query_pairs_mut().extend_pairs(values.iter().map(|value| (name, plain(value))));
    }
}
