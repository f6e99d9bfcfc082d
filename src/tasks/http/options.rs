//! `options` of a request: logins, time limits, and which answers are accepted.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::Span;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::client::{self, CONNECT};

/// How long a server may be silent unless the request says it.
const IDLE: Duration = Duration::from_secs(60);

/// How a request is made, and which answers will do.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Options {
    /// A login.
    auth: Option<Auth>,
    /// A user's name, as `auth` of type `BASIC` has it.
    #[serde(alias = "basic_auth_user")]
    basic_auth_user: Option<String>,
    /// The user's password.
    #[serde(alias = "basic_auth_password")]
    basic_auth_password: Option<String>,
    /// Time limits.
    #[serde(default)]
    timeout: Timeout,
    /// As `timeout.connectTimeout`.
    #[serde(alias = "connect_timeout")]
    connect_timeout: Option<Span>,
    /// As `timeout.readIdleTimeout`.
    #[serde(alias = "readTimeout", alias = "read_idle_timeout")]
    read_idle_timeout: Option<Span>,
    /// Whether redirects are followed, ten at most. By default they are.
    #[serde(alias = "follow_redirects")]
    follow_redirects: Option<bool>,
    /// Whether an answer such as 404 is an answer like any other; else the task fails.
    #[serde(default, alias = "allow_failed")]
    pub(super) allow_failed: bool,
    /// The status codes that will do, such as `[200, 404]`. By default all below 400.
    #[serde(default, alias = "allowed_response_codes")]
    allowed_response_codes: Vec<u16>,
}

/// A login.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Auth {
    /// `BASIC`, with `username` and `password`; or `BEARER`, with `token`.
    #[serde(rename = "type")]
    kind: AuthKind,
    /// The user's name.
    username: Option<String>,
    /// The user's password.
    password: Option<String>,
    /// The token.
    token: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum AuthKind {
    #[serde(alias = "basic")]
    Basic,
    #[serde(alias = "bearer")]
    Bearer,
}

/// Time limits.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timeout {
    /// How long the server may take to accept the connection. By default 20s.
    #[serde(alias = "connect_timeout")]
    connect_timeout: Option<Span>,
    /// How long it may be silent. By default 60s.
    #[serde(alias = "read_idle_timeout")]
    read_idle_timeout: Option<Span>,
}

impl Options {
    /// A client as the options want it.
    ///
    /// # Errors
    /// When the connection cannot be prepared.
    pub(super) fn client(&self) -> Result<reqwest::Client, TaskError> {
        let connect = self.timeout.connect_timeout.or(self.connect_timeout).map_or(CONNECT, |span| span.0);
        let idle = self.timeout.read_idle_timeout.or(self.read_idle_timeout).map_or(IDLE, |span| span.0);
        client::client_with(connect, idle)
            .map_err(|error| TaskError::permanent("cannot prepare the connection").because(error))
    }

    /// Whether redirects are followed.
    pub(super) fn follows(&self) -> bool {
        self.follow_redirects.unwrap_or(true)
    }

    /// The request with its login.
    ///
    /// # Errors
    /// When a part of the login is missing.
    pub(super) fn log_in(&self, request: RequestBuilder, redactor: &Redactor) -> Result<RequestBuilder, TaskError> {
        let missing = |field: &str| TaskError::permanent(format!("`options.auth.{field}` is missing"));
        let (user, password) = match &self.auth {
            Some(Auth { kind: AuthKind::Bearer, token, .. }) => {
                let token = token.as_ref().ok_or_else(|| missing("token"))?;
                redactor.learn(token);
                return Ok(request.bearer_auth(token));
            }
            Some(auth) => (Some(auth.username.as_ref().ok_or_else(|| missing("username"))?), &auth.password),
            None => (self.basic_auth_user.as_ref(), &self.basic_auth_password),
        };
        let Some(user) = user else { return Ok(request) };
        password.iter().for_each(|password| redactor.learn_login(user, password));
        Ok(request.basic_auth(user, password.as_ref()))
    }

    /// Whether an answer of this status will do.
    pub(super) fn accept(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        self.allow_failed
            || if self.allowed_response_codes.is_empty() {
                code < 400
            } else {
                self.allowed_response_codes.contains(&code)
            }
    }
}
