//! DuckDB tasks, with the real DuckDB.
#![expect(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use crate::common::attempt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jitney::file_access::FileAccess;
use jitney::task::{ErrorClass, Outputs, TaskContext, TaskError};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tokio::sync::OnceCell;

const QUERIES: &str = "io.kestra.plugin.jdbc.duckdb.Queries";

/// One home for all tests, so that DuckDB is installed once; whether it could be.
static HOME: LazyLock<TempDir> = LazyLock::new(|| tempdir().unwrap());
static RUNS: AtomicUsize = AtomicUsize::new(0);
static IS_THERE: OnceCell<bool> = OnceCell::const_new();

async fn run(kind: &str, fields: Value) -> Option<Result<Outputs, TaskError>> {
    run_in(HOME.path(), kind, fields).await
}

/// None where the package index cannot be reached, unless the tests are strict; stderr then says what was left out.
async fn run_in(folder: &Path, kind: &str, fields: Value) -> Option<Result<Outputs, TaskError>> {
    let is_there = IS_THERE.get_or_init(|| async {
        match attempt::run(context(HOME.path()), "duckdb.query", json!({"sql": "SELECT 1"})).await {
            Ok(_) => true,
            Err(error) => {
                assert!(error.message.contains("cannot install the Python packages duckdb, pytz"), "{error}");
                attempt::skip(&error.to_string());
                false
            }
        }
    });
    if !*is_there.await {
        return None;
    }
    Some(attempt::run(context(folder), kind, fields).await)
}

fn context(folder: &Path) -> TaskContext {
    let (mut context, _) = attempt::context(HOME.path(), &[]);
    context.files = FileAccess::unrestricted(folder);
    // Tests share a home, and so must not share a name.
    context.run = jitney::id::RunId::new(format!("months[{}].query", RUNS.fetch_add(1, Ordering::Relaxed)));
    context
}

