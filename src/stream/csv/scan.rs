//! All values of a CSV file, for somebody who looks at each and keeps none.

use super::CsvFile;
use crate::stream::infer::evidence::{Evidence, RowScan};
use crate::stream::{Conversions, Result};

impl CsvFile {
    /// What the file's encoding is called.
    pub(in crate::stream) fn encoding(&self) -> String {
        self.source.encoding().to_owned()
    }

    /// Shows every value to the evidence of its column.
    ///
    /// # Errors
    /// When the file is damaged, or `scan` says stop.
    pub(in crate::stream) fn scan(mut self, columns: &mut [Evidence], scan: &mut RowScan) -> Result<()> {
        let conversions: Conversions = self.conversions.clone();
        while self.find_rows(usize::MAX)? {
            scan.check()?;
            for row in self.rows.found() {
                scan.rows += 1;
                if !self.is_row(row) {
                    scan.bad(|| self.shape_error(row));
                    continue;
                }
                for (place, column) in columns.iter_mut().enumerate() {
                    if let Some(value) = self.value(row, place) {
                        column.field(value, &conversions, row.line);
                    }
                }
            }
        }
        Ok(())
    }
}
