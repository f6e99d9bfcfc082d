//! `jitney doctor gcp`: what is missing, with the command for it, and nothing changed.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use super::bucket;
use super::proxy::{Fault, Proxy, fault};

async fn doctor(proxy: &Arc<Proxy>, arguments: &[&str]) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
    command.arg("--home").arg(home.path()).args(["doctor", "gcp", "--json"]).args(arguments);
    command.env("STORAGE_EMULATOR_HOST", &proxy.url).env("GOOGLE_CLOUD_PROJECT", "my-project");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn finding<'a>(findings: &'a [Value], what: &str) -> (&'a str, &'a str, &'a str) {
    let found =
        findings.iter().find(|finding| finding["what"] == what).unwrap_or_else(|| panic!("{what}: {findings:?}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default();
    (text("state"), text("detail"), text("fix"))
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_roles_are_named_with_the_command_that_grants_them() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "doctor").await else { return };
    let given = json!({"permissions": ["storage.objects.get", "storage.objects.list"]}).to_string();
    let given = Fault { when: "testPermissions", status: 200, headers: vec![], body: given };
    let proxy = Proxy::start(vec![given]).await.unwrap();
    let findings = doctor(&proxy, &["--bucket", &bucket]).await;
    assert_eq!(finding(&findings, "Google project"), ("ok", "my-project", ""));
    assert_eq!(finding(&findings, "bucket").0, "ok");
    let (state, detail, fix) = finding(&findings, "bucket's roles");
    assert_eq!((state, detail), ("missing", "missing permissions: storage.objects.create, storage.objects.delete"));
    assert_eq!(
        fix,
        format!(
            "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=user:YOUR-ADDRESS --role=roles/storage.objectUser"
        )
    );
    assert_eq!(proxy.requests.lock().unwrap().iter().filter(|request| !request.starts_with("GET")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_and_a_service_that_is_off_say_how_to_mend_them() {
    let off =
        fault("GET /storage", 403, "accessNotConfigured", "Cloud Storage JSON API has not been used in project 1.");
    let Some(proxy) = Proxy::start(vec![off]).await else { return };
    let findings = doctor(&proxy, &["--bucket", "no-such"]).await;
    assert!(
        finding(&findings, "bucket").2.contains("gcloud services enable storage.googleapis.com --project=my-project")
    );
    let findings = doctor(&proxy, &["--bucket", "no-such"]).await;
    assert!(finding(&findings, "bucket").2.contains("gcloud storage buckets create gs://no-such --project=my-project"));
}
