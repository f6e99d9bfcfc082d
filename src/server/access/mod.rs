//! Who may speak to the server: everybody on this machine while it is bound to loopback, else who has a login. No page
//! of another site may, whoever looks at it.

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

/// Somebody who may do everything.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct User {
    /// The name, such as a mail address.
    pub name: String,
    /// The password, best as `"{{ secret('JITNEY_PASSWORD') }}"`.
    pub password: String,
}

/// The least letters of a password or token.
const MIN_SECRET_LENGTH: usize = 12;

/// What is wrong with a password or a token, if anything is.
pub(super) fn secret_problem(what: &str, secret: &str) -> Option<String> {
    let is_short = secret.chars().count() < MIN_SECRET_LENGTH;
    match secret.trim().is_empty() {
        true => Some(format!("{what} is empty")),
        false => is_short.then(|| format!("{what} has fewer than {MIN_SECRET_LENGTH} characters")),
    }
}

/// What is wrong with a login, if anything is, and the field that it is about.
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

/// Who and what may pass. Of the logins only their digests are kept.
#[derive(Clone)]
pub struct AccessControl {
    logins: Vec<[u8; 32]>,
    tokens: Vec<[u8; 32]>,
    hosts: AllowedHosts,
    wrong: LoginThrottle,
}

impl AccessControl {
    /// The access to a server at an address that also has the names `hosts`.
    ///
    /// # Errors
    /// When the address can be reached from outside and there is no login, or a host is no name.
    pub fn at(address: SocketAddr, users: &[User], tokens: &[String], hosts: &[String]) -> Result<Self, Diagnostic> {
        if !address.ip().is_loopback() && users.is_empty() && tokens.is_empty() {
            let message = format!("{address} can be reached from other machines, and there is no login");
            return Err(Diagnostic::error(message).help(
                "set JITNEY_USER and JITNEY_PASSWORD, or `users` or `tokens` in jitney.yaml, or listen on 127.0.0.1",
            ));
        }
        Ok(Self {
            logins: users.iter().map(|user| digest(&format!("{}:{}", user.name, user.password))).collect(),
            tokens: tokens.iter().map(|token| digest(token)).collect(),
            hosts: AllowedHosts::new(address.ip(), hosts)?,
            wrong: LoginThrottle::default(),
        })
    }

    fn is_open(&self) -> bool {
        self.logins.is_empty() && self.tokens.is_empty()
    }

    /// Whether the request was meant for this server and comes from a page of its own, or from no page.
    fn check_site(&self, request: &Request) -> Result<(), ApiError> {
        let refuse = |message: String| ApiError::new(StatusCode::FORBIDDEN, message);
        self.hosts.check(request).map_err(|foreign| match foreign {
            OriginError::NoHost => refuse("the request names no host, or more than one".to_owned()),
            OriginError::Host(host) => refuse(format!(
                "this server does not answer to the name `{host}`; to allow it, start the server with `--host`, or add the name to \
                 `hosts` in jitney.yaml"
            )),
            OriginError::Site => refuse("a page of another site may not call this server".to_owned()),
        })
    }

    /// Whether the request has a login or a token, or needs none. A wrong one takes its time.
    async fn check_login(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), ApiError> {
        let wanted = || ApiError::new(StatusCode::UNAUTHORIZED, "log in with a password (Basic) or a token (Bearer)");
        if self.is_open() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION).ok_or_else(wanted)?;
        if given.to_str().is_ok_and(|given| self.knows(given)) {
            return Ok(());
        }
        self.wrong.wait(peer).await;
        Err(wanted())
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

/// Lets a request pass that was meant for this server and has a login, where one is needed.
pub async fn guard(State(access): State<AccessControl>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let checked = match access.check_site(&request) {
        Ok(()) => access.check_login(&request.headers().clone(), peer).await,
        foreign => foreign,
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) if problem.is(StatusCode::UNAUTHORIZED) => {
            ([(header::WWW_AUTHENTICATE, "Basic realm=\"jitney\"")], problem).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Marks a request of somebody who may know what is wrong with the server.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated;

/// Lets every request pass, and marks those that would pass the guard.
pub async fn recognize(State(access): State<AccessControl>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let headers = request.headers().clone();
    // Whoever sends no login does not wait for a wrong one.
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
        let Err(refused) = AccessControl::at(outside, &[], &[], &[]) else { panic!("it was let in") };
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
