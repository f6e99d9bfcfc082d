//! Rows of a CSV file that do not have its shape, and what its fields say.

use super::{CsvFile, END_OF_DATA, end_of_data};
use crate::stream::BadRow;
use crate::stream::split::Row;

impl CsvFile {
    /// What stands in a field; none for NULL.
    pub(super) fn value(&self, row: &Row, place: usize) -> Option<&[u8]> {
        let mut field = self.rows.field(row, place)?;
        if self.trim {
            field = field.trim_ascii();
        }
        let is_word = || self.null_strings.iter().any(|null| null.as_bytes() == field);
        let is_null = (field.is_empty() || is_word()) && !self.rows.is_field_quoted(row, place);
        (!is_null).then_some(field)
    }

    /// What is wrong with a row that has not the shape of the header.
    pub(super) fn shape_error(&self, row: &Row) -> BadRow {
        let (found, due) = (row.width as usize, self.width());
        let (message, hint) = match row.error {
            Some(error) => (error.message().to_owned(), self.line_ends()),
            None if self.rows.text_of(row) == END_OF_DATA => end_of_data(),
            None if found == due => {
                ("the row has a value after its last delimiter, where the header has no name".to_owned(), None)
            }
            None => self.field_count_error(row, found, due),
        };
        BadRow { hint, ..self.bad_row(row, 0, message) }
    }

    fn field_count_error(&self, row: &Row, found: usize, due: usize) -> (String, Option<String>) {
        let noun = if found == 1 { "field" } else { "fields" };
        let mut message = format!("the row has {found} {noun}, the header has {due}");
        if row.is_unterminated && found < due {
            message.push_str("; the file seems to be cut in the middle of its last row");
        }
        let is_whole = found == 1 && due > 1;
        let hint = match is_whole {
            true => self.delimiter_hint(self.rows.text_of(row), due - 1),
            false => self.other_delimiter(),
        };
        (message, hint)
    }

    /// A row, and what is wrong with it.
    pub(super) fn bad_row(&self, row: &Row, column: usize, message: String) -> BadRow {
        BadRow { line: row.line, column, message, text: self.source.row_text(self.rows.text_of(row)), hint: None }
    }
}
