//! The shipped flows through the program itself, on the emulators; and a kill in the middle of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jitney::sample::month::{MonthFacts, TaxiColour, write_month};
use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{ask, dataset, google, rows};

pub fn jitney(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("HOME", home);
    command.envs(google::emulators().unwrap()).arg("--home").arg(home.join("home")).args(arguments);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

fn run(home: &Path, flow: &str, given: &[&str]) -> Value {
    let flow = format!("flows/{flow}.yaml");
    let mut arguments = vec!["run", "--json", &flow];
    given.iter().for_each(|pair| arguments.extend(["-i", pair]));
    let output = jitney(home, &arguments).output().unwrap();
    assert!(output.status.success(), "{flow}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn month(home: &Path, colour: TaxiColour, rows: u64) -> MonthFacts {
    let file = home.join("mirror").join(colour.as_str()).join(colour.file_name(2020, 4));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    write_month(&file, colour, 2020, 4, rows, 5).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_flows_load_both_colours_twice_and_as_parquet_with_the_same_keys() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "shipped_flows").await else { return };
    let source = format!("source={}", home.join("mirror").display());
    let place = ["bucket=test-shipped".to_owned(), format!("dataset={dataset}")];
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    run(home, "gcp_setup", &[&place[..], &["location=US"]].concat());
    for colour in [TaxiColour::Green, TaxiColour::Yellow] {
        let facts = month(home, colour, 2000);
        let taxi = format!("taxi={}", colour.as_str());
        let given = [&place[..], &[&taxi, "year=2020", "month=04", &source]].concat();
        let main = format!("{dataset}.{}_tripdata", colour.as_str());
        let mut keys = Vec::new();
        for (flow, loaded) in [("gcp_taxi", 2000), ("gcp_taxi", 0), ("gcp_taxi_parquet", 2000), ("gcp_taxi_parquet", 0)]
        {
            let reported = run(home, flow, &given);
            assert_eq!(reported["tasks"]["load"]["outputs"]["rows_loaded"], json!(loaded), "{flow} {taxi}");
            let sum = "TO_HEX(MD5(STRING_AGG(unique_row_id, '' ORDER BY unique_row_id)))";
            let sql = format!(
                "SELECT COUNT(*) AS n, CAST(ROUND(SUM(total_amount) * 100) AS INT64) AS cents, {sum} AS k FROM {main}"
            );
            let held = ask(home, &sql).await;
            assert_eq!((&held["n"], &held["cents"]), (&json!(2000), &json!(facts.total_cents)), "{flow} {taxi}");
            keys.push(held["k"].clone());
        }
        keys.dedup();
        assert_eq!(keys.len(), 1, "CSV and Parquet give the same trips the same keys");
        let described = format!(
            "SELECT COUNT(*) AS n FROM {dataset}.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE table_name = '{}_tripdata' \
             AND description IS NOT NULL AND description != ''",
            colour.as_str()
        );
        let columns = if colour == TaxiColour::Green { 22 } else { 20 };
        assert_eq!(ask(home, &described).await["n"], json!(columns), "every column is described");
        let reported = run(home, "gcp_report", &[&taxi, place[1]]);
        let report = &reported["tasks"]["months"]["outputs"]["rows"];
        assert_eq!((&report[0]["trips"], &report[0]["loads"]), (&json!(2000), &json!(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_load_is_resumed_and_is_there_once() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "killed_flow").await else { return };
    month(home, TaxiColour::Green, 3000);
    let place = ["bucket=test-killed".to_owned(), format!("dataset={dataset}")];
    run(home, "gcp_setup", &[&place[0], &place[1], "location=US"]);
    let proxy = Proxy::start(vec![]).await.unwrap();
    let source = format!("source={}", home.join("mirror").display());
    let arguments = [
        "run",
        "flows/gcp_taxi.yaml",
        "-i",
        &place[0],
        "-i",
        &place[1],
        "-i",
        "taxi=green",
        "-i",
        "year=2020",
        "-i",
        "month=04",
        "-i",
        &source,
    ];
    let mut child = jitney(home, &arguments)
        .env("BIGQUERY_EMULATOR_HOST", &proxy.url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_loading = |proxy: &Proxy| proxy.jobs().iter().any(|job| job["configuration"]["load"].is_object());
    let patience = Instant::now();
    while !is_loading(&proxy) {
        assert!(
            patience.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(),
            "no load job came"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let made = |(line, body): &(String, Value)| {
        (line.starts_with("POST") && line.contains("/tables"))
            .then(|| [body["timePartitioning"].clone(), body["clustering"].clone()])
    };
    let made: Vec<_> = proxy.requests.lock().unwrap().iter().filter_map(made).collect();
    let partitioned = json!({"type": "MONTH", "field": "lpep_pickup_datetime"});
    assert_eq!(
        made,
        [[partitioned, json!({"fields": ["filename"]})]],
        "the main table is made once, partitioned and sorted"
    );
    // The proxy is gone: the emulator itself is another address.
    let output = jitney(home, &["resume", "--retarget"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows(home, &format!("{dataset}.green_tripdata")).await, 3000);
    assert_eq!(rows(home, &format!("{dataset}.jitney_loads")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_is_what_the_ledger_and_the_table_do_not_hold_together() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "backfilled").await else { return };
    for month in 1..=3 {
        let file = home.join("mirror/green").join(TaxiColour::Green.file_name(2020, month));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        write_month(&file, TaxiColour::Green, 2020, month, 300 + u64::from(month), 5).unwrap();
    }
    let place = ["bucket=test-backfilled".to_owned(), format!("dataset={dataset}")];
    run(home, "gcp_setup", &[&place[0], &place[1], "location=US"]);
    let source = format!("source={}", home.join("mirror").display());
    let command = |name: &str, more: &[&str]| {
        let given = [&place[0], &place[1], &source, "taxi=green"];
        let given = given.iter().flat_map(|pair| ["-i", pair]);
        let start = [name, "flows/gcp_taxi.yaml", "--from", "2020-01", "--to", "2020-03"];
        let arguments: Vec<&str> = start.into_iter().chain(given).chain(more.iter().copied()).collect();
        let output = jitney(home, &arguments).output().unwrap();
        let reported = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{reported}{}", String::from_utf8_lossy(&output.stderr));
        reported
    };
    let backfill = |more: &[&str]| -> Vec<String> {
        let reported: Value = serde_json::from_str(&command("backfill", &[more, &["--json"]].concat())).unwrap();
        let states = reported["partitions"].as_array().unwrap().iter();
        states.map(|partition| partition["state"].as_str().unwrap().to_owned()).collect()
    };
    // Nothing is there, not even the ledger.
    assert_eq!(backfill(&["--only", "missing"]), ["LOADED"; 3]);
    let main = format!("{dataset}.green_tripdata");
    let delete = format!("DELETE FROM {main} WHERE filename = 'green_tripdata_2020-02.csv'");
    super::run(home, "bigquery.query", json!({"sql": delete})).await.unwrap();

    let grid: Value = serde_json::from_str(&command("partitions", &["--json"])).unwrap();
    let partitions = grid[0]["partitions"].as_array().unwrap();
    let states: Vec<&Value> = partitions.iter().map(|partition| &partition["state"]).collect();
    assert_eq!((states[0], &partitions[0]["rows"]), (&json!("LOADED"), &json!(301)), "{grid}");
    assert_eq!((states[2], &partitions[2]["rows"]), (&json!("LOADED"), &json!(303)), "{grid}");
    assert_eq!(partitions[1]["note"], json!(format!("`{main}` holds 0 of 302 rows")), "{grid}");

    assert_eq!(backfill(&["--only", "missing"]), ["SKIPPED", "LOADED", "SKIPPED"]);
    assert_eq!(rows(home, &main).await, 906);
    assert_eq!(rows(home, &format!("{dataset}.jitney_loads")).await, 4);
    command("backfill", &["--only", "missing"]);
    assert_eq!(rows(home, &format!("{dataset}.jitney_loads")).await, 4, "nothing was missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_a_missing_dataset_and_a_dataset_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "doctored").await else { return };
    super::run(home, "gcs.create_bucket", json!({"name": "test-doctored", "if_exists": "SKIP"})).await.unwrap();
    let look = |name: &str| -> Vec<Value> {
        let output =
            jitney(home, &["doctor", "gcp", "--json", "--bucket", "test-doctored", "--dataset", name]).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    };
    let find =
        |findings: &[Value], what: &str| findings.iter().find(|finding| finding["what"] == what).unwrap().clone();
    let findings = look("nowhere");
    assert!(find(&findings, "dataset")["fix"].as_str().unwrap().contains("mk --dataset test-project:nowhere"));
    let findings = look(&dataset);
    assert_eq!(find(&findings, "BigQuery jobs")["state"], json!("ok"));
    assert_eq!(find(&findings, "dataset's roles")["state"], json!("ok"));
    // The emulators put buckets and datasets into different places by themselves.
    assert!(find(&findings, "dataset")["detail"].as_str().unwrap().contains("but the bucket is in US-CENTRAL1"));
    let tables = format!("SELECT COUNT(*) AS n FROM {dataset}.INFORMATION_SCHEMA.TABLES");
    assert_eq!(ask(home, &tables).await["n"], json!(0), "the doctor changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_for_bigquery_loads_a_month_as_it_is_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "template_taxi").await else { return };
    let flow = home.join("taxi_bigquery.yaml");
    let flow = flow.to_str().unwrap();
    assert!(jitney(home, &["new", "taxi_bigquery", flow]).status().unwrap().success());
    let facts = month(home, TaxiColour::Green, 400);
    let source = format!("source={}", home.join("mirror").display());
    let dataset = format!("dataset={dataset}");
    let given =
        ["-i", "bucket=test-template", "-i", "month=2020-04", "-i", "location=US", "-i", &source, "-i", &dataset];
    for loaded in [400, 0] {
        let output = jitney(home, &[&["run", "--json", flow], &given[..]].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["tasks"]["load"]["outputs"]["rows_loaded"], json!(loaded));
        let sum = &told["tasks"]["sum"]["outputs"]["row"];
        assert_eq!(sum["trips"], json!(400), "{sum}");
        assert_eq!(sum["dollars"].as_f64().unwrap(), (facts.total_cents as f64 / 100.0).round(), "{sum}");
    }
}
