//! Flows that start flows.

use std::sync::Arc;

use jitney::journal::ExecutionState;
use tokio_util::sync::CancellationToken;

use crate::language::world::{Place, flow, run_on};

const CHILD: &str = "
id: child
namespace: n
inputs: [{id: name, type: STRING}]
outputs: [{id: greeting, type: STRING, value: \"{{ outputs.greet.value }}\"}]
tasks:
  - {id: greet, type: return, format: \"hello {{ inputs.name }} from {{ trigger.flowId }}\"}
  - {id: say, type: log, message: \"{{ outputs.greet.value }} {{ labels.team ?? 'none' }}\"}
";

const FAILING: &str = "
id: failing
namespace: n
tasks: [{id: bad, type: sleep, duration: \"{{ 'no duration' }}\"}]
";

#[tokio::test]
async fn a_flow_runs_another_and_takes_its_outputs() {
    let place = Place::with(&[("below/child.yaml", CHILD)]);
    let ran = place
        .run(
            &flow(
                "labels: {team: red}
tasks:
  - id: sub
    type: io.kestra.plugin.core.flow.Subflow
    namespace: n
    flowId: child
    inputs: {name: you}
    inheritLabels: true
  - {id: say, type: log, message: \"{{ outputs.sub.state }}: {{ outputs.sub.outputs.greeting }}\"}",
            ),
            &[],
        )
        .await;
    assert_eq!(
        ran.lines,
        ["hello you from f", "hello you from f red", "SUCCESS: hello you from f"],
        "{:?}",
        ran.state.tasks
    );
}

#[tokio::test]
async fn a_failed_sub_execution_fails_the_task_unless_it_may() {
    let place = Place::with(&[("failing.yaml", FAILING)]);
    let text = |transmits: bool| {
        flow(&format!(
            "tasks:
  - {{id: sub, type: subflow, namespace: n, flowId: failing, transmitFailed: {transmits}}}
  - {{id: say, type: log, message: \"{{{{ outputs.sub.state }}}}\"}}"
        ))
    };
    let ran = place.run(&text(true), &[]).await;
    let error = &ran.state.tasks.values().next().unwrap().error.as_ref().unwrap().message;
    assert!(error.starts_with("the flow `n.failing` ended FAILED (execution "), "{error}");
    let ran = place.run(&text(false), &[]).await;
    assert_eq!((ran.status(), &*ran.lines), ("SUCCESS", &["FAILED".to_owned()][..]));
}

#[tokio::test]
async fn what_is_not_there_or_does_not_fit_is_said_in_plain_words() {
    let place = Place::with(&[("child.yaml", CHILD)]);
    for (fields, expected) in [
        ("flowId: chld", "there is no flow `chld` in the namespace `n`"),
        ("flowId: child", "the flow `n.child`: input `name` has no value"),
        ("flowId: child, inputs: {nam: x}", "the flow has no input `nam`"),
    ] {
        let ran = place.run(&flow(&format!("tasks: [{{id: sub, type: subflow, namespace: n, {fields}}}]")), &[]).await;
        let error = &ran.state.tasks.values().next().unwrap().error.as_ref().unwrap().message;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_flow_that_starts_itself_comes_to_an_end() {
    let text = "id: self\nnamespace: n\ntasks: [{id: again, type: subflow, namespace: n, flowId: self}]";
    let place = Place::with(&[("self.yaml", text)]);
    let ran = place.run(text, &[]).await;
    assert_eq!(ran.status(), "FAILED");
    let executions = place.runner.journal.executions(None, 100).unwrap();
    let deepest = place.runner.state(&executions[0].id).unwrap();
    let error = deepest.tasks.values().next().unwrap().error.as_ref().unwrap();
    assert_eq!(
        (executions.len(), &*error.message),
        (17, "subflows are nested more than 16 levels deep; the last one is `self`")
    );
}

#[tokio::test]
async fn killing_an_execution_kills_those_it_started_and_a_restart_goes_on_with_them() {
    let slow = "id: slow\nnamespace: n\ntasks: [{id: first, type: log, message: first}, {id: nap, type: sleep, duration: 300ms}]";
    let place = Place::with(&[("slow.yaml", slow)]);
    let flow = place.flow(&flow("tasks: [{id: sub, type: subflow, namespace: n, flowId: slow}]"));
    let id = place.create(&flow, &[]).unwrap();
    let cancel = CancellationToken::new();
    let none = serde_json::Map::new();
    let running = run_on(place.executor(), &flow, &id, &none, cancel.clone());
    let killer = async {
        while place.lines().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let ((_, state), ()) = tokio::join!(running, killer);
    assert_eq!(state.status, ExecutionState::Killed);
    let child = place.runner.journal.children(&id).unwrap().remove(0);
    assert_eq!(place.runner.state(&child).unwrap().status, ExecutionState::Killed);
    assert_eq!(place.resume(&flow, &id).await.status, ExecutionState::Success);
    assert_eq!(place.runner.journal.children(&id).unwrap(), [child], "it went on with the same one");
    assert_eq!(place.lines(), ["first"], "what had ended well did not run again");
}

#[tokio::test]
async fn what_is_not_waited_for_runs_all_the_same() {
    let place = Place::with(&[("child.yaml", CHILD)]);
    let text = flow(
        "tasks:
  - {id: sub, type: subflow, namespace: n, flowId: child, inputs: {name: you}, wait: false}
  - {id: say, type: log, message: \"{{ outputs.sub.state }}\"}",
    );
    place.run(&text, &[]).await;
    place.executor().wait_for_detached().await;
    let mut lines = place.lines();
    lines.sort();
    assert_eq!(lines, ["CREATED", "hello you from f", "hello you from f none"]);
}

#[tokio::test]
async fn flows_that_start_each_other_without_end_come_to_one() {
    let twins = flow(
        "tasks:
  - {id: one, type: subflow, namespace: n, flowId: f, wait: false}
  - {id: two, type: subflow, namespace: n, flowId: f, wait: false}",
    );
    let mut place = Place::with(&[("f.yaml", &twins)]);
    Arc::make_mut(&mut place.runner.settings).max_descendants = 40;
    let root = place.flow(&twins);
    let id = place.create(&root, &[]).unwrap();
    place.resume(&root, &id).await;
    place.executor().wait_for_detached().await;
    // Those that are in progress at a time may look at the same number.
    let count = place.runner.journal.descendants(&id).unwrap();
    assert!((40..60).contains(&count), "{count}");
    let last = place.runner.journal.children(&id).unwrap().remove(0);
    assert_eq!(place.runner.journal.descendants(&last).unwrap(), count, "it is the root's number");
}

#[tokio::test]
async fn the_limit_of_descendants_is_told_at_the_task() {
    let each = |kind: &str| {
        flow(&format!(
            "tasks:
  - id: each
    type: {kind}"
        ))
    };
    let batches = "for_each_item
    items: items.csv
    namespace: n
    flowId: child
    inputs: {name: you}
    wait: false";
    let loops = "for_each
    values: [1, 2, 3, 4]
    tasks: [{id: sub, type: subflow, namespace: n, flowId: child, inputs: {name: you}, wait: false}]";
    for kind in [batches, loops] {
        let mut place = Place::with(&[("child.yaml", CHILD), ("items.csv", "a\nb\nc\nd\n")]);
        Arc::make_mut(&mut place.runner.settings).max_descendants = 3;
        let ran = place.run(&each(kind), &[]).await;
        assert_eq!(ran.status(), "FAILED");
        let errors: Vec<_> = ran.state.tasks.values().filter_map(|task| task.error.as_ref()).collect();
        let reported = format!("{errors:?}");
        assert!(reported.contains("an execution may start at most 3 others"), "{reported}");
        assert!(reported.contains("JITNEY_MAX_DESCENDANTS"), "{reported}");
    }
}

#[tokio::test]
async fn a_file_is_worked_on_in_batches_by_another_flow() {
    let batch = "
id: batch
namespace: n
inputs: [{id: file, type: STRING}, {id: number, type: INT}]
outputs: [{id: lines, type: JSON, value: \"{{ outputs.count.vars.lines }}\"}]
tasks:
  - id: count
    type: shell.commands
    commands: ['echo \"::{\\\"outputs\\\":{\\\"lines\\\":$(wc -l < {{ inputs.file }})}}::\"']
";
    let place = Place::with(&[("batch.yaml", batch), ("items.csv", "a\nb\nc\nd\ne\n")]);
    let ran = place
        .run(
            &flow(
                "tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEachItem
    items: items.csv
    batch: {rows: 2}
    namespace: n
    flowId: batch
    inputs: {file: \"{{ taskrun.items }}\", number: \"{{ taskrun.iteration }}\"}
  - {id: say, type: log, message: \"{{ outputs.each.numberOfBatches }} {{ outputs.each.iterations.SUCCESS }}\"}
  - {id: all, type: shell.commands, commands: [\"cat {{ outputs.each.subflowOutputs }}\"]}",
            ),
            &[],
        )
        .await;
    let expected = ["3 3", "{\"lines\":2}", "{\"lines\":2}", "{\"lines\":1}"];
    assert_eq!(ran.lines, expected, "{:?}", ran.state.tasks);
}
