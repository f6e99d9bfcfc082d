//! Files that are cut or damaged: nothing of them is committed, however late it shows.

use std::fs::File;
use std::sync::atomic::Ordering;

use polars::prelude::{Column, DataFrame, ParquetWriter};

use crate::load::{Place, assert_says, counts, gzip, many_rows, run};

const T: &str = "CREATE TABLE t (id int, note text); INSERT INTO t VALUES (0, 'old')";
const YAML: &str = "{from: a.csv.gz, table: t, mode: truncate}";
const ROWS: usize = 80_000;

async fn assert_nothing_changed(place: &Place) {
    assert_eq!((place.t().await, place.ledger().await), ("0 old".to_owned(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_checksum_at_the_end_undoes_the_rows_that_were_sent_before() {
    let place = Place::with("damaged_crc", T).await;
    let mut packed = gzip(&many_rows(ROWS));
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    place.file("a.csv.gz", packed);
    let context = place.context();
    let progress = context.progress.clone();
    let shown = run(YAML, context).await.unwrap_err().to_string();
    assert_says(&shown, &["a.csv.gz", "checksum does not match", "download it again"]);
    assert!(progress.rows.load(Ordering::Relaxed) > 20_000, "rows were on their way");
    assert_nothing_changed(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gzip_stream_that_is_cut_commits_nothing() {
    let place = Place::with("damaged_gzip", T).await;
    let packed = gzip(&many_rows(ROWS));
    place.file("a.csv.gz", &packed[..packed.len() * 3 / 4]);
    assert_says(&place.refused(YAML).await, &["a.csv.gz", "ends too early"]);
    assert_nothing_changed(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_in_its_last_row_commits_nothing() {
    let place = Place::with("damaged_row", T).await;
    let text = many_rows(ROWS);
    let cut = text.rfind(',').unwrap();
    place.file("a.csv", &text[..cut]);
    let shown = place.refused("{from: a.csv, table: t, mode: truncate}").await;
    assert_says(&shown, &[&format!("a.csv:{}:1:", ROWS + 1), "cut in the middle of its last row"]);
    assert_nothing_changed(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_in_place_of_a_file_commits_nothing() {
    let place = Place::with("damaged_page", T).await;
    place.file("a.csv.gz", "<!DOCTYPE html><title>404 Not Found</title>");
    assert_says(&place.refused(YAML).await, &["web page", "404 Not Found"]);
    assert_nothing_changed(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_header_alone_loads_no_rows() {
    let place = Place::with("damaged_empty", T).await;
    place.file("a.csv.gz", gzip("id,note\n"));
    let (outputs, log) = place.load_in("e1", YAML).await;
    outputs.unwrap();
    assert_says(&log, &["WARN the file a.csv.gz has no rows"]);
    assert_eq!((place.t().await, place.ledger().await.ends_with("0 0 0 0")), (String::new(), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_refusal_of_one_row_undoes_all_and_names_the_constraint() {
    let place =
        Place::with("damaged_unique", "CREATE TABLE t (id int, note text); INSERT INTO t VALUES (0, 'old')").await;
    place.run("CREATE UNIQUE INDEX one_id ON t (id); ALTER TABLE t ADD CONSTRAINT small CHECK (id < 70000)").await;
    place.file("a.csv", "id,note\n1,x\n0,again\n");
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(&shown, &["a.csv:3:1: `id`", "\"one_id\"", "(id)=(0) already exists"]);
    place.file("a.csv.gz", gzip(&many_rows(ROWS)));
    assert_says(&place.refused("{from: a.csv.gz, table: t, mode: truncate}").await, &["\"small\""]);
    assert_nothing_changed(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parquet_file_that_is_cut_off_while_it_is_read_does_no_harm() {
    let place = Place::with("damaged_cut", "CREATE TABLE t (id bigint)").await;
    let mut frame =
        DataFrame::new(300_000, vec![Column::new("id".into(), (0..300_000_i64).collect::<Vec<_>>())]).unwrap();
    let path = place.file("a.parquet", "");
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut frame).unwrap();
    place.run("BEGIN; LOCK TABLE t IN SHARE MODE").await;
    let context = place.context();
    let loading = tokio::spawn(async move { crate::load::run("{from: a.parquet, table: t}", context).await });
    while place.rows("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted").await == "0" {
        assert!(!loading.is_finished(), "{:?}", loading.await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    place.run("COMMIT").await;
    assert_eq!(counts(&loading.await.unwrap().unwrap()), [300_000, 300_000, 0, 0]);
    assert_eq!(place.rows("SELECT count(*), sum(id) FROM t").await, "300000 44999850000");
}
