//! YAML as a person would write it.

use serde_json::{Map, Value};

/// Words that are no texts in YAML.
const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"];

/// A text, in quotes if need be.
pub(super) fn scalar(text: &str) -> String {
    let is_plain_letter = |letter: char| letter.is_ascii_alphanumeric() || "_./ -()".contains(letter);
    let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_' || letter == '/');
    let is_plain = begins
        && text.chars().all(is_plain_letter)
        && text.trim() == text
        && !text.contains("  ")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// A value on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}: {}", scalar(key), inline(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A map with a line for each entry, indented by so many blanks, and with notes behind those that have one.
pub(super) fn block(map: &Map<String, Value>, indent: usize, notes: &[Option<String>]) -> String {
    let note = |index: usize| notes.get(index).and_then(Option::as_deref).map(|note| format!("  # {note}"));
    let line = |(index, (key, value)): (usize, (&String, &Value))| {
        format!("{:indent$}{}: {}{}\n", "", scalar(key), inline(value), note(index).unwrap_or_default())
    };
    map.iter().enumerate().map(line).collect()
}

/// A map on one line, for a list.
pub(super) fn item(map: &Value) -> String {
    format!("      - {}\n", inline(map))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::from_yaml;

    #[test]
    fn what_is_written_is_read_back() {
        let texts = [
            "a b",
            "NO",
            "1",
            "01",
            "",
            " x",
            "a: b",
            "#x",
            "\t",
            "\"",
            "größe",
            "numeric(10,2)",
            "-",
            "a\nb",
            "{{ x }}",
        ];
        for text in texts {
            let map: Map<String, Value> = [(text.to_owned(), Value::from(text))].into_iter().collect();
            let written = block(&map, 2, &[Some("note".to_owned())]);
            let read = from_yaml(&written).unwrap();
            assert_eq!(read, Value::Object(map.clone()), "{written}");
            let inline = from_yaml(&inline(&serde_json::json!({"a": [map]}))).unwrap();
            assert_eq!(inline, serde_json::json!({"a": [map]}));
        }
        assert_eq!(scalar("double precision"), "double precision");
        assert_eq!(scalar("../data/zones.csv"), "\"../data/zones.csv\"");
    }
}
