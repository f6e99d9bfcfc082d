//! Access control: on loopback everybody on this machine may call the server, otherwise only clients with a login. Pages of
//! other sites may never, whoever views them.

mod hosts;
mod throttle;

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use self::hosts::{AllowedHosts, OriginError};
use self::throttle::LoginThrottle;
use crate::diagnostic::Diagnostic;
use crate::server::api::error::ApiError;

/// A user, who may do everything.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct User {
    /// The name, such as a mail address.
    pub name: String,
    /// The password, best as `"{{ secret('JITNEY_PASSWORD') }}"`.
    pub password: String,
}

/// The least characters of a password or token.
const MIN_SECRET_LENGTH: usize = 12;

/// What is wrong with a password or a token, if anything.
pub(super) fn secret_problem(what: &str, secret: &str) -> Option<String> {
    let is_short = secret.chars().count() < MIN_SECRET_LENGTH;
    match secret.trim().is_empty() {
        true => Some(format!("{what} is empty")),
        false => is_short.then(|| format!("{what} has fewer than {MIN_SECRET_LENGTH} characters")),
    }
}

/// The field of a login that is wrong, and why.
pub(super) fn user_problem(user: &User) -> Option<(&'static str, String)> {
    if user.name.trim().is_empty() {
        return Some(("name", "the name is empty".to_owned()));
    }
    // A login is sent as `name:password`.
    if user.name.contains(':') {
        return Some(("name", format!("the name `{}` has a colon in it", user.name)));
    }
    let what = format!("the password of `{}`", user.name);
    secret_problem(&what, &user.password).map(|problem| ("password", problem))
}

/// Which requests are let through. Only digests of the logins are kept.
#[derive(Clone)]
pub struct AccessControl {
    logins: Vec<[u8; 32]>,
    tokens: Vec<[u8; 32]>,
    hosts: AllowedHosts,
    throttle: LoginThrottle,
}

impl AccessControl {
    /// The access to a server that listens on an address and is also known under the names `hosts`.
    ///
    /// # Errors
    /// When other machines can reach the address and there is no login, or a host is not a name.
    pub fn at(address: SocketAddr, users: &[User], tokens: &[String], hosts: &[String]) -> Result<Self, Diagnostic> {
        if !address.ip().is_loopback() && users.is_empty() && tokens.is_empty() {
            let message = format!("{address} can be reached from other machines, but no login is configured");
            return Err(Diagnostic::error(message).help(
                "set JITNEY_USER and JITNEY_PASSWORD, or `users` or `tokens` in jitney.yaml, or listen on 127.0.0.1",
            ));
        }
        Ok(Self {
            logins: users.iter().map(|user| digest(&format!("{}:{}", user.name, user.password))).collect(),
            tokens: tokens.iter().map(|token| digest(token)).collect(),
            hosts: AllowedHosts::new(address.ip(), hosts)?,
            throttle: LoginThrottle::default(),
        })
    }

    fn is_open(&self) -> bool {
        self.logins.is_empty() && self.tokens.is_empty()
    }

    /// Checks that the request is meant for this server, and does not come from a page of another site.
    fn check_site(&self, request: &Request) -> Result<(), ApiError> {
        let forbidden = |message: String| ApiError::new(StatusCode::FORBIDDEN, message);
        self.hosts.check(request).map_err(|error| match error {
            OriginError::NoHost => forbidden("the request names no host, or more than one".to_owned()),
            OriginError::Host(host) => forbidden(format!(
                "this server does not accept the host name `{host}`; to allow it, start the server with `--host`, or add the name to \
                 `hosts` in jitney.yaml"
            )),
            OriginError::Site => forbidden("a page of another site may not call this server".to_owned()),
        })
    }

    /// Checks the login or token, if one is needed. The answer to a wrong one is delayed.
    async fn check_login(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), ApiError> {
        let unauthorized =
            || ApiError::new(StatusCode::UNAUTHORIZED, "log in with a password (Basic) or a token (Bearer)");
        if self.is_open() {
            return Ok(());
        }
        let login = headers.get(header::AUTHORIZATION).ok_or_else(unauthorized)?;
        if login.to_str().is_ok_and(|login| self.is_valid(login)) {
            return Ok(());
        }
        self.throttle.delay(peer).await;
        Err(unauthorized())
    }

    fn is_valid(&self, authorization: &str) -> bool {
        let Some((scheme, rest)) = authorization.split_once(' ') else { return false };
        // Comparing digests takes a time that reveals nothing about the password.
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

/// Rejects requests of other sites and, where a login is needed, those without a valid one.
pub(super) async fn guard(State(access): State<AccessControl>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let checked = match access.check_site(&request) {
        Ok(()) => access.check_login(&request.headers().clone(), peer).await,
        rejected => rejected,
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) if error.has_status(StatusCode::UNAUTHORIZED) => {
            ([(header::WWW_AUTHENTICATE, "Basic realm=\"jitney\"")], error).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// Marks a request that [`guard`] would let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authenticated;

/// Lets every request through, and marks those that [`guard`] would let through.
pub(super) async fn recognize(State(access): State<AccessControl>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let headers = request.headers().clone();
    // Without a login there is nothing to check, and so no delay.
    let has_login = access.is_open() || headers.contains_key(header::AUTHORIZATION);
    if has_login && access.check_site(&request).is_ok() && access.check_login(&headers, peer).await.is_ok() {
        request.extensions_mut().insert(Authenticated);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(access: &AccessControl, login: Option<&str>) -> u16 {
        let login = login.map(|login| (header::AUTHORIZATION, login.parse().unwrap()));
        match access.check_login(&login.into_iter().collect(), None).await {
            Ok(()) => 200,
            Err(problem) => problem.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn a_public_address_needs_a_login() {
        let outside: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let Err(refused) = AccessControl::at(outside, &[], &[], &[]) else { panic!("it was allowed") };
        assert!(refused.message.contains("0.0.0.0:8080 can be reached from other machines"), "{refused}");
        let user = User { name: "ada@example.com".to_owned(), password: "pass:word".to_owned() };
        let access = AccessControl::at(outside, &[user], &["t0ken".to_owned()], &[]).unwrap();
        let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
        assert_eq!(status(&access, Some(&basic("ada@example.com:pass:word"))).await, 200);
        assert_eq!(status(&access, Some(&basic("ada@example.com:other"))).await, 401);
        assert_eq!(status(&access, Some("Bearer t0ken")).await, 200);
        assert_eq!(status(&access, Some("Bearer nope")).await, 401);
        assert_eq!(status(&access, None).await, 401);
    }

    #[tokio::test]
    async fn on_loopback_no_login_is_needed() {
        let access = AccessControl::at("127.0.0.1:8080".parse().unwrap(), &[], &[], &[]).unwrap();
        assert_eq!(status(&access, None).await, 200);
    }
}
