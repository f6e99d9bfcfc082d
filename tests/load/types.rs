//! Values of every type arrive as the server itself reads them.

use std::fs::File;
use std::io::Write;

use futures_util::SinkExt;
use polars::prelude::*;
use serde_json::json;

use crate::load::{Place, assert_says, counts, gzip};

/// A type, and texts that are values of it.
const TYPES: &[(&str, &[&str])] = &[
    ("smallint", &["0", "-32768", "32767", " 7 ", "+5"]),
    ("integer", &["0", "-2147483648", "2147483647"]),
    ("bigint", &["0", "-9223372036854775808", "9223372036854775807"]),
    ("real", &["0.1", "-1.5e10", "1e-30", "NaN", "Infinity", "-Infinity", "3.4028235e38", "16777217"]),
    (
        "double precision",
        &[
            "0.1",
            "-0",
            "1.7976931348623157e308",
            "5e-324",
            "1e22",
            "NaN",
            "-Infinity",
            "123456789.123456789",
            ".5",
            "5.",
        ],
    ),
    (
        "numeric",
        &[
            "0",
            "-0.000000000000000000000000000001",
            "12345678901234567890123456789.1234567890",
            "1e5",
            "1.50e-3",
            "-9999.9999",
            "10000",
            "NaN",
            ".5",
            "5.",
            "0.000",
            "-0",
        ],
    ),
    ("numeric(8,2)", &["1.005", "-99999.999", "1e3", "0"]),
    ("boolean", &["t", "TRUE", "no", "1", "off", "f"]),
    ("text", &["", "a,b", "\"q\"", "line\nend", "é日本", "\\N", "back\\slash", " blanks ", "NULL"]),
    ("varchar(3)", &["", "abc", "日本語"]),
    ("char(3)", &["a", "abc", ""]),
    ("name", &["pg_class"]),
    ("json", &["{\"a\":  1}", "[1, null]", "\"x\""]),
    ("jsonb", &["{\"b\": [1, 2.50], \"a\": \"é\"}", "null", "1e2"]),
    (
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    ),
    ("date", &["2020-02-29", "0001-01-01", "9999-12-31", "1969-12-31"]),
    (
        "timestamp",
        &[
            "2020-04-01 00:44:02",
            "2020-04-01T00:44:02.123456",
            "0001-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "2020-04-01",
        ],
    ),
    (
        "timestamptz",
        &[
            "2020-04-01 00:44:02Z",
            "2020-04-01 00:44:02.5+02",
            "2020-04-01 00:44:02-05:30",
            "1969-12-31 23:59:59.999999+00",
            "2020-04-01 00:44:02",
        ],
    ),
    ("mood", &["sad", "so so"]),
    ("small_domain", &["1", "99"]),
];

const MADE_TYPES: &str =
    "CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE DOMAIN small_domain AS int CHECK (VALUE < 100);";

/// Rows of texts, a column for each type; the last row and what is beyond a type's texts is NULL.
fn rows() -> Vec<Vec<Option<&'static str>>> {
    let longest = TYPES.iter().map(|(_, texts)| texts.len()).max().unwrap();
    (0..=longest).map(|row| TYPES.iter().map(|(_, texts)| texts.get(row).copied()).collect()).collect()
}

fn names() -> Vec<String> {
    (0..TYPES.len()).map(|index| format!("c{index}")).collect()
}

fn csv() -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |row: Vec<Option<&str>>| {
        row.into_iter().map(|text| text.map_or(String::new(), quoted)).collect::<Vec<_>>().join(",")
    };
    let lines: Vec<String> = rows().into_iter().map(line).collect();
    format!("{}\n{}\n", names().join(","), lines.join("\n"))
}

/// Values of JSON stand as they are, and all others as strings.
fn ndjson() -> String {
    let value = |kind: &str, text: Option<&str>| match text {
        Some(text) if kind.starts_with("json") => text.to_owned(),
        text => json!(text).to_string(),
    };
    let line = |row: Vec<Option<&str>>| {
        let fields = names().into_iter().zip(TYPES).zip(row);
        let fields = fields.map(|((name, (kind, _)), text)| format!("\"{name}\": {}", value(kind, text)));
        format!("{{{}}}\n", fields.collect::<Vec<_>>().join(", "))
    };
    rows().into_iter().map(line).collect()
}

