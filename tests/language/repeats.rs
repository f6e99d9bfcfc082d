//! What is repeated: tasks, executions, and parts of executions that are over.

use jitney::engine::ReplayPart;
use jitney::journal::ExecutionState;
use jitney::task::Outputs;
use serde_json::json;

use crate::language::world::{Place, Ran, flow};

/// A task that fails until it has been tried this often, for a reason that may pass.
fn flaky(place: &Place, times: u32) -> String {
    let count = place.folder.path().join("count").display().to_string();
    let script = format!("echo >> {count}; test $(wc -l < {count}) -gt {times}");
    format!("{{id: flaky, type: shell.commands, commands: ['{script}']}}")
}

fn said(ran: &Ran, text: &str) -> usize {
    ran.lines.iter().filter(|line| *line == text).count()
}

#[tokio::test]
async fn a_flows_retry_repeats_what_failed_in_the_same_execution() {
    let place = Place::new();
    let ran = place
        .run(
            &flow(&format!(
                "retry: {{type: constant, interval: 10ms, maxAttempts: 3, warningOnRetry: true}}
tasks: [{{id: once, type: log, message: once}}, {}]
errors: [{{id: sorry, type: log, message: sorry}}]",
                flaky(&place, 2)
            )),
            &[],
        )
        .await;
    assert_eq!((ran.status(), said(&ran, "once"), said(&ran, "sorry")), ("WARNING", 1, 0));
    assert_eq!(ran.state.tasks.values().map(|task| task.attempts).max(), Some(3));
}

#[tokio::test]
async fn a_flows_retry_may_make_new_executions() {
    let place = Place::new();
    let text = flow(&format!(
        "retry: {{type: constant, interval: 10ms, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}}
tasks: [{{id: each, type: log, message: \"{{{{ execution.originalId }}}}\"}}, {}]
afterExecution: [{{id: tell, type: log, message: \"{{{{ execution.state }}}}\"}}]",
        flaky(&place, 1)
    ));
    let ran = place.run(&text, &[]).await;
    let ids = place.runner.journal.executions(None, 9).unwrap();
    let states: Vec<&str> = ids.iter().map(|summary| summary.state.as_str()).collect();
    assert_eq!((ran.status(), states), ("SUCCESS", vec!["SUCCESS", "RETRIED"]));
    assert_eq!(ran.state.created.original.as_ref(), Some(&ids[1].id));
    assert_eq!((said(&ran, ids[1].id.as_str()), said(&ran, "RETRIED")), (2, 1), "{:?}", ran.lines);
}

#[tokio::test]
async fn a_tasks_retry_may_make_a_new_execution_and_ends_at_its_bounds() {
    let place = Place::new();
    let retry = "retry: {type: constant, interval: 1ms, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}}";
    let task = flaky(&place, 5).replace('}', &format!(", {retry}"));
    let ran = place.run(&flow(&format!("tasks: [{task}]")), &[]).await;
    let states: Vec<String> = place
        .runner
        .journal
        .executions(None, 9)
        .unwrap()
        .into_iter()
        .map(|summary| summary.state.to_string())
        .collect();
    assert_eq!((ran.status(), states), ("FAILED", vec!["FAILED".to_owned(), "RETRIED".to_owned()]));
}

#[tokio::test]
async fn a_task_that_was_repeated_may_end_with_a_warning() {
    let place = Place::new();
    let retry = "retry: {type: constant, interval: 1ms, maxAttempts: 2, warningOnRetry: true}}";
    let task = flaky(&place, 1).replace('}', &format!(", {retry}"));
    assert_eq!(place.run(&flow(&format!("tasks: [{task}]")), &[]).await.status(), "WARNING");
}

#[tokio::test]
async fn what_ran_for_errors_runs_again_when_a_restart_fails_again() {
    let place = Place::new();
    let text = flow(&format!(
        "tasks:
  - {{id: once, type: log, message: once}}
  - id: inner
    type: sequential
    tasks: [{}]
    errors: [{{id: inside, type: log, message: inside}}]
errors: [{{id: sorry, type: sequential, tasks: [{{id: say, type: log, message: sorry}}]}}]
finally: [{{id: last, type: log, message: last}}]",
        flaky(&place, 2)
    ));
    let flow = place.flow(&text);
    let id = place.create(&flow, &[]).unwrap();
    let expected = [
        (ExecutionState::Failed, vec!["once", "inside", "sorry", "last"]),
        (ExecutionState::Failed, vec!["inside", "sorry", "last"]),
        (ExecutionState::Success, vec!["last"]),
    ];
    for (status, lines) in expected {
        place.forget_lines();
        assert_eq!(place.resume(&flow, &id).await.status, status);
        let own: Vec<String> = place.lines().into_iter().filter(|line| !line.contains("exit")).collect();
        assert_eq!(own, lines);
    }
}

const STEPS: &str = "inputs: [{id: who, type: STRING}]
tasks:
  - {id: a, type: return, format: \"a{{ inputs.who }}\"}
  - id: if
    type: if
    condition: \"{{ true }}\"
    then:
      - {id: b, type: return, format: b}
      - {id: say, type: log, message: \"{{ outputs.a.value }}{{ outputs.b.value }}\"}
  - id: each
    type: for_each
    values: [1, 2]
    tasks: [{id: c, type: return, format: \"c{{ taskrun.value }}\"}]
  - {id: end, type: log, message: \"{{ outputs.a.value }}{{ outputs.b.value }}{{ outputs.c['2'].value }}\"}";

#[tokio::test]
async fn a_replay_begins_with_a_task_and_keeps_what_ran_before() {
    let place = Place::new();
    let text = flow(STEPS);
    let flow = place.flow(&text);
    let id = place.create(&flow, &[("who", "x")]).unwrap();
    place.resume(&flow, &id).await;
    for (from, runs, lines) in [
        (None, 7, vec!["ax", "b", "axb", "c1", "c2", "axbc2"]),
        (Some("say"), 4, vec!["axb", "c1", "c2", "axbc2"]),
        (Some("each"), 2, vec!["c1", "c2", "axbc2"]),
        (Some("c"), 2, vec!["c1", "c2", "axbc2"]),
        (Some("end"), 1, vec!["axbc2"]),
    ] {
        place.forget_lines();
        let part = from.map_or(ReplayPart::All, |from| ReplayPart::From(from.to_owned()));
        let inputs = place.runner.state(&id).unwrap().created.inputs;
        let prepared = place.executor().prepared(&flow, &inputs, false);
        let (replay, _) = place.executor().create_replay(&id, &prepared, &part).unwrap();
        let state = place.resume(&flow, &replay).await;
        assert_eq!(
            (state.status, place.lines()),
            (ExecutionState::Success, lines.iter().map(ToString::to_string).collect())
        );
        let old = place.runner.state(&id).unwrap();
        assert_eq!(state.created.original.as_ref(), Some(&id));
        let anew = state.tasks.iter().filter(|(run, task)| task.started != old.tasks[*run].started).count();
        assert!(anew <= runs, "from {from:?} {anew} tasks ran: {:?}", state.tasks);
        let outputs: Outputs = state.tasks.iter().find(|(run, _)| run.as_str() == "a").unwrap().1.outputs.clone();
        assert_eq!(json!(outputs)["value"], "ax");
    }
    let prepared = place.executor().prepared(&flow, &Default::default(), false);
    let refused = place.executor().create_replay(&id, &prepared, &ReplayPart::From("ende".to_owned())).err().unwrap();
    assert!(refused.to_string().contains("there is no task `ende` to start from; did you mean `end`?"), "{refused}");
}
