//! What looks like a password wherever it stands: logins of addresses, `password=…`, `Authorization` headers, and
//! private keys.

use std::ops::Range;

use super::MASK;
use super::pairs::{is_of_name, pairs};

/// What ends the names of parameters whose values are passwords.
const PASSWORDS: &[&str] = &["password", "passwd", "pwd", "passphrase"];
/// What ends the names of other parameters whose values are secret.
const SECRETS: &[&str] =
    &["token", "secret", "apikey", "api_key", "api-key", "access_key", "signature", "sig", "credential"];
/// Addresses whose paths may hold any `:` and `@`.
const WEB: &[&str] = &["http", "https", "file", "gs", "s3"];
/// What ends an address in a text, besides blanks.
const ENDS: &[char] = &['"', '`', '<', '>', '\\'];
/// A login in a header is not shorter than this.
const MIN_LOGIN: usize = 8;

/// Replaces the password of every `scheme://user:password@host`, every `password=…`, every login of an `Authorization`
/// header and every private key in a text by `***`.
pub(crate) fn hide_passwords(text: &str) -> String {
    hide(text, false)
}

/// As [`hide_passwords`], and what else is written out in a flow that would better be a secret: tokens and keys in the
/// queries of addresses and in JSON.
pub(crate) fn hide_literals(text: &str) -> String {
    hide(text, true)
}

/// A text that is an address as a whole, however it is misspelt, without its passwords.
pub(crate) fn hide_address(text: &str) -> String {
    hide_literals(&masked(text, &passwords_of_address(text)))
}

/// Whether an address has a password with letters that would have to be escaped there.
pub(crate) fn has_odd_password(address: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~%!$*+".contains(letter);
    passwords_of_address(address).into_iter().any(|place| !address[place].trim_matches('\'').chars().all(is_plain))
}

/// A line of a flow, as messages show it: what is written there in a field such as `password:` is hidden too.
pub(crate) fn hide_line(line: &str) -> String {
    let (head, value) = line.split_once(": ").unwrap_or((line, ""));
    let name = head.trim_start_matches(['-', ' ', '{']).trim_matches(['"', '\'']);
    let is_secret = name.chars().all(is_of_name) && is_secret_name(name);
    let value = value.trim_end();
    match is_secret && is_literal(value) && !value.starts_with(['|', '>', '[', '{']) {
        true => format!("{head}: {MASK}"),
        false => hide_literals(line),
    }
}

fn hide(text: &str, is_wide: bool) -> String {
    let text = masked(text, &logins(text));
    let text = masked(&text, &parameters(&text, is_wide));
    let text = masked(&text, &headers(&text));
    hide_keys(text)
}

