//! The course's way to BigQuery: flows in Kestra's words, whose statements are sent as they are written.

use std::path::Path;

use jitney::cli::demo::serve::serve;
use jitney::sample::month::TaxiColour;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::flows::{jitney, month};
use super::proxy::Proxy;
use super::{client, dataset, google, rows};

const FLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/course/flows");

/// The statements of a flow's branch as they are written, with the values of their expressions.
fn written(branch: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{FLOWS}/gcp_taxi.yaml")).unwrap();
    let flow: Value = serde_yaml::from_str(&text).unwrap();
    let branch = flow["tasks"].as_array().unwrap().iter().find(|task| task["id"] == branch).unwrap();
    let value = |sql: &str| {
        let names = [
            ("{{kv('GCP_PROJECT_ID')}}", "test-project"),
            ("{{kv('GCP_DATASET')}}", "course"),
            ("{{render(vars.table)}}", "course.green_tripdata_2020_04"),
            ("{{render(vars.gcs_file)}}", "gs://test-course/green_tripdata_2020-04.csv"),
            ("{{render(vars.file)}}", "green_tripdata_2020-04.csv"),
        ];
        names.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
    };
    branch["then"].as_array().unwrap().iter().map(|task| value(task["sql"].as_str().unwrap())).collect()
}

async fn run(home: &Path, host: &str, arguments: &[&str]) {
    let mut command = jitney(home, arguments);
    command.env("BIGQUERY_EMULATOR_HOST", host).env("GCP_SERVICE_ACCOUNT", "not asked for by an emulator");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_courses_flows_run_as_they_are_and_their_statements_go_out_unchanged() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(_) = dataset(home, "course").await else { return };
    let facts = month(home, TaxiColour::Green, 500);
    let proxy = Proxy::start(vec![]).await.unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(home.join("mirror"), shutdown).await.unwrap();
    let mirror = format!("mirror=http://{address}");
    for flow in ["gcp_kv", "gcp_setup"] {
        run(home, &proxy.url, &["run", &format!("{FLOWS}/{flow}.yaml")]).await;
    }
    let flow = format!("{FLOWS}/gcp_taxi.yaml");
    let given = ["run", &flow, "-i", &mirror, "-i", "taxi=green", "-i", "year=2020", "-i", "month=04"];
    run(home, &proxy.url, &given).await;
    let sent: Vec<String> = proxy.jobs().iter().filter_map(sql).collect();
    assert_eq!(sent, written("if_green_taxi"));
    // The emulator makes external tables empty. What the others do with rows can be seen all the same.
    assert_eq!(rows(home, "course.green_tripdata").await, 0);
    let object = format!(
        "{}/storage/v1/b/test-course/o/green_tripdata_2020-04.csv?alt=media",
        google::emulators().unwrap()["STORAGE_EMULATOR_HOST"]
    );
    let csv = client().get(object).send().await.unwrap().text().await.unwrap();
    assert_eq!(csv.lines().count() as u64, facts.rows + 1);
}

fn sql(job: &Value) -> Option<String> {
    job["configuration"]["query"]["query"].as_str().map(str::to_owned)
}
