//! `jitney demo` next to tables that are not its own.

use crate::cli::postgres;
use crate::cli::world::{CommandOutput, World};

#[tokio::test]
async fn the_demo_changes_neither_other_tables_nor_the_server_of_the_environment() {
    let mut world = World::with_database("cli_demo").await;
    let client = world.client().await;
    let own = "CREATE TABLE green_tripdata (a int); CREATE TABLE zones (a int); \
               INSERT INTO green_tripdata VALUES (1); INSERT INTO zones VALUES (1)";
    client.batch_execute(own).await.unwrap();
    let count = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let result = world.jitney(&["demo", "--rows", "100"]).ended(0).says("the schema `jitney_demo` of the server");
    assert!(result.out.contains("✓ yellow: the table holds the file's 400 rows"), "{result}");
    assert!(result.out.contains(&format!("└{}\n", "─".repeat(60))), "every day has its place\n{result}");
    assert!(result.out.contains("psql postgres://") && !result.out.contains("jitney postgres psql"), "{result}");
    assert_eq!(count("SELECT count(*) FROM jitney_demo.green_tripdata").await, 100);
    let others = "SELECT (SELECT count(*) FROM green_tripdata) + (SELECT count(*) FROM zones)";
    assert_eq!(count(others).await, 2);
    assert_eq!(world.newest()["namespace"], "demo");

    client.batch_execute("DROP SCHEMA jitney_demo CASCADE").await.unwrap();
    let address = world.postgres.take().unwrap();
    let run = world.command(&["demo", "--rows", "100"]).env("DATABASE_URL", &address).output().unwrap();
    let result = CommandOutput::from(run).ended(0).says("not the one that the environment names");
    assert!(result.out.contains("managed by jitney") && result.out.contains("jitney postgres psql"), "{result}");
    let schema = postgres::client(&address).await.query_one("SELECT to_regnamespace('jitney_demo') IS NULL", &[]).await;
    assert!(schema.unwrap().get::<_, bool>(0), "the demo went to the server of the environment");
    world.jitney(&["postgres", "destroy", "--yes"]).ended(0);
}
