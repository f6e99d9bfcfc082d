//! The texts that are secret because one is: its lines, the members of JSON and YAML, the values of `NAME=value`, the
//! passwords of addresses, and what it says in base64.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::forms::MIN_FORM;
use super::pairs::{is_of_name, pairs};
use super::patterns;

/// How far a text is taken apart: the part of a part and so on.
const MAX_DEPTH: usize = 6;
/// What is before a login in a header.
const SCHEMES: [&str; 3] = ["Bearer ", "Basic ", "Token "];
/// The kinds of Google's keys, and the members of such a key that are public.
const GOOGLE_KEYS: [&str; 4] =
    ["service_account", "authorized_user", "external_account", "impersonated_service_account"];
const PUBLIC_IN_GOOGLE_KEYS: [&str; 10] = [
    "type",
    "project_id",
    "quota_project_id",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
];
/// What values are called, or what their names end with after a `_`, that say where or how and not who may: these may
/// be seen.
const PLACES: [&str; 38] = [
    "host",
    "hostname",
    "port",
    "user",
    "username",
    "database",
    "dbname",
    "db",
    "schema",
    "project",
    "project_id",
    "bucket",
    "region",
    "location",
    "type",
    "scheme",
    "driver",
    "name",
    "zone",
    "dataset",
    "table",
    "warehouse",
    "env",
    "environment",
    "mode",
    "sslmode",
    "level",
    "encoding",
    "charset",
    "locale",
    "lang",
    "timezone",
    "tz",
    "version",
    "format",
    "protocol",
    "engine",
    "dialect",
];

/// The secret itself and all that is secret with it. What is too short to distinguish from ordinary words is left out, but
/// for the secret itself.
pub(super) fn parts(secret: &str) -> BTreeSet<String> {
    let mut parts = SecretParts::default();
    parts.take(secret, MAX_DEPTH);
    parts.texts.insert(secret.to_owned());
    parts.texts.insert(secret.trim().to_owned());
    parts.texts
}

#[derive(Default)]
struct SecretParts {
    texts: BTreeSet<String>,
}

impl SecretParts {
    fn take(&mut self, text: &str, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if text.len() < MIN_FORM || is_ordinary(text) || !self.texts.insert(text.to_owned()) {
            return;
        }
        let trimmed = text.trim();
        self.take(trimmed, depth);
        match serde_json::from_str::<Value>(trimmed) {
            Ok(value) if trimmed.starts_with(['{', '[', '"']) => self.members(&value, depth),
            _ => self.lines(trimmed, depth),
        }
        for range in patterns::passwords_of_address(text) {
            let password = &text[range];
            self.take(password, depth);
            self.take(&super::views::percent_decoded(password), depth);
        }
        if let Some(plain) = decoded(trimmed) {
            self.take(&plain, depth);
        }
    }

    fn members(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => self.take(text, depth),
            Value::Number(number) => self.take(&number.to_string(), depth),
            Value::Array(items) => items.iter().for_each(|item| self.members(item, depth)),
            Value::Object(map) => {
                map.iter().filter(|(name, _)| !is_public(name, map)).for_each(|(_, value)| self.members(value, depth));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn lines(&mut self, text: &str, depth: usize) {
        // Some programs end a line at a carriage return or another control character, and overwrite what came before.
        let pieces = text.split(|letter: char| letter.is_control() && letter != '\t');
        for line in text.lines().chain(pieces).map(str::trim).filter(|line| !line.starts_with("-----")) {
            self.take(line, depth);
            self.line(line, depth);
        }
    }

    /// A line as `.env` files and YAML have it: `NAME=value`, `name: value`, `- value`.
    fn line(&mut self, line: &str, depth: usize) {
        for pair in pairs(line, patterns::is_secret_name) {
            self.take(unquoted(&line[pair.value]), depth);
        }
        let item = line.trim_start_matches("- ").trim_start();
        match named(item) {
            Some((name, value)) if !is_place(name) => self.value(value, depth),
            Some(_) => {}
            None => self.value(item, depth),
        }
    }

    fn value(&mut self, value: &str, depth: usize) {
        let value = value.trim();
        let without_comment = value.split(" #").next().unwrap_or_default().trim_end();
        for text in [value, without_comment] {
            let bare = unquoted(text);
            self.take(text, depth);
            self.take(bare, depth);
            if text.starts_with('"')
                && let Ok(plain) = serde_json::from_str::<String>(text)
            {
                self.take(&plain, depth);
            }
            self.take(&bare.replace("''", "'"), depth);
        }
        if let Some(login) = SCHEMES.iter().find_map(|scheme| value.strip_prefix(scheme)) {
            self.take(login.trim(), depth);
        }
        if value.starts_with(['{', '[']) {
            value.split(['{', '}', '[', ']', ',']).map(str::trim).for_each(|item| self.line(item, depth.min(1)));
        }
    }
}

/// The name and the value of `export NAME=value` and `name: value`.
fn named(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let at = line.find(['=', ':'])?;
    let name = line[..at].trim_end().trim_matches(['"', '\'']);
    let value = &line[at + 1..];
    let is_pair = line[at..].starts_with('=') || value.is_empty() || value.starts_with([' ', '\t']);
    (is_pair && !name.is_empty() && name.chars().all(is_of_name)).then_some((name, value))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

fn is_public(name: &str, map: &Map<String, Value>) -> bool {
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    is_place(name) || (GOOGLE_KEYS.contains(&kind) && PUBLIC_IN_GOOGLE_KEYS.contains(&name))
}

fn is_place(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['_', '-', '.']).next().unwrap_or_default();
    PLACES.contains(&name.as_str()) || PLACES.contains(&last)
}

/// A day or a moment, as `2024-05-06`: many lines of a log have one.
pub(super) fn is_ordinary(text: &str) -> bool {
    let is_of_moment = |letter: char| letter.is_ascii_digit() || "-:.TZ+ ".contains(letter);
    text.get(..10).is_some_and(|day| day.parse::<chrono::NaiveDate>().is_ok()) && text.chars().all(is_of_moment)
}

/// The text that another one says in base64, however it is padded and broken into lines.
fn decoded(text: &str) -> Option<String> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let dense: String = text.split_whitespace().collect();
    let bytes =
        [STANDARD, URL_SAFE].iter().find_map(|letters| GeneralPurpose::new(letters, lenient).decode(&dense).ok())?;
    let plain = String::from_utf8(bytes).ok()?;
    let is_text = plain.chars().all(|letter| !letter.is_control() || letter.is_whitespace());
    is_text.then_some(plain)
}
