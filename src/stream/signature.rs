//! Files that are no delimited text, known by how they begin.

use super::bytes::{is_web_page, preview};
use crate::diagnostic::Diagnostic;

/// How a file begins, what it is, and what to do.
const SIGNATURES: &[(&[u8], &str, &str)] = &[
    (b"PAR1", "a Parquet file", "read it as one: `format: parquet`, or a name that ends in `.parquet`"),
    (b"Obj\x01", "an Avro file", "export the data as CSV, NDJSON or Parquet"),
    (b"ORC", "an ORC file", "export the data as CSV, NDJSON or Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "export its table as CSV"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", "save it as .xlsx, or its sheet as CSV"),
    (b"%PDF-", "a PDF document", "export the data as CSV"),
    (b"PGDMP", "a dump of pg_dump", "restore it with `pg_restore`"),
    (b"PGCOPY\n\xff\r\n\0", "a file of COPY in binary", "load it with `postgres.copy_in` and `format: BINARY`"),
    (b"BZh", "packed with bzip2", "unpack it before; gzip, zstd and zip are unpacked here"),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it before; gzip, zstd and zip are unpacked here"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it before; gzip, zstd and zip are unpacked here"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it before; gzip, zstd and zip are unpacked here"),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it before; gzip, zstd and zip are unpacked here"),
    (b"\x1f\x8b", "packed with gzip twice", "unpack it once with `file.decompress`"),
];
/// No such file is shorter.
const MIN_LENGTH: usize = 8;

/// What a file is that was to be delimited text; none if it may be that.
pub(super) fn of_text(start: &[u8]) -> Option<Diagnostic> {
    if is_web_page(start) {
        let start = start.get(..256).unwrap_or(start);
        let message = format!("the file is a web page, not data: it starts with `{}`", preview(start));
        return Some(Diagnostic::error(message));
    }
    let is_binary = |magic: &[u8]| {
        let has_controls = start.iter().take(256).any(|byte| *byte < b'\t');
        !magic.is_ascii() || magic.len() > 4 || has_controls || start.get(4..10) == Some(&b"1AY&SY"[..])
    };
    let found =
        SIGNATURES.iter().find(|(magic, ..)| start.len() >= MIN_LENGTH && start.starts_with(magic) && is_binary(magic));
    found.map(|(_, what, help)| Diagnostic::error(format!("the file is {what}, not delimited text")).help(*help))
}

/// What a file is whose header is JSON.
pub(super) fn of_header(start: &[u8]) -> Option<Diagnostic> {
    let start = start.trim_ascii_start();
    let next = start.get(1..).unwrap_or_default().trim_ascii_start().first();
    let (what, help) = match (start.first()?, next) {
        (b'{', Some(b'"' | b'}')) => ("JSON", "read it as such: `format: ndjson`, or a name that ends in `.ndjson`"),
        (b'[', Some(b'{')) => ("a JSON array", "read it as such: `format: json`, or a name that ends in `.json`"),
        _ => return None,
    };
    let shown = preview(start.get(..256).unwrap_or(start));
    Some(Diagnostic::error(format!("the file is {what}, not delimited text: it starts with `{shown}`")).help(help))
}

/// What an archive is that is a document.
pub(super) fn of_archive(names: &[String]) -> Option<Diagnostic> {
    let has = |name: &str| names.iter().any(|other| other == name);
    let (what, help) = match () {
        () if has("xl/workbook.xml") => {
            ("an Excel workbook", "read it as one: `format: excel`, or a name that ends in `.xlsx`")
        }
        () if has("xl/workbook.bin") => ("a binary Excel workbook (.xlsb)", "save it as .xlsx, or its sheet as CSV"),
        () if has("content.xml") && has("mimetype") => {
            ("an OpenDocument file", "save it as .xlsx, or its sheet as CSV")
        }
        () if has("word/document.xml") => ("a Word document", "save its table as CSV"),
        () => return None,
    };
    Some(Diagnostic::error(format!("the file is {what}, not delimited text")).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named_and_text_is_text() {
        let message = |start: &[u8]| of_text(start).map(|found| found.message).unwrap_or_default();
        assert!(message(b"PAR1\x15\x04\x15\x10\0\0").contains("a Parquet file"));
        assert!(message(b"BZh91AY&SY\0\0").contains("bzip2"));
        assert!(message(b"\xfd7zXZ\0\0\x04").contains("xz"));
        assert!(message(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0").contains("Excel"));
        assert!(message(b"\x1f\x8b\x08\0\0\0\0\0").contains("twice"));
        for text in [&b"PAR1,x\n1,2\n"[..], b"ORC,ELF\n1,2\n", b"BZh,b\n1,2\n", b"a,b\n1,2\n", b"PAR1"] {
            assert_eq!(message(text), "", "{text:?}");
        }
        assert!(of_header(b"{ \"a\": 1}\n").unwrap().help.unwrap().contains("`format: ndjson`"));
        assert!(of_header(b"[\n {\"a\": 1}]").unwrap().message.contains("array"));
        for text in [&b"{a},b\n"[..], b"[a],[b]\n", b"a\n", b"[", b""] {
            assert!(of_header(text).is_none(), "{text:?}");
        }
    }
}
