//! A home folder that cannot be used as it is: what is reported, what still works, and how space is freed.

use jitney::engine::lock::HomeLock;
use jitney::id::ExecutionId;
use jitney::journal::Journal;

use crate::cli::world::World;

const HELLO: &str = "id: hello\nnamespace: n\ntasks:\n  - {id: a, type: log, message: hi}\n";

/// A flow that fails, and keeps the file that it was given.
const FAILS: &str = "id: fails\nnamespace: n\ninputs: [{id: data, type: FILE}]\ntasks:\n  - {id: a, type: fail}\n";

#[test]
fn a_home_that_is_a_file_is_reported_with_its_path_and_a_remedy() {
    let world = World::new();
    world.write("home", "I am a file");
    let flow = world.write("f.yaml", HELLO);
    let flow = flow.to_str().unwrap();
    for command in [&["executions"][..], &["run", flow], &["resume"], &["clean"], &["kv", "list"], &["server"]] {
        let result = world.jitney(command).ended(3);
        let expected = format!("cannot use the home folder {}: it is a file", world.home().display());
        result.without_data().says(&expected).says("choose another folder with `--home` or JITNEY_HOME");
    }
}

#[test]
fn a_damaged_journal_is_reported_with_its_path_and_a_remedy() {
    let world = World::new();
    let journal = world.write("home/journal.db", "this was a database ".repeat(500));
    let result = world.jitney(&["executions"]).ended(70);
    result.says(&format!("the journal {} is damaged", journal.display())).says("move it away");
    std::fs::remove_file(journal).unwrap();
    world.jitney(&["executions"]).ended(0).says("Nothing has run yet");
}

#[test]
fn read_only_commands_work_on_a_read_only_home() {
    let world = World::new();
    let flow = world.write("f.yaml", HELLO);
    world.jitney(&["run", flow.to_str().unwrap()]).ended(0);
    world.jitney(&["kv", "set", "-n", "n", "key", "value"]).ended(0);
    let id = world.newest_id();
    // As a killed process leaves it: part of the journal is in the file next to it.
    let held = Journal::open(&world.home().join("journal.db")).unwrap();
    held.probe().unwrap();
    let left = world.path("left");
    std::fs::create_dir(&left).unwrap();
    for name in ["journal.db", "journal.db-wal", "kv.db"] {
        std::fs::copy(world.home().join(name), left.join(name)).unwrap();
    }
    drop(held);
    std::fs::rename(&left, world.path("home.left")).unwrap();
    std::fs::remove_dir_all(world.home()).unwrap();
    std::fs::rename(world.path("home.left"), world.home()).unwrap();
    // Neither locks nor shared memory can be made; the user who runs the tests may be allowed to write anywhere.
    for name in ["journal.lock", "journal.db-shm", "kv.lock", "kv.db-shm"] {
        std::fs::create_dir(world.home().join(name)).unwrap();
    }
    assert_eq!(world.newest_id(), id);
    let shown = world.jitney(&["executions", "show", &id]).ended(0);
    assert!(shown.out.contains("hello  SUCCESS"), "{shown}");
    assert!(world.jitney(&["executions", "logs", &id]).ended(0).out.contains("hi"));
    world.jitney(&["backfill", "list"]).ended(0);
    assert_eq!(world.jitney(&["kv", "get", "-n", "n", "key"]).ended(0).out, "value\n");
    let refused = world.jitney(&["run", flow.to_str().unwrap()]).ended(3);
    refused.says(&world.home().display().to_string()).says("--home");
}

#[test]
fn clean_removes_old_files_and_reports_the_freed_size() {
    let world = World::new();
    let flow = world.write("f.yaml", FAILS);
    world.write("data.csv", "x".repeat(100_000));
    world.jitney(&["run", flow.to_str().unwrap(), "-i", "data=data.csv"]).ended(1);
    assert_eq!(world.left_in_storage().len(), 1);
    world.write("home/locks/queue-1-0badcafe", "");
    world.write("home/uploads/0bad/0/file.csv", "upload");
    world.write("home/work/01nosuchexecutio.a.1/files/half.csv", "half");
    let overrides = jitney::config::CliOverrides { home: Some(world.home()), postgres: None };
    let settings = jitney::config::Settings::from_environment(overrides, Default::default()).unwrap();
    let held = HomeLock::acquire(&settings, &ExecutionId::new("held")).unwrap();

    world
        .jitney(&["clean", "--dry-run"])
        .ended(0)
        .says("Would free 10 B: 2 leftover folders, 1 lock of a dead process.");
    let result = world.jitney(&["clean", "--older-than", "0s", "--dry-run", "--json"]).ended(0).json();
    assert_eq!(
        (&result["files_of"], &result["leftovers"], &result["locks"]),
        (&1.into(), &2.into(), &1.into()),
        "{result}"
    );
    assert!(result["bytes"].as_u64().unwrap() >= 100_000, "{result}");
    assert_eq!(world.left_in_storage().len(), 1, "a dry run removes nothing");

    let result = world.jitney(&["clean", "--older-than", "0s"]).ended(0);
    result.says("Freed 100.0 kB: 1 execution's files, 2 leftover folders, 1 lock of a dead process.");
    assert!(world.left_in_storage().is_empty());
    let locks: Vec<_> =
        world.home().join("locks").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(locks, ["held"], "what somebody holds stays");
    drop(held);
    world.jitney(&["clean"]).ended(0).says("Nothing to clean.");
    assert_eq!(world.newest()["state"], "FAILED", "what has run is still known");
    world.write("jitney.yaml", "retention: {executions: 0s}\n");
    world.jitney(&["clean"]).ended(0).says("1 old execution.");
    world.jitney(&["resume"]).ended(0).says("There are no executions yet");
}

