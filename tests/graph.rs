//! Pictures of flows: one flow with everything that can be in one, and the pictures that come of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use jitney::flow::graph::FlowGraph;
use jitney::flow::parse;
use jitney::tasks::ALL;

fn everything() -> FlowGraph {
    let parsed = parse("everything.yaml", include_str!("flows/everything.yaml"), ALL);
    let problems: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    FlowGraph::of(&parsed.flow.unwrap_or_else(|| panic!("{}", problems.join("\n"))))
}

#[test]
fn a_terminal_shows_frames_and_where_data_go() {
    insta::assert_snapshot!(everything().to_text());
}

#[test]
fn mermaid_gets_safe_names_and_escaped_labels() {
    let text = everything().to_mermaid();
    insta::assert_snapshot!(text);
    // A bare `end` would close a subgraph.
    assert!(text.contains("t_end[\"end · log\"]"), "{text}");
    assert!(text.lines().all(|line| line.matches('"').count() % 2 == 0), "{text}");
}

#[test]
fn svg_names_every_task_once_and_stays_inside_its_own_borders() {
    let svg = everything().to_svg();
    for id in ["extract", "which", "load_green", "colour", "months", "left", "alarm", "bye", "monthly", "call"] {
        assert_eq!(svg.matches(&format!(">{id}</text>")).count(), 1, "{id}");
    }
    assert!(svg.contains("fhv &lt;b&gt;&quot;x&quot;") && !svg.contains("<b>"));
    let attribute = |line: &str, name: &str| -> i32 {
        let found = line.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        found.unwrap().parse().unwrap()
    };
    let whole = svg.lines().next().unwrap();
    for line in svg.lines().filter(|line| line.starts_with("<rect class=\"box\"")) {
        assert!(attribute(line, "x") >= 0 && attribute(line, "y") >= 0, "{line}");
        assert!(attribute(line, "x") + attribute(line, "width") < attribute(whole, "width"), "{line}");
        assert!(attribute(line, "y") + attribute(line, "height") < attribute(whole, "height"), "{line}");
    }
    assert!(!svg.contains("http://") || svg.matches("http://").count() == 1, "nothing is fetched");
}
