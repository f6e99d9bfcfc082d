//! Going on with an execution: the flow and the inputs are those that it began with.

use crate::cli::world::{World, until};

fn flow(message: &str, more: &str) -> String {
    format!(
        "id: f\nnamespace: n\ntasks:\n  - {{id: get, type: http.download, uri: late.csv}}\n  - {{id: say, type: log, message: {message}}}\n{more}"
    )
}

#[test]
fn a_failed_execution_resumes_from_the_failed_task() {
    let world = World::new();
    let text = flow("got it", "").replace("  - {id: get", "  - {id: early, type: log, message: hello}\n  - {id: get");
    world.write("f.yaml", text);
    world.jitney(&["run", "f.yaml"]).ended(1).says("there is no file `late.csv`");
    let id = world.newest_id();
    world.write("late.csv", "a\n1\n");
    let result = world.jitney(&["resume"]).ended(0).says("got it").says(&id);
    assert!(!result.err.contains("hello"), "a task that had ended well ran again\n{result}");
    world.jitney(&["resume"]).ended(0).says("nothing to resume");
    let again = world.jitney(&["resume", &id, "--json"]).ended(0).json();
    assert_eq!((&again["id"], &again["state"]), (&id.as_str().into(), &"SUCCESS".into()));
    let result =
        world.jitney(&["resume", &id]).ended(0).says("has already ended (SUCCESS); there is nothing to resume");
    assert!(!result.err.contains("SUCCESS in"), "{result}");
}

#[tokio::test]
async fn resume_without_an_id_skips_executions_of_other_processes() {
    let world = World::new();
    world.write("f.yaml", flow("got it", ""));
    world.jitney(&["run", "f.yaml"]).ended(1);
    let failed = world.newest_id();
    world.write("slow.yaml", "id: slow\nnamespace: n\ntasks:\n  - {id: s, type: sleep, duration: PT10M}\n");
    let mut slow = world.start(&["run", "slow.yaml"]);
    until("it runs", async || world.newest()["state"] == "RUNNING").await;
    world.write("late.csv", "a\n1\n");
    world.jitney(&["resume"]).ended(0).says("got it").says(&failed);
    world.jitney(&["resume"]).ended(0).says("is running in another process");
    slow.kill().unwrap();
    slow.wait().unwrap();
}

