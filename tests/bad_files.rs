//! What a user sees when a file is damaged, cut off, misnamed or odd: an error with a place and a remedy, or the rows.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jitney::diagnostic::Diagnostic;
use jitney::stream::{self, BadRow, Batch, ColumnSpec, ColumnType, ReadOptions, Reader, UnpackLimits};
use jitney::task::Progress;
use polars::prelude::DataFrame;
use tempfile::TempDir;

const TRIPS: &str = "id,fare,note\n1,12.5,a\n2,-.5,\n3,,\"c, d\"\n";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn column(name: &str, kind: ColumnType) -> ColumnSpec {
    ColumnSpec { name: name.to_owned(), kind, required: false, likely: None, shape: None }
}

fn trip_columns() -> Vec<ColumnSpec> {
    vec![column("id", ColumnType::Int(64)), column("fare", ColumnType::Float), column("note", ColumnType::Text)]
}

fn read_with(path: &Path, options: &ReadOptions, wanted: Vec<ColumnSpec>) -> stream::Result<Vec<Batch>> {
    let options =
        ReadOptions { name: Some(path.file_name().unwrap().to_string_lossy().into_owned()), ..options.clone() };
    Reader::open(path, &options, Arc::new(Progress::default()))?.batches(wanted).collect()
}

fn read(path: &Path, wanted: Vec<ColumnSpec>) -> stream::Result<Vec<Batch>> {
    read_with(path, &ReadOptions::default(), wanted)
}

fn error(path: &Path) -> Diagnostic {
    *read(path, trip_columns()).expect_err("the file should be refused")
}

fn rows(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| batch.rows_read).sum()
}

fn bad(batches: &[Batch]) -> Vec<&BadRow> {
    batches.iter().flat_map(|batch| &batch.bad).collect()
}

fn only(path: &Path, wanted: Vec<ColumnSpec>) -> DataFrame {
    let batches = read(path, wanted).unwrap();
    assert_eq!(bad(&batches), Vec::<&BadRow>::new());
    let mut frames = batches.into_iter().map(|batch| batch.frame);
    let first = frames.next().unwrap();
    frames.fold(first, |all, frame| all.vstack(&frame).unwrap())
}

fn ints(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    frame.column(name).unwrap().i64().unwrap().iter().collect()
}

