//! CSV of every shape is stored as the server's own COPY stores it, or refused with a reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::SinkExt;
use jitney::stream::{ColumnSpec, ColumnType, ReadOptions, Reader};
use jitney::task::Progress;
use tokio_postgres::Client;

use crate::load::{Place, assert_says};

type Row = Vec<Option<String>>;

/// What texts are made of.
const ALPHABET: &[&str] = &["a", "b", ",", ",", "\"", "\"", "\n", "\r", "\r\n", "\\", "'", "é", " ", "\0", "\\."];

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A small file, and how it is quoted.
struct Sample {
    width: usize,
    text: String,
    quote: char,
    escape: char,
}

impl Sample {
    fn new(random: &mut Random) -> Self {
        let width = 1 + random.below(3);
        let end = random.of(&["\n", "\n", "\r\n", "\r"]);
        let mut text = ["a", "b", "c"][..width].join(",") + end;
        // Now and then a row of the right shape, or nothing would ever be stored.
        for _ in 0..random.below(12) {
            match random.below(4) {
                0 => text += end,
                1 => text += &(vec!["x"; width].join(",") + end),
                _ => text += random.of(ALPHABET),
            }
        }
        let (quote, escape) = random.of(&[('"', '"'), ('"', '"'), ('"', '\\'), ('\'', '"')]);
        Self { width, text, quote, escape }
    }

    fn names(&self) -> Vec<&'static str> {
        ["a", "b", "c"][..self.width].to_vec()
    }

    /// What the server makes of it.
    async fn copied(&self, client: &Client, text: &str) -> Result<Vec<Row>, String> {
        let names = self.names().join(", ");
        client.batch_execute("TRUNCATE copied").await.unwrap();
        let literal = |letter: char| format!("'{}'", letter.to_string().replace('\'', "''"));
        let sql = format!(
            "COPY copied ({names}) FROM STDIN (FORMAT csv, HEADER, QUOTE {}, ESCAPE {}, ENCODING 'UTF8')",
            literal(self.quote),
            literal(self.escape)
        );
        let mut sink = Box::pin(client.copy_in::<_, bytes::Bytes>(&sql).await.unwrap());
        let said = |error: tokio_postgres::Error| error.as_db_error().unwrap().message().to_owned();
        sink.send(bytes::Bytes::from(text.to_owned())).await.map_err(said)?;
        sink.as_mut().finish().await.map_err(said)?;
        let rows = client.query(&format!("SELECT {names} FROM copied ORDER BY n"), &[]).await.unwrap();
        Ok(rows.iter().map(|row| (0..self.width).map(|column| row.get(column)).collect()).collect())
    }

    /// What the reader makes of it.
    fn read(&self, path: &Path) -> Result<Vec<Row>, String> {
        let options = ReadOptions {
            quote: Some(u8::try_from(self.quote).unwrap()),
            escape: u8::try_from(self.escape).unwrap(),
            ..ReadOptions::default()
        };
        let wanted = self.names().into_iter().map(|name| ColumnSpec {
            name: name.to_owned(),
            kind: ColumnType::Text,
            required: false,
            likely: None,
            shape: None,
        });
        let reader = Reader::open(path, &options, Arc::new(Progress::default())).map_err(|error| error.to_string())?;
        let mut rows = Vec::new();
        for batch in reader.batches(wanted.collect()) {
            let batch = batch.map_err(|error| error.to_string())?;
            if let Some(bad) = batch.bad.first() {
                assert!(bad.line > 1, "{bad:?}");
                return Err(bad.message.clone());
            }
            let columns: Vec<_> = batch.frame.columns().iter().map(|column| column.str().unwrap().clone()).collect();
            rows.extend(
                (0..batch.frame.height())
                    .map(|row| columns.iter().map(|column| column.get(row).map(str::to_owned)).collect::<Row>()),
            );
        }
        Ok(rows)
    }

    /// The text without its blank lines, which are no rows here and an error of COPY's.
    fn without_blank_lines(&self) -> String {
        let (mut out, mut line, mut in_quotes, mut escaped) = (String::new(), String::new(), false, false);
        for letter in self.text.chars() {
            if in_quotes && letter == self.escape && self.escape != self.quote {
                escaped = !escaped;
            } else {
                in_quotes ^= letter == self.quote && !escaped;
                escaped = false;
            }
            line.push(letter);
            let ends = !in_quotes && matches!(letter, '\n' | '\r');
            let is_second_half = line == "\n" && out.ends_with('\r');
            if ends && (is_second_half || !line.trim_end_matches(['\n', '\r']).is_empty()) {
                out += &std::mem::take(&mut line);
            } else if ends {
                line.clear();
            }
        }
        out + &line
    }
}

