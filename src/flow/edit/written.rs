//! Values as YAML, in the style of the text around them.

use serde_json::Value;

use super::NewValue;
use super::extent::{LineSpan, Lines};
use crate::flow::document::to_yaml;

/// A value in a place that is there.
pub(super) fn replace(lines: &Lines, path: &[String], value: &NewValue) -> Option<String> {
    let (_, parent) = path.split_last()?;
    let (from, to) = lines.value(path)?;
    let old = lines.letters(from, to);
    let is_one_line = !old.contains('\n') && !lines.is_block(path);
    if lines.is_inline(parent) {
        return Some(lines.spliced(from, to, &inline(value, &old)?));
    }
    // What is written on one line gives way to one line; a comment after it stays.
    if is_one_line
        && !old.is_empty()
        && let Some(new) = inline(value, &old)
    {
        return Some(lines.spliced(from, to, &new));
    }
    let span = lines.key(path)?;
    let (_, column) = lines.key_place(path)?;
    let first = lines.all[span.start];
    let head_end = first.get(column..)?.find(':')? + column + 1;
    let new = below(first.get(..head_end)?, column, value)?;
    Some(lines.replaced(span, &new))
}

/// A key that is not there yet, after the last one of its map.
pub(super) fn insert(lines: &Lines, path: &[String], value: &NewValue) -> Option<String> {
    let (key, parent) = path.split_last()?;
    if lines.is_inline(parent) {
        let (_, end) = lines.value(parent)?;
        let new = format!(", {}: {}", plain_key(key), inline(value, "")?);
        return Some(lines.spliced(end - 1, end - 1, &new));
    }
    let last = [parent, &[lines.keys(parent).pop()?]].concat();
    let keys = lines.keys(parent);
    let (_, column) = lines.key_place(&[parent, &[keys.first()?.clone()]].concat())?;
    let end = lines.key(&last)?.end;
    let head = format!("{}{}:", " ".repeat(column), plain_key(key));
    let new = below(&head, column, value)?;
    Some(lines.replaced(LineSpan { start: end, end }, &new))
}

/// An item at the end of a list.
pub(super) fn add(lines: &Lines, list: &[String], item: &str) -> Option<String> {
    let count = lines.keys(list).len();
    if lines.is_inline(list) {
        return None;
    }
    let Some(last) = count.checked_sub(1) else {
        let yaml = item_lines(item, 0).join("\n");
        let value = NewValue::Yaml(yaml);
        return if lines.key_place(list).is_some() {
            replace(lines, list, &value)
        } else {
            insert(lines, list, &value)
        };
    };
    let (_, column) = lines.marker(list, last)?;
    let span = lines.item(list, last)?;
    let mut new = item_lines(item, column);
    // Items that stand apart get company that does.
    let before = last.checked_sub(1).and_then(|before| lines.item(list, before));
    if before.is_some_and(|before| {
        lines.text(LineSpan { start: before.end, end: span.start }).iter().any(|line| line.trim().is_empty())
    }) {
        new.insert(0, String::new());
    }
    Some(lines.replaced(LineSpan { start: span.end, end: span.end }, &new))
}

fn item_lines(item: &str, column: usize) -> Vec<String> {
    let margin = " ".repeat(column);
    let line = |(index, line): (usize, &str)| match (index, line.trim().is_empty()) {
        (0, _) => format!("{margin}- {line}"),
        (_, true) => String::new(),
        _ => format!("{margin}  {line}"),
    };
    item.trim_end().lines().enumerate().map(line).collect()
}

fn plain_key(key: &str) -> String {
    to_yaml(&Value::String(key.to_owned())).map_or_else(|_| key.to_owned(), |text| text.trim_end().to_owned())
}

/// A value on one line, quoted as the old one was; none if it needs several.
fn inline(value: &NewValue, old: &str) -> Option<String> {
    match value {
        NewValue::Text(text) if text.contains('\n') => None,
        NewValue::Text(text) if old.starts_with('"') => serde_json::to_string(text).ok(),
        NewValue::Text(text) if old.starts_with('\'') => Some(format!("'{}'", text.replace('\'', "''"))),
        NewValue::Text(text) => Some(quoted(text)),
        NewValue::Yaml(yaml) => {
            Some(yaml.trim().to_owned()).filter(|yaml| !yaml.contains('\n') && !yaml.starts_with("- "))
        }
    }
}

/// A text that means itself in a map in braces too.
fn quoted(text: &str) -> String {
    let plain = plain_key(text);
    let is_delicate = text.contains(['{', '}', '[', ']', ',', '#']) || text.contains(": ") || plain.contains('\n');
    if plain == text && is_delicate { serde_json::to_string(text).unwrap_or(plain) } else { plain }
}

/// The lines of a key with a value that may take several.
fn below(head: &str, column: usize, value: &NewValue) -> Option<Vec<String>> {
    if let Some(value) = inline(value, "") {
        return Some(vec![format!("{head} {value}")]);
    }
    let margin = " ".repeat(column + 2);
    let indented = |line: &str| if line.trim().is_empty() { String::new() } else { format!("{margin}{line}") };
    let (first, text) = match value {
        NewValue::Yaml(yaml) => (head.to_owned(), yaml.trim_end()),
        NewValue::Text(text) => {
            // A line that begins with a blank would tell a wrong indentation.
            if text.starts_with([' ', '\n']) || text.ends_with("\n\n") {
                return Some(vec![format!("{head} {}", serde_json::to_string(text).ok()?)]);
            }
            (format!("{head} {}", if text.ends_with('\n') { "|" } else { "|-" }), text.trim_end_matches('\n'))
        }
    };
    Some([first].into_iter().chain(text.lines().map(indented)).collect())
}
