//! The cookies of the login page.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use crate::text::hex;

/// How long a session lasts at most.
pub(super) const MAX_AGE: TimeDelta = TimeDelta::days(30);

/// A secret of 256 random bits, as text.
pub(super) fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What is kept of a secret.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The token that a form must send in addition to the cookie. A page of another site can make a browser send the cookie, but cannot
/// read it, and so does not know the token.
pub(super) fn token_of(cookie: &str) -> String {
    hex(&digest(&format!("form token of {cookie}")))
}

/// A token as one page carries it. Pages are compressed, and hold what their address says; a secret that is the same on each of
/// them could be guessed by the lengths of many.
pub(in crate::server) fn masked(token: &str) -> String {
    let mask = random();
    format!("{mask}.{}", under(&mask, token))
}

/// Whether what came with a form is this token.
pub(super) fn is_masked(given: &str, token: &str) -> bool {
    given.split_once('.').is_some_and(|(mask, rest)| digest(rest) == digest(&under(mask, token)))
}

fn under(mask: &str, token: &str) -> String {
    hex(&digest(&format!("{mask} {token}")))
}

/// The names of a server's cookies. Browsers share cookies between the ports of a host, so that the port is a part of them.
#[derive(Clone, Debug)]
pub(super) struct CookieNames {
    port: u16,
}

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieUse {
    /// Its bearer is signed in.
    Session,
    /// Guards the form of the login page.
    LoginForm,
}

impl CookieNames {
    pub(super) fn of(port: u16) -> Self {
        Self { port }
    }

    /// With TLS the name begins so that browsers take it from this host alone, and over TLS alone.
    fn name(&self, cookie: CookieUse, is_secure: bool) -> String {
        let prefix = if is_secure { "__Host-" } else { "" };
        let name = if cookie == CookieUse::Session { "session" } else { "login" };
        format!("{prefix}jitney-{name}-{}", self.port)
    }

    /// The value that a request has; the first, should there be more.
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap, cookie: CookieUse, is_secure: bool) -> Option<&'a str> {
        let name = self.name(cookie, is_secure);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// The header that sets a cookie until the browser or the server forgets it; one without a value removes it.
    pub(super) fn set(&self, cookie: CookieUse, value: Option<&str>, is_secure: bool) -> Option<HeaderValue> {
        let (secure, name) = (if is_secure { "; Secure" } else { "" }, self.name(cookie, is_secure));
        let age = match (value, cookie) {
            (None, _) => 0,
            (Some(_), CookieUse::Session) => MAX_AGE.num_seconds(),
            (Some(_), CookieUse::LoginForm) => 3600,
        };
        let value = value.unwrap_or_default();
        let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_full_name() {
        let names = CookieNames::of(8080);
        let headers: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("a=1; jitney-session-80=no; jitney-session-8080=yes; x"))]
                .into_iter()
                .collect();
        assert_eq!(names.find(&headers, CookieUse::Session, false), Some("yes"));
        assert_eq!(names.find(&headers, CookieUse::Session, true), None, "not one that was set without TLS");
        assert_eq!(names.find(&headers, CookieUse::LoginForm, false), None);
    }

    #[test]
    fn a_cookie_is_for_this_server_alone() {
        let set = CookieNames::of(443).set(CookieUse::Session, Some("x"), true).unwrap();
        assert_eq!(set, "__Host-jitney-session-443=x; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure");
        let removed = CookieNames::of(1).set(CookieUse::LoginForm, None, false).unwrap();
        assert_eq!(removed, "jitney-login-1=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert_eq!(random().len(), 43);
    }
}
