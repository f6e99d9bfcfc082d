//! What all requests and answers have in common: addresses as they are shown, and headers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, SET_COOKIE};
use sha2::{Digest, Sha256};

use crate::secret::{Redactor, hide_address, hide_literals, percent_decoded};
use crate::task::TaskError;
use crate::text::hex;
use crate::web::header;

/// What stands for what is not shown.
const HIDDEN: &str = "***";
/// What ends the names of headers whose values are secret.
const SECRET: &[&str] = &["authorization", "cookie", "key", "token", "secret"];

/// The address that a text is. Its login is not shown from now on.
///
/// # Errors
/// When it is none.
pub(super) fn address(text: &str, redactor: &Redactor) -> Result<Url, TaskError> {
    let display_address = || hide_address(without_query(&redactor.without_known(text)));
    let url = Url::parse(text)
        .map_err(|error| TaskError::permanent(format!("`{}` is not an address", display_address())).caused_by(error))?;
    if redactor.without_known(text) == HIDDEN {
        // As a whole it is a secret, and so it is as the client writes it.
        redactor.learn(url.as_str());
    }
    if let Some(password) = url.password() {
        redactor.learn_login(url.username(), password);
        redactor.learn_login(&percent_decoded(url.username()), &percent_decoded(password));
    }
    Ok(url)
}

/// The address without known secrets, without user and password, and without the values of its query: any of them may
/// be a token.
pub(super) fn display_address(url: &Url, redactor: &Redactor) -> String {
    let text = redactor.without_known(url.as_str());
    let query = text.split('#').next().and_then(|text| text.split_once('?')).map_or("", |(_, query)| query);
    let names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or_default());
    let names: Vec<String> = names.map(|name| format!("{name}={HIDDEN}")).collect();
    format!("{}{}{}", without_login(&text), if names.is_empty() { "" } else { "?" }, names.join("&"))
}

/// The address without known secrets, without user and password, and without its query.
pub(super) fn place(url: &Url, redactor: &Redactor) -> String {
    without_login(&redactor.without_known(url.as_str()))
}

/// What tells the address from others: without known secrets, without user and password, and with a short checksum in
/// the place of its query, which may hold a token.
pub(super) fn origin(url: &Url, redactor: &Redactor) -> String {
    let text = redactor.without_known(url.as_str());
    let query = text.split('#').next().and_then(|text| text.split_once('?'));
    let sum = query.map(|(_, query)| format!("?{}", hex(Sha256::digest(query).get(..4).unwrap_or_default())));
    format!("{}{}", without_login(&text), sum.unwrap_or_default())
}

fn without_login(text: &str) -> String {
    let text = without_query(text);
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

/// Headers to send. Those that hold a login are not shown from now on.
///
/// # Errors
/// When one cannot be sent.
pub(super) fn to_send(given: &BTreeMap<String, String>, redactor: &Redactor) -> Result<HeaderMap, TaskError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        if SECRET.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
            learn(value, redactor);
        }
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Learns the value of a header, without the word before it that says what kind it is.
fn learn(value: &str, redactor: &Redactor) {
    let login = value.split_once(' ').map_or(value, |(_, login)| login);
    redactor.learn(login);
    // Of a Basic login somebody may show the password alone.
    let decoded = STANDARD.decode(login).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((user, password)) = decoded.as_deref().and_then(|login| login.split_once(':')) {
        redactor.learn_login(user, password);
    }
}

/// The server's headers for a task's outputs: names in lower case, each with its values.
pub(super) fn received(given: &HeaderMap, redactor: &Redactor) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // Outputs are kept and shown; a session's cookie is nobody's business.
    for (name, value) in given.iter().filter(|(name, _)| *name != SET_COOKIE) {
        headers
            .entry(name.to_string())
            .or_default()
            .push(hide_literals(&redactor.without_known(&String::from_utf8_lossy(value.as_bytes()))));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_displayed_without_login_and_query_values() {
        let redactor = Redactor::default();
        let url = address("https://u:pass@h:1/a/b?token=abc&month=4&flag#part", &redactor).unwrap();
        assert_eq!(display_address(&url, &redactor), "https://h:1/a/b?token=***&month=***&flag=***");
        assert_eq!(place(&url, &redactor), "https://h:1/a/b");
        let secret = "https://Hooks.example/T/abc?x=1";
        redactor.learn(secret);
        let url = address(secret, &redactor).unwrap();
        assert_eq!((display_address(&url, &redactor), place(&url, &redactor)), ("***".to_owned(), "***".to_owned()));
        let error = address("h:/a b?token=abc", &Redactor::default()).map(|url| url.to_string());
        assert!(error.is_ok() || !error.unwrap_err().message.contains("abc"));
        let error = address("//u:pass@h/?token=abc", &Redactor::default()).unwrap_err().message;
        assert!(error.contains("//u:***@h/") && !error.contains("abc"), "{error}");
    }

    #[test]
    fn logins_in_addresses_and_headers_are_redacted() {
        let redactor = Redactor::default();
        address("http://ada:pass%20word@h/", &redactor).unwrap();
        let headers = [("Authorization", "Basic dTpodW50ZXIyMg=="), ("X-Api-Key", "key-123"), ("Accept", "text/plain")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        to_send(&BTreeMap::from(headers), &redactor).unwrap();
        let text = "pass word, YWRhOnBhc3Mgd29yZA==, hunter22, dTpodW50ZXIyMg==, key-123, text/plain";
        assert_eq!(redactor.clean(text), "***, ***, ***, ***, ***, text/plain");
    }
}