fn texts(frame: &DataFrame, name: &str) -> Vec<Option<String>> {
    frame.column(name).unwrap().str().unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

fn assert_is_trips(path: &Path) {
    let frame = only(path, trip_columns());
    assert_eq!(ints(&frame, "id"), [Some(1), Some(2), Some(3)]);
    let fares: Vec<_> = frame.column("fare").unwrap().f64().unwrap().iter().collect();
    assert_eq!(fares, [Some(12.5), Some(-0.5), None]);
    assert_eq!(texts(&frame, "note"), [Some("a".to_owned()), None, Some("c, d".to_owned())]);
}

#[test]
fn packed_and_plain_files_read_alike() {
    let folder = Folder::new();
    assert_is_trips(&folder.file("a.csv", TRIPS));
    assert_is_trips(&folder.file("a.csv.gz", gzip(TRIPS)));
    assert_is_trips(&folder.file("without_a_telling_name", gzip(TRIPS)));
    assert_is_trips(&folder.file("a.csv.zst", zstd::encode_all(TRIPS.as_bytes(), 1).unwrap()));
    assert_is_trips(&folder.file("a.zip", zip_of(&[("a.csv", TRIPS), ("__MACOSX/._a.csv", "x")])));
}

#[test]
fn all_members_of_a_gzip_file_are_read() {
    let (start, end) = TRIPS.split_at(20);
    let folder = Folder::new();
    assert_is_trips(&folder.file("a.csv.gz", [gzip(start), gzip(end)].concat()));
}

#[test]
fn the_progress_ends_at_the_size_of_the_stored_file() {
    let folder = Folder::new();
    let path = folder.file("a.csv.gz", gzip(TRIPS));
    let progress = Arc::new(Progress::default());
    let reader = Reader::open(&path, &ReadOptions::default(), progress.clone()).unwrap();
    assert_eq!(reader.batches(trip_columns()).count(), 1);
    let size = fs::metadata(&path).unwrap().len();
    assert_eq!(progress.bytes.load(Ordering::Relaxed), size);
    assert_eq!(progress.total_bytes.load(Ordering::Relaxed), size);
}

#[test]
fn a_file_cut_inside_the_gzip_stream_says_so() {
    let folder = Folder::new();
    let whole = gzip(&TRIPS.repeat(50));
    for cut in [whole.len() - 1, whole.len() - 8, whole.len() / 2, 5] {
        let error = error(&folder.file("a.csv.gz", &whole[..cut]));
        assert!(error.message.contains(&format!("ends too early: {cut} bytes in")), "cut at {cut}: {error}");
        assert_eq!(error.file, "a.csv.gz");
        assert!(error.help.unwrap().contains("download it again"));
    }
}

#[test]
fn a_wrong_checksum_is_found_in_every_kind_of_packing() {
    let folder = Folder::new();
    let mut packed = gzip(TRIPS);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let shown = error(&folder.file("a.csv.gz", packed));
    assert!(shown.message.contains("checksum does not match"), "{shown}");

    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(TRIPS.as_bytes()).unwrap();
    let mut packed = encoder.finish().unwrap();
    *packed.last_mut().unwrap() ^= 1;
    let shown = error(&folder.file("a.csv.zst", packed));
    assert!(shown.message.contains("checksum"), "{shown}");

    let mut packed = zip_of(&[("a.csv", TRIPS)]);
    let crc = memchr::memmem::find(&packed, b"PK\x01\x02").unwrap() + 16;
    packed[crc] ^= 1;
    let shown = error(&folder.file("a.zip", packed));
    assert!(shown.message.contains("checksum does not match"), "{shown}");
}

#[test]
fn cut_zstd_and_zip_files_are_refused() {
    let folder = Folder::new();
    let packed = zstd::encode_all(TRIPS.as_bytes(), 1).unwrap();
    let shown = error(&folder.file("a.csv.zst", &packed[..packed.len() - 3]));
    assert!(shown.message.contains("ends too early"), "{shown}");
    let packed = zip_of(&[("a.csv", TRIPS)]);
    let shown = error(&folder.file("a.zip", &packed[..packed.len() - 3]));
    assert!(shown.message.contains("zip archive cannot be read"), "{shown}");
}

#[test]
fn a_zip_archive_of_two_files_is_not_guessed_at() {
    let folder = Folder::new();
    let shown = error(&folder.file("a.zip", zip_of(&[("a.csv", TRIPS), ("b.csv", TRIPS)])));
    assert!(shown.message.contains("holds 2 files"), "{shown}");
    assert!(shown.help.unwrap().contains("a.csv, b.csv"));
}

#[test]
fn a_web_page_in_place_of_data_is_shown() {
    let folder = Folder::new();
    let page = "<!DOCTYPE html>\n<html><title>404 Not Found</title></html>";
    for name in ["a.csv.gz", "a.csv", "a.ndjson"] {
        let shown = error(&folder.file(name, page));
        assert!(shown.message.contains("web page"), "{shown}");
        assert!(shown.message.contains("<title>404 Not Found"), "{shown}");
    }
    let shown = error(&folder.file("b.csv.gz", "Bad credentials"));
    assert!(shown.message.contains("not gzip data: it starts with `Bad credentials`"), "{shown}");
    let shown = error(&folder.file("c.csv.gz", ""));
    assert!(shown.message.contains("empty"), "{shown}");
}

#[test]
fn a_missing_file_is_named() {
    let shown = error(Path::new("/nowhere/a.csv"));
    assert!(shown.message.contains("cannot open the file"), "{shown}");
    assert_eq!(shown.file, "a.csv");
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let folder = Folder::new();
    let path = folder.file("a.csv.gz", gzip(&TRIPS.repeat(100_000)));
    let options =
        ReadOptions { limits: UnpackLimits { max_bytes: 2 << 20, max_ratio: 1000 }, ..ReadOptions::default() };
    let shown = read_with(&path, &options, trip_columns()).unwrap_err();
    assert!(shown.message.contains("limit of 2097152 bytes"), "{shown}");
}

#[test]
fn a_file_cut_in_the_middle_of_a_row_says_so() {
    let folder = Folder::new();
    let batches = read(&folder.file("a.csv", "id,fare,note\n1,2,a\n2,3"), trip_columns()).unwrap();
    assert_eq!(rows(&batches), 2);
    let row = bad(&batches)[0];
    assert_eq!((row.line, row.column, row.text.as_slice()), (3, 0, &b"2,3"[..]));
    assert!(row.message.contains("has 2 fields, the header has 3"), "{}", row.message);
    assert!(row.message.contains("cut in the middle"), "{}", row.message);
}

#[test]
fn short_and_long_rows_are_set_aside() {
    let folder = Folder::new();
    let batches = read(&folder.file("a.csv", "id,fare,note\n1\n2,3,b\n3,4,c,d\n"), trip_columns()).unwrap();
    assert_eq!(rows(&batches), 3);
    assert_eq!(ints(&batches[0].frame, "id"), [Some(2)]);
    let lines: Vec<_> = bad(&batches).iter().map(|row| (row.line, row.message.as_str())).collect();
    assert_eq!(lines, [(2, "the row has 1 field, the header has 3"), (4, "the row has 4 fields, the header has 3")]);
}

#[test]
fn an_invalid_number_is_reported_with_line_and_column() {
    let folder = Folder::new();
    let batches = read(&folder.file("a.csv", "note,id,fare\nä,1,2\n\"ö, u\",2,12x.5\n"), trip_columns()).unwrap();
    assert_eq!(ints(&batches[0].frame, "id"), [Some(1)]);
    let expected = BadRow {
        line: 3,
        column: 10,
        message: "`fare`: `12x.5` is not a number".to_owned(),
        text: "\"ö, u\",2,12x.5".into(),
        hint: None,
    };
    assert_eq!(bad(&batches), [&expected]);
}

#[test]
fn the_leftmost_of_several_faults_is_told() {
    let folder = Folder::new();
    let batches = read(&folder.file("a.csv", "fare,note,id\nx,\"a\"\"b\",y\n"), trip_columns()).unwrap();
    assert_eq!(bad(&batches).len(), 1);
    assert_eq!(bad(&batches)[0].message, "`fare`: `x` is not a number");
    let batches = read(&folder.file("b.csv", "fare,note,id\n1,\"a\"\"b\",y\n"), trip_columns()).unwrap();
    assert_eq!((bad(&batches)[0].line, bad(&batches)[0].column), (2, 10));
}

#[test]
fn a_required_field_may_not_be_empty() {
    let folder = Folder::new();
    let wanted = vec![ColumnSpec { required: true, ..column("fare", ColumnType::Float) }];
    let batches = read(&folder.file("a.csv", TRIPS), wanted).unwrap();
    assert_eq!(bad(&batches)[0].message, "`fare` is empty, and it is required");
    assert_eq!((rows(&batches), batches[0].frame.height()), (3, 2));
}

#[test]
fn a_text_is_read_as_what_it_likely_is_unless_a_value_is_something_else() {
    let folder = Folder::new();
    let wanted = || vec![ColumnSpec { likely: Some(ColumnType::Float), ..column("fare", ColumnType::Text) }];
    let likely = only(&folder.file("a.csv", TRIPS), wanted());
    assert_eq!(likely.column("fare").unwrap().f64().unwrap().to_vec(), [Some(12.5), Some(-0.5), None]);
    let other = only(&folder.file("b.csv", "fare\n12.50\nfree\n"), wanted());
    assert_eq!(texts(&other, "fare"), some(&["12.50", "free"]));
}

#[test]
fn text_that_is_not_utf8_is_a_bad_row() {
    let folder = Folder::new();
    let batches = read(&folder.file("a.csv", b"id,fare,note\n1,2,caf\xe9\n2,3,caf\xc3\xa9\n"), trip_columns()).unwrap();
    assert_eq!(texts(&batches[0].frame, "note"), some(&["café"]));
    assert!(bad(&batches)[0].message.ends_with("is not valid UTF-8 text"), "{}", bad(&batches)[0].message);
    let batches = read(&folder.file("b.csv", b"id,fare,note\n1,2,a\0b\n"), trip_columns()).unwrap();
    assert!(bad(&batches)[0].message.contains("zero byte"), "{}", bad(&batches)[0].message);
}

#[test]
fn a_missing_column_offers_the_nearest_name() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "VendorID,fare_amt\n1,2\n");
    let shown = read(&path, vec![column("fare_amount", ColumnType::Float)]).unwrap_err();
    assert_eq!(shown.message, "the file has no column `fare_amount`");
    assert_eq!(shown.help.as_deref(), Some("did you mean `fare_amt`? The file has: VendorID, fare_amt"));
    assert_eq!((shown.file.as_str(), shown.line), ("a.csv", 1));
}

