//! Kestra's names in a flow become short ones, and nothing else about it changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use jitney::flow::convert::{Converted, convert};
use jitney::flow::{Flow, Step, parse};
use jitney::tasks::ALL;
use serde_json::{Value, json};

const KESTRA: &str = include_str!("flows/kestra.yaml");

fn converted(text: &str) -> Converted {
    convert("f.yaml", text, ALL).unwrap()
}

fn parsed(text: &str) -> Flow {
    let parsed = parse("f.yaml", text, ALL);
    let problems: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    parsed.flow.unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// What a flow comes to, apart from how it is spelt: task types by their place in the registry, fields by their value.
fn essence(flow: &Flow) -> Value {
    fn steps(list: &[Step]) -> Value {
        let step = |step: &Step| {
            let mut values: Vec<String> = step
                .fields
                .as_object()
                .unwrap()
                .values()
                .map(|value| {
                    value
                        .to_string()
                        .replace("jdbc:postgresql://localhost:5432/kestra\"", "postgres://localhost:5432/kestra\"")
                        .replace("io.kestra.plugin.core.runner.Process", "process")
                })
                .collect();
            values.sort();
            let branches: Vec<Value> =
                step.branches.iter().map(|(name, branch)| json!([name, steps(branch)])).collect();
            json!([step.id, step.task.name, values, step.common.run_if, branches, step.depends_on])
        };
        list.iter().map(step).collect()
    }
    let triggers: Vec<Value> = flow
        .triggers
        .iter()
        .map(|trigger| {
            let conditions: Vec<String> = trigger.conditions.iter().map(|condition| format!("{condition:?}")).collect();
            json!([trigger.id, format!("{:?}", trigger.on), conditions])
        })
        .collect();
    let inputs: Vec<String> = flow.inputs.iter().map(|input| format!("{input:?}")).collect();
    json!([flow.id, flow.namespace, flow.variables, inputs, triggers, steps(&flow.steps), steps(&flow.errors)])
}

#[test]
fn names_change_and_comments_order_and_layout_stay() {
    let Converted { text, changes, skipped } = converted(KESTRA);
    assert_eq!(changes, 22, "{text}");
    insta::assert_snapshot!(text);
    let skipped: Vec<String> = skipped.iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect();
    assert_eq!(skipped, ["50: this address is unchanged: it has JDBC settings"]);
}

#[test]
fn the_converted_flow_is_the_same_flow_and_converts_to_itself() {
    let text = converted(KESTRA).text;
    assert_eq!(essence(&parsed(&text)), essence(&parsed(KESTRA)));
    let again = converted(&text);
    assert_eq!((again.changes, again.text.as_str()), (0, text.as_str()));
    for native in [include_str!("../flows/postgres_taxi.yaml"), include_str!("flows/everything.yaml")] {
        assert_eq!(converted(native).text, native);
    }
}

#[test]
fn every_name_of_kestras_becomes_the_short_one() {
    for task in ALL {
        for alias in task.aliases {
            let example = task.example.replacen(&format!("type: {}", task.name), &format!("type: {alias}  # why"), 1);
            let lines: String = example.lines().map(|line| format!("  {line}\n")).collect();
            let text = format!("id: f\nnamespace: n\ntasks:\n{lines}");
            let short = converted(&text).text;
            assert!(short.contains(&format!("type: {}  # why\n", task.name)), "{alias}:\n{short}");
        }
    }
}

#[test]
fn what_cannot_be_converted_is_reported() {
    let text = "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: io.kestra.plugin.aws.s3.Upload\n  - {id: b, type: &log io.kestra.plugin.core.log.Log, message: x}\n  - {id: c, type: *log, message: x}\n";
    let Converted { text: after, skipped, .. } = converted(text);
    let messages: Vec<&str> = skipped.iter().map(|finding| finding.message.as_str()).collect();
    assert!(messages[0].contains("`io.kestra.plugin.aws.s3.Upload` is unchanged"), "{messages:?}");
    assert!(messages.len() > 1, "{messages:?}\n{after}");
}

#[test]
fn defaults_keep_the_tasks_that_they_are_for() {
    let with = |default: &str, tasks: &str| {
        let text = format!(
            "id: f\nnamespace: n\npluginDefaults:\n  - type: {default}\n    values: {{fetchType: NONE}}\ntasks:\n{tasks}"
        );
        converted(&text)
    };
    let query = "  - {id: a, type: io.kestra.plugin.jdbc.postgresql.Queries, sql: x}\n";
    let load = "  - {id: b, type: io.kestra.plugin.jdbc.postgresql.CopyIn, from: x, table: t}\n";
    let log = "  - {id: c, type: io.kestra.plugin.core.log.Log, message: x}\n";
    let native = "  - {id: d, type: postgres.query, sql: x}\n";
    let all = with("io.kestra.plugin.jdbc.postgresql", &format!("{query}{load}{log}"));
    assert!(all.text.contains("- type: postgres\n") && all.text.contains("type: postgres.copy_in,"), "{}", all.text);
    assert!(all.skipped.is_empty() && all.text.contains("type: log,"), "{}", all.text);
    // A task that these defaults were not for stays without them.
    let some = with("io.kestra.plugin.jdbc.postgresql", &format!("{query}{log}{native}"));
    assert!(some.text.contains("type: io.kestra.plugin.jdbc.postgresql.Queries,"), "{}", some.text);
    assert!(some.text.contains("type: log,") && some.skipped.len() == 1, "{}", some.text);
    let exact = with("io.kestra.plugin.core.log.Log", &format!("{query}{log}"));
    assert!(exact.text.contains("- type: log\n"), "{}", exact.text);
}
