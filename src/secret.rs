//! Values that must never be seen: they print as `***`, and a [`Redactor`] removes them from any text.

use std::fmt;
use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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

    /// Removes this value in every form that it may take in a text: as it stands, line by line, in base64, in JSON, in
    /// an address.
    pub fn learn_all_forms(&self, secret: &str) {
        forms(secret).iter().for_each(|form| self.learn(form));
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

/// A shorter line of a secret, such as `{`, says nothing of it.
const SHORTEST_LINE: usize = 12;

/// A secret as it may stand in a text, the longest form first.
pub fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        STANDARD.encode(secret),
        STANDARD.encode(format!("{secret}\n")),
        percent_encoded(secret, "+"),
        percent_encoded(secret, "%20"),
    ];
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
    forms.extend(lines.map(str::to_owned));
    forms.retain(|form| !form.is_empty());
    forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    forms.dedup();
    forms
}

fn percent_encoded(text: &str, space: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b' ' => space.to_owned(),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    encoded.collect()
}

/// Replaces the password in every `scheme://user:password@host` and `password=…` of a text, and every private key, by
/// `***`.
pub fn hide_address_passwords(text: &str) -> String {
    hide_keys(hide_parameters(&hide_logins(text)))
}

/// Private keys as they stand in the JSON of a service account, or in a file of their own.
fn hide_keys(text: String) -> String {
    const BEGIN: &str = "PRIVATE KEY-----";
    if !text.contains(BEGIN) {
        return text;
    }
    let mut pieces = text.split(BEGIN);
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        clean.push_str(BEGIN);
        // Behind the last line of a key, as `-----END PRIVATE KEY-----`, stands what is no key.
        let is_end = clean.ends_with(&format!("-----END {BEGIN}")) || clean.ends_with(&format!("-----END RSA {BEGIN}"));
        match (is_end, piece.find("-----END")) {
            (true, _) => clean.push_str(piece),
            (false, Some(end)) => clean.push_str(&format!("{MASK}{}", &piece[end..])),
            (false, None) => clean.push_str(MASK),
        }
    }
    clean
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
        assert_eq!(
            redactor.clean("a -----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n b"),
            "a -----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\\n b"
        );
        assert_eq!(format!("{:?} {}", Secret::new("x"), Secret::new("x")), "*** ***");
    }

    #[test]
    fn a_secret_is_known_again_in_other_forms() {
        let redactor = Redactor::default();
        let secret = "pa\"ss word&\nsecond line of it";
        redactor.learn_all_forms(secret);
        for text in [
            r#"{"key":"pa\"ss word&\nsecond line of it"}"#,
            &STANDARD.encode(secret),
            "http://a/?token=pa%22ss+word%26%0Asecond+line+of+it",
            "the second line of it alone",
        ] {
            let clean = redactor.clean(text);
            assert!(clean.contains("***") && !clean.contains("line") && !clean.contains("cGEi"), "{clean}");
        }
    }
}
