//! What a run may be given: types, defaults, conditions, and the errors when something does not fit.

use chrono::{DateTime, Utc};
use jitney::engine::InputHost;
use jitney::flow::input::resolve;
use jitney::flow::{Flow, parse};
use jitney::tasks;
use serde_json::{Value, json};

use crate::language::world::{findings, flow, run_with};

const TASK: &str = "\ntasks: [{id: a, type: log, message: x}]";

fn parsed(inputs: &str) -> Flow {
    let parsed = parse("f.yaml", &flow(&format!("{inputs}{TASK}")), tasks::ALL);
    parsed.flow.unwrap_or_else(|| panic!("{:?}", parsed.findings))
}

/// The values, or all errors.
fn given(inputs: &str, given: &[(&str, Value)]) -> Result<Value, Vec<String>> {
    let given: Vec<(String, Value)> = given.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let now: DateTime<Utc> = "2020-04-15T06:00:00Z".parse().unwrap();
    let reported = |finding: &jitney::diagnostic::Diagnostic| {
        let place = if finding.line > 0 { format!("{}:{} ", finding.line, finding.column) } else { String::new() };
        let help = finding.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{place}{}{help}", finding.message)
    };
    let values = resolve(&parsed(inputs), &given, &InputHost::at(now));
    values.map(Value::Object).map_err(|findings| findings.iter().map(reported).collect())
}

const TAXI: &str = "inputs:
  - {id: taxi, type: SELECT, values: [yellow, green]}
  - {id: year, type: INT, min: 2009, defaults: 2019}
  - {id: note, type: STRING, required: false, validator: '[a-z]+'}";

#[test]
fn values_get_their_types_and_defaults_fill_in() {
    let values = given(TAXI, &[("taxi", json!("green"))]);
    assert_eq!(values, Ok(json!({"taxi": "green", "year": 2019, "note": null})));
}

#[test]
fn every_problem_is_told_at_once() {
    let wrong = [("taxi", json!("gren")), ("yeer", json!(1)), ("note", json!("A1")), ("year", json!("2000"))];
    assert_eq!(
        given(TAXI, &wrong).unwrap_err(),
        [
            "the flow has no input `yeer` | did you mean `year`?",
            "input `taxi`: `gren` is not one of `yellow`, `green`; did you mean `green`?",
            "input `year`: 2000 is less than 2009",
            "input `note`: `A1` does not match `[a-z]+`",
        ]
    );
    assert_eq!(given(TAXI, &[]).unwrap_err(), ["input `taxi` has no value | give it with `-i taxi=yellow`"]);
}

