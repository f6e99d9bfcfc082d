//! Templates about taxi trips, on invented months.

use jitney::text::thousands;

use super::with;
use crate::cli::world::{APRIL, World};

/// Puts April 2020 as Parquet into the mirror, with the types that the published files have.
fn parquet(world: &World) {
    world.month(500);
    let convert = "id: convert\nnamespace: n\ntasks:\n  - id: get\n    type: http.download\n    uri: mirror/green/APRIL\n  \
                   - id: write\n    type: polars.transform\n    from: \"{{ outputs.get.uri }}\"\n    \
                   to: april.parquet\n    schema: {lpep_pickup_datetime: timestamp, lpep_dropoff_datetime: timestamp, \
                   PULocationID: int, DOLocationID: int, trip_distance: float, total_amount: float}\n\
                   outputs:\n  - {id: file, type: STRING, value: \"{{ outputs.write.uri }}\"}\n";
    world.write("convert.yaml", convert.replace("APRIL", APRIL));
    let run = world.jitney(&["run", "convert.yaml", "--json"]).ended(0).json();
    let file = run["outputs"]["file"].as_str().unwrap().to_owned();
    std::fs::create_dir_all(world.path("tlc")).unwrap();
    world.jitney(&["files", &file, "-o", "tlc/green_tripdata_2020-04.parquet"]).ended(0);
}

async fn count(world: &World, table: &str) -> i64 {
    world.client().await.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn postgres_taxi_loads_a_month_once() {
    let world = with("postgres_taxi").await;
    let facts = world.month(1000);
    let run =
        ["run", "postgres_taxi.yaml", "-i", "taxi=green", "-i", "year=2020", "-i", "month=04", "-i", "source=mirror"];
    let told = world.jitney(&run).ended(0).says("2020-04: 1,000 trips for ");
    assert!(told.err.contains(&format!("{} dollars", thousands((facts.total_cents + 50) as u64 / 100))), "{told}");
    world.jitney(&run).ended(0).says("1,000 already there");

    // As README and guides backfill the flow of this name.
    let month = |command: &'static str, to: &'static str| {
        [command, "postgres_taxi.yaml", "-i", "taxi=green", "-i", "source=mirror", "--from", "2020-04", "--to", to]
    };
    world.jitney(&month("backfill", "2020-04")).ended(0).says("1 already loaded");
    let partitions = world.jitney(&month("partitions", "2020-06")).ended(0);
    assert!(partitions.out.contains("1 loaded") && partitions.out.contains("2 not loaded"), "{partitions}");
}

#[tokio::test]
async fn tlc_parquet_loads_a_month_of_todays_files_and_backfills_it() {
    let world = with("tlc_parquet").await;
    parquet(&world);
    let run = ["run", "tlc_parquet.yaml", "-i", "taxi=green", "-i", "month=2020-04", "-i", "source=tlc"];
    world.jitney(&run).ended(0).says("500 rows loaded");
    let sql = "SELECT count(*) FROM taxi_trips WHERE picked_up_at IS NOT NULL AND filename = 'green_tripdata_2020-04.parquet'";
    let rows: i64 = world.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(rows, 500);
    let backfill = ["backfill", "tlc_parquet.yaml", "-i", "taxi=green", "-i", "source=tlc"];
    world.jitney(&[&backfill[..], &["--from", "2020-04", "--to", "2020-04"]].concat()).ended(0);
    assert_eq!(count(&world, "taxi_trips").await, 500);
}

#[tokio::test]
async fn taxi_scheduled_loads_the_month_two_months_before_its_date() {
    let world = with("taxi_scheduled").await;
    parquet(&world);
    let run = ["run", "taxi_scheduled.yaml", "-i", "source=tlc", "--trigger-date", "2020-06-20"];
    world.jitney(&run).ended(0).says("2020-04: 500 trips");
    world.jitney(&run).ended(0).says("500 already there");
    assert_eq!(count(&world, "green_trips_monthly WHERE month = '2020-04'").await, 500);
}

#[tokio::test]
async fn taxi_zones_counts_the_boroughs() {
    let world = with("taxi_zones").await;
    let zones = "\"LocationID\",\"Borough\",\"Zone\",\"service_zone\"\n1,\"EWR\",\"Newark Airport\",\"EWR\"\n\
                 2,\"Queens\",\"Jamaica Bay\",\"Boro Zone\"\n7,\"Queens\",\"Astoria\",\"Boro Zone\"\n";
    world.write("zones.csv", zones);
    for _ in 0..2 {
        world.jitney(&["run", "taxi_zones.yaml", "-i", "source=zones.csv"]).ended(0).says("Queens: 2").says("EWR: 1");
    }
}

#[tokio::test]
async fn for_each_month_loads_each_of_the_list() {
    let world = with("for_each_month").await;
    world.month(300);
    let mirror = world.path("mirror/green");
    std::fs::copy(mirror.join(APRIL), mirror.join("green_tripdata_2020-05.csv.gz")).unwrap();
    let run = ["run", "for_each_month.yaml", "-i", "months=2020-04,2020-05", "-i", "source=mirror"];
    world.jitney(&run).ended(0).says("2020-04: 300").says("2020-05: 300");
}
