//! What tasks do with objects, seen by a client of its own.

use std::fs;

use serde_json::json;

use super::{bucket, google, noise, run};

async fn content(bucket: &str, name: &str) -> Vec<u8> {
    let host = &google::emulators().unwrap()["STORAGE_EMULATOR_HOST"];
    let url = format!("{host}/storage/v1/b/{bucket}/o/{name}?alt=media");
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200, "{name}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn an_upload_is_repeated_only_when_the_content_is_another() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "repeat").await else { return };
    // One request for the first, a session for the second.
    for (name, length) in [("small ü.csv", 1_000), ("large.bin", 9 * 1024 * 1024)] {
        let fields = json!({"from": name, "to": format!("gs://{bucket}/a b/{name}")});
        fs::write(home.path().join(name), noise(length)).unwrap();
        let first = run(home.path(), "gcs.upload", fields.clone()).await.unwrap();
        assert_eq!((&first["uploaded"], &first["skipped"]), (&json!(1), &json!(0)), "{name}");
        assert_eq!(first["uri"], json!(format!("gs://{bucket}/a b/{name}")));
        let second = run(home.path(), "gcs.upload", fields.clone()).await.unwrap();
        assert_eq!((&second["uploaded"], &second["skipped"]), (&json!(0), &json!(1)), "{name}");
        assert_eq!(second["generation"], first["generation"], "{name} was written again");
        let mut other = noise(length);
        other[length / 2] ^= 1;
        fs::write(home.path().join(name), &other).unwrap();
        let third = run(home.path(), "gcs.upload", fields).await.unwrap();
        assert_eq!((&third["uploaded"], &third["length"]), (&json!(1), &json!(length)), "{name}");
        let encoded = name.replace(' ', "%20").replace('ü', "%C3%BC");
        assert!(content(&bucket, &format!("a%20b%2F{encoded}")).await == other, "{name} differs");
    }
}

#[tokio::test]
async fn files_are_packed_on_the_way_and_found_again_as_the_same() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(bucket) = bucket(home, "packed").await else { return };
    let text: String = (0..200_000).map(|row| format!("{row},green,2020-04\n")).collect();
    fs::write(home.join("f.csv"), &text).unwrap();
    let fields = json!({"from": "f.csv", "to": format!("gs://{bucket}/in/"), "gzip": true});
    for (uploaded, skipped) in [(1, 0), (0, 1)] {
        let outputs = run(home, "gcs.upload", fields.clone()).await.unwrap();
        assert_eq!((&outputs["uploaded"], &outputs["skipped"]), (&json!(uploaded), &json!(skipped)));
        assert_eq!(outputs["uri"], json!(format!("gs://{bucket}/in/f.csv.gz")));
        let left = fs::read_dir(home.join("storage/e1/test")).unwrap().count();
        assert_eq!(left, 0, "the packed file should not stay");
    }
    let packed = content(&bucket, "in%2Ff.csv.gz").await;
    assert!(packed.len() < text.len() / 3, "{} of {} bytes", packed.len(), text.len());
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
    assert!(unpacked == text, "the content differs");
    // What is packed is sent as it is.
    fs::write(home.join("g.csv.gz"), &packed).unwrap();
    let again = json!({"from": "g.csv.gz", "to": format!("gs://{bucket}/in/g.csv.gz"), "gzip": true});
    run(home, "gcs.upload", again).await.unwrap();
    assert!(content(&bucket, "in%2Fg.csv.gz").await == packed);
    let wrong = json!({"from": "f.csv", "to": format!("gs://{bucket}/f.csv"), "gzip": true});
    let error = run(home, "gcs.upload", wrong).await.unwrap_err();
    assert!(error.help.unwrap().ends_with("/f.csv.gz`"));
}

#[tokio::test]
async fn a_download_gives_back_what_was_uploaded() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "back").await else { return };
    for length in [0, 1, 9 * 1024 * 1024] {
        fs::write(home.path().join("f"), noise(length)).unwrap();
        run(home.path(), "gcs.upload", json!({"from": "f", "to": format!("gs://{bucket}/f")})).await.unwrap();
        let outputs = run(home.path(), "gcs.download", json!({"from": format!("gs://{bucket}/f")})).await.unwrap();
        assert_eq!(outputs["uri"], json!("jitney:///e1/test/f"));
        assert!(fs::read(home.path().join("storage/e1/test/f")).unwrap() == noise(length), "{length} bytes differ");
    }
    let missing = run(home.path(), "gcs.download", json!({"from": format!("gs://{bucket}/g")})).await.unwrap_err();
    assert!(missing.message.contains("the object does not exist"), "{missing}");
}

