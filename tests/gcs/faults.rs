//! Cuts, a busy Google, lost sessions and damaged bytes: an upload ends well all the same, and no byte goes twice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jitney::task::{ErrorClass, Outputs, TaskError};
use serde_json::json;

use super::proxy::{Fault, Proxy, cut, fault};
use super::{attempt, bucket, context, lines, noise};

const LENGTH: usize = 20 * 1024 * 1024;

/// The test's bucket with a large file next to it.
async fn prepare(home: &Path, name: &str) -> Option<serde_json::Value> {
    fs::write(home.join("f"), noise(LENGTH)).unwrap();
    Some(json!({"from": "f", "to": format!("gs://{}/f", bucket(home, name).await?)}))
}

async fn upload(home: &Path, host: &str, fields: &serde_json::Value) -> (Result<Outputs, TaskError>, String) {
    let (context, log) = context(home, &[("STORAGE_EMULATOR_HOST", host)]).unwrap();
    let outcome = attempt::run(context, "gcs.upload", fields.clone()).await;
    (outcome, lines(&log))
}

async fn assert_whole(home: &Path, fields: &serde_json::Value) {
    super::run(home, "gcs.download", json!({"from": fields["to"], "name": "back"})).await.unwrap();
    assert!(fs::read(home.join("storage/e1/test/back")).unwrap() == noise(LENGTH), "the object differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_the_line_was_cut() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "cut").await else { return };
    let proxy = Proxy::start(Vec::new()).await.unwrap();
    let host = cut(&proxy.url, vec![6_000_000; 3]).await;
    let (outcome, log) = upload(home.path(), &host, &fields).await;
    let outputs = outcome.unwrap();
    assert_eq!((&outputs["uploaded"], &outputs["resumed_bytes"]), (&json!(1), &json!(0)), "{log}");
    assert!(log.contains("trying again"), "nothing was cut: {log}");
    assert_eq!(proxy.count("uploadType=resumable"), 1, "one session should do");
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_goes_on_where_the_last_one_was_stopped() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "killed").await else { return };
    let proxy = Proxy::start(vec![fault("PUT /session", 400, "invalid", "Broken on purpose.")]).await.unwrap();
    let host = cut(&proxy.url, vec![]).await;
    // The session is opened, then the attempt ends.
    assert!(upload(home.path(), &host, &fields).await.0.is_err());
    let kept = fs::read_dir(home.path().join("storage/e1/test")).unwrap();
    let kept: Vec<_> =
        kept.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().contains("session")).collect();
    assert_eq!(fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600, "others could write the object");
    // A second attempt is stopped in the middle of the bytes, a third one ends well.
    let slow = cut(&proxy.url, vec![6_000_000]).await;
    let (context, _) = context(home.path(), &[("STORAGE_EMULATOR_HOST", &slow)]).unwrap();
    let (cancel, progress) = (context.cancel.clone(), context.progress.clone());
    let stopper = tokio::spawn(async move {
        while progress.bytes.load(std::sync::atomic::Ordering::Relaxed) < 4_000_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
    });
    let stopped = attempt::run(context, "gcs.upload", fields.clone()).await.unwrap_err();
    stopper.await.unwrap();
    assert_eq!(stopped.class, ErrorClass::Cancelled, "{stopped}");
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    let resumed = outcome.unwrap()["resumed_bytes"].as_u64().unwrap();
    assert!(resumed > 1_000_000 && resumed < LENGTH as u64, "{resumed}: {log}");
    assert_eq!(proxy.count("uploadType=resumable"), 1, "one session should do");
    assert!(!kept[0].exists(), "a finished session should be forgotten");
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_the_line_was_cut() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "cut-download").await else { return };
    super::run(home.path(), "gcs.upload", fields.clone()).await.unwrap();
    let proxy = Proxy::start(Vec::new()).await.unwrap();
    let host = cut(&proxy.url, vec![6_000_000; 3]).await;
    let (context, _) = context(home.path(), &[("STORAGE_EMULATOR_HOST", &host)]).unwrap();
    attempt::run(context, "gcs.download", json!({"from": fields["to"], "name": "back"})).await.unwrap();
    assert!(fs::read(home.path().join("storage/e1/test/back")).unwrap() == noise(LENGTH), "the file differs");
    let ranges = proxy.ranges.lock().unwrap().clone();
    let starts: Vec<usize> = ranges.iter().filter_map(|range| range.split(['=', '-']).nth(1)?.parse().ok()).collect();
    assert!(starts.last().is_some_and(|start| *start > 10_000_000), "it began again: {ranges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_starts_over() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "lost").await else { return };
    let proxy = Proxy::start(vec![fault("PUT /session", 400, "invalid", "Broken on purpose.")]).await.unwrap();
    assert!(upload(home.path(), &proxy.url, &fields).await.0.is_err());
    proxy.forget();
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    assert_eq!(outcome.unwrap()["uploaded"], json!(1), "{log}");
    assert!(log.contains("the upload session has expired"), "{log}");
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_changed_file_never_follow_those_of_the_old_one() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "changed").await else { return };
    let proxy = Proxy::start(vec![]).await.unwrap();
    let host = cut(&proxy.url, vec![5_000_000]).await;
    let (context, _) = context(home.path(), &[("STORAGE_EMULATOR_HOST", &host)]).unwrap();
    let (path, progress) = (home.path().join("f"), context.progress.clone());
    let changer = tokio::spawn(async move {
        while progress.bytes.load(std::sync::atomic::Ordering::Relaxed) < 1_000_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(LENGTH as u64 - 1).unwrap();
    });
    let error = attempt::run(context, "gcs.upload", fields.clone()).await.unwrap_err();
    changer.await.unwrap();
    assert!(error.message.contains("the file changed during the upload"), "{error}");
    fs::write(home.path().join("f"), noise(LENGTH)).unwrap();
    assert_eq!(upload(home.path(), &proxy.url, &fields).await.0.unwrap()["resumed_bytes"], json!(0));
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_deleted_and_sent_again() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "damaged").await else { return };
    let proxy = Proxy::start(vec![]).await.unwrap();
    *proxy.damage.lock().unwrap() = 1;
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    assert_eq!(outcome.unwrap()["uploaded"], json!(1));
    assert!(log.contains("it is deleted and uploaded again"), "{log}");
    assert_eq!(proxy.count("DELETE"), 1);
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_another_overtakes_looks_again() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "overtaken").await else { return };
    let overtaken =
        |when| fault(when, 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
    let proxy = Proxy::start(vec![overtaken("uploadType=resumable"), overtaken("PUT /session")]).await.unwrap();
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    assert_eq!(outcome.unwrap()["uploaded"], json!(1), "{log}");
    assert!(proxy.count("ifGenerationMatch=0") >= 3, "a new object should be asked for as one");
    assert_whole(home.path(), &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_google_is_asked_again_after_the_time_it_names() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut fields) = prepare(home.path(), "busy").await else { return };
    let html = Fault { when: "GET /storage", status: 502, headers: vec![], body: "<html>Bad gateway</html>".into() };
    let mut limit = fault("PUT /session", 429, "rateLimitExceeded", "The rate of requests is too high.");
    limit.headers = vec![("retry-after", "1")];
    let quota = fault("uploadType=resumable", 403, "rateLimitExceeded", "Quota exceeded.");
    let busy = fault("uploadType=resumable", 503, "backendError", "Backend error.");
    let proxy = Proxy::start(vec![html, quota, busy, limit]).await.unwrap();
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    assert_eq!(outcome.unwrap()["uploaded"], json!(1), "{log}");
    for words in
        ["502: Bad Gateway", "403, rateLimitExceeded: Quota", "503, backendError", "429, rateLimitExceeded", "in 1.0 s"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
    // A small file goes through Google's own client.
    fs::write(home.path().join("s"), "small").unwrap();
    fields["from"] = json!("s");
    let proxy = Proxy::start(vec![fault("uploadType=multipart", 503, "backendError", "Backend error.")]).await.unwrap();
    let (outcome, log) = upload(home.path(), &proxy.url, &fields).await;
    assert_eq!(outcome.unwrap()["uploaded"], json!(1), "{log}");
    assert!(log.contains("503: Backend error."), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_that_stays_busy_is_a_failure_that_may_pass() {
    let home = tempfile::tempdir().unwrap();
    let Some(fields) = prepare(home.path(), "down").await else { return };
    let mut down = fault("GET /storage", 503, "backendError", "Backend error.");
    down.headers = vec![("retry-after", "0")];
    let proxy = Proxy::start(vec![down; 12]).await.unwrap();
    let error = upload(home.path(), &proxy.url, &fields).await.0.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(proxy.count("GET"), 12);
    assert!(error.message.contains("Google answered 503, backendError: Backend error."), "{error}");
}
