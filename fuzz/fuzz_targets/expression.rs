//! Any text as a template: it is read or refused, and its value comes to an end in a world of some names.
#![no_main]

use jitney_fuzz::flow::expression::{Names, Host, check, mentions, references, render};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// A world that always says the same.
struct Still;

impl Host for Still {
    fn now(&self) -> Result<chrono::DateTime<chrono::Utc>, String> {
        Ok(chrono::DateTime::UNIX_EPOCH)
    }

    fn random(&self) -> Result<u64, String> {
        Ok(7)
    }
}

fn names() -> Names {
    let names = json!({
        "inputs": {"taxi": "green", "year": 2019, "ratio": 0.5, "on": true, "nothing": null, "t": "{{ inputs.taxi }}"},
        "outputs": {"a": {"uri": "x://y", "rows": [{"k": 1}, {"k": 2}], "v": "é🚕"}},
        "vars": {"deep": {"er": {"still": [1, [2, [3]]]}}, "self": "{{ vars.self }}"},
        "trigger": {"date": "2019-01-01T00:00:00.000Z"},
    });
    match names {
        Value::Object(names) => names,
        _ => Names::new(),
    }
}

fuzz_target!(|text: &str| {
    // Loops of a million turns end by their bounds, which tests know; here they would only take time.
    let is_long = |digits: &str| digits.len() > 3;
    if text.len() > 4_096 || (text.contains("{%") && text.split(|c: char| !c.is_ascii_digit()).any(is_long)) {
        return;
    }
    let checked = check(text);
    let read = references(text);
    if checked.is_ok() {
        assert!(read.is_ok() && mentions(text).is_ok());
    }
    let first = render(&Value::from(text), &names(), &Still);
    let second = render(&Value::from(text), &names(), &Still);
    // A template gives the same twice, and what cannot be read has no value.
    assert_eq!(first, second);
    if read.is_err() && jitney_fuzz::task::is_template(text) {
        assert!(first.is_err());
    }
    if let Err(error) = first {
        assert!(!error.message.is_empty());
        let _ = error.to_string();
    }
});
