//! Loops: their values, their outputs, their limits, and their memory.

use crate::language::world::{flow, run};

#[tokio::test]
async fn for_each_runs_its_tasks_for_every_value_in_order() {
    let ran = run(&flow(
        "tasks:
  - id: months
    type: io.kestra.plugin.core.flow.ForEach
    values: [\"01\", \"02\"]
    tasks:
      - {id: name, type: return, format: \"m{{ taskrun.value }}\"}
      - {id: say, type: log, message: \"{{ outputs.name.value }} at {{ taskrun.iteration }}\"}
  - {id: after, type: log, message: \"{{ outputs.name['02'].value }}\"}",
    ))
    .await;
    assert_eq!(ran.lines, ["m01", "m01 at 0", "m02", "m02 at 1", "m02"]);
}

#[tokio::test]
async fn loops_nest_and_see_the_values_around_them() {
    let ran = run(&flow(
        "tasks:
  - id: taxis
    type: for_each
    values: '[\"green\", \"yellow\"]'
    tasks:
      - id: months
        type: for_each
        values: [1, 2]
        tasks: [{id: say, type: log, message: \"{{ parent.taskrun.value }} {{ taskrun.value }}\"}]",
    ))
    .await;
    assert_eq!(ran.lines, ["green 1", "green 2", "yellow 1", "yellow 2"]);
}

#[tokio::test]
async fn a_loop_works_on_as_many_values_at_a_time_as_it_may() {
    let text = |limit: u32| {
        flow(&format!(
            "tasks:
  - id: each
    type: for_each
    concurrencyLimit: {limit}
    values: [300ms, 1ms]
    tasks:
      - {{id: wait, type: sleep, duration: \"{{{{ taskrun.value }}}}\"}}
      - {{id: say, type: log, message: \"{{{{ taskrun.value }}}}\"}}"
        ))
    };
    assert_eq!(run(&text(1)).await.lines, ["300ms", "1ms"]);
    assert_eq!(run(&text(2)).await.lines, ["1ms", "300ms"]);
}

#[tokio::test]
async fn outputs_of_a_loop_are_in_the_order_of_its_values_whatever_ends_first() {
    let ran = run(&flow(
        "tasks:
  - id: each
    type: for_each
    concurrencyLimit: 0
    values: [300ms, 1ms, 150ms]
    tasks:
      - {id: wait, type: sleep, duration: \"{{ taskrun.value }}\"}
      - {id: name, type: return, format: \"{{ taskrun.value }}\"}
  - {id: after, type: log, message: \"{{ outputs.name | keys }}\"}",
    ))
    .await;
    assert_eq!(ran.lines.last().map(String::as_str), Some("[\"300ms\",\"1ms\",\"150ms\"]"), "{:?}", ran.lines);
}

#[tokio::test]
async fn ten_thousand_iterations_leave_no_trace_in_memory() {
    let values: Vec<String> = (0..10_000).map(|index| index.to_string()).collect();
    let ran = run(&flow(&format!(
        "tasks:
  - id: each
    type: for_each
    concurrencyLimit: 0
    values: [{}]
    tasks: [{{id: nothing, type: sleep, duration: 0s}}]",
        values.join(", ")
    )))
    .await;
    assert_eq!(ran.status(), "SUCCESS");
    assert_eq!(ran.state.tasks.len(), 1, "only the loop itself is kept");
}

#[tokio::test]
async fn a_failed_iteration_stops_the_loop_and_the_flow() {
    let ran = run(&flow(
        "tasks:
  - id: each
    type: for_each
    values: [1s, not a duration, 1s]
    tasks:
      - {id: say, type: log, message: \"{{ taskrun.value }}\"}
      - {id: wait, type: sleep, duration: \"{{ taskrun.value == '1s' ? '0s' : taskrun.value }}\"}
  - {id: after, type: log, message: after}",
    ))
    .await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", vec!["1s".to_owned(), "not a duration".to_owned()]));
}

#[tokio::test]
async fn tasks_of_an_iteration_see_one_another_by_its_value_too() {
    let ran = run(&flow(
        "tasks:
  - id: taxis
    type: io.kestra.plugin.core.flow.ForEach
    values: [green, yellow]
    concurrencyLimit: 0
    tasks:
      - {id: name, type: return, format: \"{{ taskrun.value }}!\"}
      - id: months
        type: io.kestra.plugin.core.flow.ForEach
        values: '[\"01\", \"02\"]'
        tasks:
          - {id: file, type: return, format: \"{{ parent.taskrun.value }}-{{ taskrun.value }}\"}
          - {id: said, type: return, format: \"{{ outputs.file[parent.taskrun.value][taskrun.value].value }} {{ currentEachOutput(outputs.file).value }}\"}
      - {id: both, type: return, format: \"{{ outputs.name[taskrun.value].value }} {{ outputs.said[taskrun.value]['02'].value }}\"}
  - {id: after, type: log, message: \"{{ outputs.both.green.value }}, {{ outputs.file.yellow['01'].value }}\"}",
    ))
    .await;
    assert_eq!(ran.lines.last().unwrap(), "green! green-02 green-02, yellow-01");
}

#[tokio::test]
async fn what_runs_within_an_if_of_a_loop_finds_the_value_with_its_parent() {
    let ran = run(&flow(
        "tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - id: only_b
        type: io.kestra.plugin.core.flow.If
        condition: \"{{ taskrun.value == 'b' }}\"
        then:
          - id: again
            type: io.kestra.plugin.core.flow.ForEach
            values: [x]
            tasks:
              - {id: say, type: log, message: \"{{ parent.taskrun.value }} {{ taskrun.value }} {{ parents | length }}\"}
          - {id: tell, type: log, message: \"{{ parent.taskrun.value }} {{ parent.outputs.evaluationResult }} {{ taskrun.value }}\"}",
    ))
    .await;
    assert_eq!(ran.lines, ["b x 1", "b true b"]);
}

#[tokio::test]
async fn tasks_side_by_side_within_a_loop_find_its_value_with_their_parent() {
    let ran = run(&flow(
        "tasks:
  - id: for_each
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, 2]
    tasks:
      - id: parallel
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - {id: log, type: io.kestra.plugin.core.log.Log, message: \"Processing {{ parent.taskrun.value }}\"}",
    ))
    .await;
    assert_eq!(ran.lines, ["Processing 1", "Processing 2"]);
}