#[tokio::test]
async fn several_files_go_below_one_address() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "several").await else { return };
    fs::create_dir(home.path().join("sub")).unwrap();
    for name in ["a.csv", "b.csv", "sub/a.csv"] {
        fs::write(home.path().join(name), name).unwrap();
    }
    let to = format!("gs://{bucket}/x/");
    let listed = run(home.path(), "gcs.upload", json!({"from": ["a.csv", "b.csv"], "to": to})).await.unwrap();
    assert_eq!(listed["files"], json!({"a.csv": format!("{to}a.csv"), "b.csv": format!("{to}b.csv")}));
    // As a template gives a map; `bucket` is what defaults for all of Google's tasks set.
    let map = json!({"from": r#"{"c/d.csv": "sub/a.csv"}"#, "to": "x", "bucket": bucket});
    run(home.path(), "io.kestra.plugin.gcp.gcs.Upload", map).await.unwrap();
    assert_eq!(content(&bucket, "x%2Fc%2Fd.csv").await, b"sub/a.csv");
    let clash = run(home.path(), "gcs.upload", json!({"from": ["a.csv", "sub/a.csv"], "to": to})).await.unwrap_err();
    assert!(clash.message.contains("would both become"), "{clash}");
}

#[tokio::test]
async fn a_listing_goes_as_deep_as_asked_and_a_deletion_takes_just_that() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "listing").await else { return };
    fs::write(home.path().join("f"), "12345").unwrap();
    let names = ["g/2019-01.csv", "g/2019-02.csv", "g/2020-01.csv", "g/old/2009-01.csv", "top.csv"];
    let from: serde_json::Map<_, _> = names.iter().map(|name| (name.to_string(), json!("f"))).collect();
    run(home.path(), "gcs.upload", json!({"from": from, "to": format!("gs://{bucket}/")})).await.unwrap();
    let list = async |fields: serde_json::Value| {
        let outputs = run(home.path(), "io.kestra.plugin.gcp.gcs.List", fields).await.unwrap();
        let blobs = outputs["blobs"].as_array().unwrap().clone();
        blobs.iter().map(|blob| blob["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let from = format!("gs://{bucket}/g/");
    assert_eq!(list(json!({"from": from, "filter": "FILES"})).await, names[..3]);
    assert_eq!(list(json!({"from": from, "filter": "DIRECTORY"})).await, ["g/old/"]);
    assert_eq!(list(json!({"from": from, "recursive": true, "maxFiles": 2})).await, names[..2]);
    assert_eq!(list(json!({"from": from, "listingType": "RECURSIVE", "regExp": ".*-01\\.csv"})).await.len(), 3);
    let fields = json!({"from": from, "regExp": ".*/2019-.*", "concurrent": 2});
    let deleted = run(home.path(), "io.kestra.plugin.gcp.gcs.DeleteList", fields).await.unwrap();
    assert_eq!((&deleted["count"], &deleted["size"]), (&json!(2), &json!(10)));
    let one = json!({"uri": format!("gs://{bucket}/top.csv")});
    assert_eq!(run(home.path(), "gcs.delete", one.clone()).await.unwrap()["deleted"], json!(true));
    assert_eq!(run(home.path(), "gcs.delete", one).await.unwrap()["deleted"], json!(false));
    let left = list(json!({"from": format!("gs://{bucket}"), "recursive": true})).await;
    assert_eq!(left, ["g/2020-01.csv", "g/old/2009-01.csv"]);
    let empty = run(home.path(), "gcs.delete_list", json!({"from": format!("{from}none"), "errorOnEmpty": true})).await;
    assert!(empty.unwrap_err().message.contains("no objects to delete"));
}

#[tokio::test]
async fn a_bucket_that_exists_is_left_or_changed_or_refused_as_asked() {
    let home = tempfile::tempdir().unwrap();
    let Some(bucket) = bucket(home.path(), "exists").await else { return };
    let again =
        |policy: &str| json!({"name": bucket, "ifExists": policy, "storageClass": "standard", "labels": {"a": "b"}});
    let refused = run(home.path(), "gcs.create_bucket", json!({"name": bucket})).await.unwrap_err();
    assert!(refused.message.contains("it already exists"), "{refused}");
    let skipped = run(home.path(), "gcs.create_bucket", again("SKIP")).await.unwrap();
    assert_eq!((&skipped["created"], &skipped["updated"]), (&json!(false), &json!(false)));
    let updated = run(home.path(), "gcs.create_bucket", again("UPDATE")).await.unwrap();
    assert_eq!((&updated["updated"], &updated["bucket"]["uri"]), (&json!(true), &json!(format!("gs://{bucket}"))));
}
