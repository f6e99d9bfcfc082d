//! Users and tokens as the settings have them, and what is wrong with them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::role::Role;

/// A user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct User {
    /// The name, such as a mail address.
    pub name: String,
    /// The password, best as `"{{ secret('JITNEY_PASSWORD') }}"`.
    pub password: String,
    /// What the user may do; everything by default.
    #[serde(default)]
    pub role: Role,
}

/// A token: its text, or a map with its text, a name and a role.
#[derive(Clone, Debug, JsonSchema)]
pub struct Token {
    /// The token itself, best as `"{{ secret('JITNEY_TOKEN') }}"`.
    pub token: String,
    /// What it is called in the audit log.
    pub name: Option<String>,
    /// What whoever sends it may do; everything by default.
    pub role: Role,
}

impl Token {
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

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokenVisitor)
    }
}

struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = Token;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token, or a map with `token`, `name` and `role`")
    }

    fn visit_str<E: Error>(self, token: &str) -> Result<Token, E> {
        Ok(Token::of(token))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Token, A::Error> {
        let TokenFields { token, name, role } = TokenFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Token { token, name, role })
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
    secret_problem(&what, &user.password).map(|problem| ("password", problem))
}
