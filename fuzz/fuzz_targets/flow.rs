//! Any text as a flow: it is read or refused, every finding is in the text, pictures and short names can be made.
#![no_main]

use jitney_fuzz::flow::convert::convert;
use jitney_fuzz::flow::graph::FlowGraph;
use jitney_fuzz::flow::parse;
use jitney_fuzz::tasks::ALL;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // libfuzzer finds long texts by itself; what matters is found in short ones.
    if text.len() > 8_192 {
        return;
    }
    let parsed = parse("f.yaml", text, ALL);
    assert_eq!(parsed.flow.is_none(), parsed.findings.iter().any(|finding| finding.is_error()));
    for finding in &parsed.findings {
        assert!(!finding.message.is_empty());
        assert!(finding.line >= 1 && finding.column >= 1, "{finding}");
        assert!(finding.line <= text.lines().count() + 1, "{finding}");
        let _ = finding.to_string();
    }
    if let Some(flow) = parsed.flow {
        let graph = FlowGraph::of(&flow);
        let _ = (graph.to_text(), graph.to_mermaid(), graph.to_svg());
        let short = convert("f.yaml", text, ALL).unwrap();
        assert!(parse("f.yaml", &short.text, ALL).flow.is_some(), "{}", short.text);
        assert_eq!(convert("f.yaml", &short.text, ALL).unwrap().text, short.text);
        for times in flow.triggers.iter().filter_map(|trigger| trigger.times()) {
            let start = chrono::DateTime::UNIX_EPOCH;
            if let Some(next) = times.next(start) {
                assert!(next > start);
                assert!(times.previous(next).is_none_or(|before| before < next));
            }
        }
    }
});
