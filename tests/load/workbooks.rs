//! Sheets of Excel workbooks, as if they had been saved as CSV with ISO dates.

use crate::common::workbook::Cell::{Day, Empty, Error, Hours, Moment, Number, Text, Truth};
use crate::common::workbook::{archive, workbook};
use crate::load::merges::rejected;
use crate::load::{Place, assert_says, counts};

fn trips() -> Vec<u8> {
    workbook(&[
        (
            "Trips",
            vec![
                ["ID", "Fare", "At", "Day", "Note", "OK", "Length"].map(Text).into(),
                vec![
                    Number(1.0),
                    Number(2.5),
                    Moment(43_922.030_578_703_71),
                    Day(43922.0),
                    Text("a, &quot;b&quot;"),
                    Truth(true),
                    Hours(1.25),
                ],
                vec![Number(2.0), Empty, Moment(43923.0), Day(43923.0), Text("two\nlines"), Truth(false), Hours(0.5)],
                vec![],
                vec![Number(3.0), Number(0.1)],
                vec![Number(12345678901.0), Number(1e20), Empty, Empty, Text("N/A")],
            ],
        ),
        (
            "Zones &amp; more",
            vec![
                vec![Empty, Text("Zones of the city")],
                vec![],
                vec![Empty, Text("zone"), Text("name")],
                vec![Empty, Number(1.0), Text("Queens")],
                vec![Empty, Text("none"), Text("of\nthem")],
                vec![Empty, Error("#N/A"), Text("Bronx")],
                vec![Empty, Number(2.0), Text("Bronx")],
            ],
        ),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_is_loaded_as_its_csv_would_be() {
    let table = "CREATE TABLE t (id bigint, fare float8, at timestamp, day date, note text, ok bool, length interval)";
    let place = Place::with("workbook", table).await;
    place.file("trips.xlsx", trips());
    let outputs = place.load("{from: trips.xlsx, table: t, null_string: N/A}").await.unwrap();
    assert_eq!(counts(&outputs), [4, 4, 0, 0]);
    let expected = "1 2.5 2020-04-01 00:44:02 2020-04-01 a, \"b\" t 30:00:00\n\
                    12345678901 1e+20 NULL NULL NULL NULL NULL\n\
                    2 NULL 2020-04-02 00:00:00 2020-04-02 two\nlines f 12:00:00\n\
                    3 0.1 NULL NULL NULL NULL NULL";
    assert_eq!(place.t().await, expected);
    let outputs = place.load("{from: trips.xlsx, table: t, null_string: N/A}").await.unwrap();
    assert_eq!(counts(&outputs), [4, 0, 0, 4]);
    place.file("trips.bin", trips());
    let yaml =
        "{from: trips.bin, format: excel, table: t, null_string: N/A, transform: {filter: ID > 2}, mode: truncate}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [4, 2, 0, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_row_is_named_by_its_row_in_the_sheet() {
    let place = Place::with("workbook_bad", "CREATE TABLE t (zone int, name text)").await;
    place.file("a.xlsx", trips());
    let yaml = "{from: a.xlsx, table: t, sheet: Zones & more, skip_lines: 2";
    let shown = place.refused(&format!("{yaml}}}")).await;
    assert_says(&shown, &["a.xlsx:5:1: `zone`", "none"]);
    let outputs = place.load(&format!("{yaml}, on_bad_row: {{reject: {{}}}}}}")).await.unwrap();
    assert_eq!((counts(&outputs), rejected(&place, &outputs).0), ([4, 2, 2, 0], vec![5, 6]));
    assert_eq!(place.t().await, "1 Queens\n2 Bronx");
    let shown = place.refused("{from: a.xlsx, table: t, sheet: Zones, if_loaded: load}").await;
    assert_says(&shown, &["a.xlsx", "the workbook has no sheet `Zones`", "`Trips`, `Zones & more`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_without_names_keeps_its_columns_apart() {
    let place = Place::with("workbook_bare", "CREATE TABLE t (a int, b text, c int)").await;
    let rows = vec![vec![Empty, Text("x")], vec![Number(1.0), Empty, Number(3.0)], vec![Number(2.0)]];
    place.file("a.xlsx", workbook(&[("s", rows)]));
    place.load("{from: a.xlsx, table: t, header: false, columns: [a, b, c]}").await.unwrap();
    assert_eq!(place.t().await, "1 NULL 3\n2 NULL NULL\nNULL x NULL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_tells_its_columns() {
    let place = Place::new("workbook_told").await;
    place.file("a.xlsx", trips());
    place.load("{from: a.xlsx, table: t, schema: infer, null_string: N/A}").await.unwrap();
    let types = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'";
    let expected = "at timestamp without time zone\nday date\nfare double precision\nid bigint\n\
                    length text\nnote text\nok boolean";
    assert_eq!(place.rows(types).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_as_a_workbook_is_an_error_with_a_remedy() {
    let place = Place::with("workbook_none", "CREATE TABLE t (id int)").await;
    let cut = trips().into_iter().take(900).collect::<Vec<_>>();
    let other = archive([("a.csv".to_owned(), "id\n1\n".to_owned())].into_iter());
    let spaces = |count: usize| " ".repeat(count);
    let large = |text: String| archive([("xl/sharedStrings.xml".to_owned(), text)].into_iter());
    for (content, parts) in [
        (b"id\n1\n".to_vec(), ["no Excel workbook", "download"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 an old one".to_vec(), ["no Excel workbook", ".xls"]),
        (cut, ["no Excel workbook", "download"]),
        (other, ["the workbook cannot be read", "save it again"]),
        (large(format!("<sst>{}</sst>", spaces(5 << 20))), ["256 MiB of memory", "save the sheet as CSV"]),
        (
            workbook(&[("s", vec![vec![Empty, Text("id")], vec![Number(1.0), Number(2.0)]])]),
            ["row 2", "left of the table"],
        ),
    ] {
        place.file("a.xlsx", content);
        assert_says(&place.refused("{from: a.xlsx, table: t}").await, &[&["a.xlsx"][..], &parts].concat());
    }
    place.file("book.csv", trips());
    assert_says(&place.refused("{from: book.csv, table: t}").await, &["an Excel workbook", "`format: excel`"]);
    assert_eq!(place.t().await, "");
}