#[test]
fn an_ambiguous_id_prefix_lists_the_matching_ids() {
    let world = World::new();
    world.write("f.yaml", flow("x", ""));
    let ids = [(); 2].map(|()| {
        world.jitney(&["run", "f.yaml"]).ended(1);
        world.newest_id()
    });
    let shared: String = ids[0].chars().zip(ids[1].chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let result = world.jitney(&["resume", &shared]).ended(3).without_data();
    let [older, newer] = ids;
    let expected = format!(
        "error: the ids of several executions begin with `{shared}`\n  help: use a longer prefix: {newer}, {older}\n"
    );
    assert_eq!(result.err, expected);
}

#[test]
fn resume_uses_the_flow_as_it_was_at_the_start() {
    let world = World::new();
    world.write("f.yaml", flow("the old words", ""));
    world.jitney(&["run", "f.yaml"]).ended(1);
    world.write("late.csv", "a\n1\n");
    world.write("f.yaml", flow("the new words", ""));
    let result = world.jitney(&["resume"]).ended(0).says("the old words");
    assert!(!result.err.contains("the new words"), "{result}");
}

#[test]
fn an_edited_flow_with_redacted_passwords_cannot_be_resumed() {
    let world = World::new();
    let secret = "  - {id: q, type: postgres.query, sql: SELECT 1, disabled: true, url: 'postgres://a:geheim77@h/d'}\n";
    world.write("f.yaml", flow("x", secret));
    world.jitney(&["run", "f.yaml"]).ended(1);
    let file = world.write("f.yaml", flow("y", secret));
    let result = world.jitney(&["resume"]).ended(3).without_data();
    let expected = format!(
        "error: {} has changed since the execution started\n  \
         help: restore the old text, or start a new execution with `jitney run`: loads are safe to repeat\n",
        file.display()
    );
    assert_eq!(result.err, expected);
    assert_eq!(world.newest()["state"], "FAILED");
}

#[test]
fn a_secret_input_must_be_given_again() {
    let world = World::new();
    let inputs = "inputs:\n  - {id: token, type: SECRET}\ntasks:";
    world.write("f.yaml", flow("x", "").replace("tasks:", inputs));
    world.jitney(&["run", "f.yaml", "-i", "token=geheim77"]).ended(1);
    world.write("late.csv", "a\n1\n");
    let refused = world.jitney(&["resume"]).ended(3).without_data();
    assert_eq!(refused.err, "error: input `token` has no value\n  help: give it with `-i token=VALUE`\n");
    world.jitney(&["resume", "-i", "token=geheim77"]).ended(0);
}

#[test]
fn a_password_in_an_address_must_be_given_again() {
    let world = World::new();
    let inputs = "inputs:\n  - {id: server, type: STRING, defaults: 'postgres://h/other'}\ntasks:";
    world.write("f.yaml", flow("\"{{ inputs.server }}\"", "").replace("tasks:", inputs));
    let given = "server=postgres://root:geheim77@db/taxi";
    world.jitney(&["run", "f.yaml", "-i", given]).ended(1);
    world.write("late.csv", "a\n1\n");
    let refused = world.jitney(&["resume"]).ended(3).without_data();
    let expected = "error: the journal does not store the password in input `server` (postgres://root:***@db/taxi)\n  \
                    help: give it again with `-i server=ADDRESS`\n";
    assert_eq!(refused.err, expected);
    world.jitney(&["resume", "-i", given]).ended(0).says("    postgres://root:***@db/taxi\n");
}

#[test]
fn a_failure_prints_the_command_that_runs_a_corrected_flow() {
    let mut world = World::new();
    let inputs = "inputs: [{id: name, type: STRING, defaults: none}, {id: key, type: SECRET, required: false}]\n";
    world.write("f.yaml", flow("'{{ inputs.name }}'", inputs));
    let failed = world.jitney(&["run", "f.yaml", "-i", "name=a b", "-i", "key=hidden-key"]).ended(1);
    let again = format!("Retry: jitney resume {}\n", world.newest_id());
    let failed = failed.says(&again).says("If you change either: jitney run f.yaml -i 'name=a b'");
    assert!(!failed.err.contains("hidden-key"), "{failed}");
    // The command as it stands, with a flow that has been corrected.
    world.write("f.yaml", flow("'{{ inputs.name }}'", inputs).replace("late.csv", "f.yaml"));
    world.jitney(&["run", "f.yaml", "-i", "name=a b"]).ended(0).says("a b");
    for command in ["resume", "replay"] {
        let help = world.jitney(&[command, "--help"]).ended(0).out;
        assert!(help.contains("the flow as it was when"), "{help}");
    }

    world.write("months.yaml", flow("x", "").replace("id: f\n", "id: months\n"));
    world.jitney(&["backfill", "months.yaml", "--from", "2019-01", "--to", "2019-01"]).ended(1);
    world.jitney(&["resume"]).ended(1).says("If you change either: jitney backfill retry ");

    // An address that does not answer is not worth repeating.
    world.postgres = Some("postgres://u:geheim77@127.0.0.1:1/x".to_owned());
    world.write("q.yaml", "id: q\nnamespace: n\ntasks:\n  - {id: q, type: postgres.query, sql: SELECT 1}\n");
    let failed = world.jitney(&["run", "q.yaml"]).ended(1);
    let id = world.newest_id();
    let failed = failed.says(&format!("jitney resume {id} --postgres ADDRESS --retarget\n"));
    assert!(!failed.err.contains("--postgres postgres:"), "{failed}");
    let failed = world.jitney(&["backfill", "q.yaml", "--from", "2019-01", "--to", "2019-01"]).ended(1);
    assert!(!failed.err.contains("--postgres postgres:"), "{failed}");
}

#[test]
fn a_purged_file_is_reported_as_such() {
    let world = World::new();
    let text = "id: f\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: f.yaml}\n  \
                - {id: use, type: http.download, uri: '{{ outputs.get.uri }}'}\n  - {id: tidy, type: purge_files}\n";
    world.write("f.yaml", text);
    world.jitney(&["run", "f.yaml"]).ended(0);
    let id = world.newest_id();
    let result = world.jitney(&["replay", &id, "--from", "use"]).ended(1).says("no longer exists");
    result.says("`purge_files` or `jitney clean` has removed it").says("replay from the task that creates it, `get`");
    world.jitney(&["replay", &id, "--from", "get"]).ended(0);
}
