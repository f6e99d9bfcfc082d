//! The place in a COPY that an error's CONTEXT names: `COPY trips, line 12, column fare: "x"`, in the server's language.
//!
//! The server puts its own line last. Lines before it quote SQL that functions ran, and a shown value may hold line breaks,
//! so both can hold lines that look like it. A line counts only if all that follows can be a part of it.

use std::ops::Range;

/// What comes before and after the table's name. Source: the translations of Postgres 13 to 18 (`postgres.po`).
const FORMS: [(&str, &str); 3] = [("COPY ", ", "), ("", "のCOPY、"), ("", " 복사, ")];
/// What may follow the number of the line.
const COUNTERS: [&str; 2] = ["번째 줄", "행"];
/// What comes before the column.
const SEPARATORS: [&str; 2] = [", ", "、"];
/// What comes after the column's name where the word for a column does.
const COLUMN_SUFFIX: &str = " 열";
/// What may end a shown value.
const QUOTES: [char; 6] = ['"', '\'', '»', '«', '”', '“'];
/// No language's word for a line has more bytes.
const MAX_WORD_BYTES: usize = 40;

/// A line of a CONTEXT that may be the server's own.
#[derive(Debug)]
pub(super) struct CopyPlace<'a> {
    /// Where it is in the text.
    pub(super) range: Range<usize>,
    /// The row of the COPY, from 1.
    pub(super) row: u64,
    /// What follows the number: `, column fare: "x"`.
    rest: &'a str,
}

impl<'a> CopyPlace<'a> {
    /// The place in the COPY into `table` (its name without the schema), if it is certain which one it is.
    pub(super) fn unambiguous(text: &'a str, table: &str) -> Option<Self> {
        let mut places = Self::all(text, table);
        let place = places.pop();
        place.filter(|_| places.is_empty())
    }

    /// All that can be the place in the COPY into `table`, the last one last. `text` ends with the CONTEXT.
    pub(super) fn all(text: &'a str, table: &str) -> Vec<Self> {
        let mut places: Vec<_> = FORMS
            .iter()
            .flat_map(|(before, suffix)| {
                let start = format!("{before}{table}{suffix}");
                let starts: Vec<usize> = text.match_indices(&start).map(|(at, _)| at).collect();
                let length = start.len();
                starts.into_iter().map(move |at| (at, length))
            })
            .filter(|(at, _)| starts_line(&text[..*at]))
            .filter_map(|(at, length)| Self::read(text, at, at + length))
            .collect();
        places.sort_by_key(|place| place.range.start);
        places
    }

    /// Reads a place that starts at `at`; the word for a line is at `word`.
    fn read(text: &'a str, at: usize, word: usize) -> Option<Self> {
        let tail = text.get(word..)?;
        let digits = tail.find(|letter: char| letter.is_ascii_digit()).filter(|digits| *digits <= MAX_WORD_BYTES)?;
        let (before, number) = tail.split_at(digits);
        let end = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
        let (number, rest) = number.split_at(end);
        let rest = COUNTERS.iter().find_map(|counter| rest.strip_prefix(counter)).unwrap_or(rest);
        let is_one_line = !rest.contains('\n');
        let names_column = SEPARATORS.iter().any(|separator| rest.starts_with(separator));
        // The server shows a whole line of the COPY as it was sent, where line breaks are escaped.
        let shows_line = rest.starts_with(':') || rest.starts_with(" :");
        let is_whole =
            rest.is_empty() || is_one_line && (names_column || shows_line) || names_column && rest.ends_with(QUOTES);
        (is_whole && !before.contains(['\n', '"'])).then_some(())?;
        Some(Self { range: at..text.len(), row: number.parse().ok()?, rest })
    }

    pub(super) fn names_column(&self) -> bool {
        self.phrase().is_some()
    }

