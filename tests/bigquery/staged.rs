//! Loads with a `mode`: through a staging table into the main table, once, with a row in the ledger.

use std::fs;
use std::path::{Path, PathBuf};

use jitney::sample::month::{TaxiColour, write_month};
use serde_json::{Value, json};

use super::{ask, attempt, dataset, execution, rows, run, upload};

fn schema() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/bigquery/green.json").to_str().unwrap().to_owned()
}

fn month(from: &str, dataset: &str) -> Value {
    json!({"from": from, "table": format!("{dataset}.green_tripdata"), "schema": schema(),
        "time_partitioning_field": "lpep_pickup_datetime", "time_partitioning_type": "MONTH",
        "clustering_fields": ["filename"],
        "row_id": {"columns": ["VendorID", "lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "fare_amount"]},
        "mode": {"replace_partition": {"filename": "green_tripdata_2020-04.csv"}}})
}

fn with(mut fields: Value, more: Value) -> Value {
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

/// An invented month of the size of a published one; its rows and cents.
fn month_file(home: &Path) -> (PathBuf, u64, i64) {
    let path = home.join("green_tripdata_2020-04.csv.gz");
    let facts = write_month(&path, TaxiColour::Green, 2020, 4, 35_612, 7).unwrap();
    (path, facts.rows, facts.total_cents)
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test]
async fn a_month_is_in_the_main_table_once_however_often_it_is_loaded() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_month").await else { return };
    let (file, count, cents) = month_file(home);
    let uri = upload(home, &file, "staged/green_tripdata_2020-04.csv.gz").await;
    let fields = with(month(&uri, &dataset), json!({"file": file.to_str().unwrap()}));
    let main = format!("{dataset}.green_tripdata");

    let first = Value::Object(run(home, "bigquery.load", fields.clone()).await.unwrap());
    assert_eq!((number(&first, "rows_read"), number(&first, "rows_loaded")), (count, count), "{first}");
    let second = Value::Object(run(home, "bigquery.load", fields.clone()).await.unwrap());
    assert_eq!((&second["already_loaded"], number(&second, "rows_skipped")), (&json!(true), count), "{second}");
    let forced = Value::Object(run(home, "bigquery.load", with(fields, json!({"force": true}))).await.unwrap());
    assert_eq!(number(&forced, "rows_loaded"), count, "{forced}");

    let sums = format!(
        "SELECT COUNT(*) AS n, CAST(ROUND(SUM(total_amount) * 100) AS INT64) AS cents, COUNT(DISTINCT filename) AS \
         files, COUNTIF(LENGTH(unique_row_id) = 32) AS ids FROM {main}"
    );
    let held = ask(home, &sums).await;
    assert_eq!(held, json!({"n": count, "cents": cents, "files": 1, "ids": count}));
    let ledger =
        format!("SELECT COUNT(*) AS n, MIN(rows_read) AS r, MIN(rows_loaded) AS l FROM {dataset}.jitney_loads");
    assert_eq!(
        ask(home, &ledger).await,
        json!({"n": 2, "r": count, "l": count}),
        "only what changed rows is in the ledger"
    );
    let tables = format!("SELECT COUNT(*) AS n FROM {dataset}.INFORMATION_SCHEMA.TABLES");
    assert_eq!(ask(home, &tables).await["n"], json!(2), "the staging table is gone");
}

#[tokio::test]
async fn columns_go_by_their_names_and_a_renamed_one_is_told_before_anything_is_changed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_columns").await else { return };
    fs::write(
        home.join("s.json"),
        r#"[{"name": "f", "type": "STRING"}, {"name": "a", "type": "INT64"}, {"name": "b", "type": "STRING"}]"#,
    )
    .unwrap();
    fs::write(home.join("x.csv"), "b,a\nten,10\n").unwrap();
    fs::write(home.join("wrong.csv"), "b,aa\nten,10\n").unwrap();
    fs::write(home.join("bad.csv"), "a,b\n1,x\nseven,y\n").unwrap();
    let fields = |from: &str| {
        json!({"from": from, "table": format!("{dataset}.t"), "schema": "s.json",
        "mode": {"replace_partition": {"f": "x"}}})
    };
    let uri = upload(home, &home.join("x.csv"), "columns/x.csv").await;
    run(home, "bigquery.load", fields(&uri)).await.unwrap();
    assert_eq!(ask(home, &format!("SELECT * FROM {dataset}.t")).await, json!({"f": "x", "a": 10, "b": "ten"}));

    let uri = upload(home, &home.join("wrong.csv"), "columns/wrong.csv").await;
    for from in [uri.as_str(), "wrong.csv"] {
        let error = run(home, "bigquery.load", fields(from)).await.unwrap_err();
        assert!(error.message.ends_with("the file has a column `aa`, but the schema does not"), "{error}");
        assert!(error.help.unwrap().starts_with("did you mean `a`?"));
    }
    let error = run(home, "bigquery.load", fields("bad.csv")).await.unwrap_err();
    assert_eq!(error.message, "bad.csv:3:1: `a`: `seven` is not a number");
    let other = with(fields("x.csv"), json!({"file": "bad.csv", "from": uri}));
    let error = run(home, "bigquery.load", other).await.unwrap_err();
    assert!(error.message.contains("and `bad.csv` differ in size or CRC-32C"), "{error}");
    assert_eq!(rows(home, &format!("{dataset}.t")).await, 1);
}

#[tokio::test]
async fn a_merge_inserts_what_is_new_and_updates_what_differs() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_merge").await else { return };
    let schema = json!([{"name": "k", "type": "INT64"}, {"name": "v", "type": "STRING"}]);
    let load = |from: &str, on_match: &str| {
        json!({"from": from, "table": format!("{dataset}.m"), "schema": schema,
            "mode": {"merge": {"key": ["k"], "on_match": on_match}}})
    };
    let counts = |outputs: jitney::task::Outputs| {
        ["rows_read", "rows_loaded", "rows_skipped"].map(|name| outputs[name].as_u64().unwrap())
    };
    fs::write(home.join("one.csv"), "k,v\n1,a\n2,b\n").unwrap();
    fs::write(
        home.join("two.ndjson"),
        "{\"k\": 2, \"v\": \"B\"}\n{\"k\": 3, \"v\": \"c\"}\n{\"k\": 1, \"v\": \"a\"}\n",
    )
    .unwrap();
    fs::write(home.join("none.csv"), "k,v\n,a\n").unwrap();
    assert_eq!(counts(run(home, "bigquery.load", load("one.csv", "ignore")).await.unwrap()), [2, 2, 0]);
    assert_eq!(counts(run(home, "bigquery.load", load("one.csv", "ignore")).await.unwrap()), [2, 0, 2]);
    assert_eq!(counts(run(home, "bigquery.load", load("two.ndjson", "update")).await.unwrap()), [3, 2, 1]);
    let error = run(home, "bigquery.load", load("none.csv", "ignore")).await.unwrap_err();
    assert!(error.message.contains("the key is NULL in some rows"), "{error}");
    let all = format!("SELECT STRING_AGG(v, '' ORDER BY k) AS v FROM {dataset}.m");
    assert_eq!(ask(home, &all).await["v"], json!("aBc"));
}

