//! What packagers use: completions and manual pages, and checks with exit codes.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::cli::world::{CommandOutput, World};

#[test]
fn completions_are_printed_for_each_shell_and_bash_completes_with_them() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let told = world.jitney(&["completions", shell]).ended(0);
        assert!(told.out.contains("backfill") && told.err.is_empty(), "{told}");
    }
    world.jitney(&["completions", "cmd"]).ended(2).says("bash");
    let script = world.write("jitney.bash", world.jitney(&["completions", "bash"]).out);
    let line = format!(
        "source {} && COMP_WORDS=(jitney part) COMP_CWORD=1 && _jitney jitney part jitney && echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "partitions", "{output:?}");
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let world = World::new();
    world.jitney(&["man", "share/man1"]).ended(0).says("share/man1");
    for page in ["jitney.1", "jitney-run.1", "jitney-backfill.1", "jitney-executions-show.1"] {
        let text = std::fs::read_to_string(world.path("share/man1").join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("jitney"), "{page}: {text}");
    }
    world.write("file", "");
    world.jitney(&["man", "file/x"]).ended(3).says("cannot create the folder file/x");
}

/// Each finding's state, by its name.
fn states(told: &CommandOutput) -> BTreeMap<String, String> {
    let found = told.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|one| (text(&one["what"]), text(&one["state"]))).collect()
}

#[tokio::test]
async fn doctor_checks_what_flows_need_and_says_so_by_its_exit_code() {
    let mut world = World::with_database("cli_doctor").await;
    world.jitney(&["new", "csv", "pg/csv.yaml"]).ended(0);
    world.jitney(&["new", "slack_on_failure", "slack/slack.yaml"]).ended(0);
    world.jitney(&["new", "taxi_bigquery", "gcp/gcp.yaml"]).ended(0);
    world.jitney(&["new", "http_python", "py/py.yaml"]).ended(0);

    let told = world.jitney(&["doctor", "--check", "--json", "pg"]).ended(0);
    assert_eq!(states(&told).into_keys().collect::<Vec<_>>(), ["Postgres", "disk", "home"]);
    let told = world.jitney(&["doctor", "--json", "py/py.yaml", "--check"]).ended(0);
    assert_eq!(states(&told).into_keys().collect::<Vec<_>>(), ["Python", "disk", "home"]);

    let told = world.jitney(&["doctor", "--check", "gcp", "pg", "slack"]).ended(1);
    assert!(told.out.contains("missing  Google credentials") && told.out.contains("missing  secret"), "{told}");
    assert!(told.out.contains("SLACK_WEBHOOK_URL"), "{told}");
    assert!(told.out.lines().all(|line| line.chars().count() <= 80), "{told}");
    world.jitney(&["doctor", "gcp", "slack"]).ended(2);
    world.jitney(&["doctor", "slack"]).ended(0);
    world.write("slack/.env", "SLACK_WEBHOOK_URL=https://hooks.example.com/geheim\n");
    let told = world.jitney(&["doctor", "--check", "slack"]).ended(0);
    assert!(!told.out.contains("geheim"), "{told}");

    world.write("pg/bad.yaml", "id: bad\nnamespace: n\ntasks: []\n");
    world.jitney(&["doctor", "--check", "pg"]).ended(3).says("this list of tasks is empty");
    world.jitney(&["doctor", "--check", "none.yaml"]).ended(3);
    // Without flows, only what every flow needs counts: here a server that was named and is not there.
    world.jitney(&["doctor", "--check"]).ended(0);
    world.postgres = Some("postgres://u@127.0.0.1:1/x".to_owned());
    world.jitney(&["doctor"]).ended(0);
    world.jitney(&["doctor", "--check"]).ended(1);
}

#[test]
fn doctor_knows_which_scripts_need_docker() {
    let world = World::new();
    let script = "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: python.script\n    \
                  taskRunner: {type: io.kestra.plugin.scripts.runner.docker.Docker}\n    script: print(1)\n";
    world.write("f.yaml", script);
    let told = world.jitney(&["doctor", "--json", "f.yaml"]).ended(0);
    assert_eq!(states(&told).into_keys().collect::<Vec<_>>(), ["Docker", "disk", "home"]);
    let mut command = world.command(&["doctor", "--json", "f.yaml"]);
    let told = CommandOutput::from(command.env("JITNEY_SCRIPT_RUNNER", "process").output().unwrap()).ended(0);
    assert_eq!(states(&told).into_keys().collect::<Vec<_>>(), ["Python", "disk", "home"]);
}
