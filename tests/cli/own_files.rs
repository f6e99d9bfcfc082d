//! `jitney infer` and `jitney load` with files as people have them: what is not the table, what does not fit, and names.

use std::fs::File;

use polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, ParquetWriter, Series, TimeUnit};
use serde_json::Value;

use crate::cli::one_load::serve;
use crate::cli::world::{CommandOutput, World};

/// A world with this file, and what `jitney infer` says of it.
fn inferred(content: &str, more: &[&str]) -> CommandOutput {
    let world = World::new();
    world.write("f.csv", content);
    world.jitney(&[&["infer", "f.csv"], more].concat())
}

async fn text(world: &World, sql: &str) -> String {
    world.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_file_that_excel_wrote_with_its_delimiter_in_the_first_line_is_a_table() {
    let world = World::with_database("own_files_sep").await;
    world.write("se.csv", "sep=;\nid;v\n1;2\n3;4\n");
    let loaded = world.jitney(&["load", "se.csv", "--save", "se.yaml"]).ended(0).says("2 rows loaded");
    loaded.says("skip_lines: 1").says("v: bigint");
    assert_eq!(text(&world, "SELECT string_agg(id || '-' || v, ' ' ORDER BY id) FROM se").await, "1-2 3-4");
    world.jitney(&["run", "se.yaml"]).ended(0).says("2 already there");
    let flow =
        "id: f\nnamespace: n\ntasks:\n  - {id: load, type: postgres.load, from: se.csv, table: u, schema: infer}\n";
    world.write("infer.yaml", flow);
    world.jitney(&["run", "infer.yaml"]).ended(0).says("2 rows loaded");
    assert_eq!(text(&world, "SELECT string_agg(id || '-' || v, ' ' ORDER BY id) FROM u").await, "1-2 3-4");
}

#[test]
fn lines_before_the_header_are_not_taken_for_it() {
    for (content, parts) in [
        ("# hello\n# world\nid,v\n1,2\n3,4\n", &["--comment '#'", "--skip-lines 2"][..]),
        ("Report 2024\nid;v\n1;2\n3;4\n", &["line 1 is hardly the header", "--skip-lines 1", "--delimiter ','"]),
        ("Report 2024,,\nid,v,w\na,b,c\n", &["--skip-lines 1", "`--header` if it is the header"]),
    ] {
        let refused = inferred(content, &[]).ended(1);
        parts.iter().for_each(|part| assert!(refused.err.contains(part), "{refused}"));
        assert!(!refused.err.contains("--reject"), "{refused}");
    }
    let told = inferred("# hello\nid,v\n1,2\n3,4\n", &["--comment", "#"]).ended(0);
    assert!(told.out.contains("id: bigint\n  v: bigint"), "{told}");
    let told = inferred("Report,,\nid,v,w\na,b,c\n", &["--skip-lines", "1"]).ended(0);
    assert!(told.out.contains("id: text\n  v: text\n  w: text"), "{told}");
    // The header has two fields, and no row has: other lines are the header, perhaps.
    let refused = inferred("Report,2024\nid,v,w\n1,2,3\n4,5,6\n", &[]).ended(1);
    assert!(refused.err.contains("`--skip-lines 1`") && !refused.err.contains("--reject"), "{refused}");
}

#[test]
fn an_option_that_no_column_follows_is_named() {
    let dates = "d,v\n31.02.2020,1\n28.02.2020,2\n";
    for (content, option, words) in [
        (dates, &["--date-format", "%d.%m.%Y"][..], "`--date-format` has no effect: the file has no column of dates"),
        (dates, &["--date-format", "%d.%m.%Y"], "`d` has `31.02.2020` on line 2"),
        ("v\n\"1,234\"\n\"1,23\"\n", &["--thousands", ","], "`--thousands` has no effect"),
        ("v\n\"1,234\"\n\"1,23\"\n", &["--thousands", ","], "`v` has `1,23` on line 3"),
        ("v\n12\n", &["--decimal-comma"], "`--decimal` has no effect"),
        ("v\nyes\nno\nperhaps\n", &["--true-values", "yes", "--false-values", "no"], "`v` has `perhaps` on line 4"),
    ] {
        let told = inferred(content, option).ended(0);
        assert!(told.out.contains(words), "{words}: {told}");
    }
    for (content, option) in [
        ("d\n28.02.2020\n", &["--date-format", "%d.%m.%Y"][..]),
        ("v;w\n1,5;2\n", &["--decimal-comma"]),
        ("v\n\"1,234\"\n5\n", &["--thousands", ","]),
    ] {
        let told = inferred(content, option).ended(0);
        assert!(!told.out.contains("no effect"), "{told}");
    }
}

#[test]
fn a_column_that_is_almost_of_numbers_says_so_in_any_order_of_the_rows() {
    for (rows, note) in [
        ("x\n5\n6\n7\n", "v: text  # bigint but for `x` on line 2"),
        ("5\n6\n7\nx\n", "v: text  # bigint but for `x` on line 5"),
        ("NA\n5\n", "v: text  # bigint but for `NA` on line 2; if that means NULL, set `--null`"),
        ("2020-02-30\n2020-02-28\n", "v: text  # date but for `2020-02-30` on line 2"),
    ] {
        let told = inferred(&format!("v\n{rows}"), &[]).ended(0);
        assert!(told.out.contains(note), "{note}: {told}");
    }
    let told = inferred("v\n5\na\nb\nc\n", &[]).ended(0);
    assert!(told.out.contains("v: text\n"), "mostly texts: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nanoseconds_that_are_rounded_are_counted() {
    let world = World::with_database("own_files_nanos").await;
    let nanos = [1_577_836_800_123_456_789_i64, 1_577_836_800_123_456_000, 1_577_836_800_000_000_001];
    let at = Series::new("at".into(), nanos).cast(&DataType::Datetime(TimeUnit::Nanoseconds, None)).unwrap();
    let whole = Series::new("whole".into(), [0_i64, 1000, 2000]);
    let whole = whole.cast(&DataType::Datetime(TimeUnit::Nanoseconds, None)).unwrap();
    let columns: Vec<Column> = vec![at.into_column(), whole.into_column()];
    let mut frame = DataFrame::new(3, columns).unwrap();
    let file = File::create(world.path("t.parquet")).unwrap();
    std::thread::scope(|scope| scope.spawn(|| ParquetWriter::new(file).finish(&mut frame).unwrap()).join().unwrap());

    let told = world.jitney(&["infer", "t.parquet"]).ended(0);
    let note = "2 values have nanoseconds and are rounded to microseconds";
    assert!(told.out.contains(&format!("at: timestamp  # {note}\n  whole: timestamp\n")), "{told}");
    let loaded = world.jitney(&["load", "t.parquet", "--json"]).ended(0).json();
    assert_eq!(loaded["notes"], serde_json::json!([format!("`at`: {note}")]));
    assert_eq!(text(&world, "SELECT max(at)::text FROM t").await, "2020-01-01 00:00:00.123457");
    let flow = "id: f\nnamespace: n\ntasks:\n  - {id: load, type: postgres.load, from: t.parquet, table: u, \
                schema: {at: timestamp, whole: timestamp}}\n";
    world.write("f.yaml", flow);
    world.jitney(&["run", "f.yaml"]).ended(0).says(&format!("warn `at`: {note}"));
}

#[tokio::test]
async fn rows_of_a_file_that_has_changed_are_not_doubled_in_silence() {
    let world = World::with_database("own_files_changed").await;
    world.write("sv.csv", "id,v\n1,a\n2,b\n");
    let first = world.jitney(&["load", "sv.csv", "--json"]).ended(0).json();
    assert_eq!(first["notes"], Value::Array(Vec::new()));
    world.write("sv.csv", "id,v\n1,a\n2,b\n3,c\n");
    let again = world.jitney(&["load", "sv.csv", "--json"]).ended(0);
    let words = "the earlier ones stayed; `--mode replace` replaces all rows, and `--mode merge --key COLUMN`";
    assert!(again.json()["notes"][0].as_str().unwrap().contains(words), "{again}");
    assert!(again.err.contains(words), "{again}");
    assert_eq!(world.rows_of("sv").await, 5);
    world.write("sv.csv", "id,v\n1,a\n2,b\n3,c\n4,d\n");
    world.jitney(&["load", "sv.csv", "--mode", "replace"]).ended(0);
    assert_eq!(world.rows_of("sv").await, 4);
}

#[tokio::test]
async fn tables_are_called_as_their_files_are() {
    let world = World::with_database("own_files_names").await;
    for (file, table) in [
        ("foo.2023.csv", "foo_2023"),
        ("foo.2024.csv", "foo_2024"),
        ("Umsätze.csv", "umsätze"),
        (&format!("{}.csv", "ö".repeat(60)), &"ö".repeat(30)),
    ] {
        world.write(file, "id,v\n1,a\n");
        let loaded = world.jitney(&["load", file]).ended(0).says("1 row loaded");
        assert!(loaded.err.starts_with(&format!("table: {table}\n")) || !table.is_ascii(), "{loaded}");
        assert_eq!(world.rows_of(&format!("\"{table}\"")).await, 1, "{loaded}");
    }
    world.jitney(&["load", "foo.2023.csv", "information_schema.x"]).ended(3).says("the server's own tables");

    // Two columns whose names are the same as far as Postgres reads them.
    let (one, other) = ("a".repeat(70), "a".repeat(71));
    world.write("long.csv", format!("{one},{other}\n1,x\n"));
    let told = world.jitney(&["infer", "long.csv"]).ended(0);
    assert!(told.out.contains(": bigint") && told.out.contains("_2: text"), "{told}");
    world.jitney(&["load", "long.csv"]).ended(0).says("1 row loaded");
}

#[tokio::test]
async fn help_names_options_of_the_command() {
    let world = World::with_database("own_files_help").await;
    world.write("t.csv", "id,v\n1,2\n");
    world.jitney(&["load", "t.csv"]).ended(0);
    world.write("less.csv", "id\n10\n");
    world.jitney(&["load", "less.csv", "t"]).ended(1).says("`--on-missing-column empty`");
    world.jitney(&["load", "less.csv", "t", "--on-missing-column", "empty"]).ended(0).says("1 row loaded");
    assert_eq!(text(&world, "SELECT string_agg(id || coalesce(v::text, '-'), ' ' ORDER BY id) FROM t").await, "12 10-");
    world.write("more.csv", "id,v,vv\n5,6,7\n");
    let refused = world.jitney(&["load", "more.csv", "t"]).ended(1).says("`--on-extra-column ignore`");
    assert!(!refused.err.contains("transform"), "{refused}");
    world.jitney(&["load", "more.csv", "t", "--on-extra-column", "ignore"]).ended(0);
    let refused = world.jitney(&["load", "more.csv", "t", "--on-extra-column", "add"]).ended(1);
    refused.says("`--mode replace`").says("`--force`");

    world.client().await.batch_execute("CREATE TABLE small (n int CHECK (n < 100))").await.unwrap();
    world.write("n.csv", "n\n1\n500\n");
    let refused = world.jitney(&["load", "n.csv", "small"]).ended(1).says("`--reject 100`");
    assert!(!refused.err.contains("on_bad_row"), "{refused}");
    let resumed = world.jitney(&["resume"]).ended(1);
    assert!(!resumed.err.contains("jitney run load_small.yaml"), "{resumed}");
    world.jitney(&["load", "n.csv", "small", "--reject", "100"]).ended(0).says("1 row loaded");
}

#[tokio::test]
async fn suggested_commands_work_as_they_are() {
    let world = World::with_database("own_files_pasted").await;
    let saved = world.with_stdin(&["load", "-", "t", "--save", "svin.yaml"], "id,v\n1,a\n").ended(0);
    saved.says("jitney run svin.yaml -i file=PATH");

    world.write("nest.json", r#"{"meta": {"n": 2}, "tags": [1], "result": {"items": [{"id": 1}, {"id": 2}]}}"#);
    let told = world.jitney(&["infer", "nest.json"]).ended(0);
    assert!(told.out.contains("set `--records result.items`"), "{told}");
    let told = world.jitney(&["infer", "nest.json", "--records", "result.items"]).ended(0);
    assert!(told.out.contains("rows: 2"), "{told}");
    world.write("flat.json", r#"{"p": {"n": 1}, "tags": [1]}"#);
    let told = world.jitney(&["infer", "flat.json"]).ended(0);
    assert!(!told.out.contains("--records"), "{told}");

    world.write("odd.csv", "id,{{ x }}\n1,2\n");
    let refused = world.jitney(&["load", "odd.csv"]).ended(3).says("the column `{{ x }}`").says("--columns");
    assert!(!refused.err.contains("rename the file"), "{refused}");
    world.jitney(&["load", "odd.csv", "--skip-lines", "1", "--columns", "id,x"]).ended(0).says("1 row loaded");
    world.write("two.ndjson", "{\"id\": 1}\n{\"a\": {\"b\": 1}, \"a__b\": 2}\n");
    world.jitney(&["infer", "two.ndjson", "--flatten"]).ended(1).says("two.ndjson:2:1: with `flatten`, `a__b`");
    world.write("key.ndjson", "{\"id\": 1, \"\": 2}\n");
    world.jitney(&["load", "key.ndjson"]).ended(3).says("a key of its objects is empty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_a_load_is_one_object_of_json() {
    let world = World::with_database("own_files_json").await;
    for (name, content, code, words) in [
        ("ragged.csv", "a,b\n1,2\n3,4\n5\n", 1, "the row has 1 field"),
        ("empty.csv", "", 1, "the file is empty"),
        ("none.json", "[]", 1, "the file has no rows"),
        ("odd.csv", "id,{{ x }}\n1,2\n", 3, "would be an expression"),
    ] {
        world.write(name, content);
        let ended = world.jitney(&["load", name, "t", "--json"]).ended(code);
        let told = ended.json();
        assert!(told["error"].as_str().unwrap().contains(words) && told["state"] == "FAILED", "{ended}");
    }
    let ended = world.jitney(&["load", "nosuch.csv", "t", "--json"]).ended(3);
    assert!(ended.json()["error"].as_str().unwrap().contains("cannot read `nosuch.csv`"), "{ended}");
    let address = serve(&[("t.csv", "id\n1\n")]).await;
    let ended = world.jitney(&["load", &format!("{address}/none.csv"), "t", "--json"]).ended(1);
    assert!(ended.json()["error"].as_str().unwrap().contains("404"), "{ended}");
    world.write("ragged.csv", "a,b\n1,2\n3,4\n5\n");
    let help = world.jitney(&["load", "ragged.csv", "t", "--json"]).json();
    assert!(help["help"].as_str().unwrap().contains("--reject 100"), "{help}");
}
