//! Flows to begin with: each is written, valid, and runs.

use jitney::text::thousands;

use crate::cli::world::World;

#[track_caller]
fn written(world: &World, template: &str) {
    world.jitney(&["new", "flows/mine", "--template", template]).ended(0).says("jitney run flows/mine.yaml");
    let text = std::fs::read_to_string(world.path("flows/mine.yaml")).unwrap();
    assert!(text.contains("\nid: mine\n") && text.contains("jitney run flows/mine.yaml"), "{text}");
    world.jitney(&["validate", "flows/mine.yaml"]).ended(0).says("1 flow checked, no errors");
}

#[test]
fn hello_runs_at_once() {
    let world = World::new();
    written(&world, "hello");
    let told = world.jitney(&["run", "flows/mine.yaml", "-i", "name=Ada"]).ended(0).says("Hello, Ada!");
    told.says("Hello to Edsger too, who is number 2.");
}

#[test]
fn the_python_flow_counts() {
    let world = World::new();
    written(&world, "http_python");
    world.write("zones.csv", "LocationID,Borough\n1,Queens\n2,Bronx\n3,Queens\n");
    let told = world.jitney(&["run", "flows/mine.yaml", "-i", "uri=zones.csv"]).ended(0);
    told.says("Queens: 2 zones").says("Bronx: 1 zones");
}

#[tokio::test]
async fn the_taxi_flow_loads_a_month() {
    let world = World::with_database("cli_new_taxi").await;
    written(&world, "postgres_taxi");
    let facts = world.month(1000);
    let run = ["run", "flows/mine.yaml", "-i", "month=2020-04", "-i", "source=mirror"];
    let told = world.jitney(&run).ended(0).says("2020-04: 1,000 trips for ");
    assert!(told.err.contains(&format!("{} dollars", thousands((facts.total_cents + 50) as u64 / 100))), "{told}");
    world.jitney(&run).ended(0).says("1,000 already there");
}

#[tokio::test]
async fn the_report_names_tables() {
    let world = World::with_database("cli_new_report").await;
    written(&world, "postgres_report");
    world.jitney(&["run", "flows/mine.yaml", "-i", "largest=3"]).ended(0).says("pg_");
}

#[test]
fn nothing_is_ever_overwritten() {
    let world = World::new();
    world.write("mine.yaml", "mine");
    world.jitney(&["new", "mine"]).ended(3).says("mine.yaml already exists");
    assert_eq!(std::fs::read_to_string(world.path("mine.yaml")).unwrap(), "mine");
    world.jitney(&["new", "1st flow"]).ended(3).says("`1st flow` is not a valid name for a flow");
    world.jitney(&["new", "other", "--template", "none"]).ended(2).says("postgres_taxi");
}

#[test]
fn every_template_is_listed() {
    let told = World::new().jitney(&["new", "--list"]).ended(0);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for entry in folder.read_dir().unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(told.out.lines().any(|line| line.starts_with(&format!("{name} "))), "{told}");
    }
}

#[test]
fn the_schema_is_printed() {
    let schema = World::new().jitney(&["schema"]).ended(0).json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}
