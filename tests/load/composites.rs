//! JSON objects and arrays in columns of composite types and arrays are what the server's `json_populate_record` makes
//! of them.

use std::fs::File;

use polars::prelude::*;

use crate::load::{Place, assert_says, counts};

const TYPES: &str = "CREATE TYPE point3 AS (x int, \"Y y\" numeric(6, 2), gone int, note text);
    ALTER TYPE point3 DROP ATTRIBUTE gone;
    CREATE DOMAIN small AS int CHECK (VALUE < 100);
    CREATE DOMAIN pair AS int[] CHECK (array_length(VALUE, 1) = 2);
    CREATE TYPE address AS (street text, tags text[], at point3, path point3[], meta jsonb, raw json, n small, two pair,
                            day date, span int4range, spans int4range[]);
    CREATE DOMAIN home AS address CHECK ((VALUE).street <> 'x');
    CREATE TABLE kept (id int, v varchar(3));
    CREATE TYPE holder AS (k kept, ks kept[]);
    CREATE TABLE t (a address, aa address[], h home, hs home[], p point3, o holder, ps pair[])";

/// Columns, and values for them.
const VALUES: &[(&str, &[&str])] = &[
    (
        "p",
        &[
            "null",
            "{}",
            r#"{"x": 1}"#,
            r#"{"x": "7", "Y y": 1.005, "note": "a\"b\\c,(d)"}"#,
            r#"{"x": null, "note": ""}"#,
            r#"{"note": {"a": [1, "q\""]}}"#,
            r#"{"note": [1,  2]}"#,
            r#"{"note": true, "Y y": -1e2}"#,
            r#"{"x": 1, "x": 2, "other": {"x": 3}, "X": 4}"#,
            r#"{"\u0078": 5, "note": "\ud83d\ude95\n\t"}"#,
            r#"{"x": 1.5}"#,
            r#"{"x": "z"}"#,
            r#""(1,2.5,x)""#,
            r#""(1,2.5)""#,
            r#""""#,
            "1",
            "true",
            "[1, 2]",
            "[]",
        ],
    ),
    (
        "a",
        &[
            r#"{"street": "Main \"st\"", "tags": ["a", "b,c", null, "", "NULL", "\\"], "at": {"x": 1, "note": "n\"\\"}}"#,
            r#"{"path": [{"x": 1}, null, {"note": "é \" \\ , { }"}], "meta": {"a": "b"}, "raw": "text", "n": 99}"#,
            r#"{"path": [[{"x": 1}], [{"x": 2}]], "meta": [1], "raw": {"a":   1}}"#,
            r#"{"path": [], "tags": [], "meta": null, "raw": 1.50, "two": [1, 2], "day": "2020-02-29"}"#,
            r#"{"span": "[1,5)", "spans": ["[1,5)", null, "empty"], "at": "(3,,)", "path": "{\"(1,,)\"}"}"#,
            r#"{"n": 100}"#,
            r#"{"two": [1]}"#,
            r#"{"two": {}}"#,
            r#"{"tags": {"a": 1}}"#,
            r#"{"tags": 5}"#,
            r#"{"tags": [["a", "b"], ["c", "d"]]}"#,
            r#"{"tags": [[]], "path": [[], [ ]]}"#,
            r#"{"tags": [[[]], [[]]]}"#,
            r#"{"tags": [[], [[]]]}"#,
            r#"{"tags": [[], ["a"]]}"#,
            r#"{"tags": [[], "a"]}"#,
            r#"{"tags": [["a"], "b"]}"#,
            r#"{"tags": ["a", ["b", "c"], {"d": 1}, true, 1.50]}"#,
            r#"{"at": [1]}"#,
            r#"{"at": 1}"#,
            r#"{"path": {"x": 1}}"#,
            r#"{"path": [1]}"#,
            r#"{"day": "2020-02-30"}"#,
            r#"{"tags": [[[[[[["deep"]]]]]]]}"#,
        ],
    ),
    (
        "aa",
        &[r#"[{"street": "a", "at": {"x": 1}}, null, {"tags": ["\"", "\\"]}]"#, "[]", "{}", "null", "[[{}], [null]]"],
    ),
    ("h", &[r#"{"street": "a"}"#, r#"{"street": "x"}"#, "{}", "null", r#""(a,,,,,,,,,,)""#]),
    ("hs", &[r#"[{"street": "a"}, {}]"#, r#"[{"street": "x"}]"#]),
    ("o", &[r#"{"k": {"id": 1, "v": "abc"}, "ks": [{"id": 2}, {"v": "d\"e"}]}"#, r#"{"k": {"v": "abcd"}}"#]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_the_composite_values_that_the_server_makes_of_them() {
    let place = Place::with("composites", TYPES).await;
    let mut taken = 0;
    for (column, value) in VALUES.iter().flat_map(|(column, values)| values.iter().map(move |value| (column, value))) {
        let object = format!("{{\"{column}\": {value}}}");
        let sql = format!("SELECT ({column})::text FROM json_populate_record(NULL::t, $1::text::json)");
        let populated = place.client.query_one(&sql, &[&object]).await;
        let populated = populated.map(|row| row.get::<_, Option<String>>(0));
        for (name, content) in [("a.ndjson", object.clone()), ("a.json", format!("[{object}]"))] {
            place.file(name, content);
            let yaml = format!("{{from: {name}, table: t, mode: truncate, force: true, on_missing_column: empty}}");
            match (&populated, place.load(&yaml).await) {
                (Ok(populated), Ok(_)) => {
                    let stored = place.client.query_one(&format!("SELECT ({column})::text FROM t"), &[]).await.unwrap();
                    assert_eq!(stored.get::<_, Option<String>>(0), *populated, "{object}");
                    taken += 1;
                }
                (Err(_), Err(error)) => assert_says(&error.to_string(), &[&format!("{name}:1:"), column]),
                (populated, loaded) => panic!("{object}: {populated:?} by the server, and {loaded:?}"),
            }
        }
    }
    assert!(taken > 50, "{taken} were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_no_value_is_a_bad_row_and_a_step_keeps_others() {
    let place = Place::with("composites_rows", TYPES).await;
    place.file(
        "a.ndjson",
        "{\"Point\": {\"x\": 1}}\n{\"Point\": {\"x\": \"y\"}}\n{\"Point\": null}\n{\"Point\": {\"x\": 4}}\n",
    );
    let yaml = "{from: a.ndjson, table: t, on_missing_column: empty, on_bad_row: {reject: {}},
                 transform: {filter: '\"Point\" IS NOT NULL', rename: {Point: p}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 2, 1, 1]);
    assert_eq!(place.rows("SELECT p FROM t").await, "(1,,)\n(4,,)");
    place.file("b.ndjson", "{\"a\": {\"path\": {\"x\": 1}}}\n");
    let shown = place.refused("{from: b.ndjson, table: t, on_missing_column: empty}").await;
    assert_says(&shown, &["b.ndjson:1:7: `a` holds a JSON object where its type has an array"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn structures_of_parquet_are_composite_values_too() {
    let place = Place::with("composites_parquet", TYPES).await;
    let fields = [Series::new("note".into(), [Some("a\"b"), None]), Series::new("x".into(), [1_i64, 2])];
    let points = StructChunked::from_series("p".into(), 2, fields.iter()).unwrap().into_series();
    let lists = ListChunked::from_iter([points.slice(0, 2), points.slice(0, 0)]);
    let streets = Series::new("street".into(), ["s", "t"]);
    let paths = lists.into_series().with_name("path".into());
    let addresses = StructChunked::from_series("a".into(), 2, [streets, paths].iter()).unwrap();
    let columns = vec![points.into_column(), addresses.into_series().into_column()];
    let mut frame = DataFrame::new(2, columns).unwrap();
    ParquetWriter::new(File::create(place.path().join("a.parquet")).unwrap()).finish(&mut frame).unwrap();
    place.load("{from: a.parquet, table: t, on_missing_column: empty}").await.unwrap();
    let expected = "(1,,\"a\"\"b\") s {\"(1,,\\\"a\\\"\\\"b\\\")\",\"(2,,)\"}\n(2,,) t {}";
    assert_eq!(place.rows("SELECT p, (a).street, (a).path FROM t").await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_parquet_are_arrays_as_the_server_casts_them() {
    let table = "CREATE TABLE t (f float8, d float8[], dd float8[], r real[], n numeric[], e int[])";
    let place = Place::with("composites_lists", table).await;
    let list = |name: &str| {
        let items = Series::new("".into(), [0.1_f32, 2.5]);
        ListChunked::from_iter([items.slice(0, 2), items.slice(0, 0)]).into_series().with_name(name.into())
    };
    let nested =
        ListChunked::from_iter([list("").slice(0, 1), list("").slice(0, 1)]).into_series().with_name("dd".into());
    let numbers = Series::new("".into(), [1_i32]);
    let empty = ListChunked::from_iter([numbers.slice(0, 0)]).into_series();
    let empty = ListChunked::from_iter([empty.clone(), empty]).into_series().with_name("e".into());
    let columns = [Series::new("f".into(), [0.1_f32, 2.5]), list("d"), nested, list("r"), list("n"), empty];
    let mut frame = DataFrame::new(2, columns.map(IntoColumn::into_column).to_vec()).unwrap();
    ParquetWriter::new(File::create(place.path().join("a.parquet")).unwrap()).finish(&mut frame).unwrap();
    place.load("{from: a.parquet, table: t}").await.unwrap();
    let wide = "0.10000000149011612";
    let doubles = format!("{{{{{wide},2.5}}}}");
    let first = format!("{wide} {{{wide},2.5}} {doubles} {{0.1,2.5}} {{0.1,2.5}} {{}}");
    assert_eq!(place.t().await, format!("{first}\n2.5 {{}} {doubles} {{}} {{}} {{}}"));
    let cast = "SELECT f = 0.1::real, d = '{0.1,2.5}'::real[]::float8[] FROM t WHERE f < 1";
    assert_eq!(place.rows(cast).await, "t t");
}
