//! Pauses: what resumes them, and with which inputs.

use std::sync::Arc;
use std::time::Duration;

use jitney::engine::EngineError;
use jitney::engine::executor::Executor;
use jitney::flow::Flow;
use jitney::id::ExecutionId;
use jitney::journal::ExecutionState;
use tokio_util::sync::CancellationToken;

use crate::language::world::{Place, executor, findings, flow, run, run_on};

fn approval() -> String {
    flow(
        "tasks:
  - {id: before, type: log, message: before}
  - id: approve
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: reason, type: STRING}
      - {id: days, type: INT, defaults: 3}
  - {id: after, type: log, message: \"{{ outputs.approve.onResume.reason }} {{ outputs.approve.onResume.days }}\"}",
    )
}

fn reported(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn resume(
    executor: &Executor,
    flow: &Arc<Flow>,
    id: &ExecutionId,
    given: &[(String, String)],
) -> Result<(), EngineError> {
    let (state, prepared) = (executor.runner().state(id)?, executor.prepared(flow, &Default::default(), false));
    let answer = executor.answer(id, state, &prepared, given, "test")?;
    executor.resume_with(id, prepared, answer)
}

#[tokio::test]
async fn an_execution_waits_until_somebody_resumes_it_and_hears_what_they_say() {
    let place = Place::new();
    let flow = place.flow(&approval());
    let id = place.create(&flow, &[]).unwrap();
    let state = place.resume(&flow, &id).await;
    assert_eq!((state.status, place.lines()), (ExecutionState::Paused, vec!["before".to_owned()]));
    // Taken up again without an answer, it is still paused.
    assert_eq!(place.resume(&flow, &id).await.status, ExecutionState::Paused);
    let answer = |answers: &[(&str, &str)]| resume(place.executor(), &flow, &id, &reported(answers));
    let refused = answer(&[("days", "x")]).unwrap_err();
    assert!(refused.to_string().contains("input `reason` has no value"), "{refused}");
    answer(&[("reason", "fine")]).unwrap();
    assert_eq!(place.resume(&flow, &id).await.status, ExecutionState::Success);
    assert_eq!(place.lines(), ["before", "fine 3"]);
    let again = answer(&[]).unwrap_err();
    assert!(again.to_string().contains("is SUCCESS and cannot be resumed"), "{again}");
}

#[tokio::test]
async fn a_pause_with_a_duration_goes_on_by_itself_as_it_says() {
    let text = |behavior: &str| {
        flow(&format!(
            "tasks:
  - {{id: rest, type: pause, delay: 30ms, behavior: {behavior}}}
  - {{id: after, type: log, message: after}}"
        ))
    };
    for (behavior, end, lines) in [("RESUME", "SUCCESS", 1), ("WARN", "WARNING", 1), ("FAIL", "FAILED", 0)] {
        let ran = run(&text(behavior)).await;
        assert_eq!((ran.status(), ran.lines.len()), (end, lines), "{behavior}: {:?}", ran.lines);
    }
    let ran = run(&text("CANCEL")).await;
    assert_eq!(ran.status(), "CANCELLED");
    assert_eq!(ran.lines, ["nobody resumed it in time: the execution is cancelled"]);
}

#[tokio::test]
async fn a_pause_that_nobody_ends_fails_at_its_timeout() {
    let ran = run(&flow("tasks: [{id: rest, type: pause, timeout: 30ms}]")).await;
    let task = ran.state.tasks.values().next().unwrap();
    assert_eq!((ran.status(), &*task.error.as_ref().unwrap().message), ("FAILED", "nobody resumed it in time"));
}

#[tokio::test]
async fn others_go_on_beside_a_pause() {
    let place = Place::new();
    let flow = place.flow(&flow(
        "tasks:
  - id: both
    type: parallel
    tasks:
      - {id: rest, type: pause}
      - id: work
        type: sequential
        tasks: [{id: s, type: sleep, duration: 30ms}, {id: say, type: log, message: done}]",
    ));
    let id = place.create(&flow, &[]).unwrap();
    let state = place.resume(&flow, &id).await;
    assert_eq!((state.status, place.lines()), (ExecutionState::Paused, vec!["done".to_owned()]));
}

#[tokio::test]
async fn what_waits_for_a_moment_can_be_resumed_earlier_from_elsewhere_and_killed() {
    let place = Place::new();
    let flow = place.flow(&flow("tasks: [{id: rest, type: pause, pauseDuration: 1h}]"));
    for kills in [false, true] {
        let id = place.create(&flow, &[]).unwrap();
        let cancel = CancellationToken::new();
        let none = serde_json::Map::new();
        let waiting = run_on(place.executor(), &flow, &id, &none, cancel.clone());
        let elsewhere = executor(place.runner.clone());
        let other = async {
            while place.runner.state(&id).unwrap().status != ExecutionState::Paused {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if kills {
                cancel.cancel();
            } else {
                resume(&elsewhere, &flow, &id, &[]).unwrap();
            }
        };
        let ((_, state), ()) = tokio::join!(waiting, other);
        let end = if kills { ExecutionState::Killed } else { ExecutionState::Success };
        assert_eq!(state.status, end);
    }
}

#[test]
fn a_pause_asks_for_no_secrets() {
    let text = flow("tasks:\n  - {id: p, type: pause, onResume: [{id: token, type: SECRET}]}");
    let expected = "4:36 `onResume`: `token` cannot be a SECRET: the answers to a pause are stored; \
                    use an input of the flow, or secret()";
    assert_eq!(findings(&text), [expected]);
}

#[test]
fn tasks_that_share_a_folder_do_not_pause() {
    let text = flow("tasks:\n  - {id: w, type: working_directory, tasks: [{id: p, type: pause}]}");
    assert_eq!(findings(&text), ["4:60 `p` cannot pause inside `w`"]);
}