#[test]
fn defaults_are_rendered_behind_what_they_need() {
    let inputs = "variables: {base: /data}
inputs:
  - {id: path, type: URI, defaults: \"{{ vars.base }}/{{ inputs.file.name }}\"}
  - {id: file.name, type: STRING, defaults: \"{{ inputs.file.month }}.csv\"}
  - {id: file.month, type: STRING, defaults: \"{{ now() | date('yyyy-MM') }}\"}
  - {id: twice, type: INT, defaults: \"{{ inputs.once * 2 }}\"}
  - {id: once, type: INT}
  - {id: colours, type: ARRAY, itemType: STRING, defaults: [\"{{ inputs.twice }}\", b]}";
    let values = given(inputs, &[("once", json!("21"))]).unwrap();
    assert_eq!(
        values,
        json!({"path": "/data/2020-04.csv", "file.name": "2020-04.csv", "file.month": "2020-04", "twice": 42,
               "once": 21, "colours": ["42", "b"]})
    );
    let reported = given(inputs, &[("once", json!("x"))]).unwrap_err();
    assert_eq!(reported, ["input `once`: `x` is not a whole number"], "what depends on it is not reported");
    let reported = given("inputs: [{id: a, type: INT, defaults: \"{{ 'x' ~ 1 }}\"}]", &[]).unwrap_err();
    assert_eq!(reported, ["3:39 input `a`: its default is not valid: `x1` is not a whole number"]);
}

#[test]
fn an_input_whose_condition_does_not_hold_is_null() {
    let inputs = "inputs:
  - {id: where, type: SELECT, values: [here, cloud]}
  - {id: bucket, type: STRING, dependsOn: {inputs: [where], condition: \"{{ inputs.where == 'cloud' }}\"}}
  - {id: region, type: STRING, defaults: eu, dependsOn: {inputs: [bucket]}}";
    let values = given(inputs, &[("where", json!("here")), ("bucket", json!("b"))]);
    assert_eq!(values, Ok(json!({"where": "here", "bucket": null, "region": null})));
    let values = given(inputs, &[("where", json!("cloud")), ("bucket", json!("b"))]);
    assert_eq!(values, Ok(json!({"where": "cloud", "bucket": "b", "region": "eu"})));
    let reported = given(inputs, &[("where", json!("cloud"))]).unwrap_err();
    assert_eq!(reported, ["input `bucket` has no value | give it with `-i bucket=VALUE`"]);
}

#[test]
fn choices_may_come_from_an_expression_and_the_first_may_be_the_default() {
    let inputs = "variables: {taxis: {green: [\"1\", \"2\"], yellow: [\"3\"]}}
inputs:
  - {id: taxi, type: SELECT, values: [green, yellow], autoSelectFirst: true}
  - {id: zone, type: SELECT, expression: \"{{ vars.taxis[inputs.taxi] }}\", autoSelectFirst: true}
  - {id: zones, type: MULTISELECT, expression: \"{{ vars.taxis[inputs.taxi] }}\", required: false}
  - {id: other, type: SELECT, values: [a], allowCustomValue: true, defaults: b}";
    assert_eq!(given(inputs, &[]), Ok(json!({"taxi": "green", "zone": "1", "zones": null, "other": "b"})));
    let values = given(inputs, &[("zones", json!("2,1"))]).unwrap();
    assert_eq!(values["zones"], json!(["2", "1"]));
    let reported = given(inputs, &[("taxi", json!("yellow")), ("zones", json!(["3", "4"])), ("zone", json!("1"))]);
    assert_eq!(reported.unwrap_err(), ["input `zone`: `1` is not one of `3`", "input `zones`: `4` is not one of `3`"]);
}

#[test]
fn bounds_hold_for_numbers_durations_and_times() {
    let inputs = "inputs:
  - {id: n, type: FLOAT, min: 0, max: 1, required: false}
  - {id: d, type: DURATION, min: PT1M, max: 1h, required: false}
  - {id: day, type: DATE, after: 2020-01-01, before: 2020-12-31, required: false}
  - {id: time, type: TIME, after: '06:00', required: false}
  - {id: moment, type: DATETIME, before: 2020-04-01T00:00:00Z, required: false}
  - {id: data, type: FILE, allowedFileExtensions: [.csv, gz], required: false}";
    let wrong = [
        ("n", json!(1.5)),
        ("d", json!("30s")),
        ("day", json!("2021-01-01")),
        ("time", json!("05:59")),
        ("moment", json!("2020-04-01T01:30:00+01:00")),
        ("data", json!("x.txt")),
    ];
    assert_eq!(
        given(inputs, &wrong).unwrap_err(),
        [
            "input `n`: 1.5 is more than 1",
            "input `d`: PT30S is less than PT1M",
            "input `day`: 2021-01-01 is after 2020-12-31",
            "input `time`: 05:59:00 is before 06:00",
            "input `moment`: 2020-04-01T01:30:00+01:00 is after 2020-04-01T00:00:00Z",
            "input `data`: `x.txt` does not end in `.csv`, `gz`",
        ]
    );
    let right = [("d", json!("1h")), ("day", json!("2020-12-31")), ("data", json!("x.CSV"))];
    assert!(given(inputs, &right).is_ok());
}

#[test]
fn a_secret_is_not_repeated_in_what_is_told() {
    let inputs = "inputs: [{id: token, type: SECRET, validator: '[0-9]+'}]";
    assert_eq!(
        given(inputs, &[("token", json!("hunter2"))]).unwrap_err(),
        ["input `token`: the value does not match `[0-9]+`"]
    );
}

#[test]
fn nothing_given_is_no_value_where_none_is_needed() {
    let inputs = "inputs: [{id: n, type: INT, required: false}, {id: text, type: STRING}]";
    assert_eq!(given(inputs, &[("n", json!("")), ("text", json!(""))]), Ok(json!({"n": null, "text": ""})));
}

#[tokio::test]
async fn a_name_with_dots_nests_in_expressions() {
    let text = flow(
        "inputs: [{id: db.host, type: STRING}, {id: db.port, type: INT, defaults: 5432}, {id: conf, type: JSON}]
tasks:
  - {id: a, type: log, message: \"{{ inputs.db.host }}:{{ inputs.db.port }} {{ inputs.conf.a[0] }} {{ inputs.db }}\"}",
    );
    let ran = run_with(&text, &[("db.host", "h"), ("conf", "{\"a\": [7]}")]).await;
    assert_eq!(ran.lines, ["h:5432 7 {\"host\":\"h\",\"port\":5432}"]);
}

/// What is found in the inputs of a flow.
fn found(inputs: &str) -> Vec<String> {
    findings(&flow(&format!("inputs:\n{inputs}{TASK}")))
}

#[test]
fn definitions_are_checked_where_they_stand() {
    assert_eq!(
        found(
            "  - {id: a, type: STRING, min: 1}
  - {id: b, type: SELECT}
  - {id: c, type: ARRAY}
  - {id: d, type: INT, min: x}
  - {id: e, type: DATE, after: soon}
  - {id: f, type: STRING, validator: '('}
  - {id: g, type: MULTISELECT, values: [x], defaults: [y]}
  - {id: h.i, type: STRING}
  - {id: h, type: STRING}
  - {id: h.i, type: INT}
  - {name: j, type: INT}
  - {id: k, type: SECRET, defaults: hunter2}
  - {id: l, type: INT, default: 1}"
        ),
        [
            "4:32 `min` has no effect for STRING",
            "5:5 `b` is a SELECT without `values`",
            "6:5 `c` is an ARRAY without `itemType`",
            "7:29 `min`: `x` is not a number",
            "8:32 `after`: `soon` is not of type DATE",
            "9:38 the validator of `f` is not a regular expression",
            "10:55 its default is not valid: `g`: `y` is not one of `x`",
            "12:10 `h` and `h.i` cannot both be inputs: one would be nested in the other",
            "13:10 there are two inputs called `h.i`",
            "14:6 `name` is deprecated: use `id`",
            "15:37 the secret `k` is written in the flow in plain text",
            "16:24 unknown field `default`",
        ]
    );
}

#[test]
fn expressions_of_inputs_are_checked_where_they_stand() {
    assert_eq!(
        found(
            "  - {id: a, type: STRING, defaults: \"{{ inputs.bb }}\"}
  - {id: b, type: STRING, defaults: \"{{ outputs.x.y }}\"}
  - {id: c, type: STRING, defaults: \"{{ inputs.c }}\"}
  - {id: d, type: STRING, defaults: \"{{ vars.x }}\"}
  - {id: e, type: STRING, defaults: \"{{ 1 | nofilter }}\"}
  - {id: f, type: STRING, dependsOn: {inputs: [g], condition: \"{{ inputs.h }}\"}}
  - {id: s, type: SECRET}
  - {id: t, type: STRING, defaults: \"x{{ inputs.s }}\"}"
        ),
        [
            "4:41 `inputs.bb` is not defined",
            "5:41 `outputs` is not available before the flow runs",
            "6:41 `inputs.c` is the input itself",
            "7:41 `vars.x` is not defined",
            "8:45 there is no filter `nofilter`",
            "9:48 `f` cannot depend on `g`, which is not another input",
            "9:67 `inputs.h` is not defined",
            "11:42 `inputs.s` is secret, but `t` is displayed and stored",
        ]
    );
}

#[test]
fn a_circle_is_refused_with_its_members() {
    assert_eq!(
        found(
            "  - {id: x, type: STRING, defaults: \"{{ inputs.a }}\"}
  - {id: a, type: STRING, defaults: \"{{ inputs.b }}\"}
  - {id: b, type: STRING, dependsOn: {inputs: [a]}}"
        ),
        ["5:5 these inputs depend on each other: `a` → `b` → `a`"]
    );
}
