//! `postgres.copy_in` is COPY.

use jitney::task::{Outputs, TaskError};

use crate::load::{Place, assert_says, counts, gzip};

const T: &str = "CREATE TABLE t (id int, note text)";

async fn copy(place: &Place, execution: &str, yaml: &str) -> Result<Outputs, TaskError> {
    place.run_in(execution, 1, "io.kestra.plugin.jdbc.postgresql.CopyIn", yaml).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_the_format_and_no_line_is_a_header() {
    let place = Place::with("copy_defaults", T).await;
    place.file("a.txt", "1\ta\\tb\n2\t\\N\n");
    let outputs = copy(&place, "e1", "{from: a.txt, table: t}").await.unwrap();
    assert_eq!((counts(&outputs), &outputs["rowCount"]), ([2, 2, 0, 0], &2.into()));
    assert_eq!(place.t().await, "1 a\tb\n2 NULL");
    place.file("b.csv", "3,c\n");
    copy(&place, "e2", "{from: b.csv, table: t, format: CSV}").await.unwrap();
    assert_eq!(place.rows("SELECT * FROM t WHERE id = 3").await, "3 c");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_go_by_position_whatever_the_header_says() {
    let place = Place::with("copy_position", "CREATE TABLE t (key text, \"Vendor\" int, at date)").await;
    place.file("a.csv", "Pick up,vendor id\n2020-04-01,1\n");
    let yaml = "{from: a.csv, table: t, format: CSV, header: true, columns: [AT, Vendor]}";
    copy(&place, "e1", yaml).await.unwrap();
    assert_eq!(place.t().await, "NULL 1 2020-04-01");
    let error = copy(&place, "e2", "{from: a.csv, table: t, format: CSV, columns: [other]}").await.unwrap_err();
    assert_says(&error.to_string(), &["table `t` has no column `other`", "`key`, `Vendor`, `at`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_is_what_copy_says() {
    let place = Place::with("copy_null", "CREATE TABLE t (id int, a text, b text)").await;
    place.file("a.csv", "1,NULL,NULL\n2,,\"NULL\"\n");
    copy(&place, "e1", "{from: a.csv, table: t, format: CSV, nullString: 'NULL', forceNull: [b]}").await.unwrap();
    assert_eq!(place.rows("SELECT id, a IS NULL, a, b FROM t").await, "1 t NULL NULL\n2 f  NULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_content_under_the_same_name_is_copied_and_deleted_rows_are_copied_again() {
    let place = Place::with("copy_daily", T).await;
    let yaml = "{from: a.csv, table: t, format: CSV}";
    for (execution, content) in [("e1", "1,x\n"), ("e2", "2,y\n")] {
        place.file("a.csv", content);
        copy(&place, execution, yaml).await.unwrap();
    }
    assert_eq!(place.t().await, "1 x\n2 y");
    place.run("DELETE FROM t WHERE id = 2").await;
    copy(&place, "e3", yaml).await.unwrap();
    assert_eq!(place.t().await, "1 x\n2 y", "though other rows are there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_copies_twice_and_the_ledger_shows_it() {
    let place = Place::with("copy_twice", T).await;
    place.file("a.csv", "1,x\n");
    let yaml = "{from: a.csv, table: t, format: CSV}";
    copy(&place, "e1", yaml).await.unwrap();
    copy(&place, "e2", yaml).await.unwrap();
    assert_eq!(place.t().await, "1 x\n1 x");
    assert_eq!(place.ledger().await, "a.csv 1 1 0 0\na.csv 1 1 0 0");
    // A task around it began anew, and with it the count of attempts.
    copy(&place, "e2", yaml).await.unwrap();
    assert_eq!(place.t().await, "1 x\n1 x", "the rows of this task run are there");
    place.run("TRUNCATE t").await;
    copy(&place, "e2", yaml).await.unwrap();
    assert_eq!(place.t().await, "1 x", "they are gone, as the task around it may want");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encodings_and_packed_files_are_read() {
    let place = Place::with("copy_encodings", T).await;
    place.file("a.csv", b"1,caf\xe9\n");
    copy(&place, "e1", "{from: a.csv, table: t, format: CSV, encoding: windows-1252}").await.unwrap();
    let utf16: Vec<u8> = "\u{feff}2\tthé\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    place.file("b.txt", utf16);
    copy(&place, "e2", "{from: b.txt, table: t}").await.unwrap();
    place.file("c.csv.gz", gzip("3,größe\n"));
    copy(&place, "e3", "{from: c.csv.gz, table: t, format: CSV}").await.unwrap();
    assert_eq!(place.t().await, "1 café\n2 thé\n3 größe");
    place.file("d.csv", b"4,\x81\n");
    let error = copy(&place, "e4", "{from: d.csv, table: t, format: CSV, encoding: WIN1252}").await.unwrap_err();
    assert_says(&error.to_string(), &["WIN1252", "line 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_leaves_nothing_and_what_has_no_effect_is_refused() {
    let place = Place::with("copy_refused", T).await;
    place.file("a.csv", "1,x\nbad,y\n");
    let error = copy(&place, "e1", "{from: a.csv, table: t, format: CSV}").await.unwrap_err();
    assert_says(&error.to_string(), &["copying into `t`", "line 2"]);
    assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()));
    let error = copy(&place, "e1", "{from: a.csv, table: t, quote: \"'\"}").await.unwrap_err();
    assert_says(&error.message, &["`quote`", "format TEXT has no `quote`"]);
    let error = copy(&place, "e1", "{from: a.csv, table: t, format: BINARY, header: true}").await.unwrap_err();
    assert_says(&error.message, &["format BINARY has no `header`"]);
    let error = copy(&place, "e1", "{from: a.csv, table: missing}").await.unwrap_err();
    assert_says(&error.to_string(), &["there is no table `missing`", "postgres.query"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_order_mark_is_a_character_as_for_copy() {
    let place = Place::with("copy_mark", "CREATE TABLE t (a text, b text)").await;
    for (index, format) in ["TEXT", "CSV"].into_iter().enumerate() {
        let delimiter = if format == "CSV" { "," } else { "\t" };
        for (nth, encoding) in ["", ", encoding: UTF-8"].into_iter().enumerate() {
            place.run("TRUNCATE t").await;
            let name = format!("{format}{nth}.txt");
            place.file(&name, format!("\u{feff}a{delimiter}b\n"));
            let yaml = format!("{{from: {name}, table: t, format: {format}{encoding}}}");
            copy(&place, &format!("e{index}{nth}"), &yaml).await.unwrap();
            assert_eq!(place.t().await, "\u{feff}a b", "{yaml}");
        }
    }
}
