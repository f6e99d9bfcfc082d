//! Users and tokens as the settings have them, and what is wrong with them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::cookies::digest;
use super::identity::{Identity, Login};
use super::password::{hash, hash_problem, is_hash};
use super::role::Role;
use crate::diagnostic::Diagnostic;

/// A user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct User {
    /// The name, such as a mail address.
    pub name: String,
    /// The hash that `jitney user add` makes of the password, or the password itself as `"{{ secret('JITNEY_PASSWORD') }}"`.
    pub password: String,
    /// What the user may do; everything by default.
    #[serde(default)]
    pub role: Role,
}

impl User {
    /// A user whose password is kept as a hash.
    ///
    /// # Errors
    /// When the name or the password is not allowed.
    pub fn hashed(name: &str, password: &str, role: Role) -> Result<Self, Diagnostic> {
        if is_hash(password) {
            return Err(Diagnostic::error("the password looks like the hash of one"));
        }
        let user = Self { name: name.to_owned(), password: password.to_owned(), role };
        if let Some((_, problem)) = user_problem(&user) {
            return Err(Diagnostic::error(problem));
        }
        let password = hash(password).map_err(|error| Diagnostic::error(error.to_string()))?;
        Ok(Self { password, ..user })
    }
}

/// A token: its text, or a map with its text, a name and a role.
#[derive(Clone, Debug, JsonSchema)]
pub struct ApiToken {
    /// The token itself, best as `"{{ secret('JITNEY_TOKEN') }}"`.
    pub token: String,
    /// What it is called in the audit log.
    pub name: Option<String>,
    /// What its sender may do; everything by default.
    pub role: Role,
}

impl ApiToken {
    /// A token that may do everything.
    pub(in crate::server) fn of(token: &str) -> Self {
        Self { token: token.to_owned(), name: None, role: Role::default() }
    }
}

/// A token that is written as a map.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Token")]
struct TokenFields {
    token: String,
    name: Option<String>,
    #[serde(default)]
    role: Role,
}

impl<'de> Deserialize<'de> for ApiToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokenVisitor)
    }
}

struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = ApiToken;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token, or a map with `token`, `name` and `role`")
    }

    fn visit_str<E: Error>(self, token: &str) -> Result<ApiToken, E> {
        Ok(ApiToken::of(token))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ApiToken, A::Error> {
        let TokenFields { token, name, role } = TokenFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ApiToken { token, name, role })
    }
}

/// The least characters of a password or token.
const MIN_SECRET_LENGTH: usize = 12;

/// What is wrong with a password or a token, if anything.
pub(in crate::server) fn secret_problem(what: &str, secret: &str) -> Option<String> {
    let is_short = secret.chars().count() < MIN_SECRET_LENGTH;
    match secret.trim().is_empty() {
        true => Some(format!("{what} is empty")),
        false => is_short.then(|| format!("{what} has fewer than {MIN_SECRET_LENGTH} characters")),
    }
}

/// The field of a login that is wrong, and why.
pub(in crate::server) fn user_problem(user: &User) -> Option<(&'static str, String)> {
    if user.name.trim().is_empty() {
        return Some(("name", "the name is empty".to_owned()));
    }
    // A login is sent as `name:password`.
    if user.name.contains(':') {
        return Some(("name", format!("the name `{}` has a colon in it", user.name)));
    }
    let what = format!("the password of `{}`", user.name);
    if is_hash(&user.password) {
        return hash_problem(&user.password).map(|problem| ("password", format!("{what} {problem}")));
    }
    secret_problem(&what, &user.password).map(|problem| ("password", problem))
}

/// A user or token that may log in.
pub(super) struct Account {
    pub(super) identity: Arc<Identity>,
    /// The digest of what is sent to log in. Of a password that is stored as a hash it is known once somebody has logged in
    /// with it, so that a client which sends it with each request does not pay for the hash again.
    pub(super) digest: OnceLock<[u8; 32]>,
    /// The argon2id hash of the password, if it is stored so.
    pub(super) hash: Option<String>,
    /// Changes with the password.
    pub(super) version: [u8; 32],
}

impl Account {
    pub(super) fn name_and_role(&self) -> (&str, Role) {
        (self.identity.name.as_str(), self.identity.role)
    }

    pub(super) fn of_user(user: &User) -> Self {
        let hash = is_hash(&user.password).then(|| user.password.clone());
        let version = digest(&format!("{}:{}", user.name, user.password));
        let known = if hash.is_some() { OnceLock::new() } else { OnceLock::from(version) };
        let identity = Identity { name: user.name.clone(), role: user.role, login: Login::Basic };
        Self { identity: Arc::new(identity), digest: known, hash, version }
    }

    pub(super) fn of_token((index, token): (usize, &ApiToken)) -> Self {
        let name = token.name.clone().unwrap_or_else(|| format!("token {}", index + 1));
        let identity = Identity { name, role: token.role, login: Login::Token };
        let version = digest(&token.token);
        Self { identity: Arc::new(identity), digest: OnceLock::from(version), hash: None, version }
    }

    /// A user who signs in with the code of the first start.
    pub(super) fn of_first_start() -> Self {
        let identity = Identity { name: "first start".to_owned(), role: Role::Admin, login: Login::None };
        Self { identity: Arc::new(identity), digest: OnceLock::new(), hash: None, version: digest("first start") }
    }
}
