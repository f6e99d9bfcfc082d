//! `file.decompress`: what comes out, under which name, and what a user hears when it cannot.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jitney::task::{ErrorClass, Outputs, TaskError};
use jitney::tasks;
use serde_json::{Value, json};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

async fn unpack(home: &Path, fields: Value) -> Result<Outputs, TaskError> {
    let context = Arc::new(common::context(home));
    (tasks::find("io.kestra.plugin.compress.FileDecompress").unwrap().run)(fields, context).await
}

fn stored(home: &Path) -> Vec<String> {
    let Ok(folder) = fs::read_dir(home.join("storage/e1/test")) else { return Vec::new() };
    folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_packed_file_is_stored_without_its_ending() {
    let home = tempfile::tempdir().unwrap();
    let content = b"id\n1\n".repeat(500_000);
    fs::write(home.path().join("trips.csv.gz"), gzip(&content)).unwrap();
    let outputs = unpack(home.path(), json!({"from": "trips.csv.gz", "compression": "GZIP"})).await.unwrap();
    assert_eq!(Value::Object(outputs), json!({"uri": "jitney:///e1/test/trips.csv", "bytes": content.len()}));
    assert!(fs::read(home.path().join("storage/e1/test/trips.csv")).unwrap() == content);
    assert_eq!(stored(home.path()), ["trips.csv"]);
}

#[tokio::test]
async fn a_plain_file_passes_through_under_a_name_of_choice() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("trips.csv"), "id\n1\n").unwrap();
    let outputs = unpack(home.path(), json!({"from": "trips.csv", "name": "a.csv"})).await.unwrap();
    assert_eq!(Value::Object(outputs), json!({"uri": "jitney:///e1/test/a.csv", "bytes": 5}));
    assert_eq!(fs::read_to_string(home.path().join("storage/e1/test/a.csv")).unwrap(), "id\n1\n");
}

#[tokio::test]
async fn a_refused_file_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let packed = gzip(&b"id\n1\n".repeat(500_000));
    fs::write(home.path().join("bomb.csv.gz"), &packed).unwrap();
    fs::write(home.path().join("cut.csv.gz"), &packed[..packed.len() - 1]).unwrap();
    let cases = [
        (json!({"from": "bomb.csv.gz", "max_bytes": 1_000_000}), "limit of 1000000 bytes"),
        (json!({"from": "bomb.csv.gz", "compression": "ZSTD"}), "is gzip data, not zstd"),
        (json!({"from": "cut.csv.gz"}), "cut.csv.gz: the gzip stream ends too early"),
        (json!({"from": "none.csv.gz"}), "there is no file `none.csv.gz`"),
    ];
    for (fields, expected) in cases {
        let error = unpack(home.path(), fields).await.unwrap_err();
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(error.class, ErrorClass::Permanent);
        assert!(error.help.is_some());
        assert_eq!(stored(home.path()), Vec::<String>::new());
    }
}
