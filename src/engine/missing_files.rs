//! Files that a flow names literally and that do not exist.

use std::path::Path;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::input::strings_in;
use crate::flow::{Flow, Step};
use crate::namespace_files::NamespaceFiles;
use crate::storage;
use crate::task::is_template;

/// What the address of a file of this machine begins with.
const FILE: &str = "file://";

/// A finding for each file that the flow's tasks name and that is not there: an error where the file is a part of the
/// flow, such as SQL; a warning where something may make it before the task runs. Of a path that holds expressions, the
/// folder must be there that it begins with.
pub fn missing_files(flow: &Flow) -> Vec<Diagnostic> {
    flow.all_steps().into_iter().flat_map(|step| of_step(flow, step)).collect()
}

fn of_step(flow: &Flow, step: &Step) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for field in step.task.files {
        let Some((name, value)) = value_of(step, field) else { continue };
        let path: Vec<String> = step.path.iter().cloned().chain([name]).collect();
        for text in named(field, value) {
            let Some(message) = lack(&flow.folder, text) else { continue };
            let is_part = step.task.definitions.contains(field);
            let finding = if is_part { Diagnostic::error(message) } else { Diagnostic::warning(message) };
            let start = std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone());
            let finding =
                finding.help(format!("relative paths are relative to the flow's folder, {}", start.display()));
            findings.push(flow.document.locate_text(&path, text, finding));
        }
    }
    if let Ok(files) = NamespaceFiles::new(&flow.folder, &flow.namespace) {
        for text in strings_in(&step.fields) {
            for name in read_by(&text) {
                if let Err(problem) = files.find(name) {
                    findings.push(flow.document.locate_text(&step.path, name, Diagnostic::warning(problem)));
                }
            }
        }
    }
    findings
}

/// A field under the name that the author gave it: fields of Kestra's tasks are written in two ways.
fn value_of<'a>(step: &'a Step, field: &str) -> Option<(String, &'a Value)> {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let (name, value) = step.fields.as_object()?.iter().find(|(name, _)| plain(name) == plain(field))?;
    Some((name.clone(), value))
}

/// The paths that a field's value names, as they are written.
fn named<'a>(field: &str, value: &'a Value) -> Vec<&'a str> {
    let listed = |value: &'a Value| -> Vec<&'a str> {
        match value {
            Value::String(text) => vec![text.as_str()],
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            Value::Object(map) => map.values().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    };
    let is_address = |text: &&str| text.starts_with(FILE);
    match (field, value) {
        // Packages, addresses of servers and databases, volumes.
        ("dependencies" | "url" | "taskRunner", _) => Vec::new(),
        // Columns that are written out.
        ("schema", Value::Array(_) | Value::Object(_)) => Vec::new(),
        // Contents, except for addresses.
        ("inputFiles" | "formData", Value::Object(_)) => listed(value).into_iter().filter(is_address).collect(),
        // The key itself, or its path.
        ("service_account", _) => listed(value).into_iter().filter(|text| text.ends_with(".json")).collect(),
        _ => listed(value),
    }
}

/// What is wrong with a path, if something surely is.
fn lack(folder: &Path, text: &str) -> Option<String> {
    let text = text.trim();
    let path = text.strip_prefix(FILE).unwrap_or(text);
    // Addresses of other machines, JSON, and texts that are no path.
    if storage::is_uri(text) || path.contains("://") || path.starts_with(['{', '[']) && !is_template(path) {
        return None;
    }
    if path.is_empty() || path.contains('\n') {
        return None;
    }
    if !is_template(path) {
        return (!folder.join(path).is_file()).then(|| format!("there is no file `{path}`"));
    }
    let literal = path.find("{{").into_iter().chain(path.find("{%")).chain(path.find("{#")).min()?;
    let (start, _) = path[..literal].rsplit_once('/')?;
    (!start.is_empty() && !folder.join(start).is_dir()).then(|| format!("there is no folder `{start}`"))
}

/// The names that expressions in a text pass to `read()` literally.
fn read_by(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for expression in text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        for call in expression.split("read(").skip(1) {
            let quote = call.chars().next().filter(|letter| ['\'', '"'].contains(letter));
            let name = quote.and_then(|quote| call[1..].split_once(quote)).filter(|(_, rest)| rest.starts_with(')'));
            names.extend(name.map(|(name, _)| name).filter(|name| !storage::is_uri(name)));
        }
    }
    names
}
