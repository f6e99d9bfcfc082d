//! Who a task is: every request is signed, whichever client makes it, and the token is seen nowhere else.

use std::process::Command;

use serde_json::{Value, json};

use super::google::{emulators, key};
use super::proxy::{Proxy, fault};
use super::{attempt, dataset, lines};

#[tokio::test]
async fn a_key_signs_the_requests_of_the_crate_and_our_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "signed").await else { return };
    let proxy = Proxy::start(vec![fault("/jobs", 503, "backendError", "busy")]).await.unwrap();
    std::fs::write(home.join("key.json"), key(home)).unwrap();
    let storage = emulators().unwrap()["STORAGE_EMULATOR_HOST"].as_str();
    let variables = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY", proxy.url.as_str()),
        ("BIGQUERY_EMULATOR_HOST", ""),
        ("STORAGE_EMULATOR_HOST", storage),
    ];
    let (mut context, log) = attempt::context(home, &variables);
    // The emulators outlive the test, and know the jobs of an execution.
    context.execution = jitney::id::ExecutionId::new(format!("e{}", uuid::Uuid::new_v4().simple()));
    std::fs::write(home.join("a.csv"), "k\n1\n2\n").unwrap();
    // The job is the crate's request; the dataset, the upload and the staging table's end are ours.
    let fields = json!({"from": "a.csv", "table": format!("{dataset}.t"), "projectId": "test-project", "mode": "append",
        "schema": [{"name": "k", "type": "INT64"}], "serviceAccount": "key.json"});
    let loaded = attempt::run(context, "bigquery.load", fields).await.unwrap();
    assert_eq!(loaded["rows_loaded"], json!(2));
    let mut tokens = proxy.tokens.lock().unwrap().clone();
    assert!(tokens.len() > 8, "{tokens:?}");
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "a request was not signed, or a token asked for in vain: {tokens:?}");
    let token = tokens[0].strip_prefix("Bearer ").expect("a token");
    assert!(!lines(&log).contains(token), "{}", lines(&log));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_roles_that_are_missing_on_bigquery() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "roles").await else { return };
    let denied = |permission: &str, what: &str| {
        format!("Access Denied: {what}: User does not have {permission} permission in {what}.")
    };
    let jobs = denied("bigquery.jobs.create", "Project test-project");
    let tables = denied("bigquery.tables.create", "Dataset test-project:roles");
    let faults = vec![fault("/jobs", 403, "accessDenied", &jobs), fault("/jobs", 403, "accessDenied", &tables)];
    let proxy = Proxy::start(faults).await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
    command.arg("--home").arg(home.join("home")).args(["doctor", "gcp", "--json", "--dataset", &dataset]);
    command.envs(emulators().unwrap()).env("BIGQUERY_EMULATOR_HOST", &proxy.url);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let fix = |what: &str| {
        let found = findings.iter().find(|finding| finding["what"] == what).unwrap();
        assert_eq!(found["state"], json!("missing"), "{found}");
        found["fix"].as_str().unwrap().to_owned()
    };
    assert!(fix("BigQuery jobs").contains("roles/bigquery.jobUser"), "{}", fix("BigQuery jobs"));
    assert!(fix("dataset's roles").contains("roles/bigquery.dataEditor"), "{}", fix("dataset's roles"));
    let changes = ["PUT", "PATCH", "DELETE"].map(|method| proxy.count(&format!("{method} ")));
    assert_eq!(changes, [0, 0, 0], "the doctor changes nothing");
    assert!(proxy.jobs().iter().all(|job| job["configuration"]["dryRun"] == json!(true)));
}
