//! Small tasks, what ends with a warning, and what expressions know of failures.

use crate::language::world::{findings, flow, run};

#[tokio::test]
async fn values_go_to_later_tasks_and_a_flow_fails_on_purpose() {
    let ran = run(&flow(
        "tasks:
  - {id: names, type: io.kestra.plugin.core.output.OutputValues, values: {table: t, months: [1, 2]}}
  - {id: say, type: io.kestra.core.tasks.log.Log, level: TRACE, message: [\"{{ outputs.names.values.table }}\", \"{{ outputs.names.values.months[1] }}\"]}
  - {id: passes, type: fail, condition: \"{{ outputs.names.values.table == 'x' }}\"}
  - {id: stops, type: io.kestra.plugin.core.execution.Fail, condition: \"{{ 1 < 2 }}\", errorMessage: \"no {{ outputs.names.values.table }}\"}
  - {id: never, type: log, message: never}",
    ))
    .await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["t".to_owned(), "2".to_owned()]));
    let error = ran.state.tasks.values().find_map(|task| task.error.as_ref());
    assert_eq!(error.unwrap().message, "no t");
}

#[tokio::test]
async fn values_are_kept_with_their_types_and_found_from_inner_namespaces() {
    let ran = run("id: f
namespace: a.b
tasks:
  - {id: s1, type: io.kestra.plugin.core.kv.Set, key: city, value: New York, namespace: a}
  - {id: s2, type: kv.set, key: count, value: \"5\", kvType: NUMBER}
  - {id: s3, type: kv.set, key: when, value: 2024-05-06, kvType: DATE, kvDescription: a day}
  - {id: s4, type: kv.set, key: map, value: '{\"k\": [1, true]}', kvType: JSON}
  - {id: s5, type: kv.set, key: brief, value: x, ttl: PT0S}
  - {id: l1, type: log, message: \"{{ kv('city') }} {{ kv('count') + 1 }} {{ kv('map').k[1] }}\"}
  - {id: l2, type: log, message: \"{{ kv('city', 'a.b', false) ?? 'only in a' }} {{ kv('brief', errorOnMissing=false) ?? 'gone' }}\"}
  - {id: g, type: kv.get, key: city}
  - {id: none, type: kv.get, key: nothing}
  - {id: k, type: io.kestra.plugin.core.kv.GetKeys, prefix: c}
  - {id: d, type: kv.delete, key: count}
  - {id: l3, type: log, message: \"{{ outputs.g.value }} {{ outputs.none.value ?? 'null' }} {{ outputs.k.keys | join }} {{ outputs.d.deleted }}\"}
  - {id: bad, type: kv.set, key: when, value: 31 May, kvType: DATE, allowFailure: true}
  - {id: taken, type: kv.set, key: when, value: x, overwrite: false}")
    .await;
    assert_eq!(ran.lines, ["New York 6 true", "only in a gone", "New York null count true"]);
    let errors: Vec<&str> =
        ran.state.tasks.values().filter_map(|task| Some(task.error.as_ref()?.message.as_str())).collect();
    let expected = [
        "cannot store `when`: the value of `when` is not of type DATE: write a date, such as 2024-05-06",
        "cannot store `when`: the key `when` already exists in namespace `a.b`",
    ];
    assert_eq!((ran.status(), errors), ("FAILED", expected.to_vec()));
}

#[tokio::test]
async fn errors_can_be_told_of_what_failed() {
    let ran = run(&flow(
        "tasks:
  - {id: good, type: return, format: x}
  - {id: bad, type: fail, errorMessage: no such month}
errors:
  - {id: told, type: log, message: \"{{ (errorLogs() | first).taskId }}: {{ errorLogs()[0].message }}\"}
  - {id: which, type: log, message: \"{{ tasksWithState('failed')[0].taskId }} {{ tasksWithState('SUCCESS') | length }}\"}",
    ))
    .await;
    assert_eq!(ran.lines[1..], ["bad: no such month", "bad 2"]);
    let ran = run(&flow("tasks: [{id: a, type: log, message: \"{{ tasksWithState('lost') }}\"}]")).await;
    let error = ran.state.tasks.values().next().unwrap().error.as_ref().unwrap();
    assert!(error.message.contains("there is no state `lost`"), "{}", error.message);
}

#[tokio::test]
async fn error_output_is_a_warning_where_the_task_says_so() {
    let text = |more: &str| {
        flow(&format!(
            "tasks:
  - {{id: script, type: shell.commands, commands: [\"echo careful >&2\"]{more}}}
  - {{id: after, type: log, message: after}}"
        ))
    };
    for (more, status) in [
        ("", "SUCCESS"),
        (", warningOnStdErr: true", "WARNING"),
        (", warningOnStdErr: true, allowWarning: true", "SUCCESS"),
        (", warningOnStdErr: false", "SUCCESS"),
    ] {
        let ran = run(&text(more)).await;
        assert_eq!((ran.status(), ran.lines), (status, vec!["careful".to_owned(), "after".to_owned()]), "{more}");
    }
    let both = flow("tasks: [{id: a, type: fail, allowFailure: true, allowWarning: true}]");
    assert_eq!(run(&both).await.status(), "SUCCESS");
}

#[tokio::test]
async fn a_task_logs_from_its_level_on() {
    let ran = run(&flow(
        "tasks:
  - {id: a, type: log, message: quiet, logLevel: WARN}
  - {id: b, type: log, message: loud, level: ERROR, logLevel: WARN}",
    ))
    .await;
    assert_eq!(ran.lines, ["loud"]);
}

#[tokio::test]
async fn fields_without_effect_are_named() {
    let text = flow(
        "tasks:
  - id: a
    type: log
    message: a
    workerGroup: {key: x}
    version: 1.0.0",
    );
    assert_eq!(findings(&text), ["7:5 `workerGroup` has no effect here", "8:5 `version` has no effect here"]);
    assert_eq!(run(&text).await.lines, ["a"]);
}

#[test]
fn fields_of_one_task_without_effect_are_named_with_what_to_do_instead() {
    let text = flow(
        "tasks:
  - id: a
    type: io.kestra.plugin.scripts.python.Script
    taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker, delete: false}
    pythonVersion: \"3.11\"
    packageManager: UV
    script: print(1)",
    );
    assert_eq!(
        findings(&text),
        [
            "6:71 `taskRunner.delete` has no effect here",
            "7:5 `pythonVersion` has no effect here",
            "8:5 `packageManager` has no effect here"
        ]
    );
    let elsewhere = flow("tasks: [{id: a, type: log, message: a, pythonVersion: \"3.11\"}]");
    assert_eq!(findings(&elsewhere), ["3:40 unknown field `pythonVersion`"]);
}

#[tokio::test]
async fn names_that_kestra_has_given_up_are_understood() {
    let ran = run(&flow(
        "tasks:
  - id: all
    type: io.kestra.core.tasks.flows.Sequential
    tasks:
      - id: side
        type: io.kestra.core.tasks.flows.Parallel
        tasks:
          - {id: one, type: io.kestra.core.tasks.log.Log, message: one, retry: {type: constant, interval: PT1S, maxAttempt: 2}}
      - id: which
        type: io.kestra.core.tasks.flows.If
        condition: \"{{ true }}\"
        then:
          - id: switch
            type: io.kestra.core.tasks.flows.Switch
            value: a
            cases: {a: [{id: two, type: io.kestra.core.tasks.log.Log, message: two}]}
      - id: graph
        type: io.kestra.core.tasks.flows.Dag
        tasks: [{task: {id: three, type: io.kestra.core.tasks.log.Log, message: three}}]
      - id: may
        type: io.kestra.core.tasks.flows.AllowFailure
        tasks: [{id: four, type: io.kestra.core.tasks.log.Log, message: four}]
      - id: script
        type: io.kestra.plugin.scripts.shell.Commands
        taskRunner: {type: io.kestra.core.models.tasks.runners.types.ProcessTaskRunner}
        commands: [echo five]",
    ))
    .await;
    assert_eq!(
        (ran.status(), ran.lines),
        ("SUCCESS", ["one", "two", "three", "four", "five"].map(str::to_owned).to_vec())
    );
}

#[test]
fn a_condition_that_is_part_text_and_a_retry_that_never_comes_are_warned_of() {
    for (task, expected) in [
        (
            "{id: a, type: if, condition: '“{{ false }}”', then: [{id: b, type: log, message: b}]}",
            "3:38 `“` is outside the expression and turns it into a text, so the condition is always true",
        ),
        (
            "{id: a, type: log, message: a, runIf: \"{{ 1 }} == 2\"}",
            "3:47 `== 2` is outside the expression and turns it into a text, so the condition is always true",
        ),
        (
            "{id: a, type: log, message: a, retry: {type: constant, interval: PT1H, maxDuration: PT1M}}",
            "3:93 `interval` is longer than `maxDuration`, so there would be no retry",
        ),
        (
            "{id: a, type: log, message: a, retry: {type: random, minInterval: 2h, maxInterval: 3h, maxDuration: 1h}}",
            "3:109 `minInterval` is longer than `maxDuration`, so there would be no retry",
        ),
    ] {
        assert_eq!(findings(&flow(&format!("tasks: [{task}]"))), [expected], "{task}");
    }
    for task in [
        "{id: a, type: if, condition: ' {{ false }} ', then: [{id: b, type: log, message: b}]}",
        "{id: a, type: log, message: a, runIf: \"{% if true %}true{% endif %}\"}",
        "{id: a, type: log, message: a, retry: {type: constant, interval: PT1M, maxDuration: PT1M}}",
    ] {
        assert_eq!(findings(&flow(&format!("tasks: [{task}]"))), [""; 0], "{task}");
    }
}

#[tokio::test]
async fn calls_to_the_world_are_checked_before_anything_runs() {
    let text = flow("tasks: [{id: a, type: log, message: \"{{ secret() }} {{ kv('a', 'n', true, 1) }}\"}]");
    assert_eq!(
        findings(&text),
        [
            "3:41 the function `secret`: the argument `key` is missing",
            "3:56 the function `kv`: takes at most 3 arguments (`key`, `namespace`, `errorOnMissing`), not 4"
        ]
    );
    let missing = run(&flow("tasks: [{id: a, type: log, message: \"{{ kv('gone') }}\"}]")).await;
    let error = missing.state.tasks.values().next().unwrap().error.as_ref().unwrap();
    assert!(error.message.contains("there is no key `gone`"), "{}", error.message);
}

#[tokio::test]
async fn a_log_shows_a_list_as_json_and_lines_one_by_one() {
    let ran = run(&flow(
        "tasks:
  - {id: names, type: io.kestra.plugin.core.output.OutputValues, values: {none: [], two: [a, 1], map: {k: v}}}
  - {id: l1, type: log, message: \"{{ outputs.names.values.none }}\"}
  - {id: l2, type: log, message: \"{{ outputs.names.values.two }}\"}
  - {id: l3, type: log, message: [\"{{ outputs.names.values.map }}\", \"{{ task.type }}\"]}",
    ))
    .await;
    assert_eq!(ran.lines, ["[]", r#"["a",1]"#, r#"{"k":"v"}"#, "log"]);
}

#[tokio::test]
async fn a_timeout_may_be_an_expression() {
    let text = |timeout: &str| {
        flow(&format!(
            "inputs: [{{id: most, type: DURATION, defaults: PT0.05S}}]
tasks: [{{id: slow, type: sleep, duration: 10s, timeout: \"{timeout}\"}}]"
        ))
    };
    let error = async |timeout: &str| {
        let ran = run(&text(timeout)).await;
        ran.state.tasks.values().find_map(|task| task.error.clone()).unwrap().message
    };
    assert_eq!(error("{{ inputs.most }}").await, "took longer than its timeout of 50ms");
    assert!(error("PT{{ 'x' }}S").await.starts_with("`timeout`: `PTxS` is not a duration"));
    assert!(findings(&text("{{ inputs.least }}"))[0].contains("`inputs.least` is not defined"));
}
