//! What Google refuses is refused at once, in its own words, with what to do about it.

use std::fs;

use jitney::task::{ErrorClass, TaskError};
use serde_json::{Value, json};

use super::attempt;
use super::proxy::{Fault, Proxy, fault};

/// Runs a task against a Google that refuses, and expects just one such request.
async fn refuse(faults: Vec<Fault>, asked: &str, kind: &str, fields: Value) -> Option<TaskError> {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("f"), "x").unwrap();
    let proxy = Proxy::start(faults).await?;
    let variables = [("STORAGE_EMULATOR_HOST", proxy.url.as_str()), ("GOOGLE_CLOUD_PROJECT", "my-project")];
    let error = attempt::run(attempt::context(home.path(), &variables).0, kind, fields).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert_eq!(proxy.count(asked), 1, "{:?}", proxy.requests.lock().unwrap());
    Some(error)
}

fn assert_says(error: &TaskError, reason: &str, remedy: &str) {
    assert!(error.message.contains(reason), "{error}");
    assert!(error.help.as_deref().unwrap_or_default().contains(remedy), "{error}");
}

const UPLOAD: &str = "gcs.upload";

#[tokio::test]
async fn a_missing_role_is_named_with_the_command_that_grants_it() {
    let denied = "load@my-project.iam.gserviceaccount.com does not have storage.objects.create access to the Google \
                  Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist).";
    let faults = vec![
        fault("GET /storage", 404, "notFound", "No such object: taken/f"),
        fault("POST /upload", 403, "forbidden", denied),
    ];
    let fields = json!({"from": "f", "to": "gs://b1/f"});
    let Some(error) = refuse(faults, "POST /upload", UPLOAD, fields).await else { return };
    assert_says(&error, "uploading f to gs://b1/f: Google answered 403: load@my-project", "roles/storage.objectUser");
    assert_says(&error, denied, "gcloud storage buckets add-iam-policy-binding gs://b1 --member=");
}

#[tokio::test]
async fn a_bucket_name_that_is_taken_says_so() {
    let fields = json!({"name": "taxi", "location": "EU"});
    let taken = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
                 Please select a different name and try again.";
    let missing = || fault("GET /storage", 404, "notFound", "The specified bucket does not exist.");
    let faults = vec![missing(), fault("POST /storage", 409, "conflict", taken), missing()];
    let Some(error) = refuse(faults, "POST /storage", "gcs.create_bucket", fields.clone()).await else { return };
    assert_says(&error, taken, "choose another one, such as YOUR-PROJECT-taxi");
    // Somebody else's bucket may not even be looked at.
    let hidden =
        vec![fault("GET /storage", 403, "forbidden", "x does not have storage.buckets.get access to the bucket.")];
    let error = refuse(hidden, "GET /storage", "gcs.create_bucket", fields).await.unwrap();
    assert_says(&error, "looking at gs://taxi", "the name is taken, so choose another one");
}

#[tokio::test]
async fn a_wrong_location_says_what_locations_there_are() {
    let faults = vec![
        fault("GET /storage", 404, "notFound", "The specified bucket does not exist."),
        fault("POST /storage", 400, "invalid", "The specified location constraint is not valid."),
    ];
    let fields = json!({"name": "test-moon", "location": "moon"});
    let Some(error) = refuse(faults, "POST /storage", "gcs.create_bucket", fields).await else { return };
    assert_says(&error, "The specified location constraint is not valid.", "europe-west3");
}

#[tokio::test]
async fn what_a_project_lacks_is_said_with_the_command_for_it() {
    let off = "Cloud Storage JSON API has not been used in project 1 before or it is disabled.";
    let unpaid = "The billing account for the owning project is disabled in state absent";
    for (when, status, reason, message, remedy) in [
        (
            "GET /storage",
            403,
            "accessNotConfigured",
            off,
            "gcloud services enable storage.googleapis.com --project=my-project",
        ),
        ("GET /storage", 403, "accountDisabled", unpaid, "gcloud billing projects link my-project"),
        ("GET /storage", 401, "authError", "Invalid Credentials", "gcloud auth application-default login"),
        ("GET /storage", 404, "notFound", "The specified bucket does not exist.", "gcs.create_bucket"),
    ] {
        let fields = json!({"from": "f", "to": "gs://b1/f"});
        let Some(error) = refuse(vec![fault(when, status, reason, message)], when, UPLOAD, fields).await else {
            return;
        };
        assert_says(&error, message, remedy);
    }
}
