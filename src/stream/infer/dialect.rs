//! How a CSV file is written, told by its beginning: what separates its fields, and whether its first line names its columns.

use super::evidence::Evidence;
use crate::diagnostic::Diagnostic;
use crate::stream::split::RowSplitter;
use crate::stream::{ReadOptions, Result};

/// What may separate fields; of those that do so equally well the first. A comma may be a decimal one.
pub(super) const DELIMITERS: [u8; 4] = *b"\t|;,";
/// Rows that are looked at.
const SAMPLE_ROWS: usize = 1000;
/// Whole numbers that may be years, which name columns in some files.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2100;

/// The first rows of a file as their fields.
pub(super) fn rows(text: &[u8], options: &ReadOptions, is_whole: bool) -> Vec<Vec<Vec<u8>>> {
    let Some(splitter) = split(text, options, is_whole) else { return Vec::new() };
    let fields = |row| (0..).map_while(|column| splitter_field(&splitter, row, column)).collect();
    splitter.found().iter().map(fields).collect()
}

/// The line on which one of these rows starts, from 1.
pub(super) fn line_of(text: &[u8], options: &ReadOptions, is_whole: bool, row: usize) -> Option<u64> {
    split(text, options, is_whole)?.found().get(row).map(|row| row.line)
}

fn split(text: &[u8], options: &ReadOptions, is_whole: bool) -> Option<RowSplitter> {
    let mut splitter = RowSplitter::new(options.dialect(), options.skip_lines);
    splitter.push(text);
    if is_whole {
        splitter.end();
    }
    splitter.split(SAMPLE_ROWS).ok()?;
    Some(splitter)
}

fn splitter_field(splitter: &RowSplitter, row: &crate::stream::split::Row, column: usize) -> Option<Vec<u8>> {
    (column < row.width as usize).then(|| splitter.field(row, column).unwrap_or_default().to_owned())
}

/// What separates the fields: what gives most rows as many fields as the first one, and more than one.
pub(super) fn delimiter(text: &[u8], options: &ReadOptions, is_whole: bool) -> u8 {
    let score = |delimiter: u8| {
        let rows = rows(text, &ReadOptions { delimiter, ..options.clone() }, is_whole);
        let width = rows.first().map_or(0, Vec::len);
        let same = rows.iter().filter(|row| row.len() == width).count();
        // A few ragged rows do not make another character the delimiter.
        let is_consistent = width > 1 && same * 10 >= rows.len() * 9;
        (is_consistent, if is_consistent { 0 } else { same.min(1) * width })
    };
    let mut best = (b',', (false, 1));
    for delimiter in DELIMITERS {
        let found = score(delimiter);
        if found > best.1 && (found.0 || !best.1.0) {
            best = (delimiter, found);
        }
    }
    best.0
}

/// Whether the first row names the columns.
///
/// # Errors
/// When it may be either.
pub(super) fn has_header(rows: &[Vec<Vec<u8>>], options: &ReadOptions, name: &str) -> Result<bool> {
    let Some((first, rest)) = rows.split_first() else { return Ok(true) };
    let conversions = &options.conversions;
    let is_typed = |field: &Vec<u8>| {
        let mut evidence = Evidence::default();
        evidence.field(field, conversions, 1);
        evidence.is_typed()
    };
    if rest.is_empty() {
        return Ok(!first.iter().any(is_typed));
    }
    let mut columns = vec![Evidence::default(); first.len()];
    for (row, line) in rest.iter().zip(2..) {
        row.iter().zip(&mut columns).filter(|(field, _)| !field.is_empty()).for_each(|(field, column)| {
            column.field(field, conversions, line);
        });
    }
    let typed = first.iter().zip(&columns).filter(|(_, column)| column.is_typed());
    let answers: Vec<(&Vec<u8>, bool)> =
        typed.filter_map(|(field, column)| Some((field, column.would_take(field, conversions)?))).collect();
    if answers.is_empty() || answers.iter().any(|(_, fits)| !fits) {
        return Ok(true);
    }
    let is_year = |field: &Vec<u8>| {
        let year = std::str::from_utf8(field).ok().and_then(|text| text.trim().parse().ok());
        year.is_some_and(|year| YEARS.contains(&year))
    };
    if answers.iter().all(|(field, _)| is_year(field)) {
        let mut error =
            Diagnostic::error("whether the first line names the columns cannot be told: its numbers may be years")
                .help("write `header: true` or `header: false`");
        (error.file, error.line) = (name.to_owned(), 1);
        return Err(Box::new(error));
    }
    Ok(false)
}

