//! Files that are in another encoding than UTF-8.

use crate::load::{Place, assert_says, counts, gzip};
use jitney::storage::Storage;

const T: &str = "CREATE TABLE t (id int, name text)";

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_encoding_goes_by_column_name_and_through_the_transform() {
    let place = Place::with("encodings_steps", T).await;
    place.file("a.csv", b"Name;ID;extra\ncaf\xe9;1;x\nth\xe9;2;\xe9\nna\xefve;3;\n");
    let yaml = "{from: a.csv, table: t, delimiter: ';', encoding: LATIN1, on_extra_column: ignore,
                 transform: {filter: ID > 1, with_columns: {Name: upper(Name)}}}";
    assert_eq!(counts(&place.load(yaml).await.unwrap()), [3, 2, 0, 1]);
    assert_eq!(place.t().await, "2 THÉ\n3 NAÏVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_usual_encoding_gives_the_same_rows() {
    let place = Place::with("encodings_all", T).await;
    let expected = "1 Größe\n2 é,\n3";
    let text = "id,name\r\n1,Größe\r\n2,\"é,\n3\"\r\n";
    let single: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
    let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
    let files = [
        ("LATIN1", single.clone()),
        ("iso-8859-1", single.clone()),
        ("WIN1252", single.clone()),
        ("windows-1252", single),
        ("UTF8", marked(b"\xef\xbb\xbf", text.into())),
        ("SQL_ASCII", text.into()),
        ("UTF-16", marked(b"\xff\xfe", utf16(text, u16::to_le_bytes))),
        ("UTF-16", marked(b"\xfe\xff", utf16(text, u16::to_be_bytes))),
        ("UTF-16BE", utf16(text, u16::to_be_bytes)),
        ("UTF-16LE", utf16(text, u16::to_le_bytes)),
    ];
    for (index, (encoding, bytes)) in files.into_iter().enumerate() {
        place.file(&format!("{index}.csv"), bytes);
        let yaml = format!("{{from: {index}.csv, table: t, mode: truncate, encoding: {encoding}}}");
        place.load(&yaml).await.unwrap();
        assert_eq!(place.t().await, expected, "{encoding}");
    }
    place.file("marked.csv", marked(b"\xff\xfe", utf16(text, u16::to_le_bytes)));
    place.load("{from: marked.csv, table: t, mode: truncate}").await.unwrap();
    assert_eq!(place.t().await, expected, "the byte order mark is enough");
}

