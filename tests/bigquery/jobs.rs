//! Each job runs once: lost answers, killed attempts, a busy Google, a user who stops.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use jitney::task::{ErrorClass, TaskContext};
use serde_json::{Value, json};

use super::proxy::{Fault, Proxy, fault, reply};
use super::{attempt, context, dataset, lines, rows};

/// A context that goes through the proxy, in an execution of its own.
fn through(home: &std::path::Path, proxy: &Proxy) -> (TaskContext, attempt::Lines) {
    let (mut context, lines) = context(home, &[("BIGQUERY_EMULATOR_HOST", &proxy.url)]).unwrap();
    context.execution = jitney::id::ExecutionId::new(format!("e{}", uuid::Uuid::new_v4().simple()));
    (context, lines)
}

fn insert(dataset: &str) -> Value {
    json!({"sql": format!("INSERT INTO {dataset}.t (k) VALUES (1)")})
}

async fn table(home: &std::path::Path, name: &str) -> Option<String> {
    let dataset = dataset(home, name).await?;
    super::run(home, "bigquery.query", json!({"sql": format!("CREATE TABLE {dataset}.t (k INT64)")})).await.unwrap();
    Some(dataset)
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_found_by_its_id() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = table(home.path(), "lost_answer").await else { return };
    let lost =
        Fault { lost: true, ..fault("POST /bigquery/v2/projects/test-project/jobs", 503, "backendError", "busy") };
    let proxy = Proxy::start(vec![lost]).await.unwrap();
    let (context, log) = through(home.path(), &proxy);
    let outputs = attempt::run(context, "bigquery.query", insert(&dataset)).await.unwrap();
    assert_eq!(outputs["inserted"], json!(1));
    assert_eq!((rows(home.path(), &format!("{dataset}.t")).await, proxy.jobs().len()), (1, 2));
    assert!(lines(&log).contains("which was started earlier"), "{}", lines(&log));
}

#[tokio::test]
async fn a_new_attempt_waits_for_the_job_of_the_killed_one() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = table(home.path(), "killed_attempt").await else { return };
    let proxy = Proxy::start(vec![]).await.unwrap();
    let (mut first, _) = through(home.path(), &proxy);
    let mut second = through(home.path(), &proxy).0;
    second.execution = first.execution.clone();
    (first.attempt, second.attempt) = (1, 2);
    let one = attempt::run(first, "bigquery.query", insert(&dataset)).await.unwrap();
    let two = attempt::run(second, "bigquery.query", insert(&dataset)).await.unwrap();
    assert_eq!(one["jobId"], two["jobId"]);
    assert_eq!(rows(home.path(), &format!("{dataset}.t")).await, 1, "the second attempt inserted again");
    let (mut other, _) = through(home.path(), &proxy);
    other.run = jitney::id::RunId::new("loop[1].test");
    attempt::run(other, "bigquery.query", insert(&dataset)).await.unwrap();
    assert_eq!(rows(home.path(), &format!("{dataset}.t")).await, 2, "another execution's job is another");
}

#[tokio::test]
async fn jobs_that_failed_are_passed_by_and_passing_failures_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = table(home.path(), "failed_jobs").await else { return };
    let failed = |reason: &str| {
        reply(
            "POST /bigquery/v2/projects/test-project/jobs",
            json!({"jobReference": {"projectId": "test-project", "jobId": "x"},
            "status": {"state": "DONE", "errorResult": {"reason": reason, "message": format!("said {reason}")},
            "errors": []}}),
        )
    };
    let proxy = Proxy::start(vec![failed("backendError"), failed("rateLimitExceeded")]).await.unwrap();
    let (context, log) = through(home.path(), &proxy);
    attempt::run(context, "bigquery.query", insert(&dataset)).await.unwrap();
    let ids: Vec<String> =
        proxy.jobs().iter().map(|job| job["jobReference"]["jobId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().map(|id| id.rsplit('_').next().unwrap()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(lines(&log).contains("said backendError; trying again in"), "{}", lines(&log));
    assert_eq!(rows(home.path(), &format!("{dataset}.t")).await, 1);
}

#[tokio::test]
async fn a_busy_google_is_asked_again_whatever_its_answer_looks_like() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = table(home.path(), "busy").await else { return };
    let page = Fault { when: "/jobs", status: 502, body: "<html>Bad Gateway</html>".to_owned(), lost: false };
    let quota = fault("/jobs", 403, "rateLimitExceeded", "Exceeded rate limits");
    let limit = fault("/jobs", 429, "rateLimitExceeded", "Too many requests");
    let proxy = Proxy::start(vec![page, quota, fault("/jobs", 503, "backendError", "busy"), limit]).await.unwrap();
    let (context, log) = through(home.path(), &proxy);
    attempt::run(context, "bigquery.query", insert(&dataset)).await.unwrap();
    assert_eq!(lines(&log).matches("trying again").count(), 4, "{}", lines(&log));
    assert_eq!(rows(home.path(), &format!("{dataset}.t")).await, 1);
}

#[tokio::test]
async fn an_upload_goes_on_after_a_cut_with_what_google_has() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = dataset(home.path(), "cut_upload").await else { return };
    let count = 300_000;
    let text: String = (0..count).map(|row| format!("{row},some text that fills the line {row}\n")).collect();
    fs::write(home.path().join("a.csv"), &text).unwrap();
    // The session's opening is refused once, and its first piece's answer is lost.
    let faults = vec![
        fault("POST /upload", 503, "backendError", "busy"),
        Fault { lost: true, ..fault("PUT", 503, "backendError", "cut") },
    ];
    let plain = Proxy::start(faults).await.unwrap();
    let (context, _) = through(home.path(), &plain);
    let fields = json!({"from": "a.csv", "table": format!("{dataset}.t"),
        "schema": [{"name": "k", "type": "INT64"}, {"name": "v", "type": "STRING"}]});
    let loaded = attempt::run(context, "bigquery.load", fields).await.unwrap();
    assert_eq!(loaded["rows_loaded"], json!(count));
    assert!(text.len() > 8 * 1024 * 1024 && plain.count("PUT") == 3, "two pieces, and a question in between");
    assert_eq!(rows(home.path(), &format!("{dataset}.t")).await, count);
}

#[tokio::test]
async fn a_user_who_stops_a_task_stops_its_job() {
    let home = tempfile::tempdir().unwrap();
    if super::google::emulators().is_none() {
        return;
    }
    let running = json!({"jobReference": {"projectId": "test-project", "jobId": "x", "location": "EU"}, "status": {"state": "RUNNING"}});
    let mut faults = vec![reply("POST /bigquery/v2/projects/test-project/jobs?", running.clone())];
    faults.push(reply("/cancel", json!({"job": running})));
    faults.push(reply("POST /bigquery", running.clone()));
    faults.extend((0..100).map(|_| reply("GET /bigquery", running.clone())));
    let proxy: Arc<Proxy> = Proxy::start(faults).await.unwrap();
    let (context, log) = through(home.path(), &proxy);
    let (stop, looked) = (context.cancel.clone(), proxy.clone());
    let stopper = tokio::spawn(async move {
        while looked.count("GET /bigquery") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    });
    let error = attempt::run(context, "bigquery.query", json!({"sql": "SELECT 1"})).await.unwrap_err();
    stopper.await.unwrap();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert_eq!(proxy.count("/cancel"), 1, "{}", lines(&log));
}
