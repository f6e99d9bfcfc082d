//! What the program tells of itself.

use jitney::tasks::ALL;
use serde_json::Value;

use crate::cli::world::World;

const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");

#[test]
fn the_shipped_flows_are_clean() {
    let world = World::new();
    let result = world.jitney(&["validate", FLOWS]).ended(0).without_data().says("flows checked, no errors");
    assert!(!result.err.starts_with('0'), "{result}");
    let report = world.jitney(&["validate", FLOWS, "--json"]).ended(0).json();
    assert_eq!((report["errors"].as_u64(), report["findings"].as_array().map(Vec::len)), (Some(0), Some(0)));
}

#[test]
fn every_task_type_has_a_page_under_each_of_its_names() {
    let world = World::new();
    let list = world.jitney(&["tasks"]).ended(0).out;
    let json = world.jitney(&["tasks", "--json"]).ended(0).json();
    assert_eq!(json.as_array().unwrap().len(), ALL.len());
    for task in ALL {
        assert!(list.contains(task.name), "`jitney tasks` does not list {}", task.name);
        let page = world.jitney(&["tasks", task.name]).ended(0).out;
        for part in ["fields", "outputs", "example"] {
            assert!(page.contains(&format!("\n{part}\n")), "{part} is missing\n{page}");
        }
        for alias in task.aliases {
            assert_eq!(world.jitney(&["tasks", alias]).ended(0).out, page);
        }
    }
    let details = world.jitney(&["tasks", "postgres.load", "--json"]).ended(0).json();
    assert!(details["fields"]["properties"]["on_bad_row"].is_object(), "{details}");
}

#[test]
fn a_misspelt_task_type_suggests_the_right_one() {
    let result = World::new().jitney(&["tasks", "postgres.lod"]).ended(3).without_data();
    assert_eq!(result.err, "error: there is no task type `postgres.lod`\n  help: did you mean `postgres.load`?\n");
}

#[test]
fn doctor_reports_what_is_installed_and_how_to_install_the_rest() {
    let world = World::new();
    let findings = world.jitney(&["doctor", "--json"]).ended(0).json();
    let findings = findings.as_array().unwrap();
    let of = |name: &str| findings.iter().find(|finding| finding["what"] == name).cloned().unwrap_or_default();
    assert_eq!(of("home")["state"], "ok");
    for name in ["disk", "Postgres", "Docker", "Python", "Google credentials"] {
        assert!(!of(name)["detail"].as_str().unwrap_or_default().is_empty(), "nothing is said of {name}");
    }
    for finding in findings.iter().filter(|finding| finding["state"] != "ok") {
        assert_ne!(finding["fix"], Value::Null, "{finding}");
    }
    assert!(world.jitney(&["doctor"]).ended(0).out.contains("Google credentials"));
}

#[test]
fn the_help_names_every_command_and_the_exit_codes() {
    let world = World::new();
    let help = world.jitney(&["-h"]).ended(0).out;
    let commands = ["run", "resume", "validate", "executions", "tasks", "postgres", "doctor", "demo"];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing\n{help}");
        let own = world.jitney(&[command, "-h"]).ended(0).out;
        assert!(own.contains("Usage: jitney"), "{own}");
    }
    assert!(help.contains("130"), "{help}");
}

#[test]
fn commands_say_that_nothing_has_run_before_the_first_run() {
    let world = World::new();
    world.jitney(&["executions"]).ended(0).without_data().says("Nothing has run yet. Try: jitney demo");
    world.jitney(&["resume"]).ended(0).without_data().says("nothing to resume");
    for command in ["show", "logs"] {
        let result = world.jitney(&["executions", command, "zz"]).ended(3).without_data();
        assert_eq!(result.err, "error: there is no execution `zz`\n  help: `jitney executions` lists them\n");
    }
    for arguments in [&["resume", "../x"][..], &["replay", ""], &["files", "Zz"], &["backfill", "show", "o"]] {
        let result = world.jitney(arguments).ended(3).without_data();
        result.says("is neither an id nor the beginning of one").says(" list");
    }
}

#[test]
fn a_list_that_is_empty_says_whether_anything_has_run() {
    let world = World::new();
    world.write("f.yaml", "id: f\nnamespace: a.b\ntasks:\n  - {id: say, type: log, message: hi}\n");
    world.jitney(&["executions", "--flow", "f"]).ended(0).says("Nothing has run yet");
    world.jitney(&["run", "f.yaml"]).ended(0);
    let none = world.jitney(&["executions", "--flow", "nix"]).ended(0).without_data();
    none.says("The flow `nix` has no executions");
    assert!(world.jitney(&["executions", "--flow", "a.b.f"]).ended(0).out.contains("SUCCESS"));
    world.jitney(&["executions", "--flow", "b.f"]).ended(0).without_data();
    world.jitney(&["executions", "--limit", "0"]).ended(2).without_data();
}

#[test]
fn the_postgres_option_is_shown_only_for_commands_that_use_it() {
    let mut world = World::new();
    for (command, has) in [("run", true), ("backfill", true), ("kv", false), ("graph", false), ("postgres", false)] {
        let help = world.jitney(&[command, "--help"]).ended(0).out;
        assert_eq!(help.contains("--postgres <ADDRESS>"), has, "{help}");
    }
    assert!(!world.jitney(&["kv", "list", "--help"]).ended(0).out.contains("--postgres <ADDRESS>"));
    world.postgres = Some("postgres://u@127.0.0.1:1/x".to_owned());
    world.jitney(&["kv", "list"]).ended(0);
    world.jitney(&["postgres", "status"]).ended(2).without_data().says("remove `--postgres`");
    world.postgres = None;
    let after = world.jitney(&["postgres", "start", "--postgres", "postgres://u@127.0.0.1:1/x"]).ended(2);
    after.says("remove `--postgres`");
    assert!(!world.home().join("postgres").exists());
}

#[test]
fn output_names_with_an_unknown_extension_are_rejected() {
    let world = World::new();
    world.write("f.yaml", "id: f\nnamespace: n\ntasks:\n  - {id: say, type: log, message: hi}\n");
    world.jitney(&["graph", "f.yaml", "-o", "f.png"]).ended(3).says("`f.png`").says(".svg, .mmd, .md or .txt");
    world
        .jitney(&["graph", "f.yaml", "-o", "f.svg", "--format", "mermaid"])
        .ended(3)
        .says("`--format` contradicts the extension of `f.svg`");
    world.jitney(&["graph", "f.yaml", "-o", "f.svg"]).ended(0);
    assert!(std::fs::read_to_string(world.path("f.svg")).unwrap().contains("<svg"));
    world
        .jitney(&["demo", "month", "m.parquet"])
        .ended(3)
        .says("its extension is not that of a CSV file")
        .says(".csv or .csv.gz");
    assert!(!world.path("f.png").exists() && !world.path("m.parquet").exists());
    for arguments in
        [&["demo", "month", "none/m.csv"][..], &["graph", "f.yaml", "-o", "none/f.svg"], &["new", "hello", "f.yaml/x"]]
    {
        let result = world.jitney(arguments).ended(3);
        assert!(result.err.contains("cannot ") && !result.err.contains("os error"), "{result}");
    }
    world.jitney(&["demo", "--elt"]).ended(3).says("make demo-elt");
    world.jitney(&["demo", "--rows", "0"]).ended(2).says("0 is not in 100..");
}
