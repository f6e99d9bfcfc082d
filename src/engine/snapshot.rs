//! The flow as the journal keeps it, so that an execution can go on after its file has changed or gone.

use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

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

/// A key whose value is a password, written out.
static SECRET_LINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?mi)^(\s*(?:-\s+)?[\w.-]*(?:password|secret|token|api_?key)\s*:\s*)(\S.*)$").ok());

/// The text without written-out passwords.
pub(super) fn blank(text: &str) -> String {
    let text = hide_address_passwords(text);
    match &*SECRET_LINE {
        Some(line) => line.replace_all(&text, blank_value).into_owned(),
        None => text,
    }
}

fn blank_value(found: &Captures) -> String {
    let value = if found[2].contains("{{") { &found[2] } else { "'***'" };
    format!("{}{value}", &found[1])
}

/// SHA-256 in hex.
pub(super) fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
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
        let text = "- password: hunter2\n  url: postgres://a:b@c/d\n  token: \"{{ secret('X') }}\"\n  table: t\n";
        assert_eq!(
            blank(text),
            "- password: '***'\n  url: postgres://a:***@c/d\n  token: \"{{ secret('X') }}\"\n  table: t\n"
        );
    }
}
