//! What happens when a task fails.

use crate::language::world::{flow, run};

/// A task that fails.
const BAD: &str = "{id: bad, type: sleep, duration: \"{{ 'no duration' }}\"}";

#[tokio::test]
async fn errors_run_after_a_failure_and_finally_runs_in_any_case() {
    let text = |task: &str| {
        flow(&format!(
            "tasks: [{task}]
errors: [{{id: sorry, type: log, message: sorry}}]
finally: [{{id: last, type: log, message: last}}]"
        ))
    };
    let ran = run(&text(BAD)).await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["sorry".to_owned(), "last".to_owned()]));
    let ran = run(&text("{id: good, type: log, message: good}")).await;
    assert_eq!((ran.status(), ran.lines), ("SUCCESS", vec!["good".to_owned(), "last".to_owned()]));
}

#[tokio::test]
async fn a_task_with_sub_tasks_has_errors_of_its_own() {
    let ran = run(&flow(&format!(
        "tasks:
  - id: inner
    type: sequential
    tasks: [{BAD}, {{id: never, type: log, message: never}}]
    errors: [{{id: sorry, type: log, message: sorry}}]
    finally: [{{id: last, type: log, message: last}}]
  - {{id: after, type: log, message: after}}"
    )))
    .await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["sorry".to_owned(), "last".to_owned()]));
}

#[tokio::test]
async fn what_may_fail_is_a_warning() {
    let grouped = flow(&format!(
        "tasks:
  - id: try
    type: allow_failure
    tasks: [{BAD}]
  - {{id: after, type: log, message: after}}"
    ));
    let ran = run(&grouped).await;
    assert_eq!((ran.status(), ran.lines), ("WARNING", vec!["after".to_owned()]));
    let single = flow(
        "tasks:
  - id: bad
    type: sleep
    duration: \"{{ 'no duration' }}\"
    allowFailure: true
  - {id: after, type: log, message: after}",
    );
    let ran = run(&single).await;
    assert_eq!((ran.status(), ran.lines), ("WARNING", vec!["after".to_owned()]));
}

#[tokio::test]
async fn parallel_tasks_go_on_to_their_end_when_one_fails() {
    let ran = run(&flow(&format!(
        "tasks:
  - id: both
    type: parallel
    tasks:
      - {BAD}
      - id: slow
        type: sequential
        tasks: [{{id: s1, type: sleep, duration: 50ms}}, {{id: s2, type: log, message: slow}}]
  - {{id: after, type: log, message: after}}"
    )))
    .await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["slow".to_owned()]));
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_stopped_and_repeated_as_it_says() {
    let ran = run(&flow(
        "tasks:
  - id: slow
    type: sleep
    duration: 1h
    timeout: 30ms
    retry: {type: constant, interval: 10ms, maxAttempts: 3}",
    ))
    .await;
    let task = ran.state.tasks.values().next().unwrap();
    assert_eq!((ran.status(), task.attempts), ("FAILED", 3));
    assert_eq!(task.error.as_ref().unwrap().message, "took longer than its timeout of 30ms");
}