#[test]
fn copied_input_files_are_removed_if_the_execution_is_rejected() {
    let world = World::new();
    let flow = FAILS.replace("tasks:", "checks: [{condition: \"{{ false }}\", message: no}]\ntasks:");
    let flow = world.write("f.yaml", flow);
    world.write("data.csv", "x");
    world.jitney(&["run", flow.to_str().unwrap(), "-i", "data=data.csv"]).ended(3);
    assert!(world.left_in_storage().is_empty());
}

#[test]
fn a_home_that_was_never_used_has_no_executions_to_resume() {
    World::new().jitney(&["resume"]).ended(0).says("There are no executions yet");
}

#[test]
fn validate_reports_duplicate_ids_and_folders_without_flows() {
    let world = World::new();
    let first = world.write("flows/a.yaml", HELLO);
    world.write("flows/deep/b.yaml", HELLO);
    world.write("flows/c.yaml", HELLO.replace("namespace: n", "namespace: other"));
    world.write("flows/_files/not_a_flow.yaml", "x: 1\n");
    let result = world.jitney(&["validate", "flows"]).ended(3);
    assert!(
        result.out.contains("there are two flows n.hello") && result.out.contains("flows/deep/b.yaml:1:5"),
        "{result}"
    );
    assert!(result.out.contains("the other is in flows/a.yaml"), "{result}");
    result.says("3 flows checked, 1 error");
    let path = first.to_str().unwrap();
    world.jitney(&["validate", path, path]).ended(0);
    let result = world.jitney(&["validate", "nosuch"]).ended(3);
    assert!(result.out.contains("there is no file or folder `nosuch`"), "{result}");
    std::fs::create_dir(world.path("empty")).unwrap();
    let result = world.jitney(&["validate", "empty"]).ended(3);
    assert!(result.out.contains("there are no flows in the folder empty"), "{result}");
}

#[test]
fn clean_can_remove_only_log_lines_and_reports_it() {
    let world = World::new();
    let flow = world.write("f.yaml", HELLO);
    world.jitney(&["run", flow.to_str().unwrap()]).ended(0);
    world.write("jitney.yaml", "retention: {logs: 0s}\n");
    let lines = || world.jitney(&["clean", "--dry-run", "--json"]).ended(0).json()["log_lines"].as_u64().unwrap();
    assert!(lines() > 0);
    world.jitney(&["clean"]).ended(0).says("old log line");
    assert_eq!(lines(), 0);
    // What is given back to a disk that is full: without any room nothing can be removed.
    assert_eq!(world.home().join("journal.reserve").metadata().unwrap().len(), 1 << 20);
}

#[cfg(target_os = "linux")]
#[test]
fn a_home_on_a_read_only_mount_can_be_read() {
    let world = World::new();
    let flow = world.write("f.yaml", HELLO);
    world.jitney(&["run", flow.to_str().unwrap()]).ended(0);
    let id = world.newest_id();
    assert!(!world.home().join("journal.db-wal").exists(), "something keeps the journal open");
    let mounted = |arguments: &str| {
        let (program, home) = (env!("CARGO_BIN_EXE_jitney"), world.home());
        let home = home.display();
        let mount = format!("mount --bind {home} {home} && mount -o remount,ro,bind {home}");
        let line = format!("{mount} && ! touch {home}/x 2>&- && exec {program} --home {home} {arguments}");
        let mut command = std::process::Command::new("unshare");
        command.args(["-rm", "sh", "-c", &line]).current_dir(world.path(""));
        crate::cli::world::CommandOutput::from(command.output().unwrap())
    };
    assert!(mounted("executions").ended(0).out.contains(&id));
    assert!(mounted(&format!("executions logs {id}")).ended(0).out.contains("hi"));
    mounted("backfill list").ended(0).says("no backfills yet");
    mounted("clean --dry-run").ended(0);
    let partitions = mounted("partitions f.yaml --from 2019-01 --to 2019-02").ended(0);
    assert!(partitions.out.contains("never ran"), "{partitions}");
    // Nothing was ever kept.
    mounted("kv list").ended(0).says("No values are stored");
    world.jitney(&["kv", "set", "-n", "n", "key", "value"]).ended(0);
    assert_eq!(mounted("kv get -n n key").ended(0).out, "value\n");
    mounted("run f.yaml").ended(3).says("cannot use the home folder");
}
