//! Errors of Google's are reported in its words, at once, with a remedy.

use serde_json::{Value, json};

use super::proxy::{Fault, Proxy, fault, reply};
use super::{attempt, context};

async fn refused(faults: Vec<Fault>, kind: &str, fields: Value) -> Option<(String, String, usize)> {
    let home = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(faults).await?;
    let (context, _) = context(home.path(), &[("BIGQUERY_EMULATOR_HOST", &proxy.url)])?;
    let error = attempt::run(context, kind, fields).await.unwrap_err();
    let asked = proxy.requests.lock().unwrap().len();
    Some((error.message, error.help.unwrap_or_default(), asked))
}

#[tokio::test]
async fn each_refusal_names_its_remedy() {
    let query = || json!({"sql": "SELECT 1"});
    let cases = [
        (
            403,
            "accessDenied",
            "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.",
            "roles/bigquery.jobUser",
        ),
        (
            403,
            "accessDenied",
            "Access Denied: Table p:d.t: User does not have permission to query table p:d.t, or perhaps it does not exist.",
            "roles/bigquery.dataViewer",
        ),
        (404, "notFound", "Not found: Dataset p:d was not found in location EU", "bigquery.create_dataset"),
        (404, "notFound", "Not found: Dataset p:d was not found in location EU", "no `location` is set"),
        (404, "notFound", "Not found: Table p:d.t", "check the names"),
        (400, "invalid", "Cannot read and write in different locations: source: US, destination: EU", "must share one"),
        (
            400,
            "invalid",
            "Invalid dataset ID \"my-data\". Dataset IDs must be alphanumeric (plus underscores).",
            "no dashes",
        ),
        (
            400,
            "bytesBilledLimitExceeded",
            "Query exceeded limit for bytes billed: 10. 20971520 or higher required.",
            "maximum_bytes_billed",
        ),
        (400, "invalidQuery", "Syntax error: Expected end of input but got \"-\" at [1:20]", "backticks"),
    ];
    for (status, reason, message, remedy) in cases {
        let faults = vec![fault("/jobs", status, reason, message)];
        let Some((reported, help, asked)) = refused(faults, "bigquery.query", query()).await else { return };
        assert_eq!(reported, format!("running the SQL: Google answered {status}, {reason}: {message}"));
        assert!(help.contains(remedy), "{message}: {help}");
        assert_eq!(asked, 1, "{message}: a refusal is final");
    }
}

#[tokio::test]
async fn a_job_that_fails_tells_its_first_reasons() {
    let failed = json!({"jobReference": {"projectId": "test-project", "jobId": "x"}, "status": {"state": "DONE",
        "errorResult": {"reason": "invalid", "message": "Error while reading data, error message: CSV processing encountered too many errors, giving up."},
        "errors": [{"reason": "invalid", "location": "gs://b/x.csv", "message": "Could not parse 'x96' as FLOAT64 for field trip_distance (position 8) starting at location 2345"}]}});
    let fields = json!({"from": "gs://b/x.csv", "table": "d.t"});
    let Some((reported, help, _)) = refused(vec![reply("/jobs", failed)], "bigquery.load", fields).await else {
        return;
    };
    assert!(
        reported.starts_with("loading gs://b/x.csv into test-project.d.t: Google answered 400, invalid: Error while"),
        "{reported}"
    );
    assert!(reported.contains("[gs://b/x.csv: Could not parse 'x96' as FLOAT64 for field trip_distance"), "{reported}");
    assert!(help.contains("max_bad_records"));
}

#[tokio::test]
async fn wrong_names_and_places_are_told_before_anything_is_asked() {
    let create = json!({"name": "my-taxi"});
    let Some((reported, help, asked)) = refused(vec![], "bigquery.create_dataset", create).await else { return };
    assert!(
        reported.contains("`my-taxi` is not a valid dataset name") && help.contains("use `my_taxi`"),
        "{reported} {help}"
    );
    assert_eq!(asked, 0);
    let load = json!({"from": "gs://b/x.csv", "table": "my-taxi.t"});
    let (reported, _, asked) = refused(vec![], "bigquery.load", load).await.unwrap();
    assert!(reported.contains("`my-taxi` is not a valid dataset name") && asked == 0, "{reported}");

    let place = reply("GET /bigquery/v2/projects/test-project/datasets/d", json!({"location": "US"}));
    let load = json!({"from": "gs://b/x.csv", "table": "d.t", "location": "EU", "mode": "append",
        "schema": [{"name": "a", "type": "INT64"}]});
    let (reported, help, asked) = refused(vec![place], "bigquery.load", load).await.unwrap();
    assert_eq!(reported, "dataset test-project.d is in US, but `location` is EU");
    assert!(help.starts_with("set `location: US`; the bucket must be there, too"), "{help}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_missing_dataset_or_object_is_told_before_the_load() {
    let load = |from: &str, table: &str| json!({"from": from, "table": table, "mode": "append", "schema": [{"name": "a", "type": "INT64"}]});
    let Some((reported, help, _)) = refused(vec![], "bigquery.load", load("gs://b/x.csv", "nowhere.t")).await else {
        return;
    };
    assert!(reported.contains("404, notFound") && help.contains("bigquery.create_dataset"), "{reported} {help}");
    let (reported, help, _) =
        refused(vec![], "bigquery.load", load("gs://test-bigquery/none.csv", "zoomcamp.t")).await.unwrap();
    assert!(reported.starts_with("looking up gs://test-bigquery/none.csv"), "{reported}");
    assert!(help.contains("gcloud storage ls") || help.contains("gcs."), "{help}");
}