    /// The column that it names, if it is one of these.
    pub(super) fn column<'b>(&self, columns: impl Iterator<Item = &'b str>) -> Option<&'b str> {
        let phrase = self.phrase()?;
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(':') || rest.starts_with(" :");
        let is_named = |name: &&str| {
            let behind_word = phrase.split_once(' ').and_then(|(_, named)| named.strip_prefix(*name));
            let before_word = phrase.strip_prefix(*name).and_then(|rest| rest.strip_prefix(COLUMN_SUFFIX));
            behind_word.into_iter().chain(before_word).any(ends)
        };
        columns.filter(is_named).max_by_key(|name| name.len())
    }

    /// `column fare: "x"`
    fn phrase(&self) -> Option<&'a str> {
        SEPARATORS.iter().find_map(|separator| self.rest.strip_prefix(separator))
    }
}

/// Whether a line of a CONTEXT begins after this text.
fn starts_line(before: &str) -> bool {
    before.is_empty() || before.ends_with('\n') || before.ends_with(CONTEXT_LABEL)
}

/// What comes before the CONTEXT in the message of an error.
pub(super) const CONTEXT_LABEL: &str = "\n  where: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_in_the_servers_language() {
        let columns = ["fare", "fare, tip", "a"];
        let cases = [
            ("COPY t, line 12, column fare: \"x\"", Some(12), Some("fare")),
            ("COPY t, Zeile 7, Spalte fare, tip: »x«", Some(7), Some("fare, tip")),
            ("COPY t, ligne 7, colonne a : « x »", Some(7), Some("a")),
            ("tのCOPY、行 2、列 a: \"x\"", Some(2), Some("a")),
            ("tのCOPY、行 2: \"1\t2\"", Some(2), None),
            ("tのCOPY、行 2", Some(2), None),
            ("t 복사, 2번째 줄, a 열: \"x\"", Some(2), Some("a")),
            ("t 복사, 2번째 줄: \"1\t2\"", Some(2), None),
            ("t 복사, 2번째 줄", Some(2), None),
            ("COPY t, 2행, a 열: null 입력", Some(2), Some("a")),
            ("COPY t, line 3", Some(3), None),
            ("COPY t, line 3: \"1\t2\"", Some(3), None),
            ("JSON data, line 1: x\nCOPY t, line 9, column a: null input", Some(9), Some("a")),
            ("SQL statement \"SELECT 1\"", None, None),
        ];
        for (context, row, column) in cases {
            let place = CopyPlace::unambiguous(context, "t");
            assert_eq!(place.as_ref().map(|place| place.row), row, "{context}");
            assert_eq!(place.and_then(|place| place.column(columns.into_iter())), column, "{context}");
        }
        let row = |context, table| CopyPlace::unambiguous(context, table).map(|place| place.row);
        assert_eq!(row("COPY a1, b, line 4", "a1, b"), Some(4));
        assert_eq!(row("SQL statement\nCOPY x\ny, line 5, column a", "x\ny"), Some(5));
    }

    #[test]
    fn values_are_not_taken_for_the_position() {
        let forged = "SQL statement \"insert into a values ('x\nCOPY t, line 1";
        let function = "PL/pgSQL function f() line 2 at EXECUTE";
        let cases = [
            (format!("{forged}')\"\n{function}\nCOPY t, line 4"), Some(4)),
            (format!("{forged}\n')\"\n{function}\nCOPY t, line 4: \"9\tbad\\nCOPY t, line 1\""), Some(4)),
            (format!("{forged}, column a: \"z')\"\n{function}\nCOPY t, line 4"), Some(4)),
            (format!("COPY t, line 2\nSQL statement \"copy o.t from '/x'\"\n{function}\nCOPY t, line 1"), Some(1)),
            ("COPY t, line 4, column a: \"x\nCOPY t, line 1\"".to_owned(), Some(4)),
            (format!("{forged}')\"\n{function}\nCOPY t, line 4, column a: \"x\nCOPY t, line 1\""), Some(4)),
            // Which of two it is, nobody can tell.
            (format!("{forged}, column a: \"z')\"\n{function}\nCOPY t, line 4, column a: \"z\""), None),
            ("COPY t, line 4, column a: \"x\nCOPY t, line 1, column a: \"y\"".to_owned(), None),
            // A trigger that runs at the end has no place.
            (format!("{forged}')\"\n{function}"), None),
            (format!("{forged}, column a: \"z')\"\n{function}"), None),
        ];
        for (context, row) in cases {
            assert_eq!(CopyPlace::unambiguous(&context, "t").map(|place| place.row), row, "{context}");
        }
    }
}
