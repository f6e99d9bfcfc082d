//! Months of invented trips, through the fields of the shipped flow.

use std::path::Path;

use jitney::file_access::FileAccess;
use jitney::sample::month::{TaxiColour, write_month};

use crate::load::{Place, counts, run};

/// The shipped flow's load, as a run for this colour and file would have it.
fn shipped(taxi: &str, file: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("flows/postgres_taxi.yaml");
    let prefix = if taxi == "yellow" { "tpep" } else { "lpep" };
    let text = std::fs::read_to_string(path)
        .unwrap()
        .replace("{{ outputs.extract.uri }}", &file.display().to_string())
        .replace("{{ inputs.taxi }}", taxi)
        .replace("{{ inputs.year }}", "2020")
        .replace("{{ inputs.month }}", "01")
        .replace("{{ vars.pickup[inputs.taxi] }}", &format!("{prefix}_pickup_datetime"))
        .replace("{{ vars.dropoff[inputs.taxi] }}", &format!("{prefix}_dropoff_datetime"));
    let flow: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let tasks = flow["tasks"].as_sequence().unwrap();
    let mut load = tasks.iter().find(|task| task["id"] == "load").unwrap().as_mapping().unwrap().clone();
    load.remove("id");
    load.remove("type");
    serde_yaml::to_string(&load).unwrap()
}

async fn assert_loads(colour: TaxiColour) {
    let taxi = colour.as_str();
    let place = Place::new(&format!("month_{taxi}")).await;
    let file = place.path().join(colour.file_name(2020, 1));
    let facts = write_month(&file, colour, 2020, 1, 20_000, 7).unwrap();
    let yaml = shipped(taxi, &file);
    let context = || {
        let mut context = place.context();
        context.files = FileAccess::unrestricted(Path::new(env!("CARGO_MANIFEST_DIR")).join("flows"));
        context
    };
    let outputs = run(&yaml, context()).await.unwrap();
    assert_eq!(counts(&outputs), [facts.rows, facts.rows, 0, 0]);
    assert_eq!(counts(&run(&yaml, context()).await.unwrap()), [facts.rows, 0, 0, facts.rows]);
    let sums = format!("SELECT count(*), (sum(total_amount::numeric) * 100)::bigint FROM {taxi}_tripdata");
    assert_eq!(place.rows(&sums).await, format!("{} {}", facts.rows, facts.total_cents));
    let prefix = if colour == TaxiColour::Yellow { "tpep" } else { "lpep" };
    let pickup = format!("{prefix}_pickup_datetime");
    let dropoff = format!("{prefix}_dropoff_datetime");
    let key = ["VendorID", &pickup, &dropoff, "PULocationID", "DOLocationID", "fare_amount", "trip_distance"]
        .map(|name| format!("COALESCE(CAST({name} AS text), '')"))
        .join(" || ");
    let keys = format!(
        "SELECT count(*) FILTER (WHERE unique_row_id = md5({key})), count(DISTINCT unique_row_id), min(filename)
         FROM {taxi}_tripdata"
    );
    let name = format!("{taxi}_tripdata_2020-01.csv");
    assert_eq!(place.rows(&keys).await, format!("{} {} {name}", facts.rows, facts.rows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_yellow_trip_arrives_with_the_key_that_sql_computes() {
    assert_loads(TaxiColour::Yellow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_green_trip_arrives_with_the_key_that_sql_computes() {
    assert_loads(TaxiColour::Green).await;
}
