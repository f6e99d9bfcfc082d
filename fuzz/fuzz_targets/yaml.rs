//! Any text as YAML: as a flow, and as a value of a template. It is read or refused, and the stack holds.
#![no_main]

use jitney_fuzz::flow::{from_yaml, parse};
use jitney_fuzz::tasks::ALL;
use jitney_fuzz::text::nests_too_deeply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(value) = from_yaml(text) {
        assert!(!nests_too_deeply(&value));
    }
    // Each letter as a level: what is short here is deep there.
    let deep: String = text.chars().take(64).flat_map(|letter| std::iter::repeat_n([letter, ' '], 300)).flatten().collect();
    for text in [text.to_owned(), format!("id: f\nvariables:\n  a:\n    {deep}x\n")] {
        let parsed = parse("f.yaml", &text, ALL);
        assert!(parsed.flow.is_some() || !parsed.findings.is_empty());
    }
});
