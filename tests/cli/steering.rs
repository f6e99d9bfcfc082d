//! Executions that wait, are resumed, replayed and held back, as users meet them.

use serde_json::json;

use crate::cli::world::{World, output_of};

const APPROVAL: &str = "id: f
namespace: n
inputs: [{id: token, type: SECRET}]
outputs: [{id: answer, type: STRING, value: \"{{ outputs.approve.onResume.reason }}\"}]
tasks:
  - {id: before, type: log, message: before}
  - id: approve
    type: pause
    onResume: [{id: reason, type: SELECT, values: [fine, bad]}]
  - {id: after, type: log, message: \"after {{ outputs.approve.onResume.reason }}\"}
";

#[test]
fn a_pause_exits_with_4_and_prints_how_to_resume() {
    let world = World::new();
    world.write("f.yaml", APPROVAL.replace("type: log, message: before", "type: sleep, duration: 200ms"));
    let paused = world.jitney(&["run", "f.yaml", "-i", "token=geheim77"]).ended(4).without_data();
    let id = world.newest_id();
    // The tasks before the pause took their time.
    assert!(!paused.err.contains("PAUSED in 0.0 s"), "{paused}");
    paused.says("PAUSED in").says(&format!("Paused at approve. Resume with: jitney resume {id}"));
    assert_eq!(world.newest()["state"], "PAUSED");
    let refused = world.jitney(&["resume", &id, "-i", "token=geheim77", "-i", "reason=worse"]).ended(3).without_data();
    assert_eq!(refused.err, "error: input `reason`: `worse` is not one of `fine`, `bad`\n");
    let resumed = world.jitney(&["resume", &id, "-i", "token=geheim77", "-i", "reason=fine", "--json"]).ended(0);
    assert_eq!(resumed.json()["outputs"], json!({"answer": "fine"}));
    assert!(!world.journal_text().contains("geheim77"));
    let shown = world.jitney(&["executions", "show", &id]).ended(0);
    assert!(shown.out.contains("  output  answer = fine\n"), "{shown}");
}

#[test]
fn a_replay_is_a_new_execution_that_starts_from_a_task() {
    let world = World::new();
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: a, type: return, format: early}\n  - {id: b, type: log, message: \"{{ outputs.a.value }} words\"}\n");
    world.jitney(&["run", "f.yaml"]).ended(0);
    let id = world.newest_id();
    let replayed = world.jitney(&["replay", &id, "--from", "b"]).ended(0).says("early words");
    assert!(!replayed.err.contains("✓ a "), "{replayed}");
    assert_ne!(world.newest_id(), id);
    let shown = world.jitney(&["executions", "show", &world.newest_id()]).ended(0);
    assert!(shown.out.contains(&format!("  repeats {id}\n")), "{shown}");
    world.jitney(&["replay", &id, "--from", "c"]).ended(3).says("error: there is no task `c` to start from");
}

#[test]
fn one_task_runs_alone_with_the_outputs_of_an_earlier_execution() {
    let world = World::new();
    let flow = "id: f
namespace: n
inputs: [{id: who, type: STRING, defaults: Ada}]
tasks:
  - {id: a, type: return, format: early}
  - id: both
    type: sequential
    tasks:
      - {id: b, type: log, message: \"{{ outputs.a.value }} words for {{ inputs.who }}\"}
      - {id: c, type: log, message: late}
  - id: each
    type: for_each
    values: [1]
    tasks: [{id: d, type: log, message: \"number {{ taskrun.value }}\"}]
finally: [{id: z, type: log, message: finally}]
";
    world.write("f.yaml", flow);
    world.jitney(&["run", "f.yaml", "-i", "who=Grace"]).ended(0);
    let id = world.newest_id();
    let alone = world.jitney(&["replay", &id, "--only", "b"]).ended(0).says("early words for Grace");
    for other in ["✓ a ", "late", "number", "finally"] {
        assert!(!alone.err.contains(other), "{other}: {alone}");
    }
    let alone = world.jitney(&["replay", &id, "--only", "each"]).ended(0).says("number 1");
    assert!(!alone.err.contains("words") && !alone.err.contains("finally"), "{alone}");
    world
        .jitney(&["replay", &id, "--only", "d"])
        .ended(3)
        .says("the task `d` runs within `each` only; run `each` instead");
    world.jitney(&["replay", &id, "--only", "bb"]).ended(3).says("there is no task `bb` to run; did you mean `b`?");
    world.jitney(&["replay", &id, "--only", "z"]).ended(3).says("there is no task `z` to run");
}

#[test]
fn a_concurrency_limit_holds_across_processes() {
    let world = World::new();
    world.write(
        "f.yaml",
        "id: f\nnamespace: n\nconcurrency: {limit: 1}\ntasks: [{id: s, type: sleep, duration: 200ms}]\n",
    );
    let runs = [(); 3].map(|()| world.start(&["run", "f.yaml"]));
    runs.into_iter().for_each(|run| drop(output_of(run).ended(0)));
    let listed = world.jitney(&["executions", "--json"]).json();
    let mut spans: Vec<(String, String)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["started"].as_str().unwrap().to_owned(), run["ended"].as_str().unwrap().to_owned()))
        .collect();
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "they ran at once: {spans:?}");
}

#[test]
fn a_missing_subflow_is_reported_before_anything_runs() {
    let world = World::new();
    world.write("sub/child.yaml", "id: child\nnamespace: n\ntasks: [{id: a, type: log, message: a}]\n");
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: s, type: subflow, namespace: n, flowId: chidl}\n");
    let expected = "error: there is no flow `chidl` in the namespace `n`
  --> f.yaml:4:50
   |
 4 |   - {id: s, type: subflow, namespace: n, flowId: chidl}
   |                                                  ^
  help: did you mean `child`?
";
    let refused = world.jitney(&["run", "f.yaml"]).ended(3).without_data();
    assert_eq!(refused.err, expected);
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: s, type: subflow, namespace: n, flowId: child}\n");
    let ran = world.jitney(&["run", "f.yaml"]).ended(0);
    let child = world.newest_id();
    let shown = world.jitney(&["executions", "show", &child]).ended(0);
    assert!(shown.out.contains("  parent  "), "{shown}\n{ran}");
}

