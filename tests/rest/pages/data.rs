//! The pages of the data: the ledger, tables by month, queries that change nothing, and the addresses of Kestra's pages.

use std::os::unix::fs::PermissionsExt;

use super::{all, page, place, text, texts, until_shown};
use crate::rest::postgres;
use crate::rest::world::{Place, Server, until};

const LOAD: &str = "id: load_trips\nnamespace: shop\ninputs:\n  - {id: month, type: STRING, defaults: 2019-01}\ntasks:\n  \
    - id: load\n    type: postgres.load\n    from: 'trips-{{ inputs.month }}.csv'\n    table: trips\n    \
    mode: {replace_partition: {month: '{{ inputs.month }}'}}\n    on_bad_row: {reject: {max: 5}}\n    \
    transform: {expect: [{row_count: {min: 3}, on_fail: warn}]}\n";

/// A server with two months in its database: one with a bad row, and one with fewer rows than expected.
async fn loaded(database: &str) -> (Place, Server) {
    let place = Place { postgres: Some(postgres::database(database).await), ..place() };
    place.write("flows/load.yaml", LOAD);
    place.write(
        "flows/trips-2019-01.csv",
        "id,fare,month\n1,2.50,2019-01\n2,<b>x</b>,2019-01\n3,4.00,2019-01\n4,5,2019-01\n",
    );
    place.write("flows/trips-2019-03.csv", "id,fare,month\n1,2.50,2019-03\n2,3.00,2019-03\n");
    let client = postgres::client(place.postgres.as_deref().unwrap()).await;
    client.batch_execute("CREATE TABLE trips (id int, fare numeric, month text)").await.unwrap();
    let server = place.server();
    for month in ["2019-01", "2019-03"] {
        let execution = super::submit(&server, "/flows/shop/load_trips/run", &[&format!("month={month}")]);
        until_shown(&server, &execution, "success").await;
    }
    (place, server)
}

