//! Lines before the header of a CSV file: a title, comments, or the line in which Excel says what separates the fields.

use super::dialect::{self, DELIMITERS};
use super::evidence::Evidence;
use crate::diagnostic::Diagnostic;
use crate::stream::{ReadOptions, Result};

/// The most lines before a header that are told from it.
const MAX_LINES: usize = 20;
/// What comments begin with.
const COMMENT_MARKS: [&[u8]; 5] = [b"#", b"//", b"%", b"--", b"!"];

/// The delimiter that a first line `sep=;` names, as Excel reads it.
pub(super) fn named_delimiter(text: &[u8]) -> Option<u8> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line.split_at_checked(4)? {
        (name, [delimiter]) if name.eq_ignore_ascii_case(b"sep=") && delimiter.is_ascii() => Some(*delimiter),
        _ => None,
    }
}

/// Refuses a file whose first line is hardly its header: the first lines have one field, and the others several.
///
/// # Errors
/// With what to write.
pub(super) fn check(text: &[u8], options: &ReadOptions, has_delimiter: bool, is_whole: bool, name: &str) -> Result<()> {
    let own = dialect::rows(text, options, is_whole);
    let is_told = has_delimiter || own.first().is_none_or(|first| first.len() > 1);
    let others = DELIMITERS.into_iter().filter(|other| !is_told && *other != options.delimiter);
    let found = Preamble::of(text, options, is_whole, true).or_else(|| {
        let mut all = others.map(|delimiter| ReadOptions { delimiter, ..options.clone() });
        all.find_map(|options| Preamble::of(text, &options, is_whole, false))
    });
    let Some(found) = found else { return Ok(()) };
    let first = options.skip_lines + 1;
    let message = format!(
        "line {first} is hardly the header: it has a single value, and line {} has {} fields",
        found.header, found.width
    );
    let header = match (found.is_wide, found.delimiter == options.delimiter) {
        (true, _) => ", or `header: true` if it is the header".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!(", or `delimiter: '{}'` if the file has one column", char::from(options.delimiter)),
    };
    let skip = format!("`skip_lines: {}` to begin at line {}", found.header - 1, found.header);
    let help = match found.comment {
        Some(mark) => format!("write `comment: '{mark}'` if such lines are comments, or {skip}{header}"),
        None => format!("write {skip}{header}"),
    };
    let mut error = Diagnostic::error(message).help(help);
    (error.file, error.line) = (name.to_owned(), usize::try_from(first).unwrap_or(usize::MAX));
    Err(Box::new(error))
}

/// What seems to stand before the header.
struct Preamble {
    delimiter: u8,
    /// The line of the header.
    header: u64,
    /// How many fields that has.
    width: usize,
    /// Whether the lines before it have as many, though empty ones.
    is_wide: bool,
    /// What the lines before it begin with, if they look like comments.
    comment: Option<String>,
}

impl Preamble {
    /// `is_own`: the delimiter is the file's by all that is known; otherwise every row must agree.
    fn of(text: &[u8], options: &ReadOptions, is_whole: bool, is_own: bool) -> Option<Self> {
        let rows = dialect::rows(text, options, is_whole);
        let width = rows.last().map_or(0, Vec::len);
        let filled = |row: &Vec<Vec<u8>>| row.iter().filter(|field| !field.is_empty()).count();
        let at = rows.iter().position(|row| row.len() == width && filled(row) > 1)?;
        let (before, rest) = rows.split_at_checked(at)?;
        let (first, header) = (before.first()?, rest.first()?);
        let is_single = |row: &Vec<Vec<u8>>| row.iter().skip(1).all(Vec::is_empty);
        let same = rest.iter().filter(|row| row.len() == width).count();
        let agrees = if is_own { same * 10 >= rest.len() * 9 } else { same == rest.len() };
        let is_title = at <= MAX_LINES && before.iter().all(is_single) && !first.iter().all(Vec::is_empty);
        if !is_title || !agrees || rest.len() < 2 || first.first().is_none_or(Vec::is_empty) {
            return None;
        }
        let is_wide = before.iter().any(|row| row.len() > 1);
        if (is_wide || !is_own) && !names_columns(header, options) {
            return None;
        }
        let begins = |mark: &&[u8]| before.iter().all(|row| row.first().is_some_and(|field| field.starts_with(mark)));
        let comment =
            COMMENT_MARKS.iter().find(|mark| begins(mark)).map(|mark| String::from_utf8_lossy(mark).into_owned());
        let header = dialect::line_of(text, options, is_whole, at)?;
        Some(Self { delimiter: options.delimiter, header, width, is_wide, comment })
    }
}

/// Whether each field may be the name of a column.
fn names_columns(row: &[Vec<u8>], options: &ReadOptions) -> bool {
    row.iter().all(|field| {
        let mut evidence = Evidence::default();
        evidence.field(field, &options.conversions, 1);
        !field.is_empty() && field.trim_ascii() == *field && !evidence.is_typed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        let options = ReadOptions::default();
        let delimiter = dialect::delimiter(text.as_bytes(), &options, true);
        let options = ReadOptions { delimiter, ..options };
        check(text.as_bytes(), &options, false, true, "a.csv").err().map(|error| error.to_string())
    }

    #[test]
    fn lines_before_the_header_are_told_from_it() {
        for (text, part) in [
            ("# hello\n# world\nid,v\n1,2\n", "`comment: '#'` if such lines are comments, or `skip_lines: 2`"),
            ("Report 2024\nid,v\n1,2\n", "line 1 is hardly the header: it has a single value, and line 2 has 2 fields"),
            ("Report 2024\n\nid;v\n1;2\n", "`skip_lines: 2` to begin at line 3, or `delimiter: ','`"),
            ("Report,,\nid,v,w\n1,2,3\n", "`skip_lines: 1` to begin at line 2, or `header: true`"),
        ] {
            let said = refusal(text).unwrap_or_default();
            assert!(said.contains(part), "{text:?}: {said}");
        }
        for text in [
            "id,v\n1,2\n",
            ",x\n0,5\n1,6\n",
            "id,,\n1,a,b\n2,a,b\n",
            "note\na; b\nc; d\n",
            "note\nx\ny\n",
            "a,b\n1\n2,3\n",
            "a\n1,5\n",
            "",
        ] {
            assert_eq!(refusal(text), None, "{text:?}");
        }
    }

    #[test]
    fn excels_own_line_names_the_delimiter() {
        for (text, expected) in [
            ("sep=;\nid;v\n", Some(b';')),
            ("SEP=,\r\nid,v\r\n", Some(b',')),
            ("\u{feff}\"sep=\t\"\na\tb\n", Some(b'\t')),
            ("sep=\nid\n", None),
            ("sep=;x\n", None),
            ("se", None),
        ] {
            assert_eq!(named_delimiter(text.as_bytes()), expected, "{text:?}");
        }
    }
}