/// Bytes of a name that servers tell from another one.
const NAME_BYTES: usize = 63;

/// Names for all columns, where the header leaves some without one, or gives one to several; none where it does not.
pub(super) fn own_names(header: &[Vec<u8>]) -> Option<Vec<String>> {
    let given: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    let folded = |name: &str| cut(name, NAME_BYTES).to_lowercase();
    let is_taken = |names: &[String], name: &str| names.iter().any(|other| folded(other) == folded(name));
    let mut names: Vec<String> = Vec::new();
    for (index, name) in given.iter().enumerate() {
        let base = if name.is_empty() { format!("column_{}", index + 1) } else { name.clone() };
        let candidates = std::iter::once(base.clone()).chain((2..).map(|number| numbered(&base, number)));
        // A later column may have the name by right.
        let is_free = |candidate: &String| {
            let is_of_another = || given.iter().any(|other| cut(other, NAME_BYTES) == cut(candidate, NAME_BYTES));
            !is_taken(&names, candidate) && (*candidate == *name || !is_of_another())
        };
        names.extend(candidates.into_iter().find(is_free));
    }
    let is_same = |name: &str, other: &str| cut(name, NAME_BYTES) == cut(other, NAME_BYTES);
    let is_needed = given
        .iter()
        .enumerate()
        .any(|(index, name)| name.is_empty() || given[..index].iter().any(|other| is_same(name, other)));
    is_needed.then_some(names)
}

fn numbered(base: &str, number: usize) -> String {
    let end = format!("_{number}");
    format!("{}{end}", cut(base, NAME_BYTES - end.len()))
}

/// The first so many bytes of a name, or fewer where a letter ends behind them.
fn cut(name: &str, bytes: usize) -> &str {
    name.get(..name.floor_char_boundary(bytes)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (char, Option<bool>) {
        let options = ReadOptions::default();
        let delimiter = delimiter(text.as_bytes(), &options, true);
        let options = ReadOptions { delimiter, ..options };
        let rows = rows(text.as_bytes(), &options, true);
        (char::from(delimiter), has_header(&rows, &options, "a.csv").ok())
    }

    #[test]
    fn a_files_beginning_tells_how_it_is_written() {
        for (text, expected) in [
            ("a,b\n1,2\n", (',', Some(true))),
            ("a;b\n1,5;2,5\n", (';', Some(true))),
            ("1,5;2,5\n1,5;3,5\n", (';', Some(true))),
            ("a\tb c\n1\tx,y\n", ('\t', Some(true))),
            ("a|b\n1|2;3\n", ('|', Some(true))),
            ("a,b\n\"x;y\",2\n\"z\",3\n", (',', Some(true))),
            ("a,note\n1,x;y\n2,z\n", (',', Some(true))),
            ("a\n1\n", (',', Some(true))),
            ("a;b\n1;2;3\n", (';', Some(true))),
            ("1,2020-04-01\n2,2020-04-02\n", (',', Some(false))),
            ("x,1\ny,2\n", (',', Some(false))),
            ("name,city\nA,B\n", (',', Some(true))),
            ("country,2019,2020\nDE,1,2\n", (',', None)),
            ("2019,5\n2020,6\n", (',', Some(false))),
            ("1,2,3\n", (',', Some(false))),
            ("a,b\n", (',', Some(true))),
            ("", (',', Some(true))),
            (",x\n0,5\n", (',', Some(true))),
        ] {
            assert_eq!(told(text), expected, "{text:?}");
        }
    }

    #[test]
    fn columns_without_a_name_of_their_own_get_one() {
        let names =
            |header: &[&str]| own_names(&header.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "b"]), None);
        assert_eq!(names(&["", "x", "x", "x_2"]).unwrap(), ["column_1", "x", "x_3", "x_2"]);
        let long = "a".repeat(70);
        let told = names(&[&long, &format!("{long}b")]).unwrap();
        assert_eq!(told, [long.clone(), format!("{}_2", &long[..61])]);
        assert_eq!(names(&["a", "A"]), None, "columns may differ in case alone");
    }
}
