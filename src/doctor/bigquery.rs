//! BigQuery: the dataset, its location, and whether jobs may run.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::DoctorFinding;
use super::google::{GoogleCheck, missing};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::{Api, ApiFailure, GoogleLogin, RetryPolicy, Service};

/// Checks the dataset of the arguments; `storage` is used to find the location of the bucket.
pub(super) async fn check(
    storage: &Api,
    settings: &Settings,
    login: &GoogleLogin<'_>,
    arguments: &GoogleCheck,
) -> Vec<DoctorFinding> {
    let Some(name) = arguments.dataset.as_deref() else {
        let fix = "specify the dataset that your flows use: --dataset NAME";
        return vec![DoctorFinding::missing("dataset", "none specified", fix).warn()];
    };
    let api = match Api::find(settings, &FileAccess::unrestricted("."), Service::BigQuery, login).await {
        Ok(api) => api,
        Err(error) => return vec![missing("BigQuery", error)],
    };
    let Ok(project) = api.access.project() else { return Vec::new() };
    let jobs = match dry_run(&api, project, "SELECT 1", "checking whether jobs may run").await {
        Ok(()) => DoctorFinding::ok("BigQuery jobs", format!("may run in project {project}")),
        Err(failure) => missing("BigQuery jobs", failure.into()),
    };
    let mut findings = vec![jobs];
    findings.extend(dataset(&api, project, name, &bucket_location(storage, arguments.bucket.as_deref()).await).await);
    findings
}

async fn dataset(api: &Api, project: &str, name: &str, bucket: &str) -> Vec<DoctorFinding> {
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        let fix = "a name has only letters, digits and underscores".to_owned();
        return vec![DoctorFinding::missing("dataset", format!("`{name}` is not a valid dataset name"), fix)];
    }
    let what = format!("looking at dataset {project}.{name}");
    let path = format!("/bigquery/v2/projects/{project}/datasets/{name}");
    let found = api.call_value(&RetryPolicy::never(), &what, || api.request(Method::GET, &path)).await;
    let place = match found {
        Ok(found) => found["location"].as_str().unwrap_or_default().to_owned(),
        Err(failure) if failure.is(StatusCode::NOT_FOUND) => {
            let at = if bucket.is_empty() { "EU" } else { bucket };
            let fix = format!(
                "bq --location={at} mk --dataset {project}:{name}, or a task of type bigquery.create_dataset; \
                 names have only letters, digits and underscores"
            );
            return vec![DoctorFinding::missing("dataset", format!("{project}.{name} does not exist"), fix)];
        }
        Err(failure) => return vec![missing("dataset", failure.into())],
    };
    let here = match bucket.is_empty() || bucket.eq_ignore_ascii_case(&place) {
        true => DoctorFinding::ok("dataset", format!("{project}.{name} in {place}")),
        false => DoctorFinding::missing(
            "dataset",
            format!("{project}.{name} is in {place}, but the bucket is in {bucket}: loads between them fail"),
            "recreate one of them in the other's location; data cannot be moved between locations",
        ),
    };
    // A dry run checks the statement without creating the table.
    let sql = format!("CREATE TABLE IF NOT EXISTS `{project}.{name}.jitney_doctor` (a INT64)");
    let rights = match dry_run(api, project, &sql, &format!("checking whether tables may be created in {name}")).await {
        Ok(()) => DoctorFinding::ok("dataset's roles", "tables can be created"),
        Err(failure) => missing("dataset's roles", failure.into()),
    };
    vec![here, rights]
}

/// Lets Google check a statement and the permissions for it, without running it and without cost.
async fn dry_run(api: &Api, project: &str, sql: &str, what: &str) -> Result<(), ApiFailure> {
    let body = json!({"configuration": {"dryRun": true, "query": {"query": sql, "useLegacySql": false}}});
    let path = format!("/bigquery/v2/projects/{project}/jobs");
    api.call_value(&RetryPolicy::never(), what, || api.request(Method::POST, &path).json(&body)).await.map(|_| ())
}

/// The location of the bucket; empty if unknown.
async fn bucket_location(storage: &Api, name: Option<&str>) -> String {
    let Some(name) = name.map(|name| name.trim_start_matches("gs://").trim_end_matches('/')) else {
        return String::new();
    };
    let path = format!("/storage/v1/b/{name}");
    let retry = RetryPolicy::never();
    let found = storage.call_value(&retry, "looking at the bucket", || storage.request(Method::GET, &path)).await;
    let place = |bucket: Value| bucket["location"].as_str().map(str::to_owned);
    found.ok().and_then(place).unwrap_or_default()
}
