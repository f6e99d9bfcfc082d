//! Steps compare texts as the table's columns and the database do, or are refused before a row is read.

use crate::load::{Place, assert_says};

/// A load of `a.csv` into `t` with these steps.
fn yaml(place: &Place, steps: &str) -> String {
    format!("{{url: '{}', from: a.csv, table: t, mode: truncate, transform: {steps}}}", place.url)
}

/// Loads with some steps, and gives the table's rows.
async fn loaded(place: &Place, steps: &str) -> String {
    place.load(&yaml(place, steps)).await.unwrap_or_else(|error| panic!("{steps}: {error}"));
    place.rows("SELECT * FROM t").await
}

async fn assert_refused(place: &Place, steps: &str, parts: &[&str]) {
    place.run("TRUNCATE t").await;
    let shown = place.refused(&yaml(place, steps)).await;
    assert_says(&shown, parts);
    assert_eq!(place.rows("SELECT * FROM t").await, "", "{steps}");
}

/// Steps that order a text `v`.
const ORDERING: &[&str] = &[
    "{filter: \"v < 'B'\"}",
    "{filter: \"'B' >= v\"}",
    "{filter: \"lower(v) > 'b' AND id > 0\"}",
    "{filter: \"v BETWEEN 'a' AND 'c'\"}",
    "{filter: \"CASE WHEN id > 1 THEN v ELSE 'x' END < 'B'\"}",
    "{filter: \"v || 'x' < 'B'\"}",
    "{with_columns: {v: \"greatest(v, 'b')\"}}",
    "{with_columns: {v: \"least(v, 'b')\"}}",
    "{sql: 'SELECT id, v FROM self ORDER BY v'}",
    "{sql: 'SELECT id, v FROM self ORDER BY 2 DESC'}",
    "{sql: 'SELECT id, w AS v FROM (SELECT id, upper(v) AS w FROM self) x ORDER BY w'}",
    "{sql: 'SELECT * FROM self ORDER BY 2'}",
    "{sql: 'SELECT * FROM (SELECT id, upper(v) AS v FROM self) x ORDER BY 2'}",
    "{sql: \"SELECT id, lower(v) || 'x' AS v FROM self ORDER BY v\"}",
    "{sql: 'SELECT v AS id, id AS v FROM self ORDER BY id'}",
    "{sql: 'SELECT id, v FROM (SELECT id, coalesce(lower(v), v) AS v FROM self) x ORDER BY v DESC'}",
    "{sql: 'SELECT 1 AS id, max(v) AS v FROM self'}",
    "{sql: \"SELECT 1 AS id, string_agg(v, ',' ORDER BY v) AS v FROM self\"}",
    "{sql: 'SELECT row_number() OVER (ORDER BY v) AS id, v FROM self'}",
    "{expect: [{between: {column: v, min: a, max: b}}]}",
];

/// Steps that ask whether texts `v` are equal, or look for one in another.
const EQUAL: &[&str] = &[
    "{filter: \"v = 'b'\"}",
    "{filter: \"v <> 'b'\"}",
    "{filter: \"v IN ('b', 'c')\"}",
    "{filter: \"v IS DISTINCT FROM 'b'\"}",
    "{filter: \"v LIKE 'b%'\"}",
    "{filter: \"v ~ 'b'\"}",
    "{filter: \"starts_with(v, 'b')\"}",
    "{with_columns: {v: \"CASE v WHEN 'b' THEN 'x' ELSE v END\"}}",
    "{with_columns: {v: \"nullif(v, 'b')\"}}",
    "{with_columns: {v: \"replace(v, 'b', 'x')\"}}",
    "{dedupe: [v]}",
    "{rename: {v: V}, dedupe: [V]}",
    "{sql: 'SELECT DISTINCT 1 AS id, v FROM self'}",
    "{select: [id, v], sql: 'SELECT DISTINCT * FROM self'}",
    "{sql: 'SELECT count(*) AS id, v FROM self GROUP BY v'}",
    "{sql: 'SELECT count(*) AS id, v FROM self GROUP BY 2'}",
    "{sql: 'SELECT count(DISTINCT v) AS id, null AS v FROM self'}",
    "{sql: 'SELECT id, v FROM self UNION SELECT id, v FROM self'}",
    "{sql: 'SELECT a.id, a.v FROM self a JOIN self c ON a.v = c.v'}",
    "{sql: 'SELECT a.id, v FROM self a JOIN self c USING (v)'}",
    "{sql: 'SELECT count(*) OVER (PARTITION BY v) AS id, v FROM self'}",
    "{expect: [{unique: [v]}]}",
    "{expect: [{in: {column: v, values: [a, b]}}]}",
];

/// Steps that compare no text `v`.
const NEITHER: &[&str] = &[
    "{filter: \"id < 3 AND v IS NOT NULL\"}",
    "{filter: \"n > 1 OR d < '2021-01-01'\"}",
    "{with_columns: {v: \"coalesce(v, 'x')\"}}",
    "{with_columns: {v: \"CASE WHEN id > 1 THEN v END\"}}",
    "{dedupe: [id, n, d]}",
    "{sql: 'SELECT id, v FROM self ORDER BY id'}",
    "{sql: 'SELECT x AS id, v FROM (SELECT id * 2 AS x, v FROM self) y WHERE x > 2 ORDER BY x'}",
    "{sql: 'SELECT max(id) AS id, max(d) AS d FROM self'}",
    "{sql: 'SELECT * FROM self ORDER BY 1'}",
    "{sql: 'SELECT count(v) AS id, d FROM self GROUP BY d ORDER BY d'}",
    "{expect: [{unique: [id]}, {not_null: [v]}, {between: {column: id, min: 0}}]}",
];

