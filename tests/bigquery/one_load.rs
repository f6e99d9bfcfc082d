//! `jitney load FILE --to bigquery:…`: one line from a file to a table.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::flows::jitney;
use super::{ask, dataset};

const TRIPS: &[u8] = b"Id;At;Price;Note;Day\n1;2020-04-01 00:44:02;1.5;\"a;b\";2020-04-01\n2;;2.25;x;\n";

/// Runs `jitney load` on stdin, and gives its result.
fn load(home: &Path, arguments: &[&str], stdin: &[u8]) -> Value {
    let mut command = jitney(home, &[&["load"], arguments, &["--json"]].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn counts(result: &Value) -> [u64; 3] {
    ["rows_read", "rows_loaded", "rows_skipped"].map(|name| result[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_loads_a_file_into_bigquery_with_its_types_and_once() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "one_load").await else { return };
    let file = home.join("trips.csv");
    std::fs::write(&file, TRIPS).unwrap();
    let (file, to) = (file.to_str().unwrap(), format!("bigquery:{dataset}"));
    let first = load(home, &[file, "--to", &to], b"");
    assert_eq!((counts(&first), &first["table"]), ([2, 2, 0], &json!(format!("{dataset}.trips"))));
    let again = load(home, &[file, "--to", &to], b"");
    assert_eq!((counts(&again), &again["already_loaded"]), ([2, 0, 2], &json!(true)));
    let sql =
        format!("SELECT COUNT(*) AS n, SUM(Price) AS price, MAX(Note) AS note, MIN(Day) AS day FROM {dataset}.trips");
    let held = ask(home, &sql).await;
    assert_eq!((&held["n"], &held["note"], &held["day"]), (&json!(2), &json!("x"), &json!("2020-04-01")));
    assert_eq!(held["price"].to_string().trim_matches('"'), "3.75");
    let merged = load(home, &["-", "trips", "--to", &to, "--mode", "merge", "--key", "Id"], b"Id,Price\n2,9\n3,1\n");
    assert_eq!(counts(&merged)[0], 2);
    let replaced = load(home, &[file, "--to", &to, "--mode", "replace"], b"");
    assert_eq!(counts(&replaced)[0], 2);
    assert_eq!(ask(home, &format!("SELECT COUNT(*) AS n FROM {dataset}.trips")).await["n"], 2);
    let lines = b"{\"id\": 1, \"tags\": [\"a\"], \"at\": \"2020-01-01T00:00:00Z\"}\n{\"id\": 2, \"late\": true}\n";
    std::fs::write(home.join("events.ndjson"), lines).unwrap();
    let events = load(home, &[home.join("events.ndjson").to_str().unwrap(), "--to", &to], b"");
    assert_eq!(counts(&events), [2, 2, 0]);
    assert_eq!(events["schema"].to_string(), r#"{"id":"bigint","tags":"jsonb","at":"timestamptz","late":"boolean"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bigquery_cannot_read_is_said_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "one_load_not").await else { return };
    for (name, content, parts) in [
        ("a.csv", &b"id,note\n1,caf\xe9\n"[..], ["BigQuery does not read files in WIN1252", "`--encoding LATIN1`"]),
        (
            "a.json",
            b"[{\"id\": 1}]",
            ["BigQuery does not read JSON that is not one object on each line", "`polars.transform`"],
        ),
    ] {
        std::fs::write(home.join(name), content).unwrap();
        let output = jitney(home, &["load", home.join(name).to_str().unwrap(), "--to", &format!("bigquery:{dataset}")]);
        let output = { output }.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{said}"));
        assert!(!said.contains("csv_options"), "{said}");
    }
}
