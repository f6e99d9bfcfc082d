//! Files without rows are loaded as `\copy` loads them: nothing arrives, and nothing is wrong.

use futures_util::SinkExt;

use crate::load::{Place, assert_says, counts, gzip};

const T: &str =
    "CREATE TABLE t (id int PRIMARY KEY, month text, n int GENERATED ALWAYS AS (id + 1) STORED, unique_row_id text);
                 INSERT INTO t VALUES (1, 'may'), (2, 'june')";
const BOTH: &str = "1 may 2 NULL\n2 june 3 NULL";

/// Files that name no columns, by their names.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("none.csv", Vec::new()),
        ("blank.csv", b"\n\n".to_vec()),
        ("mark.csv", b"\xef\xbb\xbf".to_vec()),
        ("packed.csv.gz", gzip("")),
        ("none.ndjson", Vec::new()),
        ("blank.ndjson", b"\n \n".to_vec()),
        ("packed.ndjson.gz", gzip("\n")),
        ("none.json", Vec::new()),
        ("array.json", b"[]".to_vec()),
        ("spaced.json", b"\n[ \n ]\n".to_vec()),
        ("packed.json.gz", gzip("[]")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_rows_loads_none_in_every_mode() {
    let place = Place::with("empty_modes", T).await;
    let sink = place.client.copy_in::<_, bytes::Bytes>("COPY t (id, month) FROM STDIN (FORMAT csv, HEADER)").await;
    let mut sink = Box::pin(sink.unwrap());
    sink.send(bytes::Bytes::new()).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 0, "as `\\copy` takes it");
    let steps = "transform: {filter: old > 1, with_columns: {x: old + 1}, rename: {old: id}, select: [id, x],
                 dedupe: [id], row_id: {columns: [id]}, expect: [{not_null: [month]}]}";
    for (name, content) in files() {
        place.file(name, &content);
        for (rest, left) in [
            ("mode: append", BOTH),
            ("mode: append, on_bad_row: {reject: {}}, date_format: \"%d.%m.%Y\"", BOTH),
            (steps, BOTH),
            ("mode: {merge: {key: [id], on_match: update}}", BOTH),
            ("mode: {merge: {key: [id]}}, on_bad_row: {reject: {}}", BOTH),
            ("mode: {replace_partition: {month: may}}", "2 june 3 NULL"),
            ("mode: truncate", ""),
        ] {
            let has_all_modes = ["none.csv", "array.json"].contains(&name);
            if !has_all_modes && rest != "mode: truncate" || name.contains("json") && rest.contains("date_format") {
                continue;
            }
            place.run("TRUNCATE t; INSERT INTO t VALUES (1, 'may'), (2, 'june')").await;
            let (outputs, log) = place.load_in("e1", &format!("{{from: {name}, table: t, force: true, {rest}}}")).await;
            let outputs = outputs.unwrap_or_else(|error| panic!("{name}, {rest}: {error}"));
            assert_eq!((counts(&outputs), place.t().await.as_str()), ([0; 4], left), "{name}, {rest}");
            assert_says(&log, &[&format!("{name} is empty: it has no rows, and names no columns")]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_may_want_rows_and_a_query_wants_columns() {
    let place = Place::with("empty_rules", T).await;
    for (name, content) in files() {
        place.file(name, &content);
        let yaml = |steps: &str| format!("{{from: {name}, table: t, mode: truncate, transform: {{{steps}}}}}");
        let shown = place.refused(&yaml("expect: [{row_count: {min: 1}}]")).await;
        assert_says(&shown, &["it has 0 rows, fewer than 1"]);
        let shown = place.refused(&yaml("sql: SELECT count(*) AS id FROM self")).await;
        assert_says(&shown, &[name, "the file is empty"]);
        assert_eq!(place.t().await, BOTH, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lacks_more_than_rows_is_refused() {
    let place = Place::with("empty_refused", T).await;
    for (name, content, rest, said) in [
        ("a.csv.gz", "", "", "a.csv.gz: the file is empty"),
        ("a.parquet", "", "", "is not a Parquet file"),
        ("a.csv", "made by x\n", ", skip_lines: 1", "the file ends before its header"),
        ("a.csv", "# made by x\n", ", comment: '#'", "the file ends before its header"),
        ("a.ndjson", "[]\n", "", "no JSON object"),
        ("a.ndjson", "{}\n", "", "no JSON object with a key"),
        ("a.json", "[", "", "a.json:1:2: the file seems to be cut"),
        ("a.json", "[1]", "", "no JSON object"),
    ] {
        place.file(name, content);
        let shown = place.refused(&format!("{{from: {name}, table: t, mode: truncate{rest}}}")).await;
        assert_says(&shown, &[said]);
        assert_eq!(place.t().await, BOTH, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transform_of_an_empty_file_is_one() {
    let place = Place::with("empty_transform", T).await;
    for (index, (name, content)) in files().into_iter().enumerate() {
        place.file(name, &content);
        for ending in ["csv", "csv.gz", "parquet"] {
            for (steps, columns) in [("", ""), (", schema: {id: int, month: text}, filter: id > 1", "id,month")] {
                let yaml = format!("{{from: {name}, to: {index}{}.{ending}{steps}}}", columns.len());
                let execution = format!("e{index}");
                let (outputs, _) = place.run_in(&execution, 1, "polars.transform", &yaml).await;
                let outputs = outputs.unwrap_or_else(|error| panic!("{yaml}: {error}"));
                assert_eq!((&outputs["rows_read"], &outputs["rows_written"]), (&0.into(), &0.into()), "{yaml}");
                let uri = outputs["uri"].as_str().unwrap();
                let yaml = format!("{{from: \"{uri}\", table: t, force: true, on_missing_column: empty}}");
                assert_eq!(counts(&place.load_in(&execution, &yaml).await.0.unwrap()), [0; 4], "{name} {ending}");
            }
        }
        let unknown = format!("{{from: {name}, to: x.csv, filter: id > 1}}");
        let error = place.run_in("e0", 1, "polars.transform", &unknown).await.0.unwrap_err().to_string();
        assert_says(&error, &["id", "only `schema` names its columns"]);
    }
    assert_eq!(place.t().await, BOTH);
}
