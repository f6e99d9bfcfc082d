//! `postgres.query` and `postgres.copy_out` against a real server.
#![expect(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use crate::common::{line, postgres};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use jitney::task::{ErrorClass, Outputs, TaskContext, TaskError};
use jitney::tasks;
use serde_json::{Value, json};

/// Runs a task of the registry on a fresh database.
async fn run(context: TaskContext, kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    let task = tasks::find(kind).unwrap();
    (task.run)(fields, Arc::new(context)).await
}

async fn query(database: &str, fields: Value) -> Result<Outputs, TaskError> {
    let home = tempfile::tempdir().unwrap();
    run(postgres::context(home.path(), database).0, "postgres.query", fields).await
}

#[tokio::test]
async fn values_of_every_kind_come_back_as_what_they_mean() {
    let url = postgres::database("query_values").await;
    let sql = "SELECT 1::int2 AS small, 9007199254740993 AS big, 701002.26::numeric AS total, 0.1::float8 AS ratio, true AS yes,
               NULL AS nothing, 'é' AS text, DATE '2020-04-01' AS day, TIMESTAMP '2020-04-01 00:44:02' AS pickup,
               TIMESTAMPTZ '2020-04-01 00:44:02+00' AT TIME ZONE 'UTC' AS utc, '{\"a\": [1]}'::jsonb AS doc,
               ARRAY[1, NULL, 3] AS numbers, ARRAY['a', 'b,c'] AS texts, '\\xdead'::bytea AS bytes,
               INTERVAL '1 day 2 hours' AS wait, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id, '10.0.0.1/8'::inet AS net";
    let outputs = query(&url, json!({"sql": sql, "fetchType": "FETCH_ONE"})).await.unwrap();
    assert_eq!(
        outputs["row"],
        json!({"small": 1, "big": 9007199254740993i64, "total": 701002.26, "ratio": 0.1, "yes": true, "nothing": null,
               "text": "é", "day": "2020-04-01", "pickup": "2020-04-01T00:44:02", "utc": "2020-04-01T00:44:02",
               "doc": {"a": [1]}, "numbers": [1, null, 3], "texts": ["a", "b,c"], "bytes": "\\xdead",
               "wait": "1 day 02:00:00", "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "net": "10.0.0.1/8"})
    );
}

#[tokio::test]
async fn every_digit_is_stored_and_a_column_is_of_one_type() {
    let url = postgres::database("query_digits").await;
    let sql = "SELECT * FROM (VALUES (1.10, 1.1, '{\"b\": 12345678901234567890.10}'::jsonb, ARRAY[0.00]),
                   (2, 12345678901234567890.1234567890, '[1.0]', NULL)) AS t (small, large, doc, list)";
    let home = tempfile::tempdir().unwrap();
    let (context, _) = postgres::context(home.path(), &url);
    let storage = context.storage.clone();
    let outputs = run(context, "postgres.query", json!({"sql": sql, "fetch": "STORE"})).await.unwrap();
    let text = std::fs::read_to_string(storage.path(outputs["uri"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        text,
        "{\"small\":1.10,\"large\":1.1,\"doc\":{\"b\": 12345678901234567890.10},\"list\":[0.00]}\n\
         {\"small\":2,\"large\":12345678901234567890.1234567890,\"doc\":[1.0],\"list\":null}\n"
    );
    let outputs = query(&url, json!({"sql": sql, "fetch": "FETCH"})).await.unwrap();
    let column = |name: &str| [&outputs["rows"][0][name], &outputs["rows"][1][name]].map(Value::clone);
    assert_eq!(column("small"), [json!(1.1), json!(2)]);
    assert_eq!(column("large"), [json!("1.1"), json!("12345678901234567890.1234567890")]);
    for fetch in ["FETCH", "FETCH_ONE", "STORE"] {
        let error = query(&url, json!({"sql": "SELECT 1 AS a, 2 AS a", "fetch": fetch})).await.unwrap_err();
        assert!(error.message.contains("two columns `a`"), "{error}");
    }
    query(&url, json!({"sql": "SELECT 1 AS a, 2 AS a"})).await.unwrap();
}

#[tokio::test]
async fn several_statements_give_the_last_result_and_all_of_them() {
    let url = postgres::database("query_several").await;
    let sql = "CREATE TABLE t (a int, b text); -- a; comment
               INSERT INTO t VALUES (1, 'x;y'), (2, $$;$$) RETURNING a;
               UPDATE t SET b = 'z' WHERE a = 2; SELECT * FROM t ORDER BY a;";
    let outputs = query(&url, json!({"sql": sql, "fetch": "FETCH"})).await.unwrap();
    assert_eq!(outputs["rows"], json!([{"a": 1, "b": "x;y"}, {"a": 2, "b": "z"}]));
    assert_eq!(outputs["size"], 2);
    assert_eq!(outputs["affected"], 3);
    assert_eq!(outputs["outputs"][0]["rows"], json!([{"a": 1}, {"a": 2}]));
    assert_eq!(outputs["outputs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_failure_undoes_the_statements_before_it_and_points_at_its_line() {
    let url = postgres::database("query_failure").await;
    let sql = "CREATE TABLE t (a int);\nINSERT INTO t\n  VALEUS (1);";
    let error = query(&url, json!({"sql": sql})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    let shown = error.to_string();
    for part in ["statement 2 of 2", "syntax error at or near \"VALEUS\"", "--> sql:3:3", "3 |   VALEUS (1);"] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
    let client = postgres::client(&url).await;
    assert!(client.query_one("SELECT to_regclass('t')::text IS NULL", &[]).await.unwrap().get::<_, bool>(0));
    let alone = query(&url, json!({"sql": sql, "transaction": false})).await;
    assert!(alone.is_err());
    assert!(!client.query_one("SELECT to_regclass('t')::text IS NULL", &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn parameters_are_values_and_never_sql() {
    let url = postgres::database("query_parameters").await;
    let evil = "'; DROP TABLE t; --\\";
    let sql = "SELECT :text::text AS text, 5 -:n AS sum, '2020-04-01'::date > :day AS later, 2 = ANY(:list) AS found";
    let parameters = json!({"text": evil, "n": -1, "day": "2020-03-31", "list": [1, 2]});
    let outputs = query(&url, json!({"sql": sql, "parameters": parameters, "fetch": "FETCH_ONE"})).await.unwrap();
    assert_eq!(outputs["row"], json!({"text": evil, "sum": 6, "later": true, "found": true}));
    let listed = json!({"sql": "SELECT $2::int AS b, $1 AS a", "parameters": ["x", "7"], "fetch": "FETCH_ONE"});
    assert_eq!(query(&url, listed).await.unwrap()["row"], json!({"b": 7, "a": "x"}));
    let wrong = json!({"sql": "SELECT :zone", "parameters": {"zones": 1}});
    assert!(query(&url, wrong).await.unwrap_err().message.contains("did you mean `:zones`?"));
}

#[tokio::test]
async fn statements_from_a_file_are_stored_as_json_lines_and_notices_are_logged() {
    let url = postgres::database("query_file").await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("report.sql"),
        "DROP TABLE IF EXISTS not_there;\nSELECT n, n * 1.5 AS x FROM generate_series(1, 3) AS n;\n",
    )
    .unwrap();
    let (context, lines) = postgres::context(home.path(), &url);
    let storage = context.storage.clone();
    let outputs = run(context, "postgres.query", json!({"file": "report.sql", "fetch": "STORE"})).await.unwrap();
    let path = storage.path(outputs["uri"].as_str().unwrap()).unwrap();
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "{\"n\":1,\"x\":1.5}\n{\"n\":2,\"x\":3.0}\n{\"n\":3,\"x\":4.5}\n"
    );
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|(_, line)| line.contains("using PostgreSQL") && line.contains("from --postgres")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|(_, line)| line.contains("\"not_there\" does not exist, skipping")), "{lines:?}");
}

#[tokio::test]
async fn vacuum_runs_alone_and_says_what_to_do_among_others() {
    let url = postgres::database("query_vacuum").await;
    query(&url, json!({"sql": "VACUUM"})).await.unwrap();
    let error = query(&url, json!({"sql": "SELECT 1; VACUUM"})).await.unwrap_err();
    assert!(error.help.unwrap().contains("transaction: false"));
    query(&url, json!({"sql": "SELECT 1; VACUUM", "transaction": false})).await.unwrap();
}

#[tokio::test]
async fn stopping_an_execution_stops_its_statement_on_the_server() {
    let url = postgres::database("query_cancel").await;
    let home = tempfile::tempdir().unwrap();
    let (context, _) = postgres::context(home.path(), &url);
    let cancel = context.cancel.clone();
    let running = tokio::spawn(run(context, "postgres.query", json!({"sql": "SELECT pg_sleep(600)"})));
    let client = postgres::client(&url).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'";
    let active = async |wanted: i64| {
        while client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    active(1).await;
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    active(0).await;
}

#[tokio::test]
async fn rows_are_copied_out_plain_and_compressed() {
    let url = postgres::database("copy_out").await;
    let client = postgres::client(&url).await;
    client.batch_execute("CREATE TABLE \"Zones\" (id int, name text)").await.unwrap();
    client.batch_execute("INSERT INTO \"Zones\" VALUES (1, 'a \"b\"'), (2, NULL), (3, E'two\\nlines')").await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let copy = async |fields: Value| {
        let (context, _) = postgres::context(home.path(), &url);
        let storage = context.storage.clone();
        let outputs = run(context, "io.kestra.plugin.jdbc.postgresql.CopyOut", fields).await?;
        let bytes = std::fs::read(storage.path(outputs["uri"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(outputs["bytes"], bytes.len());
        Ok::<_, TaskError>((bytes, outputs["row_count"].clone()))
    };
    let fields = json!({"table": "Zones", "format": "CSV", "nullString": "-", "delimiter": ";", "header": true});
    let plain = copy(fields).await.unwrap();
    let expected = "id;name\n1;\"a \"\"b\"\"\"\n2;-\n3;\"two\nlines\"\n";
    assert_eq!((String::from_utf8(plain.0).unwrap().as_str(), &plain.1), (expected, &json!(3)));
    let sql = "SELECT id FROM \"Zones\" WHERE id > :id; -- the rest";
    let (bytes, rows) =
        copy(json!({"sql": sql, "parameters": {"id": 1}, "name": "x.csv.gz", "header": false})).await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), rows), ("2\n3\n", json!(2)));
    assert_eq!(copy(json!({"table": "Zones", "format": "BINARY"})).await.unwrap().1, json!(3));
    // Without a word on it, as COPY does; the name of a CSV file says more.
    let text = async |fields: Value| String::from_utf8(copy(fields).await.unwrap().0).unwrap();
    assert_eq!(text(json!({"table": "Zones"})).await, "1\ta \"b\"\n2\t\\N\n3\ttwo\\nlines\n");
    assert_eq!(text(json!({"sql": "SELECT 1 AS a, 'x' AS b", "format": "CSV"})).await, "1,x\n");
    assert_eq!(text(json!({"sql": "SELECT 1 AS a, 'x' AS b", "name": "x.csv"})).await, "a,b\n1,x\n");
    let quoted = json!({"sql": "SELECT 1 AS a, 'x' AS b, 'y' AS c", "format": "CSV", "forceQuote": ["a", "b"]});
    assert_eq!(text(quoted).await, "\"1\",\"x\",y\n");
    let quoted = json!({"table": "Zones", "format": "CSV", "forceQuote": ["ID"]});
    assert!(text(quoted).await.starts_with("\"1\",\"a "));
    for (fields, problem) in [
        (json!({"table": "t", "format": "BINARY", "header": true}), "the format BINARY has no `header`"),
        (json!({"table": "t", "forceQuote": ["a"]}), "the format TEXT has no `force_quote`"),
    ] {
        let found = (tasks::find("postgres.copy_out").unwrap().check)(&fields);
        assert!(format!("{found:?}").contains(problem), "{found:?}");
    }
    let error = copy(json!({"sql": "SELECT id,\n  nme FROM \"Zones\""})).await.unwrap_err().to_string();
    assert!(error.contains("--> sql:2:3") && error.contains("nme"), "{error}");
    assert!(copy(json!({"sql": "SELECT 1; SELECT 2"})).await.unwrap_err().message.contains("2 statements"));
}

/// What a query says whose line breaks around the commit, and how often its row is there.
async fn broken(name: &str, faults: [line::Fault; 2], fields: Value) -> (Result<Outputs, TaskError>, i64) {
    let url = postgres::database(name).await;
    let client = postgres::client(&url).await;
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let line = line::Line::to(line::server_of(&url), move |number| faults[number.min(1)]);
    let home = tempfile::tempdir().unwrap();
    let (mut context, _) = postgres::context(home.path(), &line.url(&url));
    let mut settings = (*context.settings).clone();
    settings.retry_timeout = Duration::from_secs(1);
    context.settings = Arc::new(settings);
    let ended = run(context, "postgres.query", fields).await;
    (ended, client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_looked_up_or_said_to_be_unknown() {
    use line::Fault;
    let sql = json!({"sql": "INSERT INTO t VALUES (1); SELECT 1"});
    let (ended, rows) = broken("query_commit_in", [Fault::CutAfterCommit, Fault::None], sql.clone()).await;
    assert_eq!((ended.unwrap()["affected"].clone(), rows), (json!(1), 1));
    let (ended, rows) = broken("query_commit_out", [Fault::CutBeforeCommit, Fault::None], sql.clone()).await;
    let error = ended.unwrap_err();
    assert_eq!(
        (error.class, error.help.as_deref(), rows),
        (ErrorClass::Transient, Some("the server rolled the SQL back"), 0)
    );
    let (ended, rows) = broken("query_commit_unknown", [Fault::CutAfterCommit, Fault::Refuse], sql).await;
    let error = ended.unwrap_err();
    assert!(error.message.ends_with("whether it was committed is not known"), "{error}");
    assert_eq!((error.class, rows), (ErrorClass::Permanent, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_statement_whose_connection_breaks_is_not_said_to_be_undone() {
    let sql = json!({"sql": "INSERT INTO t VALUES (1); COMMIT", "transaction": false});
    let (ended, rows) = broken("query_lost", [line::Fault::CutAfterCommit, line::Fault::None], sql).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("whether the running statement took effect is not known"), "{error}");
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_nul_in_a_text_is_refused_and_not_taken_for_a_broken_connection() {
    let url = postgres::database("query_nul").await;
    let home = tempfile::tempdir().unwrap();
    for (kind, fields) in [
        ("postgres.query", json!({"sql": "SELECT :a AS a", "parameters": {"a": "x\0y"}})),
        ("postgres.query", json!({"sql": "SELECT 'x\0y'"})),
        ("postgres.copy_out", json!({"sql": "SELECT $1", "parameters": ["x\0y"]})),
        ("postgres.copy_out", json!({"sql": "SELECT 1", "null_string": "x\0y"})),
        ("postgres.query", json!({"sql": "SELECT 1", "url": url, "username": "x\0y"})),
    ] {
        // Without a time limit of ours, a repeat would go on for the default of minutes.
        let server = if fields["url"].is_null() { url.as_str() } else { "" };
        let mut context = postgres::context(home.path(), server).0;
        if server.is_empty() {
            context.settings = Arc::new(postgres::settings(home.path(), None));
        }
        let error = run(context, kind, fields.clone()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{fields}: {error}");
        assert!(error.message.contains("holds the character NUL"), "{fields}: {error}");
    }
}
