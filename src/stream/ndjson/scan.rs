//! All values of a JSON file, for somebody who looks at each and keeps none.

use super::NdjsonFile;
use crate::stream::Result;
use crate::stream::infer::evidence::{Evidence, RowScan};
use crate::stream::keys::KeyLookup;

impl NdjsonFile {
    /// What the file's encoding is called.
    pub(in crate::stream) fn encoding(&self) -> String {
        self.records.source().encoding().to_owned()
    }

    /// Shows every value to the evidence of its column. A row that is no object is counted as a bad one.
    ///
    /// # Errors
    /// When the file is damaged, or `scan` says stop.
    pub(in crate::stream) fn scan(mut self, columns: &mut [Evidence], scan: &mut RowScan) -> Result<()> {
        let mut keys = KeyLookup::of(self.columns.iter().map(|(name, _)| name.as_str()));
        loop {
            let rows = self.records.next_rows()?;
            scan.check()?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                scan.rows += 1;
                let text = self.records.text();
                let mut number = 0;
                let mut each = |key: &[u8], value, _| {
                    let index = keys.index_of(number, key);
                    number += 1;
                    if let Some(column) = index.and_then(|index| columns.get_mut(index)) {
                        column.json(text.get(value).unwrap_or_default(), row.line);
                    }
                };
                if let Err(error) = super::read_row(text, row, self.flatten, &mut each) {
                    scan.bad(|| self.records.not_json(row, &error));
                }
            }
        }
    }
}
