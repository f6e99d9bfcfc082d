//! Templates about one's own files, on the samples that come with them.

use super::{Place, postgres, until, with};
use crate::cli::world::World;

async fn total(world: &World, sql: &str) -> String {
    world.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn csv_loads_the_sample_and_then_a_file_of_ones_own() {
    let world = with("csv").await;
    world.jitney(&["run", "csv.yaml"]).ended(0).says("The table has 10 orders of 995.89 in all");
    world.write(
        "mine.csv",
        "order_id,ordered_on,customer,country,amount\n1001,2024-01-03,Ada,GB,100.50\nx,2024-01-04,Eve,GB,1\n",
    );
    let told = world.jitney(&["run", "csv.yaml", "-i", "file=mine.csv"]).ended(0);
    told.says("1 rejected").says("10 orders of 975.89");
}

#[tokio::test]
async fn csv_latin1_reads_umlauts_commas_and_dates() {
    let world = with("csv_latin1").await;
    world.jitney(&["run", "csv_latin1.yaml"]).ended(0).says("Köln: 1234.5").says("Görlitz: 43");
    assert_eq!(total(&world, "SELECT max(datum)::text FROM sales").await, "2020-04-02");
}

#[tokio::test]
async fn quality_gate_publishes_good_files_and_keeps_bad_ones_out() {
    let world = with("quality_gate").await;
    world.jitney(&["run", "quality_gate.yaml"]).ended(0).says("Published 10 orders");
    let header = "order_id,ordered_on,customer,country,amount\n";
    world.write("negative.csv", format!("{header}1,2024-01-03,Ada,GB,-5\n2,2999-01-03,Ada,GB,5\n"));
    let told = world.jitney(&["run", "quality_gate.yaml", "-i", "file=negative.csv", "-i", "least_rows=1"]).ended(1);
    told.says("The file was not accepted: an amount is not positive (1 rows), an order is from the future (1 rows)");
    world.write("short.csv", format!("{header}1,2024-01-03,Ada,GB,5\n"));
    world.jitney(&["run", "quality_gate.yaml", "-i", "file=short.csv"]).ended(1);
    world.write("twice.csv", format!("{header}1,2024-01-03,Ada,GB,5\n1,2024-01-03,Ada,GB,5\n"));
    world.jitney(&["run", "quality_gate.yaml", "-i", "file=twice.csv", "-i", "least_rows=1"]).ended(1);
    assert_eq!(total(&world, "SELECT count(*)::text FROM checked_orders").await, "10");
}

#[tokio::test]
async fn postgres_to_parquet_writes_a_file_with_types() {
    let world = with("postgres_to_parquet").await;
    let run = world.jitney(&["run", "postgres_to_parquet.yaml", "--json"]).ended(0).json();
    world.jitney(&["files", run["outputs"]["file"].as_str().unwrap(), "-o", "calendar.parquet"]).ended(0);
    let load = "id: back\nnamespace: n\ntasks:\n  - {id: load, type: postgres.load, from: calendar.parquet, table: calendar, \
                schema: {day: date, weekday: int, week: int, is_weekend: bool}}\n";
    world.write("back.yaml", load);
    world.jitney(&["run", "back.yaml"]).ended(0).says("366 rows loaded");
    assert_eq!(
        total(&world, "SELECT count(*)::text FROM calendar WHERE is_weekend AND day >= '2024-12-01'").await,
        "9"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn file_arrival_loads_what_is_copied_into_the_folder() {
    let place = Place { postgres: Some(postgres::database("template_file_arrival").await), ..Place::new() };
    assert!(place.jitney(&["new", "file_arrival", "flows/file_arrival.yaml"]).status.success());
    std::fs::create_dir(place.path("flows/incoming")).unwrap();
    let _server = place.server_with(&["--flows", "flows"]);
    let client = postgres::client(place.postgres.as_ref().unwrap()).await;
    // A file that is there when the server first looks does not count until it is written again.
    let mut looks = 0;
    until("the orders are in the table", async || {
        if looks % 200 == 0 {
            std::fs::copy(place.path("flows/orders.csv"), place.path("flows/incoming/orders.csv")).unwrap();
        }
        looks += 1;
        let rows = client.query_one("SELECT count(*) FROM arrived_orders", &[]).await;
        rows.is_ok_and(|row| row.get::<_, i64>(0) == 10)
    })
    .await;
    let run = ["run", "flows/file_arrival.yaml", "-i", "file=flows/orders.csv"];
    let again = String::from_utf8(place.jitney(&run).stderr).unwrap();
    assert!(again.contains("orders.csv: 0 new or changed orders"), "{again}");
}