/// Every encoding that a load accepts, other than Unicode.
const ONE_BYTE: &[&str] = &[
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1251",
    "WIN1252",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1256",
    "WIN1257",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "KOI8U",
];
const TWO_BYTES: &[&str] = &["SJIS", "GBK", "UHC"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_is_the_character_that_the_server_makes_of_it() {
    let place = Place::with("encodings_bytes", T).await;
    place
        .run(
            "CREATE TABLE codes (code int);
             CREATE FUNCTION read(code int, encoding name) RETURNS text LANGUAGE plpgsql AS $$
             BEGIN RETURN convert_from(decode(to_hex(code), 'hex'), encoding); EXCEPTION WHEN others THEN RETURN NULL; END $$",
        )
        .await;
    let one: Vec<u32> = (0x80..0x100).collect();
    // Whatever may follow but a line end and what delimits fields; and a first byte at the end of its line.
    let trails = || (0x20..0x100).filter(|trail| ![u32::from(b','), u32::from(b'"')].contains(trail));
    let pairs = (0x80..0x100).flat_map(|lead| trails().map(move |trail| lead << 8 | trail));
    let two: Vec<u32> = one.iter().copied().chain(pairs).collect();
    let mut all = Vec::new();
    for (encodings, codes) in [(ONE_BYTE, one), (TWO_BYTES, two)] {
        let list = codes.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        place.run(&format!("TRUNCATE codes; INSERT INTO codes SELECT unnest('{{{list}}}'::int[])")).await;
        let mut text = b"id,name\n".to_vec();
        for code in codes {
            text.extend(format!("{code},").bytes());
            text.extend(code.to_be_bytes().into_iter().skip_while(|byte| *byte == 0));
            text.push(b'\n');
        }
        place.file("a.csv", text);
        for encoding in encodings {
            let yaml = format!(
                "{{from: a.csv, table: t, mode: truncate, encoding: {encoding}, on_bad_row: {{reject: {{max: 99999}}}}}}"
            );
            place.load(&yaml).await.unwrap();
            // A user's own characters, to which the server gives codes, may be refused. The web reads A3A0, which nobody
            // writes, as a blank.
            let others = format!(
                "SELECT to_hex(code), read(code, '{encoding}'), name FROM codes LEFT JOIN t ON id = code
                 WHERE read(code, '{encoding}') IS DISTINCT FROM name AND ('{encoding}' <> 'UHC' OR name IS NOT NULL)
                     AND ('{encoding}' <> 'GBK' OR code <> x'a3a0'::int)"
            );
            let others = place.rows(&others).await;
            if !others.is_empty() {
                all.push(format!("{encoding}: {} others: {others:.300}", others.lines().count()));
            }
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoding_that_the_server_reads_otherwise_is_refused_with_a_remedy() {
    let place = Place::with("encodings_otherwise", T).await;
    place.file("a.csv", "id,name\n1,x\n");
    for (encoding, remedy) in [
        ("BIG5", "`postgres.copy_in`"),
        ("big5-hkscs", "`postgres.copy_in`"),
        ("GB18030", "`postgres.copy_in`"),
        ("EUC_JP", "`postgres.copy_in`"),
        ("EUC_CN", "`encoding: GBK`"),
        ("euc-kr", "`encoding: UHC`"),
    ] {
        let shown = place.refused(&format!("{{from: a.csv, table: t, encoding: {encoding}}}")).await;
        assert_says(&shown, &["`encoding`", encoding, remedy]);
    }
    assert_eq!(place.t().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_files_are_decoded_block_by_block_and_unpacked_before() {
    let place = Place::with("encodings_long", T).await;
    let text = (1..=200_000).fold("id,name\n".to_owned(), |text, id| text + &format!("{id},Größe {id} 🚕\n"));
    let packed = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&utf16(&text, u16::to_be_bytes)).unwrap();
        encoder.finish().unwrap()
    };
    place.file("a.csv.gz", packed);
    let outputs = place.load("{from: a.csv.gz, table: t, encoding: UTF-16BE}").await.unwrap();
    assert_eq!(counts(&outputs), [200_000, 200_000, 0, 0]);
    assert_eq!(place.rows("SELECT count(*) FROM t WHERE name = 'Größe ' || id || ' 🚕'").await, "200000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_of_another_encoding_are_set_aside_and_located() {
    let place = Place::with("encodings_bad", T).await;
    place.file("a.csv", b"id,name\n1,Jos\xe9\nx,y\n3,a\x81b\n4,\x80\n");
    let yaml = |rest: &str| format!("{{from: a.csv, table: t, encoding: WIN1252{rest}}}");
    let outputs = place.load(&yaml(", on_bad_row: {reject: {max: 5}}")).await.unwrap();
    assert_eq!(counts(&outputs), [4, 2, 2, 0]);
    assert_eq!(place.t().await, "1 José\n4 €");
    place.file("b.csv", b"id,name\n1,a\xe9\n2,a\x81b\n");
    let shown = place.refused("{from: b.csv, table: t, encoding: WIN1252}").await;
    assert_says(&shown, &["b.csv:3:3: `name`: `a\u{fffd}b` is not valid WIN1252 text"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_encoding_is_another_load() {
    let place = Place::with("encodings_corrected", T).await;
    place.file("a.csv", b"id,name\n1,\xe8\xe9\xf0\n");
    let yaml = |encoding: &str| format!("{{from: a.csv, table: t, mode: truncate, encoding: {encoding}}}");
    place.load(&yaml("LATIN1")).await.unwrap();
    place.load(&yaml("WIN1251")).await.unwrap();
    assert_eq!(place.t().await, "1 ийр");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_utf8_is_told_what_it_may_be() {
    let place = Place::with("encodings_guess", T).await;
    place.file("a.csv", b"id,name\n1,Gr\xf6\xdfe\n");
    let shown = place.refused("{from: a.csv, table: t}").await;
    assert_says(&shown, &["a.csv:2:3", "is not valid UTF-8 text", "`encoding: LATIN1` this is `Größe`"]);
    place.file("b.csv", b"id,name\n1,5 \x80\n");
    assert_says(&place.refused("{from: b.csv, table: t}").await, &["`encoding: WIN1252` this is `5 €`"]);
    place.file("c.csv", b"id,Stra\xdfe\n1,x\n");
    assert_says(&place.refused("{from: c.csv, table: t}").await, &["c.csv:1:1: the header is not valid", "`Straße`"]);
    place.file("d.csv", utf16("id,name\n1,x\n", u16::to_le_bytes));
    assert_says(&place.refused("{from: d.csv, table: t}").await, &["the file is UTF-16LE", "`encoding: UTF-16LE`"]);
    place.file("e.ndjson", b"{\"id\": 1, \"name\": \"Gr\xf6\xdfe\"}\n");
    let shown = place.refused("{from: e.ndjson, table: t}").await;
    assert_says(&shown, &["e.ndjson:1", "not valid UTF-8 text", "`encoding: LATIN1`"]);
    place.load("{from: e.ndjson, table: t, encoding: LATIN1}").await.unwrap();
    assert_eq!(place.t().await, "1 Größe");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_delimiter_is_offered() {
    let place = Place::with("encodings_delimiter", T).await;
    for (file, delimiter, shown) in [("a.csv", ";", ";"), ("b.csv", "\t", "\\t"), ("c.csv", "|", "|")] {
        place.file(file, "id,name\n1,x\n".replace(',', delimiter));
        let offer = format!("the file looks separated by `{shown}`: `delimiter: \"{shown}\"`");
        assert_says(&place.refused(&format!("{{from: {file}, table: t}}")).await, &[&offer]);
        place.load(&format!("{{from: {file}, table: t, delimiter: \"{shown}\"}}")).await.unwrap();
    }
    place.file("d.csv", "1;x\n");
    let shown = place.refused("{from: d.csv, table: t, header: false, columns: [id, name]}").await;
    assert_says(&shown, &["d.csv:1", "the row has 1 field", "looks separated by `;`"]);
    place.file("e.csv", gzip("id;name\n1;x\n"));
    assert_says(
        &place.refused("{from: e.csv, table: t, transform: {filter: id > 0}}").await,
        &["looks separated by `;`"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_a_format_has_not_are_refused() {
    let place = Place::with("encodings_idle", T).await;
    place.file("a.ndjson", "{\"id\": 1, \"name\": \"x\"}\n");
    place.file("a.csv", "1,x\n");
    for (file, field) in [
        ("a.ndjson", "header: true"),
        ("a.ndjson", "delimiter: ';'"),
        ("a.parquet", "encoding: LATIN1"),
        ("a.parquet", "null_string: x"),
        ("a.csv", "columns: [id, name]"),
    ] {
        place.file("a.parquet", "");
        let shown = place.refused(&format!("{{from: {file}, table: t, {field}}}")).await;
        let name = field.split(':').next().unwrap();
        assert_says(&shown, &[&format!("`{name}`"), "remove it"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoding_that_the_file_contradicts_is_named() {
    let place = Place::with("encodings_contradicted", "CREATE TABLE t (id int, note text)").await;
    place.file("marked.csv", "\u{feff}id,note\n1,x\n");
    place.file("wide.csv", [&b"\xff\xfe"[..], &utf16("id,note\n1,x\n", u16::to_le_bytes)].concat());
    place.file("bare.csv", utf16("id,note\n1,x\n", u16::to_le_bytes));
    for (task, rest) in [("postgres.load", ""), ("postgres.copy_in", ", format: CSV, header: true")] {
        for (file, encoding, parts) in [
            (
                "marked.csv",
                ", encoding: LATIN1",
                ["byte order mark of UTF-8, but `encoding` is LATIN1", "`encoding: UTF-8`"],
            ),
            (
                "marked.csv",
                ", encoding: WIN1252",
                ["byte order mark of UTF-8, but `encoding` is WIN1252", "leave it out"],
            ),
            ("wide.csv", ", encoding: LATIN1", ["byte order mark of UTF-16LE, but", "`encoding: UTF-16LE`"]),
            ("bare.csv", "", ["the file is UTF-16LE, and is read as UTF-8", "`encoding: UTF-16LE`"]),
            ("bare.csv", ", encoding: LATIN1", ["the file is UTF-16LE, and is read as LATIN1", "`encoding: UTF-16LE`"]),
        ] {
            let yaml = format!("{{from: {file}, table: t{rest}{encoding}}}");
            let error = place.run_in("e1", 1, task, &yaml).await.0.unwrap_err().to_string();
            assert_says(&error, &[&[file][..], &parts].concat());
        }
        assert_eq!(place.t().await, "", "{task}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_keeps_bytes_takes_no_other_encoding() {
    let place = Place::with("encodings_ascii", "").await;
    let name = "load_encodings_bytes_alone";
    place.client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    let make = format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    place.client.batch_execute(&make).await.unwrap();
    let own = place.rows("SELECT current_database()").await;
    let url = place.url.replace(&own, name);
    let client = crate::load::postgres::client(&url).await;
    client.batch_execute(T).await.unwrap();
    place.file("a.csv", b"id,name\n1,\xe9\n");
    let (context, _) = crate::load::postgres::context(place.path(), &url);
    let error = crate::load::run("{from: a.csv, table: t, encoding: LATIN1}", context).await.unwrap_err().to_string();
    assert_says(&error, &["SQL_ASCII", "`encoding` is LATIN1", "`encoding: SQL_ASCII`"]);
    place.file("bytes.csv", b"1,a\n2,\xff\xfe\n3,\xc3\n");
    let (context, _) = crate::load::postgres::context(place.path(), &url);
    let yaml = "{from: bytes.csv, table: t, format: CSV, encoding: SQL_ASCII}";
    crate::load::run_task("postgres.copy_in", yaml, context).await.unwrap();
    let stored = "SELECT string_agg(encode(name::bytea, 'hex'), ' ' ORDER BY id) FROM t";
    assert_eq!(client.query_one(stored, &[]).await.unwrap().get::<_, String>(0), "61 fffe c3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_order_mark_is_no_part_of_the_first_value() {
    let place = Place::with("encodings_mark", T).await;
    place.file("a.csv", "\u{feff}1,x\n2,y\n");
    place.load("{from: a.csv, table: t, header: false, columns: [id, name]}").await.unwrap();
    place.file("b.csv", "\u{feff}z,3\n");
    place.load("{from: b.csv, table: t, header: false, columns: [name, id]}").await.unwrap();
    assert_eq!(place.t().await, "1 x\n2 y\n3 z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_rows_keep_the_bytes_of_the_file() {
    let place = Place::with("encodings_rejected", T).await;
    place.file("a.csv", b"id,name\n1,caf\xe9\n2,b\n3,\"\xff\xfe, x\"\n");
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(counts(&outputs), [3, 1, 2, 0]);
    let context = place.context();
    let storage = Storage::new(context.settings.storage(), context.execution);
    let kept = std::fs::read(storage.path(outputs["rejected_uri"].as_str().unwrap()).unwrap()).unwrap();
    let has = |row: &[u8]| kept.windows(row.len()).any(|bytes| bytes == row);
    assert!(has(b",\"1,caf\xe9\"\n") && has(b",\"3,\"\"\xff\xfe, x\"\"\"\n"), "{}", kept.escape_ascii());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_utf_32_is_named_with_a_remedy() {
    let place = Place::with("encodings_utf32", T).await;
    let text = |bytes: fn(u32) -> [u8; 4]| {
        "id,name\n1,caf\u{e9} €\n".chars().flat_map(|c| bytes(c as u32)).collect::<Vec<_>>()
    };
    let (little, big) = (text(u32::to_le_bytes), text(u32::to_be_bytes));
    let files = [
        ("UTF-32LE", little.clone()),
        ("UTF-32BE", big.clone()),
        ("UTF-32LE", [&b"\xff\xfe\0\0"[..], &little].concat()),
        ("UTF-32BE", [&b"\0\0\xfe\xff"[..], &big].concat()),
    ];
    for (encoding, content) in files {
        place.file("a.csv", content);
        for (task, rest) in [
            ("postgres.load", ""),
            ("postgres.load", ", encoding: UTF-16"),
            ("postgres.load", ", format: ndjson"),
            ("postgres.load", ", schema: infer"),
            ("postgres.copy_in", ", format: CSV, header: true"),
            ("postgres.copy_in", ", format: CSV, header: true, encoding: UTF-16"),
        ] {
            let error = place.run_in("e1", 1, task, &format!("{{from: a.csv, table: t{rest}}}")).await.0;
            let remedy = format!("iconv -f {encoding} -t UTF-8");
            assert_says(&error.unwrap_err().to_string(), &[&format!("the file is {encoding}"), "a.csv", &remedy]);
        }
    }
    assert_eq!(place.t().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_rows_of_another_encoding_are_utf_8() {
    let place = Place::with("encodings_half", T).await;
    let mut wide = utf16("\u{feff}id,name\n1,caf\u{e9}\n2,a", u16::to_le_bytes);
    wide.extend_from_slice(b"\x00\xd8");
    wide.extend(utf16("b\nx,c\u{e9}\n", u16::to_le_bytes));
    place.file("a.csv", wide);
    let outputs = place.load("{from: a.csv, table: t, on_bad_row: {reject: {}}}").await.unwrap();
    assert_eq!(counts(&outputs), [3, 1, 2, 0]);
    let (lines, kept) = crate::load::merges::rejected(&place, &outputs);
    assert_eq!(lines, [3, 4]);
    assert_says(&kept, &["\"2,a\u{fffd}b\"", "\"x,c\u{e9}\""]);
}
