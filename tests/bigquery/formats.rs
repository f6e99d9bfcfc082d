//! Plain load jobs: every format and disposition, from Cloud Storage and from this machine.

use std::fs;
use std::path::Path;

use jitney::sample::month::{TaxiColour, write_month};
use serde_json::{Value, json};

use super::{ask, dataset, rows, run, upload};

fn schema() -> Value {
    json!([{"name": "k", "type": "INTEGER", "description": "the key"}, {"name": "v", "type": "STRING"}])
}

#[tokio::test]
async fn csv_packed_csv_ndjson_and_parquet_arrive_from_both_sides() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "formats").await else { return };
    let facts = write_month(&home.join("m.csv.gz"), TaxiColour::Green, 2020, 4, 500, 3).unwrap();
    let unpacked = run(home, "file.decompress", json!({"from": "m.csv.gz"})).await.unwrap();
    let plain = unpacked["uri"].as_str().unwrap();
    let packed = home.join("m.csv.gz");
    let mut files = vec![packed.clone(), home.join("m.csv"), home.join("m.parquet"), home.join("m.ndjson")];
    fs::copy(stored(home, plain), &files[1]).unwrap();
    let written = run(home, "polars.transform", json!({"from": "m.csv.gz", "to": "m.parquet"})).await.unwrap();
    fs::copy(stored(home, written["uri"].as_str().unwrap()), &files[2]).unwrap();
    fs::write(&files[3], (0..500).map(|row| format!("{{\"k\": {row}}}\n")).collect::<String>()).unwrap();
    assert_eq!(facts.rows, 500);
    for (index, file) in files.drain(..).enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let uri = upload(home, &file, &format!("formats/{name}")).await;
        for (side, from) in [("there", uri.as_str()), ("here", file.to_str().unwrap())] {
            // The emulator unpacks by a file's name, which an upload has not.
            if side == "here" && name.ends_with(".gz") {
                continue;
            }
            let table = format!("{dataset}.{side}{index}");
            let is_csv = name.contains(".csv");
            let options = if is_csv { json!({"skip_leading_rows": 1}) } else { json!({}) };
            let fields = json!({"from": from, "table": table, "csv_options": options});
            let loaded = run(home, "bigquery.load", fields).await.unwrap();
            assert_eq!(loaded["rows_loaded"], json!(500), "{name} from {side}");
            assert_eq!(rows(home, &table).await, 500, "{name} from {side}");
        }
    }
}

fn stored(home: &Path, uri: &str) -> std::path::PathBuf {
    home.join("storage").join(uri.strip_prefix("jitney:///").unwrap())
}

#[tokio::test]
async fn wildcards_and_dispositions_do_what_they_say() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "dispositions").await else { return };
    for (name, text) in [("a-1.csv", "1,x\n2,y\n"), ("a-2.csv", "3,z\n"), ("b.csv", "4,w\n")] {
        fs::write(home.join(name), text).unwrap();
        upload(home, &home.join(name), &format!("dispositions/{name}")).await;
    }
    let table = format!("{dataset}.t");
    let load = async |from: &str, write: &str| {
        let fields = json!({"from": format!("gs://test-bigquery/dispositions/{from}"), "destinationTable": table,
            "format": "CSV", "schema": {"fields": schema()}, "writeDisposition": write});
        run(home, "io.kestra.plugin.gcp.bigquery.LoadFromGcs", fields).await
    };
    assert_eq!(load("a-*.csv", "WRITE_EMPTY").await.unwrap()["rows"], json!(3));
    assert_eq!(rows(home, &table).await, 3);
    load("b.csv", "WRITE_APPEND").await.unwrap();
    assert_eq!(rows(home, &table).await, 4);
    let error = load("b.csv", "WRITE_EMPTY").await.unwrap_err();
    assert!(error.message.contains("Already Exists"), "{error}");
    assert!(error.help.unwrap().contains("WRITE_TRUNCATE"));
    load("b.csv", "WRITE_TRUNCATE").await.unwrap();
    assert_eq!(ask(home, &format!("SELECT * FROM {table}")).await, json!({"k": 4, "v": "w"}));
}

#[tokio::test]
async fn rows_that_do_not_fit_are_counted_up_to_the_limit() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "bad_records").await else { return };
    fs::write(home.join("a.csv"), "1,x\nten,y\n3,z\n").unwrap();
    let fields = |most: u32| json!({"from": "a.csv", "table": format!("{dataset}.t"), "schema": schema(), "max_bad_records": most});
    let error = run(home, "bigquery.load", fields(0)).await.unwrap_err();
    assert!(error.help.unwrap().contains("max_bad_records"), "{}", error.message);
    let loaded = run(home, "bigquery.load", fields(1)).await.unwrap();
    assert_eq!(
        (&loaded["rows_read"], &loaded["rows_loaded"], &loaded["rows_rejected"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(rows(home, &format!("{dataset}.t")).await, 2);
}