fn query(server: &Server, sql: &str) -> String {
    server.curl(&["/data/query", "--data-urlencode", &format!("sql={sql}")])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_load_is_listed_with_its_reconciliation_and_its_execution() {
    let (_place, server) = loaded("pages_loads").await;
    let listed = page(&server, "/data");
    assert_eq!(texts(&listed, "tbody td b"), ["public.trips", "public.trips"]);
    let counts = texts(&listed, "tbody td.number");
    assert_eq!(counts[5..9], ["4", "3", "△ 1", "0"], "{counts:?}");
    assert_eq!(text(&listed, "header .state"), "✓ every load reconciles");
    assert!(text(&listed, "header .small").contains("2 loads · 5 rows"));
    let execution = all(&listed, "tbody a")[0].attr("href").unwrap().to_owned();
    assert!(text(&page(&server, &execution), "h1").contains("load_trips") || server.code(&[&execution]) == "200");
    assert_eq!(texts(&page(&server, "/data?rejected=true"), "tbody td b").len(), 1);
    assert_eq!(texts(&page(&server, "/data?q=2019-03"), "tbody td b").len(), 1);
    assert!(text(&page(&server, "/data?table=none"), ".empty").contains("No load matches"));
    let json = server.get("/data.json?rejected=true");
    assert_eq!((&json["loads"][0]["read"], &json["loads"][0]["rejected"]), (&4.into(), &1.into()), "{json}");
    let tables = page(&server, "/data/tables");
    assert_eq!(texts(&tables, ".chart title"), ["2019-01: 3 rows", "2019-02: 0 rows", "2019-03: 2 rows"]);
    let quality = page(&server, "/data/quality");
    assert_eq!(texts(&quality, ".strip title"), ["held", "warned"]);
    assert!(text(&quality, ".rows p").contains("it has 2 rows, fewer than 3"), "{}", quality.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_within_limits_and_changes_nothing() {
    let (place, server) = loaded("pages_query").await;
    let shown = query(&server, "SELECT month, count(*) AS trips, max('<b>bold</b>') FROM trips GROUP BY 1 ORDER BY 1;");
    assert!(shown.contains("2019-01") && shown.contains("&#60;b&#62;bold"), "{shown}");
    assert!(shown.contains("trips by month") && shown.contains("<title>2019-01: 3</title>"), "{shown}");
    let many = query(&server, "SELECT n, repeat('x', 5000) FROM generate_series(1, 100000) n");
    assert!(many.contains("500 rows") && many.contains("there are more") && !many.contains(&"x".repeat(2001)));
    assert!(query(&server, "SELECT 1 AS a, 2 AS a -- two of a name").contains("<td class=\"number\">2</td>"));
    assert!(query(&server, "EXPLAIN SELECT * FROM trips").contains("Seq Scan on trips"));
    for (sql, why) in [
        ("DELETE FROM trips", "only queries run here"),
        ("WITH gone AS (DELETE FROM trips RETURNING 1) SELECT * FROM gone", "WITH"),
        ("SELECT 1; DROP TABLE trips", "cannot insert multiple commands"),
        ("EXPLAIN SELECT 1; COMMIT; DROP TABLE trips", "cannot insert multiple commands"),
        ("COPY trips TO PROGRAM 'true'", "only queries run here"),
        ("SELECT set_config('transaction_read_only', 'off', false), lo_creat(1)", "read"),
        ("SELECT * FROM nowhere", "nowhere"),
    ] {
        let refused = query(&server, sql);
        assert!(refused.contains("role=\"alert\"") && refused.contains(why), "{sql}: {refused}");
    }
    let client = postgres::client(place.postgres.as_deref().unwrap()).await;
    assert_eq!(client.query_one("SELECT count(*) FROM trips", &[]).await.unwrap().get::<_, i64>(0), 5);
    let csv = server.curl(&[
        "/data/query.csv",
        "--data-urlencode",
        "sql=SELECT id, NULL AS n, 'a,b' AS t FROM trips ORDER BY 1 LIMIT 1",
    ]);
    assert_eq!(csv, "id,n,t\n1,,\"a,b\"\n");
    let linked = page(&server, "/data/query?sql=SELECT+pg_sleep(9)");
    assert_eq!(text(&linked, "textarea"), "SELECT pg_sleep(9)");
    assert!(all(&linked, "#result").is_empty(), "a link runs nothing");
    let names = server.get("/data/tables/columns.json");
    assert_eq!(names["trips"][1], serde_json::json!(["fare", "numeric"]));
    assert_eq!(server.code(&["/data?db=postgres@elsewhere:5432/x"]), "404", "only what flows name is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_reader_has_gone_is_stopped() {
    let (place, server) = loaded("pages_gone").await;
    let sql = "sql=SELECT pg_sleep(25), 'the query that nobody waits for'";
    let mut curl = std::process::Command::new("curl")
        .args(["-s", &format!("http://{}/data/query", server.address), "--data-urlencode", sql])
        .spawn()
        .unwrap();
    let client = postgres::client(place.postgres.as_deref().unwrap()).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH FORWARD%'
                   AND datname = current_database()";
    let count = async || client.query_one(running, &[]).await.unwrap().get::<_, i64>(0);
    until("the query runs", async || count().await == 1).await;
    curl.kill().unwrap();
    curl.wait().unwrap();
    until("the query was stopped", async || count().await == 0).await;
}

#[test]
fn addresses_of_kestras_pages_lead_to_ours() {
    let server = place().server();
    let target = |address: &str| {
        let answer = server.curl(&[address, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]);
        answer.replace(&format!("http://{}", server.address), "")
    };
    assert_eq!(target("/ui"), "303 /");
    assert_eq!(target("/ui/main/flows/edit/shop/hello/edit"), "303 /flows/shop/hello/edit");
    assert_eq!(target("/ui/namespaces/edit/shop/kv"), "303 /kv?namespace=shop");
    assert_eq!(target("/ui/main/executions/shop/hello/abc123/logs"), "303 /executions/abc123#log");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_starts_the_browser_with_the_servers_address() {
    let place = place();
    let browser = place.write("bin/xdg-open", "#!/bin/sh\necho \"$1\" > opened\n");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let place = Place { variables: vec![("PATH".to_owned(), path)], ..place };
    let server = place.server_with(&["--open"]);
    let expected = format!("http://{}/\n", server.address);
    until("the browser was started", async || {
        std::fs::read_to_string(place.path("opened")).is_ok_and(|opened| opened == expected)
    })
    .await;
}
