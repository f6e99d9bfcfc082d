//! Tables whose columns the file tells, and those that get more of them.

use bytes::Bytes;
use futures_util::SinkExt as _;

use crate::load::{Place, assert_says, counts, gzip};

/// The columns of table `t` with their types, in order.
const TYPES: &str = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
                     FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";

impl Place {
    async fn types(&self) -> String {
        self.rows(TYPES).await
    }

    /// What the server's own COPY makes of a CSV file with a header in a table of the types of `t`.
    async fn copied(&self, csv: &str) -> String {
        self.run("CREATE TABLE copied (LIKE t)").await;
        let sink = self.client.copy_in("COPY copied FROM STDIN WITH (FORMAT csv, HEADER)").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from(csv.to_owned())).await.unwrap();
        sink.finish().await.unwrap();
        self.rows("SELECT * FROM copied").await
    }
}

const MIXED: &str = "\
ID,code,big,amount,Ratio,ok,flag,day,at,zoned,note,\"Trip Distance (mi)\",nothing
1,007,9223372036854775808,1.50,1e5,true,N,2020-04-01,2020-04-01 00:44:02,2020-04-01T00:44:02Z,a,1,
2,008,1,-0.5,2.5e-3,FALSE,N,2020-02-29,2020-04-01T23:59,2020-04-01 00:44:02+02,\"b \"\"c\"\"\",2,
,,,,,,,,,,,,
3,1,2,12345678901234567890.125,1,t,Y,0001-01-01,2020-04-01 00:44:02.5,2020-04-01 00:44:02.123456-05:30,NO,3,
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_tells_the_types_of_a_new_table_and_copy_stores_the_same() {
    let place = Place::new("inferred_types").await;
    let csv = MIXED.replace(",t,Y,", ",TRUE,Y,");
    place.file("a.csv", &csv);
    let (outputs, log) = place.load_in("e1", "{from: a.csv, table: t, schema: infer}").await;
    assert_eq!(counts(&outputs.unwrap()), [4, 4, 0, 0]);
    assert_eq!(
        place.types().await,
        "id bigint, code text, big numeric, amount numeric, ratio double precision, ok boolean, flag text, day date, \
         at timestamp without time zone, zoned timestamp with time zone, note text, trip distance (mi) bigint, nothing text"
    );
    assert_eq!(place.t().await, place.copied(&csv).await);
    assert_says(&log, &["created table `t`: id bigint, code text, big numeric"]);
    let (again, log) = place.load_in("e2", "{from: a.csv, table: t, schema: infer}").await;
    assert_eq!(counts(&again.unwrap()), [4, 0, 0, 4]);
    assert_says(&log, &["has already loaded this file; nothing to do"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_row_counts_as_the_first() {
    let place = Place::new("inferred_last").await;
    let mut csv = "id,code\n".to_owned();
    (0..200_000).for_each(|id| csv += &format!("{id},{id}\n"));
    csv += "200000,00x\n";
    place.file("a.csv.gz", gzip(&csv));
    place.load("{from: a.csv.gz, table: t, schema: infer}").await.unwrap();
    assert_eq!(place.types().await, "id bigint, code text");
    assert_eq!(place.rows("SELECT count(*), max(id) FROM t WHERE code = '00x' OR id = 5").await, "2 200000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_tells_how_it_is_written() {
    let place = Place::new("inferred_dialect").await;
    place.file("a.csv", b"name;price\nGr\xf6\xdfe;2,5\nb;1,25\n");
    let (outputs, log) = place.load_in("e1", "{from: a.csv, table: t, schema: infer, decimal: ','}").await;
    outputs.unwrap();
    assert_eq!(
        (place.types().await.as_str(), place.t().await.as_str()),
        ("name text, price numeric", "Größe 2.5\nb 1.25")
    );
    assert_says(&log, &["WARN a.csv: the file is not UTF-8 and is read as WIN1252"]);
    for (index, (name, content, types, rows)) in [
        ("tab.tsv", &b"a\tb\n1\tx\n"[..], "a bigint, b text", "1 x"),
        ("plain.txt", b"1|2020-04-01\n2|2020-04-02\n", "column_1 bigint, column_2 date", "1 2020-04-01\n2 2020-04-02"),
        ("index.csv", b",a,a\n0,x,1\n1,y,2\n", "column_1 bigint, a text, a_2 bigint", "0 x 1\n1 y 2"),
        ("utf16.csv", b"\xff\xfea\0,\0b\0\n\x001\0,\0\xe9\0\n\0", "a bigint, b text", "1 é"),
        (
            "lines",
            b"{\"a\": 1, \"b\": {\"c\": [1]}}\n{\"a\": 2.5, \"d\": \"2020-04-01\"}\n",
            "a numeric, b jsonb, d date",
            "1 {\"c\": [1]} NULL\n2.5 NULL 2020-04-01",
        ),
        ("array.json", b"[{\"a\": true},\n {\"a\": false}]", "a boolean", "f\nt"),
        ("dates.csv", b"d\n31.12.2020\n", "d text", "31.12.2020"),
    ]
    .into_iter()
    .enumerate()
    {
        place.run("DROP TABLE t").await;
        place.file(name, content);
        let yaml = format!("{{from: {name}, table: t, schema: infer}}");
        let (outputs, _) = place.load_in(&format!("d{index}"), &yaml).await;
        outputs.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((place.types().await.as_str(), place.t().await.as_str()), (types, rows), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_file_counts_more_than_what_it_tells() {
    let place = Place::new("inferred_said").await;
    place.file("a.csv", "31.12.2020;ja;1.234,5;NA\n");
    let yaml = "{from: a.csv, table: t, schema: infer, header: false, columns: [d, ok, n, x], date_format: '%d.%m.%Y',
        true_values: [ja], false_values: [nein], decimal: ',', thousands: '.', null_string: NA}";
    place.load(yaml).await.unwrap();
    assert_eq!(place.types().await, "d date, ok boolean, n numeric, x text");
    assert_eq!(place.t().await, "2020-12-31 t 1234.5 NULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_decide_about_the_columns_of_the_table() {
    let place = Place::new("inferred_steps").await;
    place.file("a.csv", "id,fare,x\n1,2.50,a\n2,3.00,b\n");
    let yaml = "{from: a.csv, table: t, schema: infer, mode: {replace_partition: {month: 2020-04}},
        transform: {filter: id > 0, with_columns: {twice: id * 2}, rename: {fare: Amount}, select: [id, Amount, twice]}}";
    place.load(yaml).await.unwrap();
    assert_eq!(place.types().await, "id bigint, amount numeric, twice bigint, month text");
    assert_eq!(place.t().await, "1 2.50 2 2020-04\n2 3.00 4 2020-04");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_columns_are_added_in_the_transaction_of_the_load() {
    let place = Place::new("inferred_add").await;
    place.file("a.csv", "id\n1\n");
    place.load("{from: a.csv, table: t, schema: infer}").await.unwrap();
    place.file("b.csv", "id,Tip,when\n2,0.5,2020-04-01 00:00:00\n");
    let refused = place.refused("{from: b.csv, table: t, schema: infer}").await;
    assert_says(&refused, &["b.csv:1: the file has a column `Tip`, which table `t` does not have", "on_extra_column"]);
    let refused = place.refused("{from: b.csv, table: t, schema: infer, on_extra_column: error}").await;
    assert_says(&refused, &["column `Tip`"]);
    let yaml = "{from: b.csv, table: t, on_extra_column: add}";
    let (outputs, log) = place.load_in("e2", yaml).await;
    outputs.unwrap();
    assert_says(&log, &["added to table `t`: tip numeric, when timestamp"]);
    assert_eq!(place.types().await, "id bigint, tip numeric, when timestamp without time zone");
    assert_eq!(place.t().await, "1 NULL NULL\n2 0.5 2020-04-01 00:00:00");
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [1, 0, 0, 1]);
    place.file("c.csv", "id,bad,new\nx,1,2\n");
    let refused = place.refused("{from: c.csv, table: t, on_extra_column: add, on_missing_column: empty}").await;
    assert_says(&refused, &["c.csv:2:1: `id`: invalid input syntax for type bigint: \"x\""]);
    assert_eq!(place.types().await, "id bigint, tip numeric, when timestamp without time zone", "nothing of it stays");
    place.file("d.csv", "id,code\n3,7\n");
    let stated = "{from: d.csv, table: t, schema: {code: text}, on_extra_column: add, on_missing_column: empty}";
    place.load(stated).await.unwrap();
    assert_says(&place.types().await, &["code text"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_no_longer_fits_is_a_located_error() {
    let place = Place::new("inferred_fits").await;
    place.file("a.csv", "id,n\n1,5\n");
    place.load("{from: a.csv, table: t, schema: infer}").await.unwrap();
    place.file("b.csv", "id,n\n2,5\n3,5.5\n");
    let refused = place.refused("{from: b.csv, table: t, schema: infer, on_extra_column: add}").await;
    assert_says(&refused, &["b.csv:3:3: `n`: invalid input syntax for type bigint: \"5.5\""]);
    assert_eq!((place.types().await.as_str(), place.t().await.as_str()), ("id bigint, n bigint", "1 5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stand_where_records_says_and_objects_become_columns() {
    let place = Place::new("inferred_records").await;
    let json = r#"{"meta": {"data": [1]}, "result": {"n": 2, "items": [{"id": 1, "a": {"b": {"c": 1.50}, "d": "x"}},
        {"id": 2, "a": {"b": {}, "d": null}}], "more": [2]}, "next": null}"#;
    place.file("a.json", json);
    place.load("{from: a.json, table: t, schema: infer, records: result.items}").await.unwrap();
    assert_eq!(place.types().await, "id bigint, a jsonb");
    place.run("DROP TABLE t").await;
    let flat = "{from: a.json, table: t, schema: infer, records: result.items, flatten: true}";
    place.load_in("e2", flat).await.0.unwrap();
    assert_eq!(place.types().await, "id bigint, a__b__c numeric, a__d text");
    assert_eq!(place.t().await, "1 1.50 x\n2 NULL NULL");
    place.run("DROP TABLE t").await;
    let one = "{from: a.json, table: t, schema: infer, records: result.items, flatten: 1, if_loaded: load}";
    place.load_in("e3", one).await.0.unwrap();
    assert_eq!(place.types().await, "id bigint, a__b jsonb, a__d text");
    for (content, records, parts) in [
        ("{\"a\": [{}]}", "data", &["a.json:1:11: the object has no key `data`", "`records: data`"][..]),
        ("[{\"a\": 1}]", "data", &["the document is not an object"]),
        ("{\"data\": 5}", "data", &["a.json:1:10: `data` is not an array"]),
        ("{\"data\": [{\"a\": 1}]", "data", &["cut"]),
        ("{\"data\": [{\"a\": 1}], \"data\": []}", "data", &["the key `data` comes twice"]),
        ("{\"data\": [{\"a\": 1}]}", "data.x", &["`data` is not an object"]),
    ] {
        place.file("a.json", content);
        let refused = place.refused(&format!("{{from: a.json, table: u, schema: infer, records: {records}}}")).await;
        assert_says(&refused, parts);
    }
    place.file("a.json", r#"[{"a__b": 1}, {"a": {"b": 2}}]"#);
    let refused = place.refused("{from: a.json, table: u, schema: infer, flatten: true}").await;
    assert_says(&refused, &["`a__b` is the name of two values"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_no_tables_are_named() {
    let place = Place::new("inferred_nasty").await;
    for (name, content, parts) in [
        ("empty.csv", &b""[..], &["empty.csv: the file is empty, so it tells no columns for the table `t`"][..]),
        ("image.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["image.csv: the file is binary"]),
        ("page.csv", b"<!DOCTYPE html>\n<html><body>404</body></html>", &["the file is a web page, not data"]),
        ("ragged.csv", b"a,b\n1,2\n3\n", &["ragged.csv:3:1: the row has 1 field, the header has 2"]),
        ("years.csv", b"country,2019,2020\nDE,1,2\n", &["years.csv:1:1", "`header: true` or `header: false`"]),
        ("other.csv", b"a\n\x81\x8d\n", &["is not WIN1252 text", "`encoding: LATIN2`"]),
        ("quote.csv", b"a,b\n1,\"x\n", &["never closes"]),
        ("not.json", b"{\"a\": 1,}", &["not.json:1:9"]),
        ("cut.parquet", b"PAR1", &["cut.parquet"]),
    ] {
        place.file(name, content);
        let refused = place.refused(&format!("{{from: {name}, table: t, schema: infer}}")).await;
        assert_says(&refused, parts);
        assert_eq!(place.rows("SELECT to_regclass('t')").await, "NULL", "{name}");
    }
}
