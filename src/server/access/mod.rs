//! Access control: on loopback everybody on this machine may call the server, otherwise only clients with a login. Pages of
//! other sites may never, no matter who views them.

mod accounts;
mod cookies;
mod form_token;
mod hosts;
mod identify;
mod identity;
mod password;
mod proxy;
mod role;
mod routes;
mod sender;
mod sessions;
mod throttle;

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use axum::extract::Request;
use axum::http::StatusCode;

use self::accounts::Account;
pub use self::accounts::{ApiToken, User};
pub(super) use self::accounts::{secret_problem, user_problem};
use self::cookies::CookieNames;
pub(super) use self::cookies::masked;
use self::hosts::{AllowedHosts, OriginError};
pub(super) use self::identify::Credentials;
pub(super) use self::identity::{Identity, Login};
pub(super) use self::password::is_hash;
pub(super) use self::proxy::{OverTls, TrustedProxies};
pub use self::role::{Role, UnknownRole};
pub(super) use self::routes::Call;
pub(super) use self::sender::Sender;
pub(super) use self::sessions::{is_open as is_open_session, sweep as sweep_sessions};
use self::throttle::LoginThrottle;
use crate::diagnostic::Diagnostic;
use crate::server::api::error::ApiError;

/// Which requests are let through. Only digests of the logins are kept.
pub struct AccessControl {
    users: Vec<Account>,
    tokens: Vec<Account>,
    /// Where nobody can log in before there is a user: the digest of the code that lets one person in, until it is used.
    first_start: Option<Mutex<Option<[u8; 32]>>>,
    cookies: CookieNames,
    hosts: AllowedHosts,
    throttle: LoginThrottle,
}

impl AccessControl {
    /// The access to a server that listens on an address and is also known under the names `hosts`.
    ///
    /// If others can reach the address and there is no login, a code lets the first person in.
    ///
    /// # Errors
    /// When a host is not a name.
    pub fn at(address: SocketAddr, users: &[User], tokens: &[ApiToken], hosts: &[String]) -> Result<Self, Diagnostic> {
        let is_first_start = !address.ip().is_loopback() && users.is_empty() && tokens.is_empty();
        Ok(Self {
            users: users.iter().map(Account::of_user).collect(),
            tokens: tokens.iter().enumerate().map(Account::of_token).collect(),
            first_start: is_first_start.then(Mutex::default),
            cookies: CookieNames::of(address.port()),
            hosts: AllowedHosts::new(address.ip(), hosts)?,
            throttle: LoginThrottle::default(),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty() && self.first_start.is_none()
    }

    /// Checks that the request is addressed to this server and does not come from a page of another site.
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

    /// Whether nobody can log in before there is a user, so that a code is printed which lets one person in.
    pub(super) fn is_first_start(&self) -> bool {
        self.first_start.is_some()
    }

    /// The code of the first start, the first time that this is called.
    pub(super) fn first_code(&self) -> Option<String> {
        let mut code = self.first_start.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let text = cookies::random();
        *code = Some(cookies::digest(&text));
        Some(text)
    }

    /// The names and roles of the users.
    pub(super) fn users(&self) -> impl Iterator<Item = (&str, Role)> {
        self.users.iter().map(Account::name_and_role)
    }

    /// The names and roles of the tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&str, Role)> {
        self.tokens.iter().map(Account::name_and_role)
    }

    /// Whether a user has this name.
    pub(super) fn has_user(&self, name: &str) -> bool {
        self.users.iter().any(|account| account.identity.name == name)
    }
}
