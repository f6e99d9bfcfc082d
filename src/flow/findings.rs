//! From what serde says about a value to findings that an author can act on.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::Document;
use crate::task::{FieldError, named};

/// How the messages begin that say what form is wanted. All others are those of the field's own type, or of its task.
const OF_FORM: [&str; 4] = ["invalid ", "duplicate field ", "expected ", "write a "];

/// Every problem that `check` has with the value at `path`: each one found is taken out of the value, and the rest
/// is checked again.
pub fn all(
    document: &Document,
    path: &[String],
    value: &Value,
    check: impl Fn(&Value) -> Result<(), FieldError>,
) -> Vec<Diagnostic> {
    let mut rest = value.clone();
    let mut findings = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while let Err(error) = check(&rest) {
        let missing = quoted_after(&error.message, "missing field ").filter(|_| error.path.is_empty());
        let is_ours = |field: &str| removed.iter().any(|name| name == field);
        if missing.is_some_and(is_ours) || error.path.first().is_some_and(|field| is_ours(field)) {
            break;
        }
        findings.push(finding(document, path, &error));
        if let (Some(field), Some(map)) = (missing, rest.as_object_mut()) {
            // A template stands for whatever is wanted, so that the rest is looked at too.
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
    // One of them is the other, misspelt.
    let meant: Vec<String> = findings
        .iter()
        .filter(|finding| finding.message.starts_with("unknown field "))
        .filter_map(|finding| finding.help.as_deref()?.strip_prefix("did you mean `")?.split('`').next())
        .map(|field| format!("`{field}` is missing"))
        .collect();
    findings.retain(|finding| !meant.contains(&finding.message));
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
        return document.locate_key(
            &below(full, field),
            Diagnostic::error(format!("unknown field `{field}`")).help(offer(field, &known)),
        );
    }
    if let Some(field) = quoted_after(&error.message, "missing field ") {
        let finding = Diagnostic::error(format!("`{field}` is missing")).help(format!("add `{field}: …`"));
        return document.locate(&full, finding);
    }
    if let Some(word) = quoted_after(&error.message, "unknown variant ") {
        let known = quoted(error.message.split(", expected").nth(1).unwrap_or_default());
        let finding = Diagnostic::error(format!("unknown value `{word}`")).help(offer(word, &known));
        return document.locate_key(&below(full, word), finding);
    }
    let field = error.path.last().map(|field| format!("`{field}`")).unwrap_or_else(|| "this".to_owned());
    let message = wrong_kind(&field, &error.message).unwrap_or_else(|| named(&field, &error.message));
    let is_refusal = !OF_FORM.iter().any(|words| error.message.starts_with(words));
    let finding = Diagnostic { is_refusal, ..Diagnostic::error(message) };
    let finding = match (error.message.starts_with("invalid type: string"), error.message.ends_with("a sequence")) {
        (true, true) => finding.help(as_list(&error.message)),
        (true, false) if error.message.contains("{{") => finding.help("this cannot be an expression; write the value"),
        _ => finding,
    };
    document.locate(&full, finding)
}

/// How to make a list of a text.
fn as_list(message: &str) -> String {
    match message.split('"').nth(1).filter(|text| text.starts_with('-')) {
        Some(_) => "write a blank behind the dash: `- …`".to_owned(),
        None => "write a list, each item behind a dash on a line of its own: `- …`".to_owned(),
    }
}

/// The path of a key, which serde's own path may hold already.
fn below(mut path: Vec<String>, key: &str) -> Vec<String> {
    if path.last().is_none_or(|last| last != key) {
        path.push(key.to_owned());
    }
    path
}

/// serde's `invalid type: sequence, expected a string` in the words of YAML.
fn wrong_kind(field: &str, message: &str) -> Option<String> {
    let (found, wanted) = message.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let plain = |words: &str| match words {
        "sequence" | "a sequence" => "a list".to_owned(),
        "map" | "a map" => "a map".to_owned(),
        "null" | "unit" | "unit value" => "nothing".to_owned(),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a struct" | "an object" => "a map".to_owned(),
        other if other.starts_with("struct ") => "a map".to_owned(),
        other => other
            .replace("integer", "the number")
            .replace("floating point", "the number")
            .replace("string", "the text")
            .replace("boolean", "the word"),
    };
    let found = match found.char_indices().nth(60) {
        Some((end, _)) => format!("{}…\"", &found[..end]),
        None => found.to_owned(),
    };
    Some(format!("{field} is {}, but {} is wanted", plain(&found), plain(wanted)))
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
