//! Templates about the order of tasks, and the first ones.

use super::with;
use crate::cli::world::World;

#[test]
fn hello_greets_everybody() {
    let world = World::new();
    world.jitney(&["new", "hello"]).ended(0);
    let told = world.jitney(&["run", "hello.yaml", "-i", "name=Ada"]).ended(0).says("Hello, Ada!");
    told.says("Hello to Edsger too, who is number 2.");
}

#[test]
fn http_python_counts_with_python() {
    let world = World::new();
    world.jitney(&["new", "http_python"]).ended(0);
    world.write("zones.csv", "LocationID,Borough\n1,Queens\n2,Bronx\n3,Queens\n");
    let told = world.jitney(&["run", "http_python.yaml", "-i", "uri=zones.csv"]).ended(0);
    told.says("Queens: 2 zones").says("Bronx: 1 zones");
}

#[tokio::test]
async fn postgres_report_names_tables() {
    let world = with("postgres_report").await;
    world.client().await.batch_execute("CREATE TABLE shops AS SELECT 1 AS id").await.unwrap();
    let told = world.jitney(&["run", "postgres_report.yaml", "-i", "largest=3"]).ended(0).says("shops  8192 bytes");
    assert!(!told.err.contains("pg_proc"), "{told}");
}

#[tokio::test]
async fn subflow_runs_its_child_for_each_country_under_any_name() {
    let world = with("subflow").await;
    world.jitney(&["run", "subflow.yaml"]).ended(0).says("GB: 140.25").says("US: 390").says("NL: 42.25");
    world.jitney(&["new", "subflow", "flows/sales.yaml"]).ended(0).says("flows/sales_country.yaml");
    world.jitney(&["run", "flows/sales.yaml", "-i", "countries=NL"]).ended(0).says("NL: 42.25");
    world.jitney(&["run", "flows/sales_country.yaml", "-i", "country=GB"]).ended(0).says("amount");
}

#[tokio::test]
async fn approval_waits_and_deletes_only_if_somebody_says_so() {
    let world = with("approval").await;
    let count = async |sql: &str| world.client().await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let told = world.jitney(&["run", "approval.yaml"]).ended(4).says("12 events are older than 365 days");
    told.says("Paused at approve");
    assert_eq!(count("SELECT count(*) FROM events").await, 25);
    world.jitney(&["resume", "-i", "approved=false"]).ended(0).says("Kept all events");
    world.jitney(&["run", "approval.yaml"]).ended(4);
    world.jitney(&["resume", "-i", "approved=true", "-i", "reason=checked"]).ended(0).says("Deleted 12 events");
    assert_eq!(count("SELECT count(*) FROM events").await, 13);
}
