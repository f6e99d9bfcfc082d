//! What a run is given on its command line, and what help says of it.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::cli::world::{TAXI, World};

const FLOW: &str = r#"id: f
namespace: n
description: Does nothing much
labels: {team: taxi}
inputs:
  - {id: taxi, type: SELECT, values: [yellow, green], displayName: Which taxis, description: "Their colour, as in {colour}"}
  - {id: db.host, type: STRING, defaults: here}
  - {id: months, type: ARRAY, itemType: INT, defaults: [1, 2]}
  - {id: token, type: SECRET, defaults: "{{ 'made' ~ 'up' }}"}
  - {id: conf, type: JSON, required: false}
tasks:
  - {id: a, type: log, message: "{{ inputs.taxi }} {{ inputs.db.host }} {{ inputs.months }} {{ inputs.conf }} {{ labels.day ?? '' }}"}
"#;

fn world() -> World {
    let world = World::new();
    world.write("f.yaml", FLOW);
    world
}

#[test]
fn inputs_come_from_a_file_and_the_command_line_wins() {
    let world = world();
    world.write("in.yaml", "taxi: yellow\ndb: {host: there}\nmonths: [3, \"4\"]\nconf: {a: 1}\n");
    let run = ["run", "f.yaml", "--inputs", "in.yaml", "-i", "taxi=green", "--label", "day=monday"];
    world.jitney(&run).ended(0).says("green there [3,4] {\"a\":1} monday");
    let newest = world.jitney(&["executions", "show", &world.newest_id(), "--json"]).ended(0).json();
    assert_eq!(newest["labels"], json!({"team": "taxi", "day": "monday"}));
    let mut command = world.command(&["run", "f.yaml", "--inputs", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"taxi\": \"green\", \"months\": \"5,6\"}").unwrap();
    crate::cli::world::output_of(child).ended(0).says("green here [5,6]");
}

#[test]
fn an_invalid_file_of_inputs_is_an_error() {
    let world = world();
    world.write("list.yaml", "[1]");
    world.write("odd.yaml", "taxi: [green]\ncolour: 1\nmonths: [x]\n");
    world.jitney(&["run", "f.yaml", "--inputs", "list.yaml"]).ended(3).says("the inputs from list.yaml are not a map");
    world.jitney(&["run", "f.yaml", "--inputs", "none.yaml"]).ended(3).says("cannot read the inputs from none.yaml");
    let result = world.jitney(&["run", "f.yaml", "--inputs", "odd.yaml"]).ended(3);
    assert_eq!(
        result.err,
        "error: the flow has no input `colour`\n  help: the flow has `taxi`, `db.host`, `months`, `token`, `conf`\n\n\
         error: input `taxi`: this must be a single value, not a list\n\n\
         error: input `months`: `x` is not a whole number\n"
    );
    assert!(!world.home().exists(), "something was written");
}

#[test]
fn a_file_is_copied_into_the_runs_own_storage() {
    let world = World::new();
    let task = "{id: a, type: shell.commands, taskRunner: {type: process}, inputFiles: {x.csv: \"{{ inputs.data }}\"}, commands: [cat x.csv]}";
    world.write("flows/f.yaml", format!("id: f\nnamespace: n\ninputs: [{{id: data, type: FILE}}]\ntasks: [{task}]\n"));
    world.write("trips.csv", "one,two\n");
    world.jitney(&["run", "flows/f.yaml", "-i", "data=trips.csv"]).ended(0).says("one,two");
    let inputs = world.newest()["inputs"]["data"].as_str().unwrap().to_owned();
    assert!(inputs.starts_with("jitney:///") && inputs.ends_with("/inputs[data]/trips.csv"), "{inputs}");
    let result = world.jitney(&["run", "flows/f.yaml", "-i", "data=tripps.csv"]).ended(3);
    assert!(
        result.err.contains("input `data`: cannot read ") && result.err.contains("tripps.csv: No such file"),
        "{result}"
    );
    assert!(result.err.contains("help: give the path of a file: `-i data=PATH`"), "{result}");
}

#[test]
fn a_resumed_run_keeps_its_inputs() {
    let world = World::new();
    let inputs = "inputs:
  - {id: at, type: DATETIME, defaults: \"{{ now() }}\"}
  - {id: conf, type: JSON, defaults: '\"text\"'}
  - {id: token, type: SECRET}
";
    let tasks = "tasks:
  - {id: a, type: shell.commands, taskRunner: {type: process}, commands: [\"cat /nowhere/{{ inputs.token }} || test -e go\"]}
  - {id: b, type: log, message: \"at {{ inputs.at }} {{ inputs.conf }} {{ inputs.token | length }}\"}
";
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}{tasks}"));
    world.jitney(&["run", "f.yaml", "-i", "token=hunter2"]).ended(1);
    let first = world.newest()["inputs"].clone();
    world.jitney(&["resume"]).ended(3).says("input `token` has no value");
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}{tasks}"));
    let result = world.jitney(&["resume", "-i", "token=hunter2"]).ended(1);
    assert!(!result.err.contains("hunter2"), "{result}");
    assert_eq!(world.newest()["inputs"], first, "{result}");
}

#[test]
fn help_lists_the_inputs_of_a_flow() {
    let result = world().jitney(&["run", "f.yaml", "--help"]).ended(0);
    let expected = "Does nothing much

Usage: jitney run f.yaml [-i NAME=VALUE]... [OPTIONS]

Inputs:
  -i taxi=<yellow|green>  Which taxis: Their colour, as in {colour} [required]
  -i db.host=<TEXT>       [default: here]
  -i months=<LIST>        [default: [1,2]] [each item: WHOLE NUMBER]
  -i token=<SECRET>       [default: hidden]
  -i conf=<JSON>

Options:
";
    assert!(result.out.starts_with(expected), "{result}");
    assert!(result.out.contains("--label <KEY=VALUE>"), "{result}");
    let plain = World::new().jitney(&["run", "--help"]).ended(0);
    assert!(plain.out.contains("Usage: jitney run [OPTIONS] <FLOW>"), "{plain}");
    let taxi = World::new().jitney(&["run", TAXI, "-h"]).ended(0);
    assert!(taxi.out.lines().all(|line| line.chars().count() <= 100 || line.starts_with("Usage")), "{taxi}");
}

#[test]
fn help_lists_the_inputs_of_an_invalid_flow() {
    let world = World::new();
    world.write("f.yaml", FLOW.replace("log,", "lag,").replace("type: JSON", "type: JASON"));
    let result = world.jitney(&["run", "f.yaml", "--help"]).ended(3).says("unknown task type `lag`").says("`JASON`");
    assert!(
        result.out.contains("-i db.host=<TEXT>       [default: here]\n") && !result.out.contains("conf"),
        "{result}"
    );
}

#[test]
fn defaults_can_use_stored_values_and_secrets() {
    let world = World::new();
    let inputs = "inputs:
  - {id: month, type: STRING, defaults: \"{{ kv('month', errorOnMissing=false) ?? '01' }}\"}
  - {id: token, type: SECRET, defaults: \"{{ secret('TOKEN') }}\"}
  - {id: open, type: STRING, required: false, defaults: \"{{ inputs.month == '02' ? secret('TOKEN') : null }}\"}
";
    let tasks =
        "tasks: [{id: a, type: log, message: \"{{ inputs.month }} {{ inputs.token | length }} {{ inputs.token }}\"}]";
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}{tasks}\n"));
    world.jitney(&["run", "f.yaml"]).ended(3).says("there is no secret `TOKEN`").says("f.yaml:5:");
    world.write(".env", "TOKEN=from-dot-env\n");
    world.jitney(&["run", "f.yaml"]).ended(0).says("01 12 ***");
    world.jitney(&["kv", "set", "month", "02", "-n", "n"]).ended(0);
    let result = world.jitney(&["run", "f.yaml"]).ended(3);
    assert!(result.err.contains("a secret may only be used in an input of type SECRET"), "{result}");
    assert!(!world.journal_text().contains("from-dot-env"));
}
