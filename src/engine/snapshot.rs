//! The flow as the journal keeps it, so that an execution can go on after its file has changed or gone.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::flow::Document;
use crate::journal::Created;
use crate::secret::hide_address_passwords;

/// A flow's text, found again for an execution.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The very text that the execution began with.
    Same(String),
    /// The file has changed since, and the recorded text has its passwords blanked.
    Changed,
}

/// What ends the names of keys whose values are secret.
const SECRET_KEYS: &[&str] = &["password", "secret", "token", "apikey", "api_key"];

/// The flow's text without passwords that are written out in it.
pub(super) fn blank(document: &Document) -> String {
    let is_secret_key =
        |path: &[&str]| path.last().is_some_and(|key| SECRET_KEYS.iter().any(|end| key.to_lowercase().ends_with(end)));
    hide_address_passwords(&document.masked(|path| is_secret_key(path) || is_secret_default(document, path)))
}

/// Whether the default of a secret input stands there.
fn is_secret_default(document: &Document, path: &[&str]) -> bool {
    let ["inputs", index, "defaults" | "prefill"] = path else { return false };
    document.value.pointer(&format!("/inputs/{index}/type")).is_some_and(|kind| kind == "SECRET")
}

/// SHA-256 in hex.
pub(super) fn fingerprint(text: &str) -> String {
    crate::text::hex(&Sha256::digest(text.as_bytes()))
}

impl Recorded {
    /// The flow's text for an execution: the file's while it is unchanged, else the recorded one while it is whole.
    pub fn find(created: &Created) -> Self {
        let in_file = std::fs::read_to_string(Path::new(&created.file)).ok();
        let candidates = in_file.into_iter().chain([created.text.clone()]);
        candidates.into_iter().find(|text| fingerprint(text) == created.sha256).map_or(Self::Changed, Self::Same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_out_passwords_are_blanked_and_templates_stay() {
        let text = "inputs:\n  - {id: a, type: SECRET, defaults: hunter1}\n  - {id: b, type: STRING, defaults: b}\n\
                    tasks:\n  - password: hunter2 # note\n    url: postgres://a:b@c/d\n    table: t\n    \
                    token: \"{{ secret('X') }}\"\n  - {a: ü, apiKey: \"hun\\\"ter3\", b: 1, \"PGPASSWORD\": 1234}\n  \
                    - client_secret: |\n      hunter4\n      hunter5\n    z: 1\n";
        let expected = "inputs:\n  - {id: a, type: SECRET, defaults: ***}\n  - {id: b, type: STRING, defaults: b}\n\
                        tasks:\n  - password: *** # note\n    url: postgres://a:***@c/d\n    table: t\n    \
                        token: \"{{ secret('X') }}\"\n  - {a: ü, apiKey: ***, b: 1, \"PGPASSWORD\": ***}\n  \
                        - client_secret: |\n      ***\n    z: 1\n";
        assert_eq!(blank(&Document::parse("f.yaml", text).unwrap()), expected);
    }
}