fn stored(uri: &Value) -> PathBuf {
    context(HOME.path()).storage.path(uri.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn values_of_every_kind_come_back_as_what_they_mean() {
    let sql = "SELECT 1::TINYINT AS small, 9007199254740993 AS big, 701002.26::DECIMAL(12, 2) AS total, sum(1) AS huge, 0.1::DOUBLE AS ratio,
               true AS yes, NULL AS nothing, 'é' AS text, DATE '2020-04-01' AS day, TIMESTAMP '2020-04-01 00:44:02' AS pickup,
               TIMESTAMPTZ '2020-04-01 00:44:02+00' AT TIME ZONE 'UTC' AS utc, {'a': [1, NULL]} AS doc, ['a', 'b'] AS texts,
               MAP {'k': 1} AS map, 'nan'::DOUBLE AS nan, '\\xAB'::BLOB AS bytes, 170141183460469231731687303715884105727 AS most,
               TIMESTAMPTZ '2020-04-01 00:44:02+00' IS NOT NULL AS zoned";
    let Some(outputs) = run("duckdb.query", json!({"sql": sql, "fetchType": "FETCH_ONE"})).await else { return };
    assert_eq!(
        outputs.unwrap()["row"],
        json!({"small": 1, "big": 9007199254740993i64, "total": 701002.26, "huge": 1, "ratio": 0.1, "yes": true, "nothing": null,
               "text": "é", "day": "2020-04-01", "pickup": "2020-04-01T00:44:02", "utc": "2020-04-01T00:44:02",
               "doc": {"a": [1, null]}, "texts": ["a", "b"], "map": {"k": 1}, "nan": "nan", "bytes": "\\xab",
               "most": "170141183460469231731687303715884105727", "zoned": true})
    );
}

#[tokio::test]
async fn a_query_over_an_input_file_is_stored_as_json_lines() {
    let fields = json!({
        "inputFiles": {"products.json": "[{\"brand\": \"b\", \"price\": 5}, {\"brand\": \"a\", \"price\": 1}, {\"brand\": \"a\", \"price\": 3}]"},
        "sql": "INSTALL json;\nLOAD json;\nSELECT brand, round(avg(price), 2) AS price\nFROM read_json_auto('__JITNEY_WORKING_DIR__/products.json') -- all\nGROUP BY brand ORDER BY price DESC;",
        "fetchType": "STORE"
    });
    let Some(outputs) = run(QUERIES, fields).await else { return };
    let outputs = outputs.unwrap();
    assert_eq!(outputs["size"], 2);
    assert_eq!(outputs["outputs"].as_array().unwrap().len(), 1);
    let text = fs::read_to_string(stored(&outputs["uri"])).unwrap();
    assert_eq!(text, "{\"brand\": \"b\", \"price\": 5.0}\n{\"brand\": \"a\", \"price\": 2.0}\n");
}

#[tokio::test]
async fn several_statements_share_a_database_file_and_a_failure_undoes_them() {
    let folder = tempdir().unwrap();
    let sql = "CREATE TABLE t AS SELECT * FROM range(5) AS r(n); SELECT 'a;b' AS x; INSERT INTO t VALUES (5), (6) RETURNING n;
               UPDATE t SET n = 0 WHERE n > 3; SELECT count(*) AS rows FROM t";
    let Some(first) =
        run_in(folder.path(), QUERIES, json!({"url": "jdbc:duckdb:taxi.db", "sql": sql, "fetch": "FETCH"})).await
    else {
        return;
    };
    let first = first.unwrap();
    assert_eq!(first["rows"], json!([{"rows": 7}]));
    assert_eq!(first["outputs"][1]["rows"], json!([{"n": 5}, {"n": 6}]));
    assert_eq!((&first["outputs"].as_array().unwrap().len(), &first["affected"]), (&3, &json!(8)));
    let broken = json!({"url": "jdbc:duckdb:taxi.db", "sql": "DELETE FROM t; SELECT nope FROM t", "fetch": "FETCH"});
    let error = run_in(folder.path(), QUERIES, broken).await.unwrap().unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("statement 2 of 2 failed: Binder Error: Referenced column \"nope\""), "{error}");
    let count = json!({"url": "jdbc:duckdb:taxi.db", "sql": "SELECT count(*) AS n FROM t", "fetch": "FETCH_ONE"});
    assert_eq!(run_in(folder.path(), QUERIES, count).await.unwrap().unwrap()["row"], json!({"n": 7}));
}

#[tokio::test]
async fn parameters_are_values_and_never_sql() {
    let evil = "'; DROP TABLE t; --";
    let sql = "SELECT :text AS text, 5 -:n AS sum, list_sum(:list::INT[]) AS total, 'a:b' AS plain";
    let fields = json!({"sql": sql, "parameters": {"text": evil, "n": -1, "list": [1, 2]}, "fetch": "FETCH_ONE"});
    let Some(outputs) = run("duckdb.queries", fields).await else { return };
    assert_eq!(outputs.unwrap()["row"], json!({"text": evil, "sum": 6, "total": 3, "plain": "a:b"}));
    let wrong = run("duckdb.query", json!({"sql": "SELECT :zone", "parameters": {"zones": 1}})).await.unwrap();
    assert!(wrong.unwrap_err().message.contains("did you mean `:zones`?"));
}

#[tokio::test]
async fn files_that_the_sql_writes_are_kept_and_stored_files_are_read_by_address() {
    let fields = json!({"sql": "COPY (SELECT 1 AS n UNION ALL SELECT 2) TO 'n.parquet'", "outputFiles": ["*.parquet"]});
    let Some(outputs) = run("duckdb.query", fields).await else { return };
    let outputs = outputs.unwrap();
    assert_eq!(outputs["affected"], 2);
    let uri = outputs["outputFiles"]["n.parquet"].as_str().unwrap();
    let fields = json!({"sql": format!("SELECT sum(n) AS n FROM '{uri}'"), "fetch": "FETCH_ONE"});
    assert_eq!(run("duckdb.query", fields).await.unwrap().unwrap()["row"], json!({"n": 3}));
}

#[tokio::test]
async fn what_cannot_be_is_said_in_duckdbs_words() {
    let Some(error) = run("duckdb.query", json!({"sql": "SELECT 1;\nSELEC 2"})).await else { return };
    let error = error.unwrap_err();
    assert!(error.message.starts_with("the SQL failed: ") && error.message.contains("LINE 2: SELEC 2"), "{error}");
    let many = run("duckdb.query", json!({"sql": "FROM range(100001)", "fetch": "FETCH"})).await.unwrap().unwrap_err();
    assert!(many.help.unwrap().contains("fetch: STORE"));
}

#[tokio::test]
async fn extensions_that_are_built_in_are_not_fetched() {
    let sql = "-- as tutorials have it\nINSTALL json; LOAD json; INSTALL 'parquet' FROM core; FORCE INSTALL icu /* all of it */; SELECT 1 AS n";
    let Some(outputs) = run(QUERIES, json!({"sql": sql, "fetch": "FETCH"})).await else { return };
    assert_eq!(outputs.unwrap()["rows"], json!([{"n": 1}]));
}

#[tokio::test]
async fn no_database_from_outside_lies_out_of_the_folder() {
    let folder = tempdir().unwrap();
    let inner = folder.path().join("flows");
    fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink(folder.path().join("linked.db"), inner.join("link.db")).unwrap();
    let open = async |url: &str| {
        let mut context = context(&inner);
        context.files = FileAccess::restricted(&inner, &context.settings);
        attempt::run(context, "duckdb.query", json!({"sql": "CREATE TABLE t (a int)", "url": url})).await
    };
    // Whether DuckDB is there.
    if run("duckdb.query", json!({"sql": "SELECT 1"})).await.is_none() {
        return;
    }
    for (url, problem) in [
        (r"jdbc:duckdb:..\x.db", "DuckDB reads"),
        (r"jdbc:duckdb:sub\..\..\x.db", "DuckDB reads"),
        ("jdbc:duckdb:../x.db", "leads out of"),
        ("jdbc:duckdb:link.db", "leads out of"),
        ("jdbc:duckdb:__JITNEY_WORKING_DIR__/../../../x.db", "is not a valid name for a file"),
    ] {
        let error = open(url).await.unwrap_err();
        assert!(error.message.contains(problem), "{url}: {error}");
    }
    let found: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(found, ["flows"]);
    open("jdbc:duckdb:inner.db").await.unwrap();
    assert!(inner.join("inner.db").exists());
}

#[tokio::test]
async fn duckdbs_words_quote_no_part_of_a_secret() {
    let secret: String = (0..40).map(|number| format!("Kq{number:02}-")).collect();
    for sql in [
        format!("SELEC '{secret}'"),
        format!("SELECT '{secret}', nope, '{secret}'"),
        format!("SELECT 1,\n '{secret}' || nope"),
        format!("SELECT 1; SELECT ['{}', nope, '{secret}']", "x".repeat(300)),
    ] {
        let context = context(HOME.path());
        let redactor = context.settings.redactor.clone();
        redactor.learn(&secret);
        if run("duckdb.query", json!({"sql": "SELECT 1"})).await.is_none() {
            return;
        }
        let error = attempt::run(context, "duckdb.query", json!({"sql": sql})).await.unwrap_err().to_string();
        assert!(error.contains("LINE "), "{error}");
        let shown = redactor.clean(&error);
        assert!(!shown.contains("Kq"), "{shown}");
    }
}
