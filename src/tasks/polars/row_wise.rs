//! Steps that look at one row at a time. A row that cannot be computed, such as one that divides by zero, is a bad row
//! and not the end of the stream.

use polars::prelude::*;

use super::spool::failed;
use crate::stream::{BadRow, Batch, Batches, LINE, Result};

/// A step that makes rows of rows, each of its own.
pub(super) trait RowWiseStep: Send {
    /// The rows that come out.
    ///
    /// # Errors
    /// When one of them cannot be computed.
    fn apply(&self, rows: DataFrame) -> PolarsResult<DataFrame>;

    /// What is wrong with a row that cannot be computed, as its user would say.
    fn complaint(&self, row: &DataFrame, error: &PolarsError) -> String;
}

/// Sends all rows through a step. Their lines are in the column [`LINE`].
pub(super) fn row_wise(input: Batches, step: impl RowWiseStep + 'static) -> Batches {
    Box::new(RowWise { input, step, waiting: Vec::new(), before: None, is_over: false })
}

struct RowWise<S> {
    input: Batches,
    step: S,
    /// Parts of a batch in which a row failed, the first one last.
    waiting: Vec<DataFrame>,
    /// Of the batch in progress: the rows of the file, and its bad rows. The first part has them.
    before: Option<(u64, Vec<BadRow>)>,
    is_over: bool,
}

impl<S: RowWiseStep> RowWise<S> {
    fn step(&mut self) -> Option<Result<Batch>> {
        if self.waiting.is_empty() {
            match self.input.next()? {
                Ok(Batch { frame, rows_read, bad }) => {
                    self.before = Some((rows_read, bad));
                    self.waiting.push(frame);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        while let Some(part) = self.waiting.pop() {
            match self.step.apply(part.clone()) {
                Ok(frame) => return Some(Ok(self.batch(frame, None))),
                Err(_) if part.height() > 1 => {
                    let (one, other) = part.split_at((part.height() / 2) as i64);
                    self.waiting.extend([other, one]);
                }
                Err(error) => return Some(self.failed(&part, &error)),
            }
        }
        None
    }

    /// A row that cannot be computed, if the step can compute anything at all.
    fn failed(&mut self, row: &DataFrame, error: &PolarsError) -> Result<Batch> {
        let none = self.step.apply(row.slice(0, 0)).map_err(|error| failed(&error))?;
        let line = row.column(LINE).ok().and_then(|lines| lines.i64().ok()?.get(0));
        let line = line.filter(|_| row.height() > 0).ok_or_else(|| failed(error))?;
        let bad = BadRow { message: self.step.complaint(row, error), ..BadRow::at(line.unsigned_abs()) };
        Ok(self.batch(none, Some(bad)))
    }

    fn batch(&mut self, frame: DataFrame, failed: Option<BadRow>) -> Batch {
        let (rows_read, mut bad) = self.before.take().unwrap_or_default();
        bad.extend(failed);
        Batch { frame, rows_read, bad }
    }
}

impl<S: RowWiseStep> Iterator for RowWise<S> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let step = self.step();
        self.is_over = !matches!(step, Some(Ok(_)));
        step
    }
}

/// Changes the frame of every batch.
pub(super) fn each(
    batches: Batches,
    mut change: impl FnMut(DataFrame) -> PolarsResult<DataFrame> + Send + 'static,
) -> Batches {
    Box::new(batches.map(move |batch| {
        let Batch { frame, rows_read, bad } = batch?;
        let frame = change(frame).map_err(|error| failed(&error))?;
        Ok(Batch { frame, rows_read, bad })
    }))
}