/// Compares what is stored with what COPY stores; how often each refusal came that is not COPY's too.
async fn compare(place: &Place, seed: u64, count: usize, through_the_task: bool) -> BTreeMap<String, usize> {
    place.run("CREATE TABLE copied (n serial, a text, b text, c text); CREATE TABLE t (a text, b text, c text)").await;
    let mut random = Random(seed);
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let sample = Sample::new(&mut random);
        let path = place.file("a.csv", &sample.text);
        let copied = sample.copied(&place.client, &sample.text).await;
        let read = if through_the_task { loaded(place, &sample).await } else { sample.read(&path) };
        let shown = format!("{:?} quote {} escape {}", sample.text, sample.quote, sample.escape);
        let kind = match (copied, read) {
            (Ok(copied), Ok(read)) => {
                assert_eq!(read, copied, "{shown}");
                "the same rows".to_owned()
            }
            (Err(_), Err(_)) => "refused by both".to_owned(),
            (Ok(_), Err(message)) => {
                assert!(message.contains("on a line of its own ends the data"), "{message}: {shown}");
                "refused for an end of data".to_owned()
            }
            (Err(message), Ok(read)) => {
                let text = sample.without_blank_lines();
                let copied = sample.copied(&place.client, &text).await;
                assert_eq!(Ok(read), copied, "{message}: {shown} as {text:?}");
                "the same rows but for blank lines".to_owned()
            }
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// What `postgres.load` makes of it.
async fn loaded(place: &Place, sample: &Sample) -> Result<Vec<Row>, String> {
    let fields = serde_json::json!({
        "from": "a.csv", "table": "t", "mode": "truncate", "force": true, "on_missing_column": "empty",
        "quote": sample.quote, "escape": sample.escape,
    });
    place.load(&fields.to_string()).await.map_err(|error| error.to_string())?;
    let names = sample.names().join(", ");
    let rows = place.client.query(&format!("SELECT {names} FROM t ORDER BY ctid"), &[]).await.unwrap();
    Ok(rows.iter().map(|row| (0..sample.width).map(|column| row.get(column)).collect()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_texts_are_read_as_copy_reads_them() {
    let place = Place::new("shapes_read").await;
    let counts = compare(&place, 1, 2_000, false).await;
    assert!(counts["the same rows"] > 300 && counts["refused by both"] > 300, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_texts_are_stored_as_copy_stores_them() {
    let place = Place::new("shapes_stored").await;
    let counts = compare(&place, 2, 200, true).await;
    assert!(counts["the same rows"] > 30, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn many_random_texts_are_read_as_copy_reads_them() {
    let place = Place::new("shapes_many").await;
    let counts = compare(&place, 3, 100_000, false).await;
    assert!(counts["the same rows"] > 15_000, "{counts:?}");
}

#[tokio::test]
async fn line_ends_are_those_of_the_first_line() {
    let place = Place::with("shapes_ends", "CREATE TABLE t (id int, name text)").await;
    let yaml = "from: a.csv\ntable: t\nmode: truncate\nforce: true\n";
    for content in ["id,name\r1,ann\r2,\"b\nc\"\r", "id,name\r\n1,ann\r\n2,\"b\nc\"\r\n", "id,name\n1,ann\n2,\"b\nc\""]
    {
        place.file("a.csv", content);
        place.load(yaml).await.unwrap();
        assert_eq!(place.t().await, "1 ann\n2 b\nc", "{content:?}");
    }
    place.file("a.csv", "id,name\n1,ann\n2,bob\r\n");
    assert_says(&place.refused(yaml).await, &["a.csv:3", "unquoted carriage return found in data"]);
    place.file("a.csv", "id,name\r\n1,ann\r\n2,b\nob\r\n");
    assert_says(&place.refused(yaml).await, &["a.csv:3", "unquoted newline found in data"]);
    place.file("a.csv", "id,name\r1,ann\r\"2\",\"b\r\"\rx,c\r");
    assert_says(&place.refused(yaml).await, &["a.csv:5:1"]);
    assert_eq!(place.t().await, "1 ann\n2 b\nc");
}

#[tokio::test]
async fn names_of_columns_that_nobody_wants_do_not_matter() {
    let place = Place::with("shapes_names", "CREATE TABLE t (id int, name text)").await;
    let yaml = "from: a.csv\ntable: t\nmode: truncate\n";
    let ignoring = format!("{yaml}on_extra_column: ignore\n");
    place.file("a.csv", "\u{feff}\"id\", x ,x,,name,,\n1,2,3,4,ann,5,\n");
    place.load(&ignoring).await.unwrap();
    assert_eq!(place.t().await, "1 ann");
    place.file("a.csv", "id,,name\n2,3,bob\n");
    assert_says(&place.refused(yaml).await, &["a column without a name"]);
    place.file("a.csv", "id,name,name\n2,bob,bob\n");
    assert_says(&place.refused(&ignoring).await, &["a.csv:1", "names the column `name` twice"]);
    place.file("a.csv", "id,name,\n2,bob,\n3,cem,\n");
    place.load(yaml).await.unwrap();
    assert_eq!(place.t().await, "2 bob\n3 cem");
    place.file("a.csv", "id,name,\n2,bob,\n3,cem,x\n");
    assert_says(&place.refused(yaml).await, &["a.csv:3", "after its last delimiter"]);
}

#[tokio::test]
async fn a_large_field_is_stored_and_a_quote_that_never_closes_is_not_searched_for_long() {
    let place = Place::with("shapes_large", "CREATE TABLE t (id int, name text)").await;
    let yaml = "from: a.csv\ntable: t\n";
    place.file("a.csv", format!("id,name\n1,\"{}\n\"\n2,b\n", "x".repeat(18 << 20)));
    place.load(yaml).await.unwrap();
    assert_eq!(place.rows("SELECT id, length(name) FROM t").await, "1 18874369\n2 1");
    place.file("a.csv", format!("id,name\n1,\"{}\n", "x\n".repeat(33 << 20)));
    assert_says(&place.refused(yaml).await, &["a.csv:2", "does not close within 67108864 bytes"]);
    place.file("a.csv", "id,name\n1,\"a\n2,b\n");
    assert_says(&place.refused(yaml).await, &["a.csv:2", "never closes"]);
}

/// A file as a spreadsheet of another country writes it.
const GERMAN: &str = "Bericht; \"Mai\"\nid;betrag;rate;tag;zeit;bezahlt;notiz\n# Fahrten\n1; 1.234.567,8900 ;0,1;1.4.2020;\
01.04.2020 00:44:02;ja;1,5\n2;-;k. A.;;\"\";nein;\"-\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_written_in_other_ways_arrive_exactly() {
    let table =
        "CREATE TABLE t (id int, betrag numeric, rate float8, tag date, zeit timestamptz, bezahlt bool, notiz text)";
    let place = Place::with("shapes_german", table).await;
    place
        .run(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database()); END $$",
        )
        .await;
    place.file("a.csv", GERMAN);
    let yaml = "from: a.csv\ntable: t\nmode: truncate\nforce: true\ndelimiter: \";\"\nskip_lines: 1\ncomment: \"#\"\n\
                decimal: \",\"\nthousands: \".\"\ndate_format: \"%d.%m.%Y\"\ntimestamp_format: \"%d.%m.%Y %H:%M:%S\"\n\
                true_values: [ja]\nfalse_values: [nein]\nnull_string: [\"-\", k. A.]\n";
    let expected = "1 1234567.8900 0.1 2020-04-01 2020-03-31 15:44:02+00 t 1,5\n2 NULL NULL NULL NULL f -";
    place.load(yaml).await.unwrap();
    assert_eq!(place.t().await, expected);
    // A step that looks at the columns sees their values.
    let steps = "transform: {filter: betrag > 1000000 AND bezahlt}\n";
    place.load(&format!("{yaml}{steps}")).await.unwrap();
    assert_eq!(
        place.rows("SELECT id, betrag, rate, tag, bezahlt, notiz FROM t").await,
        "1 1234567.8900 0.1 2020-04-01 t 1,5"
    );

    for (wrong, place_of, said) in [
        ("3;1.5;0,1;;;ja;", "a.csv:2:3", "`betrag`: `1.5` is not a number with decimals after `,`"),
        ("3;;;2020-04-01;;ja;", "a.csv:2:5", "`tag`: `2020-04-01` is not a date of the format `%d.%m.%Y`"),
        ("3;;;;01.04.2020;ja;", "a.csv:2:6", "`zeit`: `01.04.2020` is not a timestamp of the format"),
    ] {
        place.file("a.csv", format!("id;betrag;rate;tag;zeit;bezahlt;notiz\n{wrong}\n"));
        let shown = place.refused(&yaml.replace("skip_lines: 1\n", "")).await;
        assert_says(&shown, &[place_of, said]);
    }
}

#[tokio::test]
async fn quotes_escapes_and_blanks_are_what_the_settings_say() {
    let place = Place::with("shapes_quotes", "CREATE TABLE t (id int, name text)").await;
    let yaml = "from: a.csv\ntable: t\nmode: truncate\nforce: true\n";
    let stored = async |content: &str, settings: &str| {
        place.file("a.csv", content);
        place.load(&format!("{yaml}{settings}\n")).await.unwrap();
        place.t().await
    };
    assert_eq!(stored("id,name\n1,5\" pipe\n2,\"\n", "quote: none").await, "1 5\" pipe\n2 \"");
    assert_eq!(stored("id,name\n1,5\" pipe\n2,\"\n", "quote: \"\"").await, "1 5\" pipe\n2 \"");
    assert_eq!(stored("id,name\n1,\"a\\\"b\\\\c\\d\"\n", "escape: \"\\\\\"").await, "1 a\"b\\c\\d");
    assert_eq!(stored("id,name\n 1 , \" a \" \n2,\t\n", "trim: true").await, "1 a\n2 NULL");
    assert_eq!(stored("id,name\n1,0\n2,-1\n", "null_string: [0, -1]").await, "1 NULL\n2 NULL");
    place.file("a.csv", format!("id,name\n1,{}\n", "a".repeat(3 << 20)));
    assert_says(
        &place.refused(&format!("{yaml}max_row_bytes: 1000000\n")).await,
        &["larger than the limit of 1000000 bytes", "max_row_bytes"],
    );
}

#[tokio::test]
async fn files_of_other_kinds_and_delimiters_are_named() {
    let place = Place::with("shapes_kinds", "CREATE TABLE t (id int, name text)").await;
    let yaml = "from: a.csv\ntable: t\non_extra_column: ignore\non_missing_column: empty\n";
    let cases: [(&[u8], &[&str]); 10] = [
        (b"id;name\n1;ann\n", &["one column, `id;name`", "`delimiter: \";\"`"]),
        (b"id\tname\n1\tann\n", &["`delimiter: \"\\t\"`"]),
        (b"id|name\n1|ann\n", &["`delimiter: \"|\"`"]),
        (b"id;name\n1;a,nn\n", &["`delimiter: \";\"`"]),
        (b"{\"id\": 1, \"name\": \"ann\"}\n", &["the file is JSON", "`format: ndjson`"]),
        (b"[{\"id\": 1}]\n", &["a JSON array"]),
        (b"PAR1\x15\x04\x15\x10\x15\x14PAR1", &["a Parquet file", "`format: parquet`"]),
        (b"<!DOCTYPE html><html>404</html>", &["a web page"]),
        (b"i\0d\0,\0n\0a\0m\0e\0\n\0", &["UTF-16LE"]),
        (b"id,name\n1,Gr\xf6\xdfe\n", &["a.csv:2:3", "`encoding: LATIN1`", "`Gr\u{f6}\u{df}e`"]),
    ];
    for (content, said) in cases {
        place.file("a.csv", content);
        let error = place.load(yaml).await.unwrap_err();
        assert_says(&format!("{error} {}", error.help.clone().unwrap_or_default()), said);
    }
    place.file("a.csv", zip_of(&["[Content_Types].xml", "xl/workbook.xml"]));
    assert_says(&place.refused(yaml).await, &["an Excel workbook"]);
    assert_eq!(place.t().await, "");
}

fn zip_of(names: &[&str]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
