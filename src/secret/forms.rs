//! The forms in which a secret may stand in a text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::patterns;

/// A shorter form would be found in innocent words, and guards nothing.
pub const SHORTEST: usize = 6;
/// Of a longer secret only the text itself, its lines and its members are known: in every encoding it would take
/// megabytes.
const LONGEST_ENCODED: usize = 16 << 10;
/// How long the lines are into which `base64` and PEM files break what they encode.
const BASE64_LINES: [usize; 2] = [64, 76];
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
/// What the members of a secret are called that say where something is, and not who may use it.
const PLACES: [&str; 18] = [
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
];

/// A form of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    /// The text to look for.
    pub text: String,
    /// Whether the letter of base64 before it is partly the secret's.
    pub before: bool,
    /// Whether the letter of base64 behind it is.
    pub after: bool,
}

impl Form {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), before: false, after: false }
    }
}

/// Every form of a secret: as it stands, in upper and lower case, in hex and base64; of its lines and of the members of
/// JSON likewise; and the passwords of addresses in it. Escaped letters are the concern of `views.rs`.
pub fn forms(secret: &str) -> Vec<Form> {
    let mut texts = Vec::new();
    collect(secret, &mut texts);
    let mut forms: Vec<Form> = texts.iter().flat_map(|text| encodings(text)).collect();
    forms.push(Form::plain(secret));
    forms.retain(|form| !form.text.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The texts that are secret because one is.
fn collect(secret: &str, texts: &mut Vec<String>) {
    let is_new = !texts.iter().any(|text| text == secret);
    if !is_new || (secret.len() < SHORTEST && !texts.is_empty()) {
        return;
    }
    texts.push(secret.to_owned());
    let trimmed = secret.trim();
    if trimmed.starts_with(['{', '[', '"'])
        && let Ok(value) = serde_json::from_str::<Value>(trimmed)
    {
        members(&value, texts);
    }
    for line in secret.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
        collect(line, texts);
    }
    for range in patterns::passwords_of_address(secret) {
        let password = &secret[range];
        collect(password, texts);
        collect(&super::views::percent_decoded(password), texts);
    }
}

fn members(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => collect(text, texts),
        Value::Number(number) => collect(&number.to_string(), texts),
        Value::Array(items) => items.iter().for_each(|item| members(item, texts)),
        Value::Object(map) => {
            map.iter().filter(|(name, _)| !is_public(name, map)).for_each(|(_, value)| members(value, texts));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_public(name: &str, map: &Map<String, Value>) -> bool {
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    PLACES.contains(&name.to_ascii_lowercase().as_str())
        || (GOOGLE_KEYS.contains(&kind) && PUBLIC_IN_GOOGLE_KEYS.contains(&name))
}

fn encodings(text: &str) -> Vec<Form> {
    let mut forms = vec![Form::plain(text)];
    if text.len() > LONGEST_ENCODED {
        return forms;
    }
    let hex = crate::text::hex(text.as_bytes());
    forms.extend([text.to_uppercase(), text.to_lowercase(), hex.to_uppercase(), hex].map(Form::plain));
    let whole = STANDARD_NO_PAD.encode(text);
    for length in BASE64_LINES.into_iter().filter(|length| whole.len() > *length) {
        // Base64 is ASCII, so that any cut is between letters. A short rest is no more than a word.
        let lines = (0..whole.len()).step_by(length).map(|at| &whole[at..whole.len().min(at + length)]);
        forms.extend(lines.filter(|line| line.len() >= SHORTEST).map(Form::plain));
    }
    forms.extend((0..3).flat_map(|offset| base64_at(text, offset)));
    forms
}

/// What base64 makes of a text that stands somewhere in another: the letters that depend on nothing else, in the
/// ordinary and in the URL-safe alphabet.
fn base64_at(text: &str, offset: usize) -> [Form; 2] {
    let padded = [&[0; 2][..offset], text.as_bytes()].concat();
    let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    let form = |encoded: String| Form {
        text: encoded.get(first..last).unwrap_or_default().to_owned(),
        before: offset > 0,
        after: !padded.len().is_multiple_of(3),
    };
    [form(STANDARD_NO_PAD.encode(&padded)), form(URL_SAFE_NO_PAD.encode(&padded))]
}
