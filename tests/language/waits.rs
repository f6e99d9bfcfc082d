//! Loops that wait for a condition, loops that keep to themselves, and folders that tasks share.

use crate::language::world::{Place, findings, flow, run};

#[tokio::test]
async fn tasks_are_repeated_until_the_condition_holds() {
    let ran = run(&flow(
        "tasks:
  - id: ready
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: \"{{ outputs.ask.value == '3' }}\"
    checkFrequency: {interval: 1ms}
    tasks: [{id: ask, type: return, format: \"{{ outputs.ready.iterationCount }}\"}]
  - {id: say, type: log, message: \"{{ outputs.ready.iterationCount }} {{ outputs.ask.value }}\"}",
    ))
    .await;
    assert_eq!((ran.status(), ran.lines), ("SUCCESS", ["1", "2", "3", "3 3"].map(str::to_owned).to_vec()));
    assert_eq!(ran.state.tasks.len(), 2, "iterations that are over leave no task runs");
}

#[tokio::test]
async fn a_wait_in_vain_ends_at_its_bounds() {
    let text = |fails: bool, bounds: &str| {
        flow(&format!(
            "tasks:
  - id: ready
    type: wait_for
    condition: \"{{{{ false }}}}\"
    failOnMaxReached: {fails}
    checkFrequency: {{interval: 5ms, {bounds}}}
    task: {{id: ask, type: sleep, duration: 0s}}
  - {{id: say, type: log, message: \"{{{{ outputs.ready.iterationCount > 1 }}}}\"}}"
        ))
    };
    assert_eq!(run(&text(false, "maxIterations: 3")).await.lines, ["true"]);
    assert_eq!(run(&text(false, "maxDuration: 50ms")).await.lines, ["true"]);
    let ran = run(&text(true, "maxIterations: 2")).await;
    assert_eq!(ran.status(), "FAILED");
    assert_eq!(ran.lines, [""; 0]);
    let error = ran.state.tasks.values().find_map(|task| task.error.as_ref()).unwrap();
    assert_eq!(error.message, "the condition still did not hold after 2 iterations");
}

#[tokio::test]
async fn a_condition_without_a_value_fails_at_its_place() {
    let ran = run(&flow(
        "tasks:
  - id: ready
    type: wait_for
    condition: \"{{ outputs.ask.value | number > 3 }}\"
    tasks: [{id: ask, type: return, format: many}]",
    ))
    .await;
    let error = &ran.state.tasks.values().find_map(|task| task.error.as_ref()).unwrap().message;
    assert!(ran.status() == "FAILED" && error.contains("f.yaml:6:"), "{error}");
}

#[tokio::test]
async fn a_loop_gives_what_it_says_and_nothing_else() {
    let text = flow(
        "tasks:
  - id: months
    type: io.kestra.plugin.core.flow.Loop
    values: {a: 1, b: 2}
    outputs: [{id: twice, type: INT, value: \"{{ outputs.double.value }}\"}]
    tasks: [{id: double, type: return, format: \"{{ (item.value | number) * 2 }}\"}]
  - id: nested
    type: loop
    values: [x]
    tasks:
      - id: inner
        type: loop
        values: [y]
        tasks: [{id: say, type: log, message: \"{{ item.parent.value }}{{ item.value }}{{ item.index }}\"}]
  - {id: all, type: log, message: \"{{ outputs.months.outputs | jq('map(.item.key, .outputs.twice)') | first }}\"}
  - {id: count, type: log, message: \"{{ outputs.months.iterationCount }}\"}",
    );
    let ran = run(&text).await;
    assert_eq!(ran.lines, ["2", "4", "xy0", r#"["a",2,"b",4]"#, "2"], "{:?}", ran.state.tasks);
    let text = text.replace("{{ outputs.months.iterationCount }}", "{{ outputs.double.value }}");
    assert_eq!(findings(&text), ["18:41 `outputs.double`: task `double` is inside the loop `months`"]);
}

#[tokio::test]
async fn failed_iterations_of_a_loop_have_their_errors_and_may_be_passed_over() {
    let text = |transmits: bool| {
        flow(&format!(
            "tasks:
  - id: each
    type: loop
    values: [1, x, 3]
    transmitFailed: {transmits}
    tasks:
      - {{id: try, type: sleep, duration: \"{{{{ item.value == 'x' ? 'never' : '0s' }}}}\"}}
      - {{id: say, type: log, message: \"{{{{ item.value }}}}\"}}
    errors: [{{id: sorry, type: log, message: \"sorry {{{{ item.value }}}}\"}}]
    finally: [{{id: last, type: log, message: last}}]"
        ))
    };
    let ran = run(&text(true)).await;
    assert_eq!((ran.status(), ran.lines), ("FAILED", ["1", "sorry x", "last"].map(str::to_owned).to_vec()));
    let ran = run(&text(false)).await;
    assert_eq!((ran.status(), ran.lines), ("WARNING", ["1", "sorry x", "3", "last"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn each_parallel_runs_values_and_their_tasks_side_by_side() {
    let ran = run(&flow(
        "tasks:
  - id: each
    type: io.kestra.plugin.core.flow.EachParallel
    value: '[\"a\", \"b\"]'
    tasks:
      - id: slow
        type: sequential
        tasks: [{id: wait, type: sleep, duration: 100ms}, {id: late, type: log, message: late}]
      - {id: say, type: log, message: \"{{ taskrun.value }}\"}",
    ))
    .await;
    assert_eq!(ran.lines, ["a", "b", "late", "late"]);
}

#[tokio::test]
async fn scripts_share_a_folder_that_goes_when_they_have_ended() {
    let place = Place::new();
    let text = flow(
        "tasks:
  - id: together
    type: io.kestra.plugin.core.flow.WorkingDirectory
    inputFiles: {in.txt: hello}
    outputFiles: [\"*.up\"]
    cache: {patterns: [kept/**], ttl: PT1H}
    tasks:
      - {id: up, type: shell.commands, commands: [\"tr a-z A-Z < in.txt > out.up\"]}
      - {id: show, type: shell.commands, commands: [\"cat out.up; ls kept 2>/dev/null || true; mkdir -p kept; echo > kept/a\"]}
  - {id: read, type: shell.commands, commands: [\"echo read $(cat {{ outputs.together.outputFiles['out.up'] }})\"]}",
    );
    assert_eq!(place.run(&text, &[]).await.lines, ["HELLO", "read HELLO"]);
    place.forget_lines();
    assert_eq!(place.run(&text, &[]).await.lines, ["1 file from the cache", "HELLOa", "read HELLO"]);
    let left = std::fs::read_dir(place.folder.path().join("home/work")).unwrap().count();
    assert_eq!(left, 0, "folders are left");
}

#[tokio::test]
async fn tasks_that_share_a_folder_start_anew_together() {
    let place = Place::new();
    let flow = place.flow(&flow(
        "tasks:
  - {id: first, type: log, message: first}
  - id: together
    type: working_directory
    tasks:
      - {id: make, type: shell.commands, commands: [\"echo made; touch here\"]}
      - {id: need, type: shell.commands, commands: [\"test -f here && test -f PLACE/now\"]}"
            .replace("PLACE", &place.folder.path().display().to_string())
            .as_str(),
    ));
    let id = place.create(&flow, &[]).unwrap();
    assert_eq!(place.resume(&flow, &id).await.status.as_str(), "FAILED");
    place.write("now", "");
    assert_eq!(place.resume(&flow, &id).await.status.as_str(), "SUCCESS");
    assert_eq!(place.lines().iter().filter(|line| *line == "made").count(), 2);
    assert_eq!(place.lines().iter().filter(|line| *line == "first").count(), 1);
}
