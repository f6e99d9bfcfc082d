//! `options` of a request: logins, time limits, and which answers are accepted.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::DurationSpec;
use crate::secret::Redactor;
use crate::task::{FieldConflict, TaskError};
use crate::web::client::{self, CONNECT_TIMEOUT};

/// How long a server may be silent unless the request says it.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a request is made, and which answers will do.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RequestOptions {
    /// A login.
    auth: Option<Auth>,
    /// The user name for a login of type `BASIC`, as in `auth`.
    #[serde(alias = "basic_auth_user")]
    basic_auth_user: Option<String>,
    /// The user's password.
    #[serde(alias = "basic_auth_password")]
    basic_auth_password: Option<String>,
    /// Time limits.
    #[serde(default)]
    timeout: TimeoutOptions,
    /// As `timeout.connectTimeout`.
    #[serde(alias = "connect_timeout")]
    connect_timeout: Option<DurationSpec>,
    /// As `timeout.readIdleTimeout`.
    #[serde(alias = "read_timeout")]
    read_timeout: Option<DurationSpec>,
    /// As `timeout.readIdleTimeout`.
    #[serde(alias = "read_idle_timeout")]
    read_idle_timeout: Option<DurationSpec>,
    /// Whether redirects are followed, at most ten. By default they are.
    #[serde(alias = "follow_redirects")]
    follow_redirects: Option<bool>,
    /// Whether error responses such as 404 are accepted; otherwise the task fails.
    #[serde(default, alias = "allow_failed")]
    pub(super) allow_failed: bool,
    /// The accepted status codes, such as `[200, 404]`. By default all below 400.
    #[serde(default, alias = "allowed_response_codes")]
    allowed_response_codes: Vec<u16>,
    /// How the server's certificate is checked.
    #[serde(default)]
    ssl: Ssl,
    /// The encoding of the content.
    #[serde(default, alias = "default_charset")]
    #[expect(dead_code, reason = "there is one that is possible")]
    default_charset: CharsetName,
    /// The proxy to use. By default the one set in the environment.
    proxy: Option<Proxy>,
}

/// How the server's certificate is checked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Ssl {
    /// Takes any certificate, so that anybody may stand in for the server: for tests. To trust an authority of your own,
    /// name its file in `SSL_CERT_FILE` instead.
    #[serde(default, alias = "insecure_trust_all_certificates")]
    insecure_trust_all_certificates: bool,
}

/// The encoding of the content.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
enum CharsetName {
    #[default]
    #[serde(rename = "UTF-8", alias = "utf-8", alias = "UTF8", alias = "utf8")]
    Utf8,
}

/// A proxy.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Proxy {
    /// `HTTP`; or `DIRECT`, to go through none.
    #[serde(rename = "type", default)]
    kind: ProxyKind,
    /// Its host.
    address: Option<String>,
    /// Its port.
    port: Option<u16>,
    /// The user's name there.
    username: Option<String>,
    /// The user's password there.
    password: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ProxyKind {
    Direct,
    #[default]
    Http,
}

/// Kestra's options that are accepted and change nothing.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("options.logs", "requests are logged by their address alone"),
    ("options.logLevel", "requests are logged by their address alone"),
    ("options.connectionPoolIdleTimeout", "it may be left out"),
    ("options.maxContentLength", "http.download limits a file with `max_bytes`"),
];

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

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
struct TimeoutOptions {
    /// How long the server may take to accept the connection. By default 20s.
    #[serde(alias = "connect_timeout")]
    connect_timeout: Option<DurationSpec>,
    /// How long it may be silent. By default 60s.
    #[serde(alias = "read_idle_timeout")]
    read_idle_timeout: Option<DurationSpec>,
}

impl RequestOptions {
    /// A client as the options want it.
    ///
    /// # Errors
    /// When the connection cannot be prepared.
    pub(super) fn client(&self) -> Result<reqwest::Client, TaskError> {
        self.client_with_idle_timeout(self.idle_timeout().unwrap_or(IDLE_TIMEOUT))
    }

