//! Stopping, by signals and by force, and what is known of it afterwards.

use std::process::{Command, Stdio};

use crate::cli::world::{World, output_of, signal, until};

const SLEEPS: &str = "id: f\nnamespace: n\ntasks:\n  - {id: a, type: sleep, duration: 10m}\n";

fn state(world: &World) -> String {
    let listed = world.jitney(&["executions", "--json"]).json();
    listed[0]["state"].as_str().unwrap_or_default().to_owned()
}

async fn until_running(world: &World) {
    until("it runs", async || state(world) == "RUNNING").await;
}

#[tokio::test]
async fn a_closed_terminal_stops_a_run_as_ctrl_c_does() {
    for name in ["HUP", "QUIT", "TERM"] {
        let world = World::new();
        world.write("f.yaml", SLEEPS);
        let child = world.start(&["run", "f.yaml"]);
        until_running(&world).await;
        signal(&child, name);
        output_of(child).ended(130).says("Stopped");
        assert_eq!(state(&world), "KILLED", "{name}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_started_with_nohup_survives_the_closed_terminal() {
    let world = World::new();
    world.write("f.yaml", SLEEPS);
    let line =
        format!("trap '' HUP; exec {} --home {} run f.yaml", env!("CARGO_BIN_EXE_jitney"), world.home().display());
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(world.path("")).stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until_running(&world).await;
    signal(&child, "HUP");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(state(&world), "KILLED", "the hang-up counted as the first of two signals");
}

#[tokio::test]
async fn executions_of_a_killed_process_are_shown_as_interrupted() {
    let world = World::new();
    world.write("f.yaml", SLEEPS);
    let mut child = world.start(&["run", "f.yaml"]);
    until_running(&world).await;
    assert_eq!(world.newest()["interrupted"], false);
    let id = world.newest_id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.newest()["interrupted"], true);
    let listed = world.jitney(&["executions"]).ended(0).says(&format!("jitney resume {id}"));
    assert!(listed.out.contains("INTERRUPTED") && !listed.out.contains("RUNNING"), "{listed}");
    let shown = world.jitney(&["executions", "show", &id]).ended(0);
    assert!(shown.out.contains("INTERRUPTED") && shown.out.contains(&format!("jitney resume {id}")), "{shown}");
    assert_eq!(world.jitney(&["executions", "show", &id, "--json"]).json()["interrupted"], true);
    let resumed = world.start(&["resume"]);
    until("somebody works on it", async || world.newest()["interrupted"] == false).await;
    assert_eq!(state(&world), "RUNNING");
    signal(&resumed, "INT");
    output_of(resumed).ended(130);
    assert_eq!(world.newest()["interrupted"], false);
}

#[tokio::test]
async fn a_second_signal_leaves_neither_the_script_nor_an_execution_that_is_being_stopped() {
    let world = World::new();
    let deaf = "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: shell.commands\n    commands:\n      - |\n        \
        trap '' TERM INT HUP\n        sleep 600 &\n        echo $! > \"$WHERE\"\n        while :; do sleep 0.1; done\n    \
        env: {WHERE: PLACE}\n";
    world.write("f.yaml", deaf.replace("PLACE", world.path("pid").to_str().unwrap()));
    let child = world.start(&["run", "f.yaml"]);
    until("the script runs", async || std::fs::read_to_string(world.path("pid")).is_ok_and(|pid| pid.ends_with('\n')))
        .await;
    let pid = std::fs::read_to_string(world.path("pid")).unwrap();
    signal(&child, "INT");
    until("it is being stopped", async || world.journal_text().contains("KILLING")).await;
    signal(&child, "INT");
    output_of(child).ended(130);
    let lives = || Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success();
    until("the script is gone", async || !lives()).await;
    assert_eq!(state(&world), "KILLED");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_beyond_ulimit_fails_the_task_but_not_the_process() {
    let world = World::new();
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: large.bin}\n");
    world.write("large.bin", vec![7; 4 << 20]);
    let line =
        format!("ulimit -f 2048; exec {} --home {} run f.yaml", env!("CARGO_BIN_EXE_jitney"), world.home().display());
    let mut command = Command::new("bash");
    command.args(["-c", &line]).current_dir(world.path("")).stdin(Stdio::null());
    let ended: crate::cli::world::CommandOutput = command.output().unwrap().into();
    ended.ended(1).says("File too large");
    assert_eq!(state(&world), "FAILED");
}
