//! The query box of the server's pages, on BigQuery: what a query would read is shown before it runs.

use super::{dataset, google, run};
use crate::world::Place;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_says_what_it_would_read_and_runs_once_the_reader_agrees() {
    let home = tempfile::tempdir().unwrap();
    let Some(dataset) = dataset(home.path(), "pages").await else { return };
    let make = format!("CREATE TABLE {dataset}.t AS SELECT n, 'row' AS word FROM UNNEST([1, 2, 3]) AS n");
    run(home.path(), "bigquery.query", json!({"sql": make})).await.unwrap();
    let Some(emulators) = google::emulators() else { return };
    let mut variables: Vec<(String, String)> =
        emulators.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    variables.push(("GOOGLE_CLOUD_PROJECT".to_owned(), "test-project".to_owned()));
    let place = Place { variables, ..Place::new() };
    place.write("flows/ask.yaml", "id: ask\nnamespace: shop\ntasks: [{id: q, type: bigquery.query, sql: SELECT 1}]\n");
    let server = place.server();
    let ask = |sql: &str, more: &[&str]| {
        let sql = format!("sql={sql}");
        let form = ["/data/query", "--data-urlencode", "db=BigQuery", "--data-urlencode", &sql];
        server.curl(&[&form[..], more].concat())
    };
    let sql = format!("SELECT word, COUNT(*) AS rows FROM {dataset}.t GROUP BY word");
    let estimate = ask(&sql, &[]);
    assert!(estimate.contains("The query would read ") && !estimate.contains("id=\"result\""), "{estimate}");
    let rows = ask(&sql, &["--data-urlencode", "bytes=1000000"]);
    assert!(rows.contains("id=\"result\"") && rows.contains("<td class=\"number\">3</td>"), "{rows}");
    let refused = ask(&format!("DELETE FROM {dataset}.t WHERE true"), &["--data-urlencode", "bytes=1000000"]);
    assert!(refused.contains("only queries run here"), "{refused}");
}