#[test]
fn failed_checks_and_disabled_flows_are_rejected() {
    let world = World::new();
    world.write("f.yaml", "id: f\nnamespace: n\nchecks: [{condition: \"{{ false }}\", message: not today}]\ntasks: [{id: a, type: log, message: a}]\n");
    world.jitney(&["run", "f.yaml"]).ended(3).without_data().says("error: not today\n  --> f.yaml:3:11");
    world.write("f.yaml", "id: f\nnamespace: n\ndisabled: true\ntasks: [{id: a, type: log, message: a}]\n");
    world.jitney(&["run", "f.yaml"]).ended(3).without_data().says("error: the flow `f` is disabled\n  --> f.yaml:3:1");
}

#[test]
fn a_journal_of_the_first_version_still_opens() {
    let world = World::new();
    world.write(
        "f.yaml",
        "id: f\nnamespace: n\ntasks: [{id: a, type: log, message: a}, {id: b, type: log, message: b}]\n",
    );
    world.jitney(&["run", "f.yaml"]).ended(0);
    let id = world.newest_id();
    let journal = rusqlite::Connection::open(world.home().join("journal.db")).unwrap();
    // As the first version left it when its process died in the first task, failed in the next one, and died again.
    journal
        .execute_batch(
            "DROP INDEX executions_by_parent;
             ALTER TABLE executions DROP COLUMN parent;
             ALTER TABLE executions DROP COLUMN parent_run;
             ALTER TABLE executions DROP COLUMN original;
             UPDATE executions SET state = 'RUNNING', ended = NULL;
             DELETE FROM events WHERE number > 2;",
        )
        .unwrap();
    let failed =
        r#"{"kind":"task_failed","run":"a","error":{"class":"permanent","message":"no","help":null},"retry_at":null}"#;
    for (number, body) in [
        (3, r#"{"kind":"started"}"#),
        (4, r#"{"kind":"task_started","run":"a","attempt":2}"#),
        (5, failed),
        (6, r#"{"kind":"started"}"#),
    ] {
        let values = (id.as_str(), number, "2026-01-01T00:00:00.000000Z", body);
        journal.execute("INSERT INTO events VALUES (?, ?, ?, ?)", values).unwrap();
    }
    drop(journal);
    world.jitney(&["resume", &id]).ended(0).says("    b");
}
