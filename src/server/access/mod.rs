//! Who may speak to the server: everybody on this machine while it is bound to loopback, else who has a login.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::diagnostic::Diagnostic;

/// Somebody who may do everything.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct User {
    /// The name, such as a mail address.
    pub name: String,
    /// The password, best as `"{{ secret('JITNEY_PASSWORD') }}"`.
    pub password: String,
}

/// The logins of a server. Only their digests are kept.
#[derive(Clone, Debug, Default)]
pub struct Access {
    logins: Vec<[u8; 32]>,
    tokens: Vec<[u8; 32]>,
    /// Whether only this machine can reach the server.
    loopback: bool,
}

impl Access {
    /// The logins for a server at an address.
    ///
    /// # Errors
    /// When the address can be reached from outside and there is no login.
    pub fn at(address: SocketAddr, users: &[User], tokens: &[String]) -> Result<Self, Diagnostic> {
        let loopback = address.ip().is_loopback();
        if !loopback && users.is_empty() && tokens.is_empty() {
            let message = format!("{address} can be reached from other machines, and there is no login");
            return Err(Diagnostic::error(message).help(
                "set JITNEY_USER and JITNEY_PASSWORD, or `users` or `tokens` in jitney.yaml, or listen on 127.0.0.1",
            ));
        }
        let logins = users.iter().map(|user| digest(&format!("{}:{}", user.name, user.password))).collect();
        Ok(Self { logins, tokens: tokens.iter().map(|token| digest(token)).collect(), loopback })
    }

    fn is_open(&self) -> bool {
        self.logins.is_empty() && self.tokens.is_empty()
    }

    /// Why a request may not pass, if it may not.
    fn refuse(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if self.is_open() {
            // A page from elsewhere, opened in a browser of this machine, must not be able to start flows.
            let is_foreign = matches!(text("sec-fetch-site"), Some("cross-site" | "same-site"));
            let is_rebound = self.loopback && !text("host").is_some_and(names_this_machine);
            let words =
                "this server has no login and answers only its own machine; set JITNEY_USER and JITNEY_PASSWORD";
            return (is_foreign || is_rebound).then_some((StatusCode::FORBIDDEN, words));
        }
        let passes = text("authorization").is_some_and(|authorization| self.knows(authorization));
        (!passes).then_some((StatusCode::UNAUTHORIZED, "who is asking? Send a login (Basic) or a token (Bearer)"))
    }

    fn knows(&self, authorization: &str) -> bool {
        let Some((scheme, rest)) = authorization.split_once(' ') else { return false };
        // Digests are compared, so that the time it takes says nothing about a password.
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => STANDARD.decode(rest.trim()).is_ok_and(|login| self.logins.contains(&digest_of(&login))),
            "bearer" => self.tokens.contains(&digest(rest.trim())),
            _ => false,
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    digest_of(text.as_bytes())
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether a `Host` header means this machine: another name that leads here is a page's trick.
fn names_this_machine(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = bracketed.unwrap_or_else(|| host.rsplit_once(':').map_or(host, |(name, _)| name));
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets those pass who may; health checks and webhooks, which carry a key of their own, always.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/health" || path.contains("/executions/webhook/") {
        return next.run(request).await;
    }
    match access.refuse(request.headers()) {
        None => next.run(request).await,
        Some((StatusCode::UNAUTHORIZED, words)) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"jitney\"")], words).into_response()
        }
        Some((status, words)) => (status, words).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn status(access: &Access, pairs: &[(&'static str, &str)]) -> u16 {
        access.refuse(&headers(pairs)).map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn a_public_address_needs_a_login() {
        let outside: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let refused = Access::at(outside, &[], &[]).unwrap_err();
        assert!(refused.message.contains("0.0.0.0:8080 can be reached from other machines"), "{refused}");
        let user = User { name: "ada@example.com".to_owned(), password: "pass:word".to_owned() };
        let access = Access::at(outside, &[user], &["t0ken".to_owned()]).unwrap();
        let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
        assert_eq!(status(&access, &[("authorization", &basic("ada@example.com:pass:word"))]), 200);
        assert_eq!(status(&access, &[("authorization", &basic("ada@example.com:other"))]), 401);
        assert_eq!(status(&access, &[("authorization", "Bearer t0ken")]), 200);
        assert_eq!(status(&access, &[("authorization", "Bearer nope")]), 401);
        assert_eq!(status(&access, &[("host", "localhost:8080")]), 401);
    }

    #[test]
    fn without_a_login_only_this_machine_is_answered_and_no_page_from_elsewhere() {
        let access = Access::at("127.0.0.1:8080".parse().unwrap(), &[], &[]).unwrap();
        assert_eq!(status(&access, &[("host", "127.0.0.1:8080")]), 200);
        assert_eq!(status(&access, &[("host", "[::1]:8080")]), 200);
        assert_eq!(status(&access, &[("host", "localhost:8080"), ("sec-fetch-site", "same-origin")]), 200);
        assert_eq!(status(&access, &[("host", "localhost:8080"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(&access, &[("host", "evil.example:8080")]), 403);
    }
}
