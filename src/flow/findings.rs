//! Turns serde's errors about a value into located findings.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::Document;
use crate::task::{FieldError, SerdeComplaint};

/// Every problem that `check` has with the value at `path`. serde stops at the first error, so the field at fault is
/// removed and the rest is checked again.
pub fn all(
    document: &Document,
    path: &[String],
    value: &Value,
    check: impl Fn(&Value) -> Result<(), FieldError>,
) -> Vec<Diagnostic> {
    all_with_common_fields(document, path, value, &[], check)
}

/// As [`all`], for a value that may also have the fields in `common`, which are checked elsewhere.
pub(super) fn all_with_common_fields(
    document: &Document,
    path: &[String],
    value: &Value,
    common: &[&str],
    check: impl Fn(&Value) -> Result<(), FieldError>,
) -> Vec<Diagnostic> {
    let mut rest = value.clone();
    let mut findings = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while let Err(error) = check(&rest) {
        let missing = match error.complaint() {
            SerdeComplaint::MissingField(field) if error.path.is_empty() => Some(field),
            _ => None,
        };
        let was_removed = |field: &str| removed.iter().any(|name| name == field);
        if missing.is_some_and(was_removed) || error.path.first().is_some_and(|field| was_removed(field)) {
            break;
        }
        findings.push(finding(document, path, &error, common));
        if let (Some(field), Some(map)) = (missing, rest.as_object_mut()) {
            // A template passes for any type, so the other fields are still checked.
            map.insert(field.to_owned(), Value::from("{{ }}"));
            removed.push(field.to_owned());
            continue;
        }
        let Some(culprit) = culprit(&error) else { break };
        if rest.as_object_mut().and_then(|map| map.shift_remove(&culprit)).is_none() {
            break;
        }
        removed.push(culprit);
    }
    // A missing field that was only misspelt is one mistake, not two.
    let misspelt: Vec<String> = findings
        .iter()
        .filter(|finding| finding.message.starts_with("unknown field "))
        .filter_map(|finding| finding.help.as_deref()?.strip_prefix("did you mean `")?.split('`').next())
        .map(|field| format!("`{field}` is missing"))
        .collect();
    findings.retain(|finding| !misspelt.contains(&finding.message));
    findings
}

/// The top-level field to take out.
fn culprit(error: &FieldError) -> Option<String> {
    match (error.path.first(), error.complaint()) {
        (Some(field), _) => Some(field.clone()),
        (None, SerdeComplaint::UnknownField(field)) => Some(field.to_owned()),
        (None, _) => None,
    }
}

fn finding(document: &Document, path: &[String], error: &FieldError, common: &[&str]) -> Diagnostic {
    let full: Vec<String> = path.iter().chain(&error.path).cloned().collect();
    let mut finding = error.plainly(if error.path.len() > 1 { &[] } else { common });
    match error.complaint() {
        SerdeComplaint::UnknownField(name) | SerdeComplaint::UnknownWord(name) => {
            document.locate_key(&with_key(full, name), finding)
        }
        SerdeComplaint::MissingField(field) => {
            // A bare word has no map to add the field to.
            if let Some(word) = full.last().filter(|_| !error.path.is_empty() && !document.has(&full)) {
                finding = finding.help(format!("write `{word}: {{{field}: …}}`"));
            }
            document.locate(&full, finding)
        }
        SerdeComplaint::Other => document.locate(&full, finding),
    }
}

/// The path of a key, which serde's own path may hold already.
fn with_key(mut path: Vec<String>, key: &str) -> Vec<String> {
    if path.last().is_none_or(|last| last != key) {
        path.push(key.to_owned());
    }
    path
}
