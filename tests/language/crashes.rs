//! Crash safety of every construct: a journal is cut after every event in turn, and resumed to the same end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jitney::id::ExecutionId;
use jitney::journal::State;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::language::world::{Place, executor, flow, parsed, run_on, runner};

const CHILD: &str = "
id: child
namespace: n
inputs: [{id: name, type: STRING}]
outputs: [{id: name, type: STRING, value: \"{{ outputs.greet.value }}\"}]
tasks: [{id: greet, type: return, format: \"hello {{ inputs.name }}\"}, {id: rest, type: pause, delay: 1ms}]
";

/// A home whose journal ends after this many events of an execution, and of others at the same time.
fn cut(home: &Path, into: &Path, id: &ExecutionId, events: u32) {
    std::fs::create_dir_all(into).unwrap();
    let whole = Connection::open(home.join("journal.db")).unwrap();
    whole.execute("VACUUM INTO ?", [into.join("journal.db").to_str().unwrap()]).unwrap();
    let journal = Connection::open(into.join("journal.db")).unwrap();
    let last = "SELECT time FROM events WHERE execution = ?1 AND number = ?2";
    let time: String = journal.query_row(last, (id.as_str(), events - 1), |row| row.get(0)).unwrap();
    journal.execute("DELETE FROM events WHERE execution = ?1 AND number >= ?2", (id.as_str(), events)).unwrap();
    journal.execute("DELETE FROM events WHERE execution <> ?1 AND time > ?2", (id.as_str(), &time)).unwrap();
    journal.execute("DELETE FROM executions WHERE id NOT IN (SELECT execution FROM events)", ()).unwrap();
}

/// How an execution and each of its tasks ended, and what they gave except for ids and times.
fn end(state: &State) -> Value {
    let tasks = state.tasks.iter().map(|(run, task)| {
        let mut outputs = task.outputs.clone();
        ["executionId", "resumed", "subflowOutputs", "uri"].iter().for_each(|name| drop(outputs.shift_remove(*name)));
        json!([run, task.state.as_str(), outputs])
    });
    json!({"state": state.status, "outputs": state.outputs, "tasks": tasks.collect::<Vec<_>>()})
}

async fn ends_the_same_wherever_it_is_cut(tasks: &str) {
    let place = Place::with(&[("child.yaml", CHILD), ("items.txt", "a\nb\nc\n")]);
    let flow = place.flow(&flow(tasks));
    let id = place.create(&flow, &[]).unwrap();
    let none = serde_json::Map::new();
    let whole = place.resume(&flow, &id).await;
    let children = place.runner.journal.children(&id).unwrap().len();
    let home = place.folder.path().join("home");
    let count = "SELECT count(*) FROM events WHERE execution = ?";
    let journal = Connection::open(home.join("journal.db")).unwrap();
    let count: u32 = journal.query_row(count, [id.as_str()], |row| row.get(0)).unwrap();
    assert!(count > 5, "{count} events");
    for events in 1..=count {
        let into = place.folder.path().join(format!("cut-{events}"));
        cut(&home, &into, &id, events);
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let flow = parsed(place.folder.path(), &crate::language::world::flow(tasks));
        let runner = runner(&into, &lines);
        let executor = executor(runner.clone());
        let (_, state) = run_on(&executor, &flow, &id, &none, CancellationToken::new()).await;
        assert_eq!(end(&state), end(&whole), "after {events} of {count} events: {lines:?}");
        assert_eq!(runner.state(&id).unwrap(), state, "after {events} events");
        assert_eq!(runner.journal.children(&id).unwrap().len(), children, "after {events} events");
    }
}

#[tokio::test]
async fn loops_and_pauses() {
    ends_the_same_wherever_it_is_cut(
        "outputs: [{id: count, type: INT, value: \"{{ outputs.ready.iterationCount }}\"}]
tasks:
  - {id: rest, type: pause, delay: 20ms, behavior: WARN}
  - id: ready
    type: wait_for
    condition: \"{{ outputs.ask.value == '2' }}\"
    checkFrequency: {interval: 5ms}
    tasks: [{id: ask, type: return, format: \"{{ outputs.ready.iterationCount }}\"}]
  - id: each
    type: loop
    values: [1, 2]
    concurrencyLimit: 2
    outputs: [{id: x, type: STRING, value: \"{{ outputs.y.value }}\"}]
    tasks: [{id: y, type: return, format: \"y{{ item.value }}\"}]
  - {id: last, type: return, format: \"{{ outputs.each.outputs[1].outputs.x }}\"}",
    )
    .await;
}

#[tokio::test]
async fn sub_executions() {
    ends_the_same_wherever_it_is_cut(
        "tasks:
  - {id: sub, type: subflow, namespace: n, flowId: child, inputs: {name: you}}
  - {id: each, type: for_each_item, items: items.txt, namespace: n, flowId: child, inputs: {name: \"{{ taskrun.items }}\"}}
  - {id: last, type: return, format: \"{{ outputs.sub.outputs.name }} {{ outputs.each.numberOfBatches }}\"}",
    )
    .await;
}

#[tokio::test]
async fn failures_and_what_follows_them() {
    ends_the_same_wherever_it_is_cut(
        "tasks:
  - id: try
    type: sequential
    tasks: [{id: bad, type: sleep, duration: \"{{ 'no duration' }}\"}]
    errors: [{id: inside, type: log, message: inside}]
errors: [{id: sorry, type: log, message: sorry}]
finally: [{id: last, type: log, message: last}]
afterExecution: [{id: tell, type: return, format: \"{{ execution.state }}\"}]",
    )
    .await;
}

#[tokio::test]
async fn repeated_executions() {
    ends_the_same_wherever_it_is_cut(
        "retry: {type: constant, interval: 1ms, maxAttempts: 3}
tasks:
  - {id: first, type: return, format: first}
  - {id: bad, type: shell.commands, commands: [exit 3]}
errors: [{id: sorry, type: log, message: sorry}]",
    )
    .await;
}

#[tokio::test]
async fn shared_folders_and_promises() {
    ends_the_same_wherever_it_is_cut(
        "sla: [{id: wrong, type: EXECUTION_ASSERTION, assert: \"{{ false }}\", behavior: NONE, labels: {a: b}}]
tasks:
  - id: together
    type: working_directory
    outputFiles: [out]
    tasks:
      - {id: make, type: shell.commands, commands: [\"echo x > out\"]}
      - {id: need, type: shell.commands, commands: [\"test -f out\"]}
  - {id: last, type: return, format: \"{{ outputs.need.exitCode }}\"}",
    )
    .await;
}

#[tokio::test]
async fn the_execution_that_repeats_another_stays_the_same_one() {
    for is_automatic in [false, true] {
        repeat_after_a_crash(is_automatic).await;
    }
}

/// Cuts a journal where an execution was to be repeated by a new one; it is taken up by hand, or with all that was left.
async fn repeat_after_a_crash(is_automatic: bool) {
    let text = flow(
        "retry: {type: constant, interval: 1ms, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}
tasks: [{id: bad, type: shell.commands, commands: [exit 3]}]",
    );
    let place = Place::new();
    let flow = place.flow(&text);
    let id = place.create(&flow, &[]).unwrap();
    place.resume(&flow, &id).await;
    let whole = place.runner.state(&id).unwrap();
    let events = "SELECT number FROM events WHERE execution = ? AND json_extract(body, '$.kind') = 'retrying'";
    let home = place.folder.path().join("home");
    let journal = Connection::open(home.join("journal.db")).unwrap();
    let retrying: u32 = journal.query_row(events, [id.as_str()], |row| row.get(0)).unwrap();
    let into = place.folder.path().join("cut");
    cut(&home, &into, &id, retrying + 1);
    let runner = runner(&into, &Arc::default());
    let executor = executor(runner.clone());
    if is_automatic {
        let summary = "UPDATE executions SET state = 'RETRYING', ended = NULL WHERE id = ?";
        Connection::open(into.join("journal.db")).unwrap().execute(summary, [id.as_str()]).unwrap();
        assert_eq!(executor.take_over().unwrap(), 1);
        let successor = whole.successor.clone().unwrap();
        let has_ended = || runner.state(&successor).is_ok_and(|state| state.status.has_ended());
        while !has_ended() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    } else {
        let (last, _) = run_on(&executor, &flow, &id, &serde_json::Map::new(), CancellationToken::new()).await;
        assert_eq!(Some(last), whole.successor);
    }
    let state = runner.state(&id).unwrap();
    assert_eq!((state.status, &state.successor), (whole.status, &whole.successor));
    let all = runner.journal.executions(None, 9).unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
}