/// The text with `***` in these places, which are in order and do not overlap.
pub(super) fn masked(text: &str, places: &[Range<usize>]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for place in places {
        clean.push_str(text.get(done..place.start).unwrap_or_default());
        clean.push_str(MASK);
        done = place.end;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    clean
}

/// Where the passwords are in a text that is an address as a whole: `postgres://user:password@host`, the same with
/// slashes, quotes or blanks in it or without its scheme, or pairs such as `host=h password=x`.
pub(super) fn passwords_of_address(text: &str) -> Vec<Range<usize>> {
    let start = text.find("//").map_or(0, |at| at + 2);
    let scheme = text[..start].trim_start_matches(['"', '\'', ' ']).split(':').next().unwrap_or_default();
    let login = text.rfind('@').filter(|end| *end > start).and_then(|end| {
        let colon = start + text[start..end].find(':')? + 1;
        let is_path = WEB.contains(&scheme) && is_port_and_path(&text[colon..end]);
        (!is_path && is_literal(&text[colon..end])).then_some(colon..end)
    });
    let mut places: Vec<Range<usize>> = login.into_iter().collect();
    for pair in pairs(text, |name| is_named(name, PASSWORDS)) {
        let value = if start == 0 { to_next_pair(text, pair.value) } else { pair.value };
        let is_new = places.iter().all(|place| place.end <= value.start || value.end <= place.start);
        if is_new && is_literal(&text[value.clone()]) {
            places.push(value);
        }
    }
    places.sort_unstable_by_key(|place| place.start);
    places
}

/// Whether a value of this name is secret by its name alone.
pub(crate) fn is_secret_name(name: &str) -> bool {
    is_named(name, PASSWORDS) || is_named(name, SECRETS)
}

fn is_named(name: &str, ends: &[&str]) -> bool {
    let is_end = |end: &&str| {
        let start = name.len().checked_sub(end.len());
        start.and_then(|start| name.get(start..)).is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    ends.iter().any(is_end)
}

/// Whether this is the port and the path of a host, and not a password.
fn is_port_and_path(text: &str) -> bool {
    let port = text.split(['/', '?', '#']).next().unwrap_or_default();
    port.len() < text.len() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a value is written out: a template is not, nor a variable of the shell.
fn is_literal(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', '\\']);
    let is_variable = value.strip_prefix('$').is_some_and(|name| {
        name.starts_with(['{', '('])
            || (name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(is_upper))
    });
    !value.is_empty() && !value.starts_with("{{") && !is_variable
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The value of a pair with all blanks in it, up to the next `name=`.
fn to_next_pair(text: &str, value: Range<usize>) -> Range<usize> {
    let rest = &text[value.start..];
    if rest.starts_with(['\'', '"', '\\']) {
        return value;
    }
    let is_between = |letter: char| letter.is_whitespace() || letter == ';';
    let next = rest.match_indices('=').find_map(|(at, _)| {
        let before = rest[..at].trim_end();
        let value = before.trim_end_matches(is_of_name);
        (value.len() < before.len() && value.ends_with(is_between)).then(|| value.trim_end_matches(is_between).len())
    });
    value.start..value.start + next.unwrap_or_else(|| rest.trim_end_matches(['"', '\'', '\n', ' ']).len())
}

/// Where the passwords of logins are in a text.
fn logins(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let run = &text[start..];
        let run = &run[..run.find(mark).unwrap_or(run.len())];
        let run = &run[..run.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(run.len())];
        let authority = &run[..run.find(['/', '?', '#']).unwrap_or(run.len())];
        let is_web = WEB.iter().any(|scheme| text[..at].ends_with(scheme));
        let Some(colon) = authority.find(':').map(|colon| colon + 1) else { continue };
        let end = match is_web {
            true if authority.contains('@') => authority.rfind('@'),
            true if is_port_and_path(&run[colon..]) => None,
            _ => run.rfind('@'),
        };
        if let Some(end) = end.filter(|end| *end > colon && is_literal(&run[colon..*end])) {
            places.push(start + colon..start + end);
        }
    }
    places
}

/// Where the values of secret parameters stand.
fn parameters(text: &str, is_wide: bool) -> Vec<Range<usize>> {
    let is_secret = |name: &str| is_named(name, PASSWORDS) || (is_wide && is_named(name, SECRETS));
    let mut places: Vec<Range<usize>> = Vec::new();
    for pair in pairs(text, is_secret) {
        let is_asked = is_named(&text[pair.name.clone()], PASSWORDS)
            || text[..pair.name.start].ends_with(['?', '&', ';', '"', '\'']);
        let is_new = places.last().is_none_or(|last| last.end <= pair.value.start);
        if is_asked && is_new && is_literal(&text[pair.value.clone()]) {
            places.push(pair.value);
        }
    }
    places
}

/// Where logins of `Authorization: Bearer …` and `Basic …` stand.
fn headers(text: &str) -> Vec<Range<usize>> {
    let is_login = |login: &str| {
        login.len() >= MIN_LOGIN && login.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    };
    let place = |(at, word): (usize, &str)| {
        let start = at + word.len();
        let length = text[start..].find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c)));
        let end = length.map_or(text.len(), |length| start + length);
        is_login(&text[start..end]).then_some(start..end)
    };
    let words = ["Bearer ", "bearer ", "Basic ", "basic "];
    let mut places: Vec<_> = words.iter().flat_map(|word| text.match_indices(word).filter_map(place)).collect();
    places.sort_unstable_by_key(|place| place.start);
    places
}

/// Private keys as they are in the JSON of a service account, or in a file of their own.
fn hide_keys(text: String) -> String {
    const BEGIN: &str = "PRIVATE KEY-----";
    if !text.contains(BEGIN) {
        return text;
    }
    let mut pieces = text.split(BEGIN);
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_end = clean.rfind("-----").is_some_and(|at| clean[at..].starts_with("-----END"));
        clean.push_str(BEGIN);
        // Behind the last line of a key, as `-----END PRIVATE KEY-----`, stands what is no key.
        match (is_end, piece.find("-----END")) {
            (true, _) => clean.push_str(piece),
            (false, Some(end)) => clean.push_str(&format!("{MASK}{}", &piece[end..])),
            (false, None) => clean.push_str(MASK),
        }
    }
    clean
}