#[tokio::test]
async fn appends_and_truncates_are_safe_to_repeat() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_append").await else { return };
    let schema = json!([{"name": "k", "type": "INT64"}]);
    let load = |from: &str, mode: &str| json!({"from": from, "table": format!("{dataset}.{mode}"), "schema": schema, "mode": mode});
    for (name, text) in [("a.csv", "k\n1\n2\n"), ("b.csv", "k\n3\n")] {
        fs::write(home.join(name), text).unwrap();
    }
    for (mode, held) in [("append", 3), ("truncate", 1)] {
        for name in ["a.csv", "b.csv", "b.csv"] {
            run(home, "bigquery.load", load(name, mode)).await.unwrap();
        }
        assert_eq!(rows(home, &format!("{dataset}.{mode}")).await, held, "{mode}");
    }
    fs::write(home.join("b.csv"), "k\n4\n").unwrap();
    run(home, "bigquery.load", load("b.csv", "append")).await.unwrap();
    assert_eq!(rows(home, &format!("{dataset}.append")).await, 4, "other content under a name is another file");
}

#[tokio::test]
async fn an_append_knows_the_file_however_it_was_loaded() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_orders").await else { return };
    let table = format!("{dataset}.t");
    fs::write(home.join("a.csv"), "k\n1\n2\n").unwrap();
    fs::write(home.join("b.csv"), "k\n3\n4\n").unwrap();
    let load = |from: &str, mode: Value| {
        let key = json!({"name": "k", "type": "INT64"});
        let schema = match mode.get("replace_partition") {
            Some(_) => json!([key, {"name": "f", "type": "STRING"}]),
            None => json!([key]),
        };
        json!({"from": from, "table": table, "schema": schema, "mode": mode})
    };
    run(home, "bigquery.load", load("a.csv", json!({"replace_partition": {"f": "x"}}))).await.unwrap();
    let error = run(home, "bigquery.load", load("a.csv", json!("append"))).await.unwrap_err();
    assert!(error.message.contains("with other settings of the task"), "{error}");
    assert_eq!(rows(home, &table).await, 2);
    for _ in 0..2 {
        run(home, "bigquery.load", load("b.csv", json!({"merge": {"key": ["k"]}}))).await.unwrap();
    }
    let empty = json!({"sql": format!("DELETE FROM {table} WHERE TRUE")});
    run(home, "bigquery.query", empty).await.unwrap();
    run(home, "bigquery.load", load("b.csv", json!("append"))).await.unwrap();
    assert_eq!(rows(home, &table).await, 2);
}

#[tokio::test]
async fn a_second_attempt_finds_what_the_first_had_committed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "staged_attempts").await else { return };
    fs::write(home.join("a.csv"), "k\n1\n2\n").unwrap();
    let fields = json!({"from": "a.csv", "table": format!("{dataset}.t"), "schema": [{"name": "f", "type": "STRING"}, {"name": "k", "type": "INT64"}],
        "mode": {"replace_partition": {"f": "a"}}});
    let name = uuid::Uuid::new_v4().simple().to_string();
    for attempt in [1, 2] {
        let mut context = execution(home, &name);
        context.attempt = attempt;
        let outputs = attempt::run(context, "bigquery.load", fields.clone()).await.unwrap();
        assert_eq!(
            (&outputs["rows_loaded"], &outputs["already_loaded"]),
            (&json!(2), &json!(false)),
            "attempt {attempt}"
        );
    }
    assert_eq!(rows(home, &format!("{dataset}.jitney_loads")).await, 1);
}
