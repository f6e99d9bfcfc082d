//! Queries, datasets and tables.

use std::fs;

use serde_json::{Value, json};

use super::{ask, dataset, rows, run};

#[tokio::test]
async fn rows_come_typed_all_of_them_the_first_or_as_a_file() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "fetches").await else { return };
    let sql = "SELECT n, CONCAT('it\\'s ', CAST(n AS STRING)) AS t, n > 1 AS b, n / 2 AS f, DATE '2020-04-01' AS d, \
               TIMESTAMP '2020-04-01 00:44:02+00' AS at, [n, 2] AS list, STRUCT(n AS inner_n) AS part, \
               CAST(NULL AS STRING) AS nothing FROM UNNEST(GENERATE_ARRAY(1, 3)) AS n ORDER BY n";
    let fetch = async |how: &str| run(home, "bigquery.query", json!({"sql": sql, "fetchType": how})).await.unwrap();
    let all = fetch("FETCH").await;
    assert_eq!((&all["size"], all["rows"].as_array().unwrap().len()), (&json!(3), 3));
    let wanted = json!({"n": 1, "t": "it's 1", "b": false, "f": 0.5, "d": "2020-04-01", "at": "2020-04-01T00:44:02Z",
        "list": [1, 2], "part": {"inner_n": 1}, "nothing": null});
    assert_eq!(all["rows"][0], wanted);
    assert_eq!(fetch("FETCH_ONE").await["row"], wanted);
    let file = fetch("STORE").await["uri"].as_str().unwrap().strip_prefix("jitney:///").unwrap().to_owned();
    let lines = fs::read_to_string(home.join("storage").join(file)).unwrap();
    assert_eq!(
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].clone()).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let into = json!({"sql": sql.replace(", STRUCT(n AS inner_n) AS part", ""), "destinationTable": format!("{dataset}.copy"),
        "writeDisposition": "WRITE_TRUNCATE"});
    for _ in 0..2 {
        run(home, "bigquery.query", into.clone()).await.unwrap();
        assert_eq!(rows(home, &format!("{dataset}.copy")).await, 3);
    }
}

#[tokio::test]
async fn parameters_default_datasets_and_files_of_sql_work() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "parameters").await else { return };
    fs::write(home.join("make.sql"), "CREATE TABLE t AS SELECT n FROM UNNEST([1, 2, 3]) AS n").unwrap();
    run(home, "bigquery.query", json!({"file": "make.sql", "default_dataset": dataset})).await.unwrap();
    let named = json!({"sql": "SELECT COUNT(*) AS n FROM t WHERE n >= @least AND n IN UNNEST(@list)",
        "parameters": {"least": 2, "list": [1, 2, 3]}, "default_dataset": dataset, "fetch": "FETCH_ONE"});
    assert_eq!(run(home, "bigquery.query", named).await.unwrap()["row"], json!({"n": 2}));
    let positional = json!({"sql": "SELECT ? AS a, ? AS b", "parameters": ["x", {"type": "DATE", "value": "2020-04-01"}],
        "fetch": "FETCH_ONE"});
    assert_eq!(run(home, "bigquery.query", positional).await.unwrap()["row"], json!({"a": "x", "b": "2020-04-01"}));
}

#[tokio::test]
async fn changes_are_counted_and_a_dry_run_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "changes").await else { return };
    let make = format!("CREATE TABLE {dataset}.t AS SELECT n AS k, 'old' AS v FROM UNNEST([1, 2]) AS n");
    run(home, "bigquery.query", json!({"sql": make})).await.unwrap();
    let merge = format!(
        "MERGE {dataset}.t t USING (SELECT n AS k FROM UNNEST([2, 3, 4]) AS n) s ON t.k = s.k \
         WHEN MATCHED THEN UPDATE SET v = 'new' WHEN NOT MATCHED THEN INSERT (k, v) VALUES (s.k, 'new')"
    );
    let dry = run(home, "bigquery.query", json!({"sql": merge, "dryRun": true})).await.unwrap();
    assert_eq!((&dry["dry_run"], &dry["affected"]), (&json!(true), &json!(0)));
    assert_eq!(rows(home, &format!("{dataset}.t")).await, 2);
    let done = run(home, "bigquery.query", json!({"sql": merge})).await.unwrap();
    let counts = ["affected", "inserted", "updated", "deleted"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1, 0]);
    assert_eq!(ask(home, &format!("SELECT COUNTIF(v = 'new') AS n FROM {dataset}.t")).await, json!({"n": 3}));
    let wrong = run(home, "bigquery.query", json!({"sql": "SELEC 1", "dry_run": true})).await.unwrap_err();
    assert!(wrong.message.contains("invalidQuery"), "{wrong}");
}

#[tokio::test]
async fn datasets_are_made_kept_and_changed_and_tables_deleted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(dataset) = dataset(home, "datasets").await else { return };
    let make = async |how: &str, text: &str| {
        let fields = json!({"name": dataset, "ifExists": how, "dataset_description": text, "labels": {"team": "taxi"},
            "default_table_expiration": "10d"});
        run(home, "io.kestra.plugin.gcp.bigquery.CreateDataset", fields).await
    };
    let error = make("ERROR", "x").await.unwrap_err();
    assert!(error.message.ends_with("it already exists"), "{error}");
    assert_eq!(make("SKIP", "x").await.unwrap().get("description"), None);
    let updated = make("UPDATE", "taxi trips").await.unwrap();
    assert_eq!((&updated["description"], &updated["updated"]), (&json!("taxi trips"), &json!(true)));
    run(home, "bigquery.query", json!({"sql": format!("CREATE TABLE {dataset}.t (k INT64)")})).await.unwrap();
    for there in [true, false] {
        let fields = json!({"dataset": dataset, "table": "t"});
        let outputs = run(home, "io.kestra.plugin.gcp.bigquery.DeleteTable", fields).await.unwrap();
        assert_eq!(outputs["deleted"], json!(there));
    }
}
