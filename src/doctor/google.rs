//! Google Cloud: the account, the bucket and the dataset, and missing roles.

use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{DoctorFinding, bigquery};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::{Api, ApiFailure, GoogleAccess, GoogleLogin, GoogleRole, RetryPolicy, Service};
use crate::task::TaskError;
use crate::web::RequestError;

/// What of Google Cloud is looked at.
#[derive(Debug, Args)]
pub struct GoogleCheck {
    /// The bucket that flows use
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// The dataset that flows use
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// The project [default: the credentials' own, else GOOGLE_CLOUD_PROJECT]
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// A service account's key [default: Application Default Credentials]
    #[arg(long, value_name = "FILE")]
    pub service_account: Option<String>,
}

/// The permissions that flows need on objects.
const NEEDED: [&str; 4] =
    ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"];

/// Checks credentials, project, bucket and BigQuery.
pub async fn check(arguments: &GoogleCheck, settings: &Settings) -> Vec<DoctorFinding> {
    let service_account = arguments.service_account.as_deref();
    let login = GoogleLogin { service_account, project: arguments.project.as_deref(), ..GoogleLogin::default() };
    let api = match Api::find(settings, &FileAccess::unrestricted("."), Service::Storage, &login).await {
        Ok(api) => api,
        Err(error) => return vec![missing("Google credentials", error)],
    };
    let mut findings = vec![credentials(&api.access).await, project(&api.access)];
    // Without a token, every other request would be rejected.
    if !findings[0].is_missing() {
        findings.extend(bucket(&api, arguments.bucket.as_deref()).await);
        findings.extend(bigquery::check(&api, settings, &login, arguments).await);
    }
    findings
}

async fn credentials(access: &GoogleAccess) -> DoctorFinding {
    let who = access.member.as_deref().map(|member| format!("{member}, ")).unwrap_or_default();
    match access.headers().await {
        Ok(_) => DoctorFinding::ok("Google credentials", format!("{who}from {}", access.from)),
        Err(RequestError::Retryable(error, _) | RequestError::Fatal(error)) => missing("Google credentials", error),
    }
}

fn project(access: &GoogleAccess) -> DoctorFinding {
    match access.project() {
        Ok(project) => DoctorFinding::ok("Google project", project),
        Err(error) => missing("Google project", error),
    }
}

async fn bucket(api: &Api, name: Option<&str>) -> Vec<DoctorFinding> {
    let Some(name) = name.map(|name| name.trim_start_matches("gs://").trim_end_matches('/')) else {
        return vec![
            DoctorFinding::missing("bucket", "none specified", "specify the bucket that your flows use: --bucket NAME")
                .warn(),
        ];
    };
    let path = format!("/storage/v1/b/{name}");
    let found = api
        .call_value(&RetryPolicy::never(), &format!("looking at gs://{name}"), || api.request(Method::GET, &path))
        .await;
    let here = match found {
        Ok(bucket) => {
            let text = |field: &str| bucket[field].as_str().unwrap_or_default().to_owned();
            DoctorFinding::ok("bucket", format!("gs://{name} in {}, {}", text("location"), text("storageClass")))
        }
        Err(failure) if failure.is(StatusCode::NOT_FOUND) => {
            let project = api.access.project().unwrap_or("PROJECT");
            let make = format!(
                "gcloud storage buckets create gs://{name} --project={project} --location=EU, or a task of type gcs.create_bucket"
            );
            return vec![DoctorFinding::missing("bucket", format!("gs://{name} does not exist"), make)];
        }
        // Reading the metadata of a bucket is a separate permission, which only gcs.create_bucket needs.
        Err(ApiFailure::Rejected(google_error))
            if google_error.status == 403 && GoogleRole::missing(&google_error.message).is_some() =>
        {
            DoctorFinding::ok("bucket", format!("gs://{name}, whose metadata this account may not read"))
        }
        Err(failure) => return vec![missing("bucket", failure.into())],
    };
    vec![here, roles(api, name).await]
}

async fn roles(api: &Api, name: &str) -> DoctorFinding {
    let what = "bucket's roles";
    let asked: Vec<String> = NEEDED.iter().map(|permission| format!("permissions={permission}")).collect();
    let path = format!("/storage/v1/b/{name}/iam/testPermissions?{}", asked.join("&"));
    let doing = format!("checking the permissions on gs://{name}");
    let given = match api.call_value(&RetryPolicy::never(), &doing, || api.request(Method::GET, &path)).await {
        Ok(given) => given,
        Err(failure) if failure.is(StatusCode::NOT_FOUND) => {
            return DoctorFinding::ok(what, "not checked: an emulator has no roles");
        }
        Err(failure) => return missing(what, failure.into()),
    };
    let given: Vec<&str> = given["permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let lacking: Vec<&str> = NEEDED.into_iter().filter(|permission| !given.contains(permission)).collect();
    let mut grants: Vec<String> = lacking
        .iter()
        .filter_map(|permission| Some(GoogleRole::with(permission)?.grant(&api.access, Some(name))))
        .collect();
    grants.dedup();
    match lacking.is_empty() {
        true => DoctorFinding::ok(what, "objects can be listed, read, written and deleted"),
        false => {
            DoctorFinding::missing(what, format!("missing permissions: {}", lacking.join(", ")), grants.join("\n"))
        }
    }
}

pub(super) fn missing(what: &'static str, error: TaskError) -> DoctorFinding {
    DoctorFinding::missing(what, error.message, error.help.unwrap_or_default())
}