#[test]
fn a_header_that_names_a_column_twice_is_refused() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "id,fare,id\n1,2,3\n");
    let shown = read(&path, vec![column("id", ColumnType::Int(64))]).unwrap_err();
    assert_eq!(shown.message, "the header names the column `id` twice");
    assert_eq!(ints(&only(&path, vec![column("fare", ColumnType::Int(64))]), "fare"), [Some(2)]);
}

#[test]
fn columns_go_by_name_wherever_they_stand() {
    let folder = Folder::new();
    let frame = only(&folder.file("a.csv", "\u{feff}\"note\", extra ,id \nx,?,7\n"), trip_columns()[..1].to_vec());
    assert_eq!(ints(&frame, "id"), [Some(7)]);
    let wanted = vec![column("note", ColumnType::Text), column("id", ColumnType::Text)];
    let frame = only(&folder.file("b.csv", "id,extra,note\n1,?,x\n"), wanted);
    let names: Vec<_> = frame.get_column_names().iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["note", "id"]);
}

#[test]
fn line_ends_and_blank_lines_do_not_matter() {
    let folder = Folder::new();
    for content in [
        "id,x\n1,\n2,\n",
        "id,x\r\n1,\r\n2,\r\n",
        "id,x\r1,\r2,\r",
        "id,x\n\n1,\n2,",
        "id,x\r\n\r\n1,\r\n\r\n2,\r\n\r\n",
        "\nid,x\n1,\n2,\n\n\n",
    ] {
        let frame = only(&folder.file("a.csv", content), trip_columns()[..1].to_vec());
        assert_eq!(ints(&frame, "id"), [Some(1), Some(2)], "{content:?}");
    }
}