async fn place(name: &str, kind: &str) -> Place {
    let place = Place::with(name, &format!("CREATE TABLE t (id int, v {kind}, n numeric, d date)")).await;
    place.file("a.csv", "id,v,n,d\n1,a,1,2020-01-01\n2,B,2,2020-01-02\n3,b,3,2020-01-03\n4,ä,4,2020-01-04\n");
    place
}

const OPTIONS: &str = "on_missing_column: empty, ";

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_not_put_in_an_order_other_than_the_columns() {
    let place = place("collation_order", "text COLLATE \"en-x-icu\"").await;
    for steps in ORDERING {
        assert_refused(&place, steps, &["order", "`en-x-icu`"]).await;
    }
    for steps in EQUAL.iter().chain(NEITHER) {
        let yaml = yaml(&place, steps).replacen('{', &format!("{{{OPTIONS}"), 1);
        if let Err(error) = place.load(&yaml).await {
            assert!(!error.to_string().contains("collation"), "{steps}: {error}");
        }
    }
    assert_eq!(loaded(&place, "{filter: \"v = 'b'\"}").await, "3 b 3 2020-01-03");
    let by_bytes = loaded(&place, "{filter: \"v COLLATE \\\"C\\\" < 'a'\"}").await;
    assert_eq!(by_bytes, "2 B 2 2020-01-02");
    assert_refused(&place, "{filter: \"v COLLATE \\\"de-x-icu\\\" < 'a'\"}", &["the collation \"de-x-icu\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computed_text_has_the_databases_collation() {
    let owner = Place::new("collation_default_owner").await;
    owner.run("DROP DATABASE IF EXISTS load_collation_icu").await;
    let sql =
        "CREATE DATABASE load_collation_icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' ENCODING 'UTF8'";
    owner.run(sql).await;
    let url = owner.url.replace("load_collation_default_owner", "load_collation_icu");
    assert_ne!(url, owner.url);
    let client = crate::common::postgres::client(&url).await;
    let place = Place { url, client, ..owner };
    place.run("CREATE TABLE t (id int, v text COLLATE \"C\", w text)").await;
    place.file("a.csv", "id,v,w\n1,a,a\n2,B,B\n3,b,b\n4,ä,ä\n");
    assert_eq!(loaded(&place, "{filter: \"v < 'C'\"}").await, "2 B B");
    assert_eq!(loaded(&place, "{filter: \"w = 'b'\"}").await, "3 b b");
    for steps in ["{filter: \"w < 'C'\"}", "{filter: \"CAST(id AS text) < '2'\"}", "{filter: \"'a' < 'B'\"}"] {
        assert_refused(&place, steps, &["ordered", "the database's collation `en`"]).await;
    }
    let ordered = "{sql: 'SELECT id, v, w FROM self ORDER BY w'}";
    assert_refused(&place, ordered, &["`sql`: `w` ordered"]).await;
    loaded(&place, "{sql: 'SELECT id, v, w FROM self ORDER BY v, w COLLATE \"C\"'}").await;
    loaded(&place, "{dedupe: [v, w]}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_may_be_equal_are_not_told_apart() {
    let place = place("collation_equality", "text").await;
    place
        .run(
            "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             ALTER TABLE t ALTER v TYPE text COLLATE nocase",
        )
        .await;
    for steps in EQUAL.iter().chain(ORDERING) {
        assert_refused(&place, steps, &["`nocase`"]).await;
    }
    assert_eq!(loaded(&place, "{filter: \"v COLLATE \\\"C\\\" = 'b'\"}").await, "3 b 3 2020-01-03");
    assert_eq!(loaded(&place, "{filter: 'length(v) = 1 AND id = 1'}").await, "1 a 1 2020-01-01");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_other_types_are_no_texts_to_steps() {
    for (number, kind) in ["char(3)", "citext", "interval", "inet", "text[]", "bytea"].into_iter().enumerate() {
        let place = place(&format!("collation_type_{number}"), "text").await;
        if kind == "citext" {
            place.run("CREATE EXTENSION citext").await;
        }
        place.run(&format!("DROP TABLE t; CREATE TABLE t (id int, v {kind}, n numeric, d date)")).await;
        for steps in EQUAL.iter().chain(ORDERING) {
            assert_refused(&place, steps, &["whose values steps treat"]).await;
        }
        for steps in ["{filter: \"length(v) = 1\"}", "{filter: \"v || 'x' = 'ax'\"}", "{filter: \"v::text = 'a'\"}"] {
            assert_refused(&place, steps, &["whose values steps treat as plain text"]).await;
        }
    }
    let place = place("collation_char", "char(3)").await;
    assert_eq!(loaded(&place, "{filter: \"coalesce(v, 'x') IS NOT NULL AND id = 1\"}").await, "1 a   1 2020-01-01");
    let stated = "{schema: {v: text}, filter: \"v = 'b'\", dedupe: [v]}";
    assert_eq!(loaded(&place, stated).await, "3 b   3 2020-01-03");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enum_is_in_the_order_of_its_declaration() {
    let place = place("collation_enum", "text").await;
    place.run("CREATE TYPE size AS ENUM ('small', 'big'); ALTER TABLE t ALTER v TYPE size USING v::size").await;
    place.file("a.csv", "id,v,n,d\n1,small,1,2020-01-01\n2,big,2,2020-01-02\n");
    assert_refused(&place, "{filter: \"v < 'small'\"}", &["ordered", "the type `size`"]).await;
    assert_eq!(loaded(&place, "{filter: \"v = 'big'\"}").await, "2 big 2 2020-01-02");
}
