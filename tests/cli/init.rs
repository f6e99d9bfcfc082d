//! `jitney init`: the folder that it makes, and whether the commands that it names work.

use crate::cli::world::{CommandOutput, World};

/// The commands that the message names, in order.
fn next(told: &CommandOutput) -> Vec<String> {
    let (_, next) = told.err.split_once("\nNext:\n").unwrap_or_else(|| panic!("{told}"));
    next.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_project_is_made_and_the_commands_that_it_names_work() {
    let world = World::with_database("cli_init").await;
    let told = world.jitney(&["init", "shop"]).ended(0);
    for file in ["flows/csv.yaml", "flows/orders.csv", "sql/loads.sql", ".env.example", ".gitignore", "README.md"] {
        assert!(world.path("shop").join(file).is_file() && told.err.contains(file), "{file}: {told}");
    }
    assert_eq!(next(&told), ["cd shop", "jitney run flows/csv.yaml", "jitney server --open"]);
    let mut run = world.command(&["run", "flows/csv.yaml"]);
    let ran = CommandOutput::from(run.current_dir(world.path("shop")).output().unwrap()).ended(0);
    ran.says("The table has 10 orders of 995.89 in all");
    let readme = std::fs::read_to_string(world.path("shop/README.md")).unwrap();
    assert!(readme.starts_with("# shop\n") && readme.contains("jitney run flows/csv.yaml\n"), "{readme}");
    assert!(!readme.contains("{{"), "{readme}");
    let query = std::fs::read_to_string(world.path("shop/sql/loads.sql")).unwrap();
    assert_eq!(world.client().await.query(&query, &[]).await.unwrap().len(), 1);
    for arguments in [&["validate", "shop/flows"][..], &["doctor", "--check", "shop/flows"]] {
        world.jitney(arguments).ended(0);
    }
}

#[test]
fn every_choice_makes_a_valid_project() {
    let world = World::new();
    for (flow, file, first) in [
        ("taxi", "postgres_taxi", "jitney run flows/postgres_taxi.yaml -i taxi=green -i year=2019 -i month=01"),
        ("csv", "csv", "jitney run flows/csv.yaml"),
        ("api", "api_incremental", "jitney run flows/api_incremental.yaml -i repository=duckdb/duckdb-rs"),
        ("gcp", "taxi_bigquery", "jitney doctor gcp"),
    ] {
        let told = world.jitney(&["init", flow, "--flow", flow]).ended(0);
        assert_eq!(next(&told)[1], first, "{told}");
        assert!(world.path(&format!("{flow}/flows/{file}.yaml")).is_file());
        world.jitney(&["validate", &format!("{flow}/flows")]).ended(0).says("no errors");
        assert_eq!(world.path(flow).join("sql").read_dir().unwrap().count(), 1);
    }
    world.jitney(&["init", "--flow", "dbt"]).ended(2).says("taxi, csv, api, gcp");
}

#[test]
fn what_is_there_is_kept_and_a_second_time_changes_nothing() {
    let world = World::new();
    world.write("README.md", "mine");
    let told = world.jitney(&["init"]).ended(0).says("Kept, because they exist already\n  README.md\n");
    assert_eq!(next(&told), ["jitney run flows/csv.yaml", "jitney server --open"]);
    assert_eq!(std::fs::read_to_string(world.path("README.md")).unwrap(), "mine");
    world.write("flows/csv.yaml", "changed");
    let told = world.jitney(&["init"]).ended(0);
    assert!(!told.err.contains("Wrote"), "{told}");
    assert_eq!(std::fs::read_to_string(world.path("flows/csv.yaml")).unwrap(), "changed");
    world.jitney(&["init", "README.md"]).ended(3).says("README.md is a file");
}

#[test]
fn the_compose_file_names_what_it_needs_and_git_ignores_secrets() {
    let world = World::new();
    world.jitney(&["init", "--flow", "taxi"]).ended(0);
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    let compose: serde_json::Value = serde_yaml::from_str(&read("docker-compose.yaml")).unwrap();
    let services: Vec<&String> = compose["services"].as_object().unwrap().keys().collect();
    assert_eq!(services, ["postgres", "pgadmin", "jitney"]);
    // Ports are those of this machine alone, and every variable without a default is in the example.
    for service in compose["services"].as_object().unwrap().values() {
        for port in service["ports"].as_array().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
        }
    }
    let example = read(".env.example");
    for name in ["POSTGRES_PASSWORD", "JITNEY_PASSWORD", "JITNEY_USER"] {
        assert!(read("docker-compose.yaml").contains(&format!("${{{name}")) && example.contains(&format!("\n{name}=")));
    }
    assert!(read(".gitignore").lines().any(|line| line == ".env"));
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_asks_for_the_first_flow() {
    let world = World::new();
    let mut terminal = crate::cli::terminal::Terminal::start(&world, "jitney init shop");
    terminal.answers("The first flow", "\u{1b}[B\u{1b}[B\r");
    let (code, screen) = terminal.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert!(world.path("shop/flows/api_incremental.yaml").is_file(), "{screen}");
    let mut terminal = crate::cli::terminal::Terminal::start(&world, "jitney init other");
    terminal.answers("The first flow", "\u{3}");
    assert_eq!(terminal.ended().0, Some(130));
    assert!(!world.path("other").exists());
}
