//! Access control: on loopback everybody on this machine may call the server, otherwise only clients with a login. Pages of
//! other sites may never, whoever views them.

mod accounts;
mod hosts;
mod identity;
mod role;
mod routes;
mod throttle;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

pub use self::accounts::{Token, User};
pub(super) use self::accounts::{secret_problem, user_problem};
use self::hosts::{AllowedHosts, OriginError};
pub(super) use self::identity::{Identity, Login};
pub use self::role::{Role, UnknownRole};
use self::throttle::LoginThrottle;
use crate::diagnostic::Diagnostic;
use crate::server::api::error::ApiError;

/// A user or token: who it is, and the digest of what they send.
struct Account {
    identity: Arc<Identity>,
    digest: [u8; 32],
}

/// Which requests are let through. Only digests of the logins are kept.
pub struct AccessControl {
    users: Vec<Account>,
    tokens: Vec<Account>,
    hosts: AllowedHosts,
    throttle: LoginThrottle,
}

impl AccessControl {
    /// The access to a server that listens on an address and is also known under the names `hosts`.
    ///
    /// # Errors
    /// When other machines can reach the address and there is no login, or a host is not a name.
    pub fn at(address: SocketAddr, users: &[User], tokens: &[Token], hosts: &[String]) -> Result<Self, Diagnostic> {
        if !address.ip().is_loopback() && users.is_empty() && tokens.is_empty() {
            let message = format!("{address} can be reached from other machines, but no login is configured");
            return Err(Diagnostic::error(message).help(
                "set JITNEY_USER and JITNEY_PASSWORD, or `users` or `tokens` in jitney.yaml, or listen on 127.0.0.1",
            ));
        }
        Ok(Self {
            users: users.iter().map(user_account).collect(),
            tokens: tokens.iter().enumerate().map(token_account).collect(),
            hosts: AllowedHosts::new(address.ip(), hosts)?,
            throttle: LoginThrottle::default(),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// Checks that the request is meant for this server, and does not come from a page of another site.
    pub(super) fn check_site(&self, request: &Request) -> Result<(), ApiError> {
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

    /// Who has sent a request with these headers, by its login or token if one is needed. The answer to a wrong one is delayed.
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<Arc<Identity>, ApiError> {
        let unauthorized =
            || ApiError::new(StatusCode::UNAUTHORIZED, "log in with a password (Basic) or a token (Bearer)");
        if self.is_open() {
            return Ok(Identity::anybody());
        }
        let login = headers.get(header::AUTHORIZATION).ok_or_else(unauthorized)?;
        if let Some(identity) = login.to_str().ok().and_then(|login| self.find(login)) {
            return Ok(identity);
        }
        self.throttle.delay(peer).await;
        Err(unauthorized())
    }

    /// Checks that somebody may send this request, by the role that its route needs.
    pub(super) async fn check_role(&self, identity: &Identity, request: &mut Request) -> Result<(), ApiError> {
        let missing = identity.missing(routes::needed(request).await);
        missing.map_or(Ok(()), |missing| Err(ApiError::new(StatusCode::FORBIDDEN, missing)))
    }

    fn find(&self, authorization: &str) -> Option<Arc<Identity>> {
        let (scheme, rest) = authorization.split_once(' ')?;
        // Comparing digests takes a time that reveals nothing about the password.
        let (accounts, digest) = match scheme.to_ascii_lowercase().as_str() {
            "basic" => (&self.users, digest_of(&STANDARD.decode(rest.trim()).ok()?)),
            "bearer" => (&self.tokens, digest(rest.trim())),
            _ => return None,
        };
        accounts.iter().find(|account| account.digest == digest).map(|account| account.identity.clone())
    }
}

fn user_account(user: &User) -> Account {
    let identity = Identity { name: user.name.clone(), role: user.role, login: Login::Basic };
    Account { identity: Arc::new(identity), digest: digest(&format!("{}:{}", user.name, user.password)) }
}

fn token_account((index, token): (usize, &Token)) -> Account {
    let name = token.name.clone().unwrap_or_else(|| format!("token {}", index + 1));
    let identity = Identity { name, role: token.role, login: Login::Token };
    Account { identity: Arc::new(identity), digest: digest(&token.token) }
}

fn digest(text: &str) -> [u8; 32] {
    digest_of(text.as_bytes())
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(access: &AccessControl, login: Option<&str>) -> u16 {
        let login = login.map(|login| (header::AUTHORIZATION, login.parse().unwrap()));
        match access.identify(&login.into_iter().collect(), None).await {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        }
    }

    #[tokio::test]
    async fn a_public_address_needs_a_login() {
        let outside: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let Err(refused) = AccessControl::at(outside, &[], &[], &[]) else { panic!("it was allowed") };
        assert!(refused.message.contains("0.0.0.0:8080 can be reached from other machines"), "{refused}");
        let user = User { name: "ada@example.com".to_owned(), password: "pass:word".to_owned(), role: Role::Admin };
        let access = AccessControl::at(outside, &[user], &[Token::of("t0ken")], &[]).unwrap();
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
