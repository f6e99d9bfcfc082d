//! What the program tells of itself.

use jitney::tasks::ALL;
use serde_json::Value;

use crate::world::World;

const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");

#[test]
fn the_shipped_flows_are_clean() {
    let world = World::new();
    let told = world.jitney(&["validate", FLOWS]).ended(0).without_data().says("flows checked, no errors");
    assert!(!told.err.starts_with('0'), "{told}");
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
fn a_misspelt_task_type_is_told_the_right_one() {
    let told = World::new().jitney(&["tasks", "postgres.lod"]).ended(3).without_data();
    assert_eq!(told.err, "error: there is no task type `postgres.lod`\n  help: did you mean `postgres.load`?\n");
}

#[test]
fn the_doctor_says_what_is_there_and_how_to_get_the_rest() {
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
fn before_the_first_run_there_is_nothing_and_it_says_so() {
    let world = World::new();
    world.jitney(&["executions"]).ended(0).without_data().says("Nothing has run yet. Try: jitney demo");
    world.jitney(&["resume"]).ended(0).without_data().says("nothing to resume");
    for command in ["show", "logs"] {
        let told = world.jitney(&["executions", command, "zz"]).ended(3).without_data();
        assert_eq!(told.err, "error: there is no execution `zz`\n  help: `jitney executions` lists them\n");
    }
}
