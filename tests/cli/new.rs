//! `jitney new`: what it lists, what it writes, and what it refuses.

use jitney::flow::template::ALL;

use crate::cli::world::World;

#[test]
fn the_list_names_every_template_by_subject_in_80_columns() {
    let told = World::new().jitney(&["new", "--list"]).ended(0).says("jitney new TEMPLATE [FILE]");
    assert!(told.out.lines().all(|line| line.chars().count() <= 80), "{told}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    for name in &names {
        assert!(told.out.lines().any(|line| line.starts_with(&format!("  {name} "))), "{name}: {told}");
    }
    let listed = World::new().jitney(&["new", "--list", "--json"]).ended(0).json();
    let mut listed: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort();
    listed.sort_unstable();
    assert_eq!(names, listed);
    assert!(names.len() >= 20, "{names:?}");
}

#[test]
fn every_template_is_written_is_valid_and_says_what_it_needs() {
    let world = World::new();
    for template in ALL {
        let (name, needs) = (template.name, template.needs());
        assert!(needs.starts_with("Needs ") && needs.ends_with('.'), "{name}: {needs}");
        assert!(template.description().len() > 20, "{name}");
        let file = format!("{name}/flows/mine.yaml");
        let told = world.jitney(&["new", name, &file]).ended(0).says(&format!("jitney run {file}"));
        assert_eq!(
            told.err.contains(&needs[..30.min(needs.len())]),
            !needs.starts_with("Needs nothing else"),
            "{told}"
        );
        let text = std::fs::read_to_string(world.path(&file)).unwrap();
        assert!(text.contains("\nid: mine\n") && text.contains(&format!("jitney run {file}")), "{text}");
        let header: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(!header.contains(&format!(" {name}.yaml")), "{name}: {header}");
        for other in template.files {
            let place = world.path(&file).with_file_name(other.name.replace(&format!("{name}_"), "mine_"));
            assert!(place.is_file(), "{}", place.display());
        }
        world.jitney(&["validate", &format!("{name}/flows")]).ended(0).says("no errors");
    }
}

#[test]
fn nothing_is_ever_overwritten() {
    let world = World::new();
    world.write("csv.yaml", "mine");
    world.jitney(&["new", "csv"]).ended(3).says("csv.yaml already exists").says("jitney new csv FILE");
    assert_eq!(std::fs::read_to_string(world.path("csv.yaml")).unwrap(), "mine");
    assert!(!world.path("orders.csv").exists());
    world.write("orders.csv", "mine");
    world.jitney(&["new", "csv", "other.yml"]).ended(0).says("Kept orders.csv").says("Wrote other.yml. Run it");
    assert_eq!(std::fs::read_to_string(world.path("orders.csv")).unwrap(), "mine");
    world.jitney(&["new", "hello", "1st flow"]).ended(3).says("`1st flow` is not a valid name for a flow");
    world.jitney(&["new", "postgres_tax"]).ended(3).says("did you mean `postgres_taxi`?");
    world.jitney(&["new", "trips"]).ended(3).says("jitney new hello trips.yaml");
    world.jitney(&["new"]).ended(2);
}

#[test]
fn a_webhook_gets_a_key_of_its_own() {
    let world = World::new();
    let text = |name: &str| {
        world.jitney(&["new", "webhook", name]).ended(0);
        std::fs::read_to_string(world.path(name)).unwrap()
    };
    let key = |text: &str| text.split("key: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let (one, other) = (text("one.yaml"), text("other.yaml"));
    assert!(key(&one).len() >= 16 && key(&one) != key(&other), "{one}");
    assert!(one.contains(&format!("/webhook/examples/one/{} ", key(&one))), "{one}");
}

#[test]
fn the_schema_is_printed() {
    let schema = World::new().jitney(&["schema"]).ended(0).json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}
