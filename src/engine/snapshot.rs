//! The flow as the journal keeps it, so that an execution can continue after its file has changed or gone.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::flow::Document;
use crate::journal::{ExecutionSpec, Revision};
use crate::secret::{hide_address, hide_literals};

/// A flow's text, found again for an execution.
#[derive(Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The very text that the execution began with.
    Same(String),
    /// The file has changed since, and the recorded text has its passwords blanked.
    Changed,
}

/// What ends the names of keys whose values are secret, in lower case and without `_` and `-`.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credentials",
    "authorization",
    "cookie",
];
/// What ends such names among the headers and the parameters of a request, and in the environment of a script.
const SECRET_IN_REQUESTS: &[&str] = &["key", "auth", "sig", "signature"];
const REQUESTS: &[&str] = &["headers", "params", "formdata", "body", "env"];
/// What ends the names of keys whose values are addresses.
const ADDRESSES: &[&str] = &["url", "uri", "dsn", "connection", "connectionstring", "address", "defaults", "prefill"];
/// A longer value of `serviceAccount` is a key, and not the path of one.
const LONGEST_PATH: usize = 200;

/// The flow's text without what is written out in it and would better be a secret: by the names of fields, and by what
/// looks like a password.
pub fn blank(document: &Document) -> String {
    hide_literals(&document.rewrite_scalars(|path, value| {
        let name = plain_name(path.iter().rfind(|key| key.parse::<usize>().is_err())?);
        let is_written_out = !value.contains("{{");
        if is_written_out && (is_secret_name(&name, path) || is_secret_value(document, path)) {
            return Some("***".to_owned());
        }
        if is_written_out && name.ends_with("serviceaccount") && value.len() > LONGEST_PATH {
            return Some("***".to_owned());
        }
        let is_address = ADDRESSES.iter().any(|end| name.ends_with(end));
        is_address.then(|| hide_address(value)).filter(|shown| shown != value)
    }))
}

fn plain_name(key: &str) -> String {
    key.to_lowercase().replace(['-', '_'], "")
}

fn is_secret_name(name: &str, path: &[&str]) -> bool {
    let is_in_request = || path.iter().any(|key| REQUESTS.contains(&&*plain_name(key)));
    SECRET.iter().any(|end| name.ends_with(end))
        || (SECRET_IN_REQUESTS.iter().any(|end| name.ends_with(end)) && is_in_request())
}

/// Whether the default of a secret input is there, a value that a trigger gives to one, or the key of a webhook.
fn is_secret_value(document: &Document, path: &[&str]) -> bool {
    let inputs = || document.value.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let is_secret = |input: &Value| input.get("type").is_some_and(|kind| kind == "SECRET");
    match path {
        ["inputs", index, "defaults" | "prefill"] => {
            index.parse().is_ok_and(|index| inputs().nth(index).is_some_and(is_secret))
        }
        ["triggers", _, "inputs", name] => {
            inputs().any(|input| is_secret(input) && input.get("id").is_some_and(|id| id == name))
        }
        ["triggers", _, "key"] => true,
        _ => false,
    }
}

/// SHA-256 in hex.
pub(super) fn fingerprint(text: &str) -> String {
    crate::text::hex(&Sha256::digest(text.as_bytes()))
}

/// Whether a revision's text is the flow's own, with no password blanked.
pub fn is_whole(revision: &Revision) -> bool {
    fingerprint(&revision.text) == revision.sha256
}

impl Recorded {
    /// The flow's text for an execution: the file's while it is unchanged, else the recorded one while it is whole.
    pub fn find(created: &ExecutionSpec) -> Self {
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

    #[test]
    fn no_shape_of_an_address_and_no_literal_shows_its_password() {
        let fields = [
            "url: postgres://u:P/w@h/d",
            "url: \"postgres://u:P'w@h/d\"",
            "url: postgres://u:P w@h/d",
            "url: >-\n      postgres://u:P w@h/d",
            "url: host=h password = Pw user=u",
            "url: host=h password=a;Pw",
            "url: postgres//u:Pw@h",
            "url: u:Pw@h",
            "headers: {X-Api-Key: Pw, private-token: Pw, Authorization: Basic Pw}",
            "headers: {Cookie: \"a=Pw\"}",
            "uri: http://h/x?a=1&token=Pw",
            "params: {key: Pw, token: [Pw, Pw]}",
            "options: {auth: {type: BASIC, username: u, password: Pw}}",
            "env: {AWS_SECRET_ACCESS_KEY: Pw}",
            "body: '{\"password\": \"Pw\"}'",
            "commands: [\"curl -H 'Authorization: Bearer Pw123456' http://h/?api_key=Pw\"]",
        ];
        for field in fields {
            let text = format!("id: f\ntasks:\n  - id: a\n    {field}\n    z: end\n");
            let kept = blank(&Document::parse("f.yaml", &text).unwrap());
            assert!(
                kept.contains("***") && kept.contains("z: end") && !kept.contains('P'),
                "{field} is kept as {kept}"
            );
        }
        let text = "inputs: [{id: a, type: SECRET}]\ntriggers: [{type: webhook, key: Pw, inputs: {a: Pw, b: c}}]\n";
        assert!(!blank(&Document::parse("f.yaml", text).unwrap()).contains("Pw"));
        let text = "tasks:\n  - {url: \"{{ inputs.url }}\", key: [id], uri: \"http://h:80/a:b@c?page=1\"}\n  - password: \"{{ secret('A') }}\"\n";
        assert_eq!(blank(&Document::parse("f.yaml", text).unwrap()), text);
    }
}