    /// A client that waits so long for a server that is silent.
    ///
    /// # Errors
    /// When the connection cannot be prepared.
    pub(super) fn client_with_idle_timeout(&self, idle_timeout: Duration) -> Result<reqwest::Client, TaskError> {
        let connect_timeout = shortest([self.timeout.connect_timeout, self.connect_timeout]);
        let builder = client::builder(connect_timeout.unwrap_or(CONNECT_TIMEOUT.min(idle_timeout)), idle_timeout);
        let builder = builder.danger_accept_invalid_certs(self.ssl.insecure_trust_all_certificates);
        let builder = match &self.proxy {
            None => builder,
            Some(proxy) if proxy.kind == ProxyKind::Direct => builder.no_proxy(),
            Some(proxy) => builder.proxy(proxy.to_reqwest()?),
        };
        builder.build().map_err(|error| TaskError::permanent("cannot prepare the connection").caused_by(error))
    }

    /// How long a server may be silent, if the options say it; the shortest of what they say.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        shortest([self.timeout.read_idle_timeout, self.read_timeout, self.read_idle_timeout])
    }

    /// What contradicts itself, or is not complete.
    pub(super) fn conflicts(&self) -> Vec<FieldConflict> {
        let basic = self.basic_auth_user.is_some() || self.basic_auth_password.is_some();
        let twice = (basic && self.auth.is_some())
            .then(|| "the login is specified twice, by `auth` and by `basicAuth…`; remove one of them".to_owned());
        let found = [self.auth.as_ref().and_then(Auth::conflict), self.proxy.as_ref().and_then(Proxy::conflict), twice];
        found.into_iter().flatten().map(|message| FieldConflict::between(["options"], message)).collect()
    }

    /// Whether redirects are followed.
    pub(super) fn follows(&self) -> bool {
        self.follow_redirects.unwrap_or(true)
    }

    /// The request with its login.
    ///
    /// # Errors
    /// When a part of the login is missing.
    pub(super) fn authenticate(
        &self,
        request: RequestBuilder,
        redactor: &Redactor,
    ) -> Result<RequestBuilder, TaskError> {
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

    /// Whether the content of such an answer is a file: by default that of a successful one alone.
    pub(super) fn accept_file(&self, status: StatusCode) -> bool {
        // A part is what continues a file whose whole would be a 200.
        let status = if status == StatusCode::PARTIAL_CONTENT { StatusCode::OK } else { status };
        let is_named = self.allow_failed || !self.allowed_response_codes.is_empty();
        if is_named { self.accept(status) } else { status.is_success() }
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

fn shortest<const N: usize>(spans: [Option<DurationSpec>; N]) -> Option<Duration> {
    spans.into_iter().flatten().map(|span| span.0).min()
}

impl Auth {
    /// What is missing, or too much.
    fn conflict(&self) -> Option<String> {
        let (kind, needed, others): (_, _, [(_, &Option<String>); 2]) = match self.kind {
            AuthKind::Basic => ("BASIC", ("username", &self.username), [("token", &self.token), ("token", &None)]),
            AuthKind::Bearer => {
                ("BEARER", ("token", &self.token), [("username", &self.username), ("password", &self.password)])
            }
        };
        if needed.1.is_none() {
            return Some(format!("`options.auth.{}` is missing", needed.0));
        }
        let (name, _) = others.into_iter().find(|(_, value)| value.is_some())?;
        Some(format!("`options.auth.{name}` has no effect for a login of type {kind}"))
    }
}

impl Proxy {
    /// What is missing, or too much.
    fn conflict(&self) -> Option<String> {
        let is_complete = self.address.is_some() && self.port.is_some();
        let is_empty = self.address.is_none() && self.port.is_none() && self.username.is_none();
        match self.kind {
            ProxyKind::Http if !is_complete => Some("`options.proxy` needs `address` and `port`".to_owned()),
            ProxyKind::Direct if !is_empty => {
                Some("`options.proxy` of type DIRECT means no proxy, and has no address".to_owned())
            }
            _ => None,
        }
    }

    fn to_reqwest(&self) -> Result<reqwest::Proxy, TaskError> {
        let address = format!("http://{}:{}", self.address.as_deref().unwrap_or_default(), self.port.unwrap_or(80));
        let proxy = reqwest::Proxy::all(address)
            .map_err(|error| TaskError::permanent("`options.proxy` is not a proxy address").caused_by(error))?;
        Ok(match &self.username {
            Some(user) => proxy.basic_auth(user, self.password.as_deref().unwrap_or_default()),
            None => proxy,
        })
    }
}
