//! Which tasks run, and in which order.

use crate::language::world::{findings, flow, run, run_with};

#[tokio::test]
async fn if_runs_one_branch_and_tells_which() {
    let text = flow(
        "inputs: [{id: taxi, type: STRING}]
tasks:
  - id: which
    type: if
    condition: \"{{ inputs.taxi == 'green' }}\"
    then: [{id: a, type: log, message: green}]
    else: [{id: b, type: log, message: other}]
  - {id: c, type: log, message: \"{{ outputs.which.evaluationResult }}\"}",
    );
    assert_eq!(run_with(&text, &[("taxi", "green")]).await.lines, ["green", "true"]);
    assert_eq!(run_with(&text, &[("taxi", "red")]).await.lines, ["other", "false"]);
}

#[tokio::test]
async fn switch_runs_the_case_or_the_defaults() {
    let text = flow(
        "inputs: [{id: taxi, type: STRING}]
tasks:
  - id: which
    type: io.kestra.plugin.core.flow.Switch
    value: \"{{ inputs.taxi }}\"
    cases:
      green: [{id: a, type: log, message: green}]
      yellow: [{id: b, type: log, message: yellow}]
    defaults: [{id: c, type: log, message: none}]",
    );
    assert_eq!(run_with(&text, &[("taxi", "yellow")]).await.lines, ["yellow"]);
    assert_eq!(run_with(&text, &[("taxi", "red")]).await.lines, ["none"]);
}

#[tokio::test]
async fn a_dag_runs_each_task_after_those_it_depends_on() {
    let text = flow(
        "tasks:
  - id: graph
    type: dag
    tasks:
      - task: {id: last, type: log, message: last}
        dependsOn: [left, right]
      - task: {id: right, type: log, message: right}
        dependsOn: [first]
      - task: {id: left, type: sleep, duration: 50ms}
        dependsOn: [first]
      - task: {id: first, type: log, message: first}",
    );
    assert_eq!(run(&text).await.lines, ["first", "right", "last"]);
}

#[tokio::test]
async fn a_circle_in_a_dag_is_found_before_anything_runs() {
    let text = flow(
        "tasks:
  - id: graph
    type: dag
    tasks:
      - task: {id: a, type: log, message: a}
        dependsOn: [b]
      - task: {id: b, type: log, message: b}
        dependsOn: [a]",
    );
    assert_eq!(findings(&text), ["8:20 these tasks depend on each other: `a` → `b` → `a`"]);
}

#[tokio::test]
async fn parallel_tasks_run_side_by_side_within_their_limit() {
    let text = |limit: u32| {
        flow(&format!(
            "tasks:
  - id: both
    type: parallel
    concurrent: {limit}
    tasks:
      - id: slow
        type: sequential
        tasks: [{{id: s1, type: sleep, duration: 150ms}}, {{id: s2, type: log, message: slow}}]
      - {{id: quick, type: log, message: quick}}"
        ))
    };
    assert_eq!(run(&text(0)).await.lines, ["quick", "slow"]);
    assert_eq!(run(&text(1)).await.lines, ["slow", "quick"]);
}

#[tokio::test]
async fn a_condition_skips_a_task_and_a_disabled_one_is_not_there() {
    let ran = run(&flow(
        "tasks:
  - {id: a, type: log, message: a, runIf: \"{{ false }}\"}
  - {id: b, type: log, message: b, when: \"{{ 1 == 1 }}\"}
  - {id: c, type: log, message: c, disabled: true}",
    ))
    .await;
    assert_eq!((ran.status(), ran.lines), ("SUCCESS", vec!["b".to_owned()]));
}