#[test]
fn line_numbers_count_blank_lines_and_line_ends_in_quotes() {
    let folder = Folder::new();
    let content = "id,fare,note\r\n\r\n1,2,\"a\r\nb\n\"\"c\"\"\"\r\nx,3,d\r\n";
    let batches = read(&folder.file("a.csv", content), trip_columns()).unwrap();
    assert_eq!(texts(&batches[0].frame, "note"), some(&["a\r\nb\n\"c\""]));
    assert_eq!((bad(&batches)[0].line, bad(&batches)[0].column), (6, 1));
}

#[test]
fn only_an_empty_text_in_quotes_is_not_null() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "id,fare,note\n\"\",\"\",\"\"\n,,\n\\N,\\N,\\N\n\"1\",\"2\",\"\\N\"\n");
    let options = ReadOptions { null_strings: vec!["\\N".to_owned()], ..ReadOptions::default() };
    let batches = read_with(&path, &options, trip_columns()).unwrap();
    assert_eq!(bad(&batches), Vec::<&BadRow>::new());
    let frame = &batches[0].frame;
    assert_eq!(ints(frame, "id"), [None, None, None, Some(1)]);
    assert_eq!(texts(frame, "note"), [Some(String::new()), None, None, Some("\\N".to_owned())]);
}

#[test]
fn other_delimiters_quotes_and_escapes_are_read() {
    let folder = Folder::new();
    let path = folder.file("a.tsv", "1\t'it\\'s\t\\x'\n2\tplain\n");
    let options = ReadOptions {
        delimiter: b'\t',
        quote: Some(b'\''),
        escape: b'\\',
        header: false,
        columns: Some(vec!["id".to_owned(), "note".to_owned()]),
        ..ReadOptions::default()
    };
    let wanted = vec![column("id", ColumnType::Int(32)), column("note", ColumnType::Text)];
    let batches = read_with(&path, &options, wanted.clone()).unwrap();
    assert_eq!(texts(&batches[0].frame, "note"), some(&["it's\t\\x", "plain"]));
    let shown = read_with(&path, &ReadOptions { columns: None, ..options }, wanted).unwrap_err();
    assert!(shown.message.contains("`columns` does not name"), "{shown}");
}