fn write_parquet(file: &std::path::Path, columns: Vec<Column>) {
    let mut frame = DataFrame::new(columns.first().map_or(0, Column::len), columns).unwrap();
    ParquetWriter::new(File::create(file).unwrap()).finish(&mut frame).unwrap();
}

fn zip(name: &str, content: &str) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, ::zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A table `t` to load, and `c` that holds what the server makes of the texts.
async fn place(name: &str) -> Place {
    let columns: Vec<String> = names().iter().zip(TYPES).map(|(name, (kind, _))| format!("{name} {kind}")).collect();
    let columns = columns.join(", ");
    let place =
        Place::with(name, &format!("{MADE_TYPES} CREATE TABLE t ({columns}); CREATE TABLE c ({columns})")).await;
    let sink = place.client.copy_in::<_, bytes::Bytes>("COPY c FROM STDIN (FORMAT csv, HEADER)").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(csv().into()).await.unwrap();
    sink.finish().await.unwrap();
    place
}

/// Loads a file and compares column by column.
async fn assert_equal(place: &Place, file: &str) {
    place.load(&format!("{{from: {file}, table: t, mode: truncate}}")).await.unwrap();
    for (name, (kind, texts)) in names().iter().zip(TYPES) {
        let values = async |table: &str| place.rows(&format!("SELECT {name}::text FROM {table}")).await;
        let mut due = values("c").await;
        if kind.starts_with("json") && file.contains("ndjson") {
            // JSON's own null is NULL.
            let mut lines: Vec<&str> = due.lines().map(|line| if line == "null" { "NULL" } else { line }).collect();
            lines.sort_unstable();
            due = lines.join("\n");
        }
        assert_eq!(values("t").await, due, "{kind} from {file}; the texts are {texts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_arrives_from_csv_as_the_server_reads_it() {
    let place = place("types_csv").await;
    place.file("a.csv", csv());
    place.file("b.csv.gz", gzip(&csv()));
    place.file("c.csv.zst", zstd::encode_all(csv().as_bytes(), 1).unwrap());
    place.file("d.csv.zip", zip("d.csv", &csv()));
    for file in ["a.csv", "b.csv.gz", "c.csv.zst", "d.csv.zip"] {
        assert_equal(&place, file).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_arrives_from_json_lines_as_the_server_reads_it() {
    let place = place("types_ndjson").await;
    place.file("a.ndjson", ndjson());
    place.file("b.ndjson.gz", gzip(&ndjson()));
    assert_equal(&place, "a.ndjson").await;
    assert_equal(&place, "b.ndjson.gz").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_arrives_from_texts_in_parquet_as_the_server_reads_it() {
    let place = place("types_parquet").await;
    let texts = |index: usize| rows().iter().map(|row| row[index]).collect::<Vec<_>>();
    let columns = names().into_iter().enumerate().map(|(index, name)| Column::new(name.into(), texts(index)));
    write_parquet(&place.path().join("a.parquet"), columns.collect());
    assert_equal(&place, "a.parquet").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_have_a_type_in_the_file_keep_their_meaning() {
    let sql = "CREATE TABLE t (yes bool, small int, big bigint, ratio float8, day date, at timestamp, utc timestamptz, exact numeric, note text)";
    let place = Place::with("types_typed", sql).await;
    let micros = |zone: Option<TimeZone>| {
        let values = Column::new("at".into(), [Some(1_585_701_842_000_001_i64), None]);
        values.cast(&DataType::Datetime(TimeUnit::Microseconds, zone)).unwrap()
    };
    let columns = vec![
        Column::new("yes".into(), [Some(true), None]),
        Column::new("small".into(), [Some(-1_i32), None]),
        Column::new("big".into(), [Some(i64::MAX), None]),
        Column::new("ratio".into(), [Some(0.1_f64), None]),
        Column::new("day".into(), [Some(18_353_i32), None]).cast(&DataType::Date).unwrap(),
        micros(None),
        micros(Some(TimeZone::UTC)).with_name("utc".into()),
        Column::new("exact".into(), [Some(2.5_f64), None]),
        Column::new("note".into(), [Some(7_i64), None]),
    ];
    write_parquet(&place.path().join("a.parquet"), columns);
    place.load("{from: a.parquet, table: t}").await.unwrap();
    let expected =
        "t -1 9223372036854775807 0.1 2020-04-01 2020-04-01 00:44:02.000001 2020-04-01 00:44:02.000001+00 2.5 7";
    assert_eq!(place.t().await, format!("{}\n{expected}", ["NULL"; 9].join(" ")));

    place.file(
        "a.ndjson",
        "{\"yes\": true, \"small\": -1, \"big\": 9223372036854775807, \"ratio\": 0.1, \"day\": \"2020-04-01\",
        \"at\": null, \"utc\": null, \"exact\": 2.5, \"note\": {\"a\": [1]}}\n"
            .replace("\n        ", ""),
    );
    place.load("{from: a.ndjson, table: t, mode: truncate}").await.unwrap();
    assert_eq!(place.t().await, "t -1 9223372036854775807 0.1 2020-04-01 NULL NULL 2.5 {\"a\": [1]}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_keeps_every_digit_and_every_quote() {
    let place = Place::with("json_exact", "CREATE TABLE t (n numeric, note text, j jsonb)").await;
    let values = [
        r#"{"n": 12345678901234567890.123456789, "note": 1.50, "j": "null"}"#,
        r#"{"n": 1e2, "note": -0, "j": {"a": 1.10, "a": 2.50}, "j": ["x", 1e2]}"#,
        r#"{"note": "\u00e9\ud83d\ude95", "j": null, "n": null}"#,
    ];
    let expected = "100 -0 [\"x\", 100]\n12345678901234567890.123456789 1.50 \"null\"\nNULL é🚕 NULL";
    place.file("a.ndjson", values.join("\n"));
    place.file("a.json", format!("[{}]", values.join(",")));
    place.file("b.json", values.join("\n").replace(", \"j\"", ",\n  \"j\""));
    for name in ["a.ndjson", "a.json", "b.json"] {
        place.load(&format!("{{from: {name}, table: t, mode: truncate}}")).await.unwrap();
        assert_eq!(place.t().await, expected, "of {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_late_is_a_column_too() {
    let place = Place::with("json_late", "CREATE TABLE t (id int, late text)").await;
    let filler = "x".repeat(2_000);
    let rows: String = (0..1_000).map(|id| format!("{{\"id\": {id}, \"filler\": \"{filler}\"}}\n")).collect();
    place.file("a.ndjson", rows + "{\"id\": 1000, \"late\": \"here\"}\n");
    for missing in ["fail", "empty"] {
        let yaml = format!("{{from: a.ndjson, table: t, on_extra_column: ignore, on_missing_column: {missing}}}");
        place.run("TRUNCATE t").await;
        place.load(&yaml).await.unwrap();
        assert_eq!(place.rows("SELECT late FROM t WHERE id = 1000").await, "here", "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_do_not_fit_are_refused_and_nothing_is_committed() {
    let place = Place::with("types_refused", MADE_TYPES).await;
    let refused: &[(&str, &str, &[&str])] = &[
        ("smallint", "32768", &["a.csv:3:3: `v`: value \"32768\" is out of range for type smallint"]),
        ("integer", "12a", &["a.csv:3:3: `v`: invalid input syntax for type integer: \"12a\""]),
        ("integer", "1.5", &["a.csv:3:3: `v`: invalid input syntax for type integer: \"1.5\""]),
        (
            "bigint",
            "9223372036854775808",
            &["a.csv:3:3: `v`: value \"9223372036854775808\" is out of range for type bigint"],
        ),
        ("double precision", "1e999", &["a.csv:3:3: `v`: \"1e999\" is out of range for type double precision"]),
        ("double precision", "1e-400", &["a.csv:3:3: `v`: \"1e-400\" is out of range"]),
        ("real", "1e39", &["a.csv:3:3: `v`: \"1e39\" is out of range for type real"]),
        ("numeric(4,2)", "1000", &["a.csv:3:3: `v`: numeric field overflow"]),
        ("boolean", "maybe", &["a.csv:3:3: `v`: invalid input syntax for type boolean: \"maybe\""]),
        ("date", "2021-02-29", &["a.csv:3:3: `v`: date/time field value out of range: \"2021-02-29\""]),
        ("timestamp", "soon", &["a.csv:3:3: `v`: invalid input syntax for type timestamp: \"soon\""]),
        ("uuid", "a0eebc99", &["a.csv:3:3: `v`: invalid input syntax for type uuid: \"a0eebc99\""]),
        ("uuid", "+0eebc999c0b4ef8bb6d6bb9bd380a11", &["a.csv:3:3: `v`: invalid input syntax for type uuid"]),
        ("jsonb", "{bad}", &["a.csv:3:3: `v`: invalid input syntax for type json"]),
        ("varchar(3)", "long", &["a.csv:3:3: `v`: value too long for type character varying(3)"]),
        ("char(3)", "long", &["a.csv:3:3: `v`: value too long for type character(3)"]),
        ("mood", "angry", &["a.csv:3:3: `v`: invalid input value for enum mood: \"angry\""]),
        (
            "small_domain",
            "100",
            &["a.csv:3:3: `v`: value for domain small_domain violates check constraint \"small_domain_check\""],
        ),
        ("text", "a\0b", &["a.csv:3:3: `v`", "zero byte"]),
        (
            "int CHECK (v > 0)",
            "-1",
            &["a.csv:3:1: loading into `t`: new row", "violates check constraint \"t_v_check\""],
        ),
        ("bytea", "\\xzz", &["a.csv:3:3: `v`: invalid hexadecimal digit: \"z\""]),
        ("int[]", "{1", &["a.csv:3:3: `v`: malformed array literal: \"{1\""]),
    ];
    for (kind, value, parts) in refused {
        place.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v {kind})")).await;
        place.file("a.csv", format!("id,v\n1,\n2,{value}\n"));
        assert_says(&place.refused("{from: a.csv, table: t}").await, parts);
        assert_eq!((place.t().await, place.ledger().await), (String::new(), String::new()), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_parquet_file_is_refused_with_a_remedy() {
    let place = Place::with("types_packed", "CREATE TABLE t (id int)").await;
    write_parquet(&place.path().join("a.parquet"), vec![Column::new("id".into(), [1_i64])]);
    let content = std::fs::read(place.path().join("a.parquet")).unwrap();
    place.file("b.parquet.zst", zstd::encode_all(content.as_slice(), 1).unwrap());
    assert_says(&place.refused("{from: b.parquet.zst, table: t}").await, &["b.parquet.zst", "file.decompress"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_of_json_become_arrays_of_postgres() {
    let place = place_with_arrays("types_arrays_of_json").await;
    let values = [
        ("n", "[]", "{}"),
        ("n", "[1, null ,3]", "{1,NULL,3}"),
        ("n", "[[1,2],[3,4]]", "{{1,2},{3,4}}"),
        ("n", "\"{7,8}\"", "{7,8}"),
        (
            "s",
            r#"["a","b,c","d\"e\\","NULL",null,"",{"x": [1]}]"#,
            r#"{a,"b,c","d\"e\\","NULL",NULL,"","{\"x\": [1]}"}"#,
        ),
        ("s", "[1.10, true]", "{1.10,true}"),
        ("d", "[1.10]", "{1.10}"),
        ("c", "[1,2]", "[1,2]"),
        ("c", "{}", "{}"),
    ];
    for (column, value, stored) in values {
        place.file("a.ndjson", format!("{{\"{column}\": {value}}}\n"));
        place.load("{from: a.ndjson, table: t, mode: truncate, on_missing_column: empty}").await.unwrap();
        assert_eq!(place.rows(&format!("SELECT {column} FROM t")).await, stored, "{value}");
    }
    for (value, message) in [
        ("{}", "a.ndjson:1:7: `n` holds a JSON object where its type has an array"),
        ("{\"1\": 2}", "where its type has an array"),
        ("[[1],2]", "a.ndjson:1"),
    ] {
        place.file("a.ndjson", format!("{{\"n\": {value}}}\n"));
        let shown = place.refused("{from: a.ndjson, table: t, mode: truncate, on_missing_column: empty}").await;
        assert_says(&shown, &[message]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_of_json_take_objects_and_mixed_values() {
    let place = Place::with("types_json_items", "CREATE TABLE t (j jsonb[], k json[])").await;
    let values = [
        (r#"[{"a":1},"x\"y",null,1.10,true,[2]]"#, r#"{"{\"a\": 1}","\"x\\\"y\"",NULL,1.10,true,[2]}"#),
        ("[]", "{}"),
        ("[[1, 2],[3,\"b\"]]", r#"{{1,2},{3,"\"b\""}}"#),
        ("null", "NULL"),
    ];
    for (value, stored) in values {
        place.file("a.ndjson", format!("{{\"j\": {value}, \"k\": {value}}}\n"));
        place.load("{from: a.ndjson, table: t, mode: truncate}").await.unwrap();
        let stored = if stored == "NULL" { "NULL".to_owned() } else { format!("'{stored}'") };
        let sql = format!(
            "SELECT count(*) FROM t WHERE j IS NOT DISTINCT FROM {stored}::jsonb[] AND
                           k::text::jsonb[] IS NOT DISTINCT FROM {stored}::jsonb[]"
        );
        assert_eq!(place.rows(&sql).await, "1", "{value}");
    }
    place.file("a.ndjson", "{\"j\": {}, \"k\": null}\n");
    let shown = place.refused("{from: a.ndjson, table: t, mode: truncate}").await;
    assert_says(&shown, &["a.ndjson:1:7: `j` holds a JSON object where its type has an array"]);
}

async fn place_with_arrays(name: &str) -> Place {
    let sql = "CREATE EXTENSION citext; CREATE DOMAIN prices AS numeric[];
               CREATE TABLE t (n int[], s text[], d prices, c citext)";
    Place::with(name, sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_and_large_numbers_and_uuids_of_parquet_are_exact() {
    let columns = "a int, b int, c real, d numeric, e numeric, f uuid, g int[]";
    let place =
        Place::with("types_physical", &format!("CREATE TABLE t ({columns}); CREATE TABLE u (f text, h interval)"))
            .await;
    let with_arrow: &[u8] = include_bytes!("files/physical.parquet");
    for content in [with_arrow, include_bytes!("files/physical_plain.parquet")] {
        place.file("a.parquet", content);
        for more in ["", ", transform: {filter: 'a is null or a < 256 and c < 1'}"] {
            let task = format!("{{from: a.parquet, table: t, mode: truncate, on_extra_column: ignore{more}}}");
            place.load(&task).await.unwrap();
            assert_eq!(
                place.rows("SELECT t::text FROM t").await,
                "(,,,,,,)\n\
                 (0,0,0.5,12345678901234567890123456789012345678901234567890.12,1.10,\
                 a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,\"{1,255}\")\n\
                 (255,65535,-65504,-12345678901234567890123456789012345678901234567890.12,-0.05,\
                 00000000-0000-0000-0000-000000000000,{})",
                "{more}"
            );
        }
    }
    place.file("a.parquet", with_arrow);
    place.load("{from: a.parquet, table: u, on_extra_column: ignore}").await.unwrap();
    assert_eq!(
        place.rows("SELECT * FROM u WHERE f IS NOT NULL").await,
        "00000000-0000-0000-0000-000000000000 00:00:02\na0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 00:00:01"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_that_is_not_read_is_refused_by_its_column() {
    let place = Place::with("types_unread", "CREATE TABLE t (id int, v text)").await;
    let files: [(&str, &[u8]); 3] = [
        ("values of type uuid within a list", include_bytes!("files/uuids.parquet")),
        ("fixed-length values in the encoding BYTE_STREAM_SPLIT", include_bytes!("files/byte_stream_split.parquet")),
        ("fixed-length values in the encoding DELTA_BYTE_ARRAY", include_bytes!("files/delta_byte_array.parquet")),
    ];
    for (what, content) in files {
        place.file("a.parquet", content);
        let shown = place.refused("{from: a.parquet, table: t, mode: truncate}").await;
        assert_says(&shown, &[&format!("a.parquet: `v` holds {what}"), "not supported", "write the column"]);
        let without = place
            .load("{from: a.parquet, table: t, mode: truncate, transform: {select: [id]}, on_missing_column: empty}")
            .await;
        assert!(without.is_ok(), "{what}: {without:?}");
    }
    place.file("a.parquet", include_bytes!("files/extension.parquet"));
    place.load("{from: a.parquet, table: t, mode: truncate}").await.unwrap();
    assert_eq!(place.t().await, "1 {\"a\":1}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parquet_file_without_rows_is_loaded() {
    let place = Place::with("types_no_rows", "CREATE TABLE t (v int); INSERT INTO t VALUES (1)").await;
    place.file("a.parquet", include_bytes!("files/empty.parquet"));
    let outputs = place.load("{from: a.parquet, table: t, mode: truncate}").await.unwrap();
    assert_eq!(counts(&outputs), [0, 0, 0, 0]);
    assert_eq!(place.t().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_over_a_domain_is_read_as_its_type() {
    let sql = "CREATE DOMAIN one AS numeric(6,1); CREATE DOMAIN two AS one; CREATE DOMAIN day AS date;
               CREATE DOMAIN days AS day; CREATE TABLE t (n two, d days, k text)";
    let place = Place::with("types_domains", sql).await;
    place.file("a.csv", "n;d\n1.234,56;01.02.2020\n9;02.02.2020\n");
    let yaml = "{from: a.csv, table: t, delimiter: ';', decimal: ',', thousands: '.', date_format: '%d.%m.%Y',
                 transform: {filter: n > 10, row_id: {columns: [n], name: k}}}";
    place.load(yaml).await.unwrap();
    assert_eq!(place.rows("SELECT n, d, k = md5(n::text) FROM t").await, "1234.6 2020-02-01 t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nanoseconds_of_parquet_stay_in_texts_and_are_rounded_in_timestamps() {
    let place = Place::with("types_nanos", "CREATE TABLE t (x text, y timestamp, z timestamp[])").await;
    let nanos = [1_580_515_199_123_456_789_i64, -1, 999_999_999, 1_580_515_199_123_456_000];
    let moment =
        || Series::new("x".into(), nanos.to_vec()).cast(&DataType::Datetime(TimeUnit::Nanoseconds, None)).unwrap();
    let lists = moment().reshape_list(&[ReshapeDimension::Infer, ReshapeDimension::new_dimension(1)]).unwrap();
    let columns = [("x", moment()), ("y", moment()), ("z", lists)];
    let columns = columns.map(|(name, series)| series.with_name(name.into()).into_column());
    let mut frame = DataFrame::new(4, columns.to_vec()).unwrap();
    let file = File::create(place.path().join("a.parquet")).unwrap();
    std::thread::scope(|scope| scope.spawn(|| ParquetWriter::new(file).finish(&mut frame).unwrap()).join().unwrap());
    place.load("{from: a.parquet, table: t}").await.unwrap();
    assert_eq!(
        place.rows("SELECT x FROM t").await,
        "1969-12-31 23:59:59.999999999\n1970-01-01 00:00:00.999999999\n2020-01-31 23:59:59.123456\n\
         2020-01-31 23:59:59.123456789"
    );
    let odd = "SELECT * FROM t WHERE y <> x::timestamp OR z <> ARRAY[x::timestamp]";
    assert_eq!(place.rows(odd).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_parquet_becomes_json_and_does_no_harm_where_nobody_wants_it() {
    let place = Place::with("types_list", "CREATE TABLE t (id int); CREATE TABLE u (id int, tags jsonb)").await;
    let list = Column::new("tags".into(), [Series::new("".into(), [1, 2]), Series::new("".into(), [3])]);
    write_parquet(&place.path().join("a.parquet"), vec![Column::new("id".into(), [1, 2]), list]);
    place.load("{from: a.parquet, table: t, on_extra_column: ignore}").await.unwrap();
    assert_eq!(place.t().await, "1\n2");
    place.load("{from: a.parquet, table: u}").await.unwrap();
    assert_eq!(place.rows("SELECT * FROM u").await, "1 [1, 2]\n2 [3]");
}
