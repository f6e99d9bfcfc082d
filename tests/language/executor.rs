//! The same constructs where many executions run in one process.

use std::time::Duration;

use jitney::engine::executor::{Executor, ExecutorOptions};
use jitney::engine::{ExecutionRequest, ReplayPart, SubmitError};
use jitney::id::ExecutionId;
use jitney::journal::{ExecutionState, State};
use jitney::tasks;

use crate::language::world::{Place, flow};

fn executor(place: &Place) -> Executor {
    Executor::open(place.runner.clone(), ExecutorOptions { takes_over: true, ..ExecutorOptions::new(tasks::ALL) })
        .unwrap()
}

/// Submits a flow that is in a file, as all flows of a server do.
fn submit(place: &Place, executor: &Executor, text: &str) -> Result<ExecutionId, SubmitError> {
    place.write("f.yaml", text);
    executor.submit(&place.flow(text), ExecutionRequest::default())
}

async fn ended(executor: &Executor, id: &ExecutionId) -> State {
    loop {
        let state = executor.runner().state(id).unwrap();
        if state.status.has_ended() {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn pauses_end_by_themselves_or_by_an_answer() {
    let (place, text) = (Place::new(), flow("tasks: [{id: rest, type: pause, delay: 30ms}]"));
    let executor = executor(&place);
    let id = submit(&place, &executor, &text).unwrap();
    assert_eq!(ended(&executor, &id).await.status, ExecutionState::Success);
    let text = flow("tasks: [{id: ask, type: pause, onResume: [{id: a, type: INT}]}]");
    let id = submit(&place, &executor, &text).unwrap();
    assert_eq!(executor.wait(&id).await.unwrap().status, ExecutionState::Paused);
    assert!(executor.resume(&id, vec![("a".into(), "x".into())]).is_err());
    executor.resume(&id, vec![("a".into(), "3".into())]).unwrap();
    let state = ended(&executor, &id).await;
    let outputs = &state.tasks.values().next().unwrap().outputs;
    assert_eq!((state.status, &outputs["onResume"]["a"]), (ExecutionState::Success, &3.into()));
}

#[tokio::test]
async fn a_rest_in_the_middle_changes_nothing() {
    let (place, text) = (
        Place::new(),
        flow(
            "tasks:
  - id: both
    type: parallel
    tasks:
      - {id: bad, type: sleep, duration: \"{{ 'no duration' }}\"}
      - {id: slow, type: sleep, duration: 200ms}
errors: [{id: sorry, type: log, message: sorry}]",
        ),
    );
    let first = executor(&place);
    let id = submit(&place, &first, &text).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.stop(Duration::ZERO).await;
    drop(first);
    assert_eq!(place.runner.state(&id).unwrap().status, ExecutionState::Queued);
    let second = executor(&place);
    let state = ended(&second, &id).await;
    let attempts: Vec<(&str, u32)> = state.tasks.iter().map(|(run, task)| (run.as_str(), task.attempts)).collect();
    assert_eq!(state.status, ExecutionState::Failed);
    assert_eq!(attempts, [("bad", 1), ("both", 1), ("slow", 2), ("sorry", 1)], "what had failed was not repeated");
}

#[tokio::test]
async fn what_a_flow_repeats_anew_is_and_what_somebody_replays_too() {
    let place = Place::new();
    let marker = place.folder.path().join("there").display().to_string();
    let text = flow(&format!(
        "retry: {{type: constant, interval: 10ms, maxAttempts: 3, behavior: CREATE_NEW_EXECUTION}}
tasks:
  - {{id: first, type: return, format: x}}
  - {{id: once, type: shell.commands, commands: ['test -f {marker} || (touch {marker}; exit 1)']}}"
    ));
    let executor = executor(&place);
    let id = submit(&place, &executor, &text).unwrap();
    let state = ended(&executor, &id).await;
    assert_eq!(state.status, ExecutionState::Retried);
    let successor = state.successor.unwrap();
    assert_eq!(ended(&executor, &successor).await.status, ExecutionState::Success);
    let replay = executor.replay(&id, &ReplayPart::From("once".to_owned()), None, Vec::new()).unwrap();
    let state = ended(&executor, &replay).await;
    assert_eq!((state.status, state.created.original.as_ref()), (ExecutionState::Success, Some(&id)));
}

#[tokio::test]
async fn checks_forbid_executions_and_a_kill_takes_sub_executions_along() {
    let place = Place::with(&[("slow.yaml", "id: slow\nnamespace: n\ntasks: [{id: nap, type: sleep, duration: 1h}]")]);
    let executor = executor(&place);
    let text =
        flow("checks: [{condition: \"{{ false }}\", message: not now}]\ntasks: [{id: a, type: log, message: a}]");
    let refused = submit(&place, &executor, &text).unwrap_err();
    assert_eq!(refused.to_string(), "not now");
    let id = submit(&place, &executor, &flow("tasks: [{id: sub, type: subflow, namespace: n, flowId: slow}]")).unwrap();
    let child = loop {
        match place.runner.journal.children(&id).unwrap().pop() {
            Some(child) if place.runner.state(&child).unwrap().status == ExecutionState::Running => break child,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    executor.kill(&id).unwrap();
    assert_eq!(ended(&executor, &id).await.status, ExecutionState::Killed);
    assert_eq!(ended(&executor, &child).await.status, ExecutionState::Killed);
}

#[tokio::test]
async fn a_paused_execution_that_is_killed_starts_again_with_the_pause() {
    let place = Place::new();
    let executor = executor(&place);
    let text = flow("tasks: [{id: before, type: log, message: before}, {id: ask, type: pause}]");
    let id = submit(&place, &executor, &text).unwrap();
    assert_eq!(executor.wait(&id).await.unwrap().status, ExecutionState::Paused);
    executor.kill(&id).unwrap();
    assert_eq!(ended(&executor, &id).await.status, ExecutionState::Killed);
    executor.restart(&id, Vec::new()).unwrap();
    assert_eq!(executor.wait(&id).await.unwrap().status, ExecutionState::Paused);
    assert_eq!(place.lines(), ["before"], "what had ended well did not run again");
}

#[tokio::test]
async fn an_answer_is_no_interruption() {
    let place = Place::new();
    let executor = executor(&place);
    let id = submit(&place, &executor, &flow("tasks: [{id: ask, type: pause}, {id: more, type: pause}]")).unwrap();
    for _ in 0..2 {
        assert_eq!(executor.wait(&id).await.unwrap().status, ExecutionState::Paused);
        executor.resume(&id, Vec::new()).unwrap();
    }
    let state = ended(&executor, &id).await;
    assert_eq!((state.status, state.interruptions), (ExecutionState::Success, 0));
}

#[tokio::test]
async fn what_waits_for_a_sub_execution_does_not_keep_it_from_running() {
    let child = "id: child\nnamespace: n\nconcurrency: {limit: 1}\ntasks: [{id: nap, type: sleep, duration: 20ms}]";
    let place = Place::with(&[("child.yaml", child)]);
    let executor =
        Executor::open(place.runner.clone(), ExecutorOptions { parallel: 1, ..ExecutorOptions::new(tasks::ALL) })
            .unwrap();
    let subflow = "type: subflow, namespace: n, flowId: child";
    let text = format!(
        "tasks:
  - id: both
    type: parallel
    tasks: [{{id: a, {subflow}}}, {{id: b, {subflow}}}, {{id: c, {subflow}, wait: false}}]"
    );
    let ids = [(); 3].map(|()| submit(&place, &executor, &flow(&text)).unwrap());
    for id in &ids {
        assert_eq!(executor.wait(id).await.unwrap().status, ExecutionState::Success);
    }
    executor.wait_for_detached().await;
    for child in ids.iter().flat_map(|id| place.runner.journal.children(id).unwrap()) {
        assert_eq!(place.runner.state(&child).unwrap().status, ExecutionState::Success);
    }
}

#[tokio::test]
async fn a_sub_execution_can_be_killed_by_itself() {
    let place = Place::with(&[("slow.yaml", "id: slow\nnamespace: n\ntasks: [{id: nap, type: sleep, duration: 1h}]")]);
    let executor = executor(&place);
    let id = submit(&place, &executor, &flow("tasks: [{id: sub, type: subflow, namespace: n, flowId: slow}]")).unwrap();
    let child = loop {
        match place.runner.journal.children(&id).unwrap().pop() {
            Some(child) if place.runner.state(&child).unwrap().status == ExecutionState::Running => break child,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    executor.kill(&child).unwrap();
    let state = ended(&executor, &id).await;
    let error = state.tasks.values().next().unwrap().error.as_ref().unwrap();
    assert!(error.message.starts_with("the flow `n.slow` ended KILLED"), "{}", error.message);
}
