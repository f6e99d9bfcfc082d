//! The keys of a flow other than its tasks.

use jitney::journal::ExecutionState;
use serde_json::json;

use crate::language::world::{Place, findings, flow, run, run_with};

const BAD: &str = "{id: bad, type: sleep, duration: \"{{ 'no duration' }}\"}";

#[tokio::test]
async fn outputs_are_typed_and_a_value_that_does_not_fit_fails_the_execution() {
    let text = |kind: &str| {
        flow(&format!(
            "outputs:
  - {{id: count, type: {kind}, value: \"{{{{ outputs.a.value }}}}\"}}
  - {{id: maybe, type: STRING, required: false, value: \"{{{{ outputs.b.value }}}}\"}}
tasks:
  - {{id: a, type: return, format: \"12\"}}
  - {{id: b, type: return, format: x, runIf: \"{{{{ false }}}}\"}}"
        ))
    };
    let ran = run(&text("INT")).await;
    assert_eq!((ran.status(), json!(ran.state.outputs)), ("SUCCESS", json!({"count": 12})));
    let ran = run(&text("ARRAY")).await;
    assert_eq!(
        (ran.status(), ran.lines),
        ("FAILED", ["12", "output `count`: `12` is not a list"].map(str::to_owned).to_vec())
    );
}

#[tokio::test]
async fn tasks_after_the_execution_know_how_it_ended_and_change_nothing() {
    let text = |task: &str| {
        flow(&format!(
            "tasks: [{task}]
finally: [{{id: last, type: log, message: \"{{{{ execution.state }}}}\"}}]
afterExecution:
  - {{id: tell, type: log, message: \"{{{{ execution.state }}}}\"}}
  - {{id: worse, type: sleep, duration: \"{{{{ 'never' }}}}\"}}"
        ))
    };
    let ran = run(&text("{id: good, type: log, message: good}")).await;
    assert_eq!(
        (ran.status(), ran.lines[..3].to_vec()),
        ("SUCCESS", ["good", "RUNNING", "SUCCESS"].map(str::to_owned).to_vec())
    );
    let ran = run(&text(BAD)).await;
    assert_eq!((ran.status(), ran.lines[..2].to_vec()), ("FAILED", ["RUNNING", "FAILED"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_promise_about_time_stops_what_takes_longer() {
    let text = |behavior: &str| {
        flow(&format!(
            "sla: [{{id: quick, type: MAX_DURATION, duration: 50ms, behavior: {behavior}, labels: {{sla: missed}}}}]
tasks: [{{id: slow, type: sleep, duration: 250ms}}, {{id: say, type: log, message: end}}]"
        ))
    };
    for (behavior, end) in [("FAIL", "FAILED"), ("CANCEL", "CANCELLED"), ("NONE", "SUCCESS")] {
        let ran = run(&text(behavior)).await;
        assert_eq!((ran.status(), &ran.state.labels["sla"]), (end, &json!("missed")));
        assert_eq!(ran.lines[0], "the SLA `quick` is violated: it ran longer than 50ms");
        assert_eq!(ran.lines.contains(&"end".to_owned()), behavior == "NONE");
    }
}

#[tokio::test]
async fn a_promise_about_the_end_is_looked_at_then() {
    let text = flow(
        "sla: [{id: right, type: EXECUTION_ASSERTION, assert: \"{{ outputs.a.value == 'x' }}\", behavior: FAIL}]
inputs: [{id: say, type: STRING}]
tasks: [{id: a, type: return, format: \"{{ inputs.say }}\"}]",
    );
    assert_eq!(run_with(&text, &[("say", "x")]).await.status(), "SUCCESS");
    assert_eq!(run_with(&text, &[("say", "y")]).await.status(), "FAILED");
}

#[tokio::test]
async fn checks_are_made_before_an_execution_starts() {
    let text = |behavior: &str| {
        flow(&format!(
            "inputs: [{{id: name, type: STRING}}]
checks:
  - condition: \"{{{{ inputs.name == 'right' }}}}\"
    message: \"not `{{{{ inputs.name }}}}`\"
    behavior: {behavior}
tasks: [{{id: say, type: log, message: ran}}]"
        ))
    };
    assert_eq!(run_with(&text("BLOCK_EXECUTION"), &[("name", "right")]).await.lines, ["ran"]);
    let place = Place::new();
    let refused = place.create(&place.flow(&text("BLOCK_EXECUTION")), &[("name", "wrong")]).unwrap_err();
    assert!(refused.to_string().starts_with("error: not `wrong`"), "{refused}");
    assert_eq!(place.runner.journal.executions(None, 9).unwrap(), []);
    let ran = run_with(&text("FAIL_EXECUTION"), &[("name", "wrong")]).await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["not `wrong`".to_owned()]));
    let ran = run_with(&text("CREATE_EXECUTION"), &[("name", "wrong")]).await;
    assert_eq!((ran.status(), ran.lines), ("SUCCESS", vec!["not `wrong`".to_owned(), "ran".to_owned()]));
}

#[tokio::test]
async fn a_disabled_flow_does_not_run() {
    let place = Place::new();
    let refused =
        place.create(&place.flow(&flow("disabled: true\nrevision: 3\ntasks: [{id: a, type: log, message: a}]")), &[]);
    assert!(refused.unwrap_err().to_string().starts_with("error: the flow `f` is disabled"));
}

#[tokio::test]
async fn no_more_executions_run_at_a_time_than_the_flow_says() {
    let text = |behavior: &str| {
        flow(&format!(
            "concurrency: {{limit: 1, behavior: {behavior}}}
tasks: [{{id: slow, type: sleep, duration: 150ms}}]"
        ))
    };
    for (behavior, second) in [("QUEUE", "SUCCESS"), ("FAIL", "FAILED"), ("CANCEL", "CANCELLED")] {
        let place = Place::new();
        let flow = place.flow(&text(behavior));
        let [one, two] = [(); 2].map(|()| place.create(&flow, &[]).unwrap());
        let later = async {
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
            place.resume(&flow, &two).await
        };
        let (first, later) = tokio::join!(place.resume(&flow, &one), later);
        assert_eq!((first.status, later.status.as_str()), (ExecutionState::Success, second));
        if behavior == "QUEUE" {
            assert!(later.started.unwrap() >= first.ended.unwrap(), "they ran at once");
        }
    }
}

#[tokio::test]
async fn plugin_defaults_go_under_or_over_a_tasks_own_values() {
    let ran = run(&flow(
        "pluginDefaults:
  - type: io.kestra.plugin.core.log
    values: {level: WARN, message: default}
  - type: shell.commands
    forced: true
    values: {env: {WHO: forced}}
tasks:
  - {id: a, type: io.kestra.plugin.core.log.Log}
  - {id: b, type: log, message: own}
  - {id: c, type: io.kestra.plugin.scripts.shell.Commands, commands: ['echo $WHO $ALSO'], env: {WHO: own, ALSO: kept}}",
    ))
    .await;
    assert_eq!(ran.lines, ["default", "own", "forced kept"], "{:?}", ran.state.tasks);
}

#[test]
fn what_is_wrong_with_a_default_is_found_where_it_is_written() {
    let text = flow(
        "pluginDefaults:
  - type: io.kestra.plugin.core
    values: {message: \"{{ inputs.nme }}\", bucket: x}
  - type: log
    values: {levl: INFO}
  - {type: sleep, force: true}
inputs: [{id: name, type: STRING}]
tasks: [{id: a, type: log}]",
    );
    assert_eq!(
        findings(&text),
        [
            "5:27 `inputs.nme` is not defined",
            "5:43 no task that this default applies to has a field `bucket`",
            "7:14 unknown field `levl`",
            "8:19 unknown field `force`"
        ]
    );
}

#[test]
fn what_is_wrong_with_the_keys_is_found_at_its_place() {
    let text = flow(
        "concurrency: {limit: 0}
outputs: [{id: a, type: STRIN, value: \"{{ outputs.gone.x }}\"}]
sla: [{id: s, type: MAX_DURATION, behavior: FAIL}]
checks: [{condition: \"{{ outputs.a.value }}\", message: no, behavior: BLOCK}]
disabled: perhaps
retry: {type: constant, behavior: AGAIN}
tasks: [{id: a, type: log, message: x}]",
    );
    assert_eq!(
        findings(&text),
        [
            "3:22 with a limit of 0, nothing could run",
            "4:25 unknown type `STRIN`",
            "4:43 `outputs.gone`: task `gone` is not in the flow",
            "5:7 `duration` is missing",
            "6:70 unknown value `BLOCK`",
            "7:11 `disabled` is not true or false",
            "8:35 unknown value `AGAIN`",
        ]
    );
}

#[tokio::test]
async fn keys_without_a_value_and_anchors_are_as_yaml_has_them() {
    let text = "\u{feff}id: f
namespace: n
inputs:
errors:
finally: ~
concurrency:
retry:
disabled: \"no\"
variables:
  base: &base {a: 1, b: 2}
  more: {<<: *base, b: 3}
tasks:
  - {id: a, type: log, message: \"{{ vars.more }}\", retry: , timeout: , runIf: }
";
    assert_eq!(run(text).await.lines, [r#"{"b":3,"a":1}"#]);
}