#[test]
fn a_quote_that_never_closes_is_found_where_it_opens() {
    let folder = Folder::new();
    let shown = error(&folder.file("a.csv", "id,fare,note\n1,2,a\n2,3,\"b\n3,4,c\n"));
    assert_eq!(shown.line, 3);
    assert!(shown.message.contains("never closes"), "{shown}");
}

#[test]
fn quotes_within_a_field_are_those_of_copy() {
    let folder = Folder::new();
    let content = "note\na\"b,\"\"\"\"c\"d\n \"e\"\n\"f\"g\n\"\"\n\n\"\n\"\"\n\"h\n";
    let frame = only(&folder.file("a.csv", content), vec![column("note", ColumnType::Text)]);
    let expected = [Some("ab,\"\"cd"), Some(" e"), Some("fg"), Some(""), None, Some("\n\"\nh")];
    assert_eq!(texts(&frame, "note"), expected.map(|text| text.map(str::to_owned)));
}

#[test]
fn comments_and_skipped_lines_are_no_rows() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "made by \"x\n#\"\nid,fare,note\n#1\n1,2,a\n#\"\n\nx,3,b\n# end");
    let options = ReadOptions { skip_lines: 1, comment: "#".to_owned(), ..ReadOptions::default() };
    let batches = read_with(&path, &options, trip_columns()).unwrap();
    assert_eq!(ints(&batches[0].frame, "id"), [Some(1)]);
    assert_eq!((rows(&batches), bad(&batches)[0].line), (2, 8));
    let path = folder.file("b.csv", "made by x");
    let shown = read_with(&path, &options, trip_columns()).unwrap_err();
    assert!(shown.message.contains("the file ends before its header"), "{shown}");
}

#[test]
fn rows_that_span_blocks_are_whole() {
    let folder = Folder::new();
    let mut content = "id,fare,note\n".to_owned();
    for id in 0..60_000 {
        content += &format!("{id},{id}.25,\"row \"\"{id}\"\"\nof many\"\n");
    }
    assert!(content.len() > 2 << 20, "the file should span blocks");
    let batches = read(&folder.file("a.csv.gz", gzip(&content)), trip_columns()).unwrap();
    assert!(batches.len() > 1);
    assert_eq!(rows(&batches), 60_000);
    let ids: Vec<_> = batches.iter().flat_map(|batch| ints(&batch.frame, "id")).collect();
    assert_eq!(ids, (0..60_000).map(Some).collect::<Vec<_>>());
    let notes: Vec<_> = batches.iter().flat_map(|batch| texts(&batch.frame, "note")).flatten().collect();
    assert_eq!(notes[59_999], "row \"59999\"\nof many");
}

#[test]
fn a_file_without_rows_still_has_columns() {
    let folder = Folder::new();
    let frame = only(&folder.file("a.csv", "id,fare,note\n"), trip_columns());
    assert_eq!((frame.height(), frame.width()), (0, 3));
    let reader = Reader::open(&folder.file("b.csv", ""), &ReadOptions::default(), Arc::default()).unwrap();
    assert!(reader.is_empty() && reader.columns().is_empty());
}

