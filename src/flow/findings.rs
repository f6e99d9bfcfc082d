//! From what serde says about a value to findings that an author can act on.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::Document;
use crate::task::FieldError;

/// Every problem that `check` has with the value at `path`: each one found is taken out of the value, and the rest
/// is checked again.
pub(super) fn all(
    document: &Document,
    path: &[String],
    value: &Value,
    check: impl Fn(&Value) -> Result<(), FieldError>,
) -> Vec<Diagnostic> {
    let mut rest = value.clone();
    let mut findings = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while let Err(error) = check(&rest) {
        if let Some(field) = quoted_after(&error.message, "missing field ")
            && removed.iter().any(|name| name == field)
        {
            break;
        }
        findings.push(finding(document, path, &error));
        let Some(culprit) = culprit(&error) else { break };
        if rest.as_object_mut().and_then(|map| map.shift_remove(&culprit)).is_none() {
            break;
        }
        removed.push(culprit);
    }
    findings
}

/// The top-level field to take out.
fn culprit(error: &FieldError) -> Option<String> {
    match error.path.first() {
        Some(field) => Some(field.clone()),
        None => quoted_after(&error.message, "unknown field ").map(str::to_owned),
    }
}

fn finding(document: &Document, path: &[String], error: &FieldError) -> Diagnostic {
    let full: Vec<String> = path.iter().chain(&error.path).cloned().collect();
    if let Some(field) = quoted_after(&error.message, "unknown field ") {
        let known = quoted(error.message.split(", expected").nth(1).unwrap_or_default());
        let key: Vec<String> = full.iter().cloned().chain([field.to_owned()]).collect();
        return document.locate_key(&key, Diagnostic::error(format!("unknown field `{field}`")).help(offer(field, &known)));
    }
    if let Some(field) = quoted_after(&error.message, "missing field ") {
        return document.locate(&full, Diagnostic::error(format!("`{field}` is missing")));
    }
    if let Some(word) = quoted_after(&error.message, "unknown variant ") {
        let known = quoted(error.message.split(", expected").nth(1).unwrap_or_default());
        return document.locate(&full, Diagnostic::error(format!("unknown value `{word}`")).help(offer(word, &known)));
    }
    let field = error.path.last().map(|field| format!("`{field}`: ")).unwrap_or_default();
    document.locate(&full, Diagnostic::error(format!("{field}{}", error.message)))
}

/// A help line that names the nearest word, or all of them.
pub(super) fn offer(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no value is possible here".to_owned(),
        None => format!("possible are `{}`", known.join("`, `")),
    }
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
