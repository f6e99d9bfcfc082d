//! Invalid inputs and names on the command line: reported with a remedy, and nothing runs.

use crate::cli::world::{TAXI, World};

/// Nothing has run: there is not even a home.
#[track_caller]
fn refused(world: &World, arguments: &[&str], expected: &str) {
    let result = world.jitney(arguments).ended(3).without_data();
    assert_eq!(result.err, format!("{expected}\n"));
    assert!(!world.home().exists(), "something was written");
}

#[test]
fn all_problems_with_inputs_are_reported_at_once() {
    refused(
        &World::new(),
        &["run", TAXI, "-i", "taxi=gren", "-i", "yeer=2019", "-i", "month=13", "-i", "year=19"],
        "error: the flow has no input `yeer`\n  help: did you mean `year`?\n\n\
         error: input `taxi`: `gren` is not one of `yellow`, `green`; did you mean `green`?\n\n\
         error: input `year`: `19` does not match `20\\d\\d`\n\n\
         error: input `month`: `13` is not one of `01`, `02`, `03`, `04`, `05`, `06`, `07`, `08`, `09`, `10`, `11`, `12`",
    );
}

#[test]
fn a_month_without_leading_zero_matches_its_choice() {
    refused(
        &World::new(),
        &["run", TAXI, "-i", "taxi=green", "-i", "year=2019", "-i", "month=1"],
        "error: input `month`: `1` is not one of `01`, `02`, `03`, `04`, `05`, `06`, `07`, `08`, `09`, `10`, `11`, `12`; did you mean `01`?",
    );
}

#[test]
fn a_required_input_without_a_value_says_how_to_give_it() {
    let world = World::new();
    let inputs = "inputs:\n  - {id: taxi, type: SELECT, values: [yellow, green], displayName: Which taxis}\n";
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}tasks:\n  - {{id: a, type: log, message: x}}\n"));
    refused(
        &world,
        &["run", "f.yaml"],
        "error: input `taxi` has no value (Which taxis)\n  help: give it with `-i taxi=yellow`",
    );
}

#[test]
fn numbers_dates_and_words_are_checked() {
    let world = World::new();
    let inputs = "inputs:
  - {id: count, type: INT, max: 9}
  - {id: share, type: FLOAT}
  - {id: day, type: DATE}
  - {id: sure, type: BOOL}
";
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}tasks:\n  - {{id: a, type: log, message: x}}\n"));
    refused(
        &world,
        &["run", "f.yaml", "-i", "count=10", "-i", "share=half", "-i", "day=2020-04-31", "-i", "sure=perhaps"],
        "error: input `count`: 10 is more than 9\n\n\
         error: input `share`: `half` is not a number\n\n\
         error: input `day`: `2020-04-31` is not a date such as 2020-04-01\n\n\
         error: input `sure`: `perhaps` is neither true nor false",
    );
}

#[test]
fn a_missing_flow_file_lists_the_yaml_files_in_its_folder() {
    let world = World::new();
    world.write("flows/taxi.yaml", "");
    world.write("flows/zones.yml", "");
    world.write("flows/notes.txt", "");
    let expected = "error: cannot read the flow `flows/tax.yaml`: No such file or directory\n  \
                    help: YAML files in that folder: flows/taxi.yaml, flows/zones.yml";
    refused(&world, &["run", "flows/tax.yaml"], expected);
    let result = world.jitney(&["validate", "flows/tax.yaml"]).ended(3);
    assert_eq!(result.out, format!("{expected}\n\n"));
    let nowhere = world.jitney(&["run", "elsewhere/taxi.yaml"]).ended(3);
    nowhere.says("help: give the path of a YAML file");
}

#[test]
fn an_invalid_address_is_rejected_before_anything_runs() {
    let mut world = World::new();
    world.postgres = Some("postgres://root:geheim77@localhost:port/ny_taxi".to_owned());
    let result = world.load().ended(3).without_data().says("error: cannot read the address of --postgres: ");
    assert!(result.err.contains("help: write it as postgres://"), "{result}");
    assert!(!result.err.contains("geheim77"), "{result}");
    assert!(!world.home().exists(), "something was written");
}

#[test]
fn a_missing_path_is_reported_with_the_places_searched() {
    let world = World::new();
    world.write(
        "flows/f.yaml",
        "id: f\nnamespace: n\ninputs:\n  - {id: source, type: URI}\ntasks:\n  - {id: a, type: log, message: hi}\n",
    );
    for arguments in
        [&["run", "flows/f.yaml"][..], &["backfill", "flows/f.yaml", "--from", "2020-01", "--to", "2020-02"]]
    {
        let result = world.jitney(&[arguments, &["-i", "source=./nomirror"]].concat()).ended(3).without_data();
        let result =
            result.says("input `source`: `./nomirror` exists neither in the current folder nor next to the flow");
        let places = ["nomirror", "flows/nomirror"].map(|name| world.path(name).display().to_string());
        result.says(&places[0]).says(&places[1]);
    }
    world.write("flows/nomirror/x", "");
    world.jitney(&["run", "flows/f.yaml", "-i", "source=./nomirror"]).ended(0);
}

#[test]
fn an_input_that_nests_too_deeply_is_refused() {
    let world = World::new();
    let inputs = "inputs:\n  - {id: deep, type: JSON}\n";
    world.write("f.yaml", format!("id: f\nnamespace: n\n{inputs}tasks:\n  - {{id: a, type: log, message: x}}\n"));
    let deep = format!("deep={}{}", "[".repeat(101), "]".repeat(101));
    refused(&world, &["run", "f.yaml", "-i", &deep], "error: input `deep`: this is nested more than 100 levels deep");
}
