//! Rows that the server refused, until the file is asked for their text.

use std::collections::BTreeMap;

use crate::stream::BadRow;

/// What the server has against rows of the file, by their lines.
#[derive(Default)]
pub(super) struct RefusedRows {
    rows: BTreeMap<u64, Complaint>,
    /// Rows of a query's result, which stand on no line of the file.
    loose: Vec<Complaint>,
}

/// What the server has against a row.
pub(super) struct Complaint {
    /// The file's column.
    pub(super) column: Option<String>,
    /// The server's message.
    pub(super) message: String,
    /// The row as it was sent, for rows that stand on no line.
    pub(super) text: Vec<u8>,
    /// What to do, where that is known.
    pub(super) hint: Option<String>,
}

impl RefusedRows {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        (self.rows.len() + self.loose.len()) as u64
    }

    /// Notes a row.
    pub(super) fn add(&mut self, line: Option<u64>, rejection: Complaint) {
        match line {
            Some(line) => drop(self.rows.insert(line, rejection)),
            None => self.loose.push(rejection),
        }
    }

    /// The rows with a line, each with the column that is to blame, and those without.
    pub(super) fn into_parts(self) -> (Vec<(BadRow, Option<String>)>, Vec<BadRow>) {
        let bad = |line: u64, Complaint { column, message, text, hint }| {
            (BadRow { message, text, hint, ..BadRow::at(line) }, column)
        };
        let rows = self.rows.into_iter().map(|(line, rejection)| bad(line, rejection));
        (rows.collect(), self.loose.into_iter().map(|rejection| bad(0, rejection).0).collect())
    }
}
