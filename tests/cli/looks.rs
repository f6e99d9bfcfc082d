//! How output looks: tables in 80 columns, and colours where they are wanted.

use crate::cli::world::{APRIL, CommandOutput, World};

const LONG: &str = "a_flow_with_a_name_that_is_longer_than_any_column_of_a_table_has_room_for";

#[track_caller]
fn fits(told: &CommandOutput) {
    for line in told.out.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}\n{told}", line.chars().count());
    }
}

fn say(world: &World, id: &str) {
    world.write(
        &format!("{id}.yaml"),
        format!(
            "id: {id}\nnamespace: n\ninputs:\n  - {{id: source, type: STRING, defaults: x}}\n\
             tasks:\n  - {{id: say, type: log, message: \"{{{{ inputs.source }}}}\"}}\n"
        ),
    );
}

#[test]
fn executions_and_values_with_long_names_fit_80_columns() {
    let world = World::new();
    say(&world, LONG);
    say(&world, "short");
    let source = format!("source=https://example.com/{}", "folder/".repeat(30));
    world.jitney(&["run", &format!("{LONG}.yaml"), "-i", &source]).ended(0);
    world.jitney(&["run", "short.yaml"]).ended(0);
    let told = world.jitney(&["executions"]).ended(0);
    fits(&told);
    let id = world.newest_id();
    let row = told.out.lines().find(|line| line.contains(&id)).unwrap();
    assert!(row.contains("short") && row.contains("SUCCESS"), "an id and its state stay on one line: {told}");
    assert!(told.out.replace(['\n', ' '], "").contains(&source), "nothing is left out: {told}");
    world.jitney(&["kv", "set", "-n", "zoomcamp", "cursor", &"very long words ".repeat(20)]).ended(0);
    fits(&world.jitney(&["kv", "list"]).ended(0));
}

#[test]
fn lists_of_types_and_templates_and_the_doctor_fit_80_columns() {
    let world = World::new();
    for arguments in [&["tasks"][..], &["new", "--list"], &["doctor"]] {
        fits(&world.jitney(arguments).ended(0));
    }
}

#[tokio::test]
async fn loads_backfills_and_partitions_with_long_names_fit_80_columns() {
    let world = World::with_database("cli_looks").await;
    world.month(300);
    let flow = format!(
        "id: {LONG}\nnamespace: n\ninputs:\n  - {{id: taxi, type: SELECT, values: [yellow, green]}}\n\
         tasks:\n  - id: get_the_file_of_the_month\n    type: http.download\n    uri: mirror/green/{APRIL}\n  \
         - id: load_the_file_into_the_table\n    type: postgres.load\n    from: \"{{{{ outputs.get_the_file_of_the_month.uri }}}}\"\n    \
         table: public.{LONG_TABLE}\n    schema: {{filename: text, VendorID: text}}\n    on_extra_column: ignore\n    \
         mode: {{replace_partition: {{filename: \"{{{{ inputs.taxi }}}} {{{{ trigger.date | date('yyyy-MM') }}}}\"}}}}\n\
         triggers:\n  - {{id: monthly, type: schedule, cron: '@monthly'}}\n",
        LONG_TABLE = &LONG[..60],
    );
    world.write("long.yaml", flow);
    let told = world.jitney(&["run", "long.yaml", "-i", "taxi=green"]).ended(0);
    let table: Vec<&str> = told.out.lines().skip_while(|line| !line.contains("rows/s")).collect();
    assert!(table.len() >= 2 && table.iter().all(|line| line.chars().count() <= 80), "{told}");
    let backfill = ["backfill", "long.yaml", "-i", "taxi=green", "--from", "2020-04", "--to", "2020-05"];
    world.jitney(&backfill).ended(0);
    fits(&world.jitney(&["backfill", "list"]).ended(0));
    for more in [&[][..], &["-i", "taxi=green"], &["--check"]] {
        let partitions = [&["partitions", "long.yaml", "--from", "2020-03", "--to", "2020-06"], more].concat();
        let told = world.jitney(&partitions).ended(0);
        fits(&told);
        assert!(told.out.contains("2020-04") && told.out.contains("loaded"), "{told}");
    }
}

#[test]
fn colours_are_for_terminals_unless_the_environment_says_otherwise() {
    let world = World::new();
    say(&world, "f");
    world.jitney(&["run", "f.yaml"]).ended(0);
    let with = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.envs(variables.iter().copied());
        CommandOutput::from(command.output().unwrap())
    };
    let is_coloured = |told: &CommandOutput| told.out.contains('\u{1b}') || told.err.contains('\u{1b}');
    let force = ("CLICOLOR_FORCE", "1");
    for arguments in [
        &["executions"][..],
        &["doctor"],
        &["new", "--list"],
        &["run", "f.yaml"],
        &["tasks", "x"],
        &["validate", "none"],
    ] {
        assert!(!is_coloured(&with(&[], arguments)), "{arguments:?}");
        let told = with(&[force], arguments);
        assert!(is_coloured(&told), "{arguments:?}: {told}");
        assert!(!is_coloured(&with(&[force, ("NO_COLOR", "1")], arguments)), "{arguments:?}");
    }
    let json = with(&[force], &["executions", "--json"]);
    assert!(!is_coloured(&json) && json.json().is_array());
    // What data brings along stays visible and has no effect.
    let told = with(&[force], &["run", "f.yaml", "-i", "source=\u{1b}[31mred"]);
    assert!(told.err.contains("\\x1b[31mred"), "{told}");
}
