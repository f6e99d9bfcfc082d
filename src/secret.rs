//! Values that must never be seen: they print as `***`, and a [`Redactor`] removes them from any text.

use std::fmt;
use std::sync::{Arc, RwLock};

const MASK: &str = "***";

/// A password or token. `Debug` and `Display` print `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that must not be printed.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The secrets known so far; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: Arc<RwLock<Vec<Secret>>>,
}

/// A shorter value would be found in innocent words, and guards nothing.
const SHORTEST: usize = 6;

impl Redactor {
    /// Removes this value from every text from now on. Values under six characters are ignored.
    pub fn learn(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        if let Ok(mut known) = self.known.write() {
            let secret = Secret::new(secret);
            if !known.contains(&secret) {
                known.push(secret);
            }
        }
    }

    /// The text without any known secret and without the password of any address in it.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = hide_address_passwords(text);
        if let Ok(known) = self.known.read() {
            for secret in known.iter() {
                if clean.contains(secret.expose()) {
                    clean = clean.replace(secret.expose(), MASK);
                }
            }
        }
        clean
    }
}

/// Replaces the password in every `scheme://user:password@host` and `password=…` of a text by `***`.
pub fn hide_address_passwords(text: &str) -> String {
    hide_parameters(&hide_logins(text))
}

const PARAMETER: &str = "password=";

fn hide_parameters(text: &str) -> String {
    // ASCII lower case keeps every byte in its place.
    let lower = text.to_ascii_lowercase();
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(PARAMETER) {
        let start = at + PARAMETER.len();
        let value = &text[start..];
        let end = match value.strip_prefix('\'') {
            Some(quoted) => quoted.find('\'').map(|at| at + 2),
            None => value.find(|c: char| c.is_whitespace() || "&\"'`,;)".contains(c)),
        };
        let end = start + end.unwrap_or(value.len());
        if at >= done && end > start && !value.starts_with("{{") {
            clean.push_str(&text[done..start]);
            clean.push_str(MASK);
            done = end;
        }
    }
    clean + &text[done..]
}

fn hide_logins(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let end =
            rest[start..].find(|c: char| c.is_whitespace() || "/'\"`".contains(c)).map_or(rest.len(), |at| start + at);
        let authority = &rest[start..end];
        clean.push_str(&rest[..start]);
        match authority.rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?.0, host))) {
            Some((user, host)) => clean.push_str(&format!("{user}:{MASK}@{host}")),
            None => clean.push_str(authority),
        }
        rest = &rest[end..];
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_and_address_passwords_disappear() {
        let redactor = Redactor::default();
        redactor.learn("hunter22");
        redactor.learn("root");
        assert_eq!(
            redactor.clean("login hunter22 at postgres://root:s3:cr@et@db:5432/x, see http://a/b in /root"),
            "login *** at postgres://root:***@db:5432/x, see http://a/b in /root"
        );
        assert_eq!(
            redactor
                .clean("jdbc:postgresql://h/d?user=a&Password=b&x=y or host=h password='a b' port=1, password={{ x }}"),
            "jdbc:postgresql://h/d?user=a&Password=***&x=y or host=h password=*** port=1, password={{ x }}"
        );
        assert_eq!(format!("{:?} {}", Secret::new("x"), Secret::new("x")), "*** ***");
    }
}
