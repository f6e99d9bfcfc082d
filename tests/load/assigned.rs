//! Columns of a stated type that go into a column of another one, and moments in sessions that are not in UTC: as Postgres
//! has it, or refused before a row is read.

use std::fs::File;

use polars::prelude::*;

use crate::load::{Place, assert_says, counts};

/// The type that `schema` states, a value, the column's type and what Postgres has then.
const ASSIGNED: &[(&str, &str, &str)] = &[
    ("timestamp", "2020-03-08 02:30:00", "text"),
    ("timestamp", "2020-03-08 02:30:00.25", "text"),
    ("timestamptz", "2020-04-01 02:00:00+00", "text"),
    ("timestamp", "2020-03-08 22:30:00", "date"),
    ("timestamptz", "2020-03-08 22:30:00+00", "timestamp"),
    ("date", "2020-03-08", "timestamp"),
    ("date", "2020-03-08", "text"),
    ("float", "1.50", "int"),
    ("float", "2.5", "bigint"),
    ("float", "2.0", "text"),
    ("float", "1e20", "text"),
    ("float", "0.1", "real"),
    ("float", "0.30000000000000004", "numeric"),
    ("boolean", "t", "text"),
    ("int", "7", "text"),
    ("int", "7", "float"),
    ("int", "7", "numeric"),
    ("timestamp", "2020-03-08 02:30:00", "varchar(30)"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_a_stated_type_are_stored_as_postgres_assigns_them() {
    let place = Place::new("assigned").await;
    for (stated, value, column) in ASSIGNED {
        place.run(&format!("DROP TABLE IF EXISTS t, jitney_loads; CREATE TABLE t (v {column})")).await;
        place.file("a.csv", format!("v\n{value}\n"));
        let expected = place.rows(&format!("SELECT CAST(CAST('{value}' AS {stated}) AS {column})")).await;
        place.load(&format!("{{from: a.csv, table: t, transform: {{schema: {{v: {stated}}}}}}}")).await.unwrap();
        assert_eq!(place.t().await, expected, "{value} as {stated} in {column}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgres_does_not_assign_is_refused_before_a_row_is_read() {
    let place = Place::new("assigned_refused").await;
    place.file("a.csv", "v\nnot read\n");
    for (stated, column) in [("int", "date"), ("boolean", "float"), ("float", "boolean"), ("date", "int")] {
        place.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (v {column})")).await;
        let shown = place.refused(&format!("{{from: a.csv, table: t, transform: {{schema: {{v: {stated}}}}}}}")).await;
        assert_says(&shown, &["`schema.v`", "cannot be converted", "`with_columns`"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cast_of_a_column_that_select_leaves_out_does_nothing() {
    let place = Place::with("assigned_left_out", "CREATE TABLE t (id int)").await;
    place.file("a.csv", "id,d\n1,2020-01-01\n2,no date\n");
    let yaml = "{from: a.csv, table: t, transform: {cast: {d: date}, select: [id]}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [2, 2, 0, 0]);
    let shown =
        place.refused("{from: a.csv, table: t, if_loaded: load, transform: {cast: {e: date}, select: [id]}}").await;
    assert_says(&shown, &["`cast`: there is no column `e`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moments_of_parquet_are_those_of_the_session() {
    let place = Place::new("assigned_zone").await;
    place.run("ALTER DATABASE load_assigned_zone SET timezone = 'America/New_York'").await;
    place.run("CREATE TABLE t (id int, e text, at timestamptz)").await;
    let zone = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let tz = Column::new("tz".into(), [1_585_706_400_000_000_i64]).cast(&zone).unwrap();
    let mut frame = DataFrame::new(1, vec![Column::new("id".into(), [1_i32]), tz]).unwrap();
    ParquetWriter::new(File::create(place.path().join("a.parquet")).unwrap()).finish(&mut frame).unwrap();
    let load = |steps: &str| {
        format!(
        "{{from: a.parquet, table: t, mode: truncate, if_loaded: load, on_extra_column: ignore, on_missing_column: empty,
           transform: {{{steps}}}}}"
    )
    };
    for steps in [
        "with_columns: {e: \"tz = '2020-03-31 22:00:00'\"}",
        "with_columns: {e: CAST(tz AS text)}",
        "with_columns: {e: extract(day FROM tz)}",
        "sql: \"SELECT id, CAST(tz AS date) AS e FROM self\"",
        "rename: {tz: e}, cast: {tz: date}",
        "rename: {tz: e}, cast: {tz: text}",
        "rename: {tz: e}, schema: {tz: date}",
    ] {
        assert_says(&place.refused(&load(steps)).await, &["UTC"]);
    }
    assert_eq!(place.t().await, "");
    place.load(&load("with_columns: {at: tz, e: tz > '2020-03-31 22:00:00-05'}")).await.unwrap();
    assert_eq!(place.t().await, "1 false 2020-04-01 02:00:00+00");
    place.load(&load("rename: {tz: at}")).await.unwrap();
    assert_eq!(place.t().await, "1 NULL 2020-04-01 02:00:00+00");
}