#[test]
fn json_lines_are_typed_and_their_faults_located() {
    let folder = Folder::new();
    let content = "{\"id\": 1, \"fare\": 12.5, \"note\": \"a\"}\n\n{\"id\": 2.0, \"note\": null}\n{\"id\": \"x\"}\n{\"id\": 4,}\n{\"id\": 5";
    let path = folder.file("a.ndjson", content);
    let reader = Reader::open(&path, &ReadOptions::default(), Arc::new(Progress::default())).unwrap();
    let kinds: Vec<_> = reader.columns().iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(
        kinds,
        [("id", Some(ColumnType::Text)), ("fare", Some(ColumnType::Float)), ("note", Some(ColumnType::Text))]
    );
    let batches = read(&path, trip_columns()).unwrap();
    assert_eq!(rows(&batches), 5);
    assert_eq!(batches.iter().flat_map(|batch| ints(&batch.frame, "id")).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let bad = bad(&batches);
    assert_eq!((bad[0].line, bad[0].message.as_str()), (4, "`id`: `x` is not a number"));
    assert_eq!((bad[1].line, bad[1].column), (5, 10));
    assert!(bad[2].message.contains("cut in the middle"), "{}", bad[2].message);
}

#[test]
fn json_documents_are_read_value_by_value_and_their_faults_located() {
    let folder = Folder::new();
    let wanted = || vec![column("id", ColumnType::Int(64))];
    let ids = |path: &Path| {
        let batches = read(path, wanted()).unwrap();
        batches.iter().flat_map(|batch| ints(&batch.frame, "id")).collect::<Vec<_>>()
    };
    assert_eq!(ids(&folder.file("a.json", " [ {\"id\": 1},{\"id\":2}\n, {\"x\": 0} ]\n")), [Some(1), Some(2), None]);
    assert_eq!(ids(&folder.file("b.json", "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n")), [Some(1), Some(2)]);
    assert_eq!(ids(&folder.file("c.json", "{\"id\": 1}\n\n{\"id\": 2}")), [Some(1), Some(2)]);

    let batches = read(&folder.file("d.json", "[{\"id\": 1},\n {\"id\": \"x\"}, 7]"), wanted()).unwrap();
    let bad = bad(&batches);
    assert_eq!((bad[0].line, bad[0].column, bad[0].message.as_str()), (2, 9, "`id`: `x` is not a number"));
    assert_eq!((bad[1].line, bad[1].column), (2, 15));
    assert!(bad[1].message.starts_with("row 3: the value is not a JSON object"), "{}", bad[1].message);

    let broken = read(&folder.file("e.json", "[\n  {\"id\": 1},\n  {\"id\": 2,}\n]"), wanted()).unwrap_err();
    assert_eq!((broken.line, broken.column), (3, 12));
    assert!(broken.message.contains("expected a key in double quotes, found `}`"), "{broken}");
    let shown = read(&folder.file("f.json", "[{\"id\": 1},\n {\"id\": 2"), wanted()).unwrap_err();
    assert!(shown.message.contains("cut in the middle"), "{shown}");
    assert_eq!((shown.line, shown.column), (2, 2));
    let lines = read(&folder.file("g.ndjson", "[\n{\"id\" : 1}\n]\n"), wanted()).unwrap();
    assert!(lines[0].bad[0].hint.as_deref().unwrap_or_default().contains("format: json"), "{:?}", lines[0].bad);
}

/// A file's name and content, the place of its mistake, and how the message begins.
type JsonMistake = (&'static str, &'static [u8], (u64, usize), &'static str);

#[test]
fn a_mistake_in_json_has_its_line_and_column() {
    let folder = Folder::new();
    let cases: [JsonMistake; 9] = [
        ("a.json", b"[{\"id\": 1}, {\"id\": \"x\"}]", (1, 20), "row 2: `id`: `x` is not a number"),
        ("b.json", "[{\"id\": 1, \"é\": \"é\"}, {\"id\": \"x\"}]".as_bytes(), (1, 30), "row 2: `id`"),
        ("c.json", b"[\n{\n  \"id\":\n   \"x\"\n}]", (4, 4), "`id`: `x` is not a number"),
        ("d.json", b"{\"a\": 1,\n \"id\": \"x\"}\n", (2, 8), "`id`: `x` is not a number"),
        ("e.json", b"[{\"id\": 1},\n  {\"n\": \"\xff\"}]", (2, 10), "the value is not valid UTF-8 text"),
        ("f.ndjson", b"{\"id\": 1}\n{\"n\": \"\xc3\xa9\xff\"}", (2, 9), "the line is not valid UTF-8 text"),
        ("g.ndjson", b"\n{\"id\": \"\xff\"}", (2, 9), "the line is not valid UTF-8 text"),
        ("h.ndjson", b"\n{\"id\": tru}", (2, 8), "expected a value, found `tru`"),
        ("i.json", b"[{\"id\": 1}, {\"id\":\n nil}]", (2, 2), "expected a value, found `nil`"),
    ];
    for (name, content, place, said) in cases {
        let wanted = vec![column("id", ColumnType::Int(64))];
        let found = match read(&folder.file(name, content), wanted) {
            Ok(batches) => {
                let bad = bad(&batches).remove(0);
                (bad.line, bad.column, bad.message.clone())
            }
            Err(error) => (error.line as u64, error.column, error.message),
        };
        assert_eq!((found.0, found.1), place, "{name}: {}", found.2);
        assert!(found.2.contains(said), "{name}: {}", found.2);
    }
    let long = format!("[{}{{\"id\": \"x\"}}]", "{\"id\": 1}, ".repeat(300_000));
    let batches = read(&folder.file("j.json", long), vec![column("id", ColumnType::Int(64))]).unwrap();
    assert_eq!((bad(&batches)[0].line, bad(&batches)[0].column), (1, 1 + 11 * 300_000 + 8));
}

#[test]
fn a_parquet_file_gives_the_same_rows_as_the_csv_file_it_came_from() {
    let folder = Folder::new();
    let csv = folder.file("a.csv", "id,fare,note,day,at,zoned,yes,precise\n1,2.5,a,2020-04-01,2020-04-01 00:44:02,2020-04-01 02:00:00+02,t,1.10\n2,,,,,,,\n3,4.0,,,,,,\n");
    let wanted = vec![
        column("id", ColumnType::Int(32)),
        column("fare", ColumnType::Float),
        column("note", ColumnType::Text),
        column("day", ColumnType::Date),
        column("at", ColumnType::Timestamp),
        column("zoned", ColumnType::TimestampTz),
        column("yes", ColumnType::Bool),
        column("precise", ColumnType::Numeric),
    ];
    let from_csv = only(&csv, wanted.clone());
    for name in ["b.parquet", "b.csv", "b.csv.gz"] {
        let written = folder.0.path().join(name);
        let source = Reader::open(&csv, &ReadOptions::default(), Arc::new(Progress::default())).unwrap();
        assert_eq!(stream::write(&written, source.batches(wanted.clone())).unwrap(), 3);
        assert!(only(&written, wanted.clone()).equals_missing(&from_csv), "{name} differs");
    }
    let text = fs::read_to_string(folder.0.path().join("b.csv")).unwrap();
    assert_eq!(text.lines().nth(1), Some("1,2.5,a,2020-04-01,2020-04-01 00:44:02,2020-04-01 00:00:00+00,true,1.10"));

    let whole_fares = vec![column("fare", ColumnType::Int(16))];
    let batches = read(&folder.0.path().join("b.parquet"), whole_fares).unwrap();
    assert_eq!(bad(&batches).len(), 1);
    assert_eq!(bad(&batches)[0].message, "row 1: `fare`: `2.5` is not a whole number");
    assert_eq!(ints(&batches[0].frame, "fare"), [None, Some(4)]);
}

#[test]
fn a_parquet_file_that_is_cut_packed_or_none_is_refused() {
    let folder = Folder::new();
    let whole = folder.0.path().join("a.parquet");
    let source =
        Reader::open(&folder.file("a.csv", TRIPS), &ReadOptions::default(), Arc::new(Progress::default())).unwrap();
    stream::write(&whole, source.batches(trip_columns())).unwrap();
    let bytes = fs::read(&whole).unwrap();
    let shown = error(&folder.file("b.parquet", &bytes[..bytes.len() - 10]));
    assert!(shown.message.contains("cut off"), "{shown}");
    let shown = error(&folder.file("c.parquet", TRIPS));
    assert!(shown.message.contains("not a Parquet file"), "{shown}");
    let shown = error(&folder.file("d.parquet", gzip(TRIPS)));
    assert!(shown.help.unwrap().contains("file.decompress"));
}

/// A file of one column whose index says that it begins before the file does.
const OUTSIDE: &str = "UEFSMRUAFRQVFCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAFQIZLDUAGAZzY2hlbWEVAgAVAiUCGAFhABYCGRwZHCYAHBUCGSUG\
ABkYAWEVABYCFjoWOyYISRwVABUAFQIAPCkGGSYAAgAAABY6FgImCBY6ACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZHBwAAAB6AAAAUEFSMQ==";

/// What a damaged file comes to: rows, or an error in words.
fn outcome(path: &Path) -> Result<u64, Box<Diagnostic>> {
    let reader = Reader::open(path, &ReadOptions::default(), Arc::new(Progress::default()))?;
    let wanted = reader.columns().iter().map(|(name, kind)| column(name, kind.unwrap_or(ColumnType::Text))).collect();
    reader.batches(wanted).try_fold(0, |rows, batch| Ok(rows + batch?.rows_read))
}

#[test]
fn a_parquet_index_that_points_out_of_the_file_is_refused() {
    use base64::Engine as _;
    let folder = Folder::new();
    let bytes = base64::engine::general_purpose::STANDARD.decode(OUTSIDE).unwrap();
    let shown = outcome(&folder.file("a.parquet", bytes)).unwrap_err();
    assert!(
        shown.message.starts_with("the Parquet file is damaged: column `a` of row group 1: a negative place"),
        "{shown}"
    );
    assert!(shown.help.unwrap().contains("download it again"));
}

#[test]
fn a_parquet_index_with_more_columns_than_it_has_bytes_is_refused() {
    let folder = Folder::new();
    // Version 1, and a schema, or row groups, of 2,147,483,647 items.
    for field in [0x19, 0x39] {
        let index = [0x15, 2, field, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        let bytes = [b"PAR1", index.as_slice(), &10_u32.to_le_bytes(), b"PAR1"].concat();
        let shown = outcome(&folder.file("a.parquet", bytes)).unwrap_err();
        assert_eq!(shown.message, "cannot read the Parquet file: its index is damaged");
    }
}

#[test]
fn a_parquet_file_with_any_byte_changed_is_read_or_refused() {
    let folder = Folder::new();
    let whole = folder.0.path().join("whole.parquet");
    let source =
        Reader::open(&folder.file("a.csv", TRIPS), &ReadOptions::default(), Arc::new(Progress::default())).unwrap();
    stream::write(&whole, source.batches(trip_columns())).unwrap();
    let bytes = fs::read(&whole).unwrap();
    let mut refused = 0;
    for at in 0..bytes.len() {
        for value in [bytes[at] ^ 1, bytes[at] ^ 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let path = folder.file(&format!("{at}-{value}.parquet"), changed);
            match outcome(&path) {
                Ok(rows) => assert_eq!(rows, 3, "{}", path.display()),
                Err(shown) => {
                    assert!(!shown.message.is_empty() && !shown.file.is_empty(), "{shown}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > bytes.len(), "{refused} of {}", 3 * bytes.len());
}

fn parquet(path: &Path, frame: &mut DataFrame) {
    let writer = polars::prelude::ParquetWriter::new(fs::File::create(path).unwrap());
    writer.with_row_group_size(Some(frame.height())).finish(frame).unwrap();
}

#[test]
fn a_large_row_group_is_read_in_portions_in_order() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.parquet");
    let numbers: Vec<i64> = (0..6_000_000).collect();
    let column_of = polars::prelude::Column::new("id".into(), numbers);
    parquet(&path, &mut DataFrame::new(6_000_000, vec![column_of]).unwrap());
    let mut next = 0;
    for batch in Reader::open(&path, &ReadOptions::default(), Arc::new(Progress::default()))
        .unwrap()
        .batches(vec![column("id", ColumnType::Int(64))])
    {
        for id in ints(&batch.unwrap().frame, "id") {
            assert_eq!(id, Some(next));
            next += 1;
        }
    }
    assert_eq!(next, 6_000_000);
}

#[test]
fn texts_of_a_parquet_file_that_unpack_beyond_measure_are_refused() {
    let folder = Folder::new();
    let path = folder.0.path().join("a.parquet");
    let long = "x".repeat(17 << 20);
    let texts = polars::prelude::Column::new("note".into(), ["a", long.as_str()]);
    parquet(&path, &mut DataFrame::new(2, vec![texts]).unwrap());
    assert!(fs::metadata(&path).unwrap().len() < 20_000);
    let shown = outcome(&path).unwrap_err();
    assert_eq!(shown.message, "row 2: `note` is larger than 16 MiB");
    let tight = ReadOptions { limits: UnpackLimits { max_bytes: 1 << 20, max_ratio: 1000 }, ..ReadOptions::default() };
    let shown = read_with(&path, &tight, vec![column("note", ColumnType::Text)]).unwrap_err();
    assert!(shown.message.contains("unpacks to more than the limit of 1048576 bytes"), "{shown}");
}

#[test]
fn a_failed_write_leaves_no_file() {
    let folder = Folder::new();
    let source = folder.file("a.csv", "id,fare,note\nx,1,a\n");
    let target = folder.0.path().join("b.parquet");
    let reader = Reader::open(&source, &ReadOptions::default(), Arc::new(Progress::default())).unwrap();
    let shown = stream::write(&target, reader.batches(trip_columns())).unwrap_err();
    assert_eq!((shown.line, shown.column), (2, 1));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1, "only the source should be left");
}
