//! Finds the line of a row that the server rejected. The load itself keeps no positions; the file is read again.

use std::ops::ControlFlow;
use std::sync::Arc;

use polars::prelude::DataFrame;

use super::encode::unwritable;
use super::merge::STAGE_NAME;
use super::partition::Misplaced;
use super::pipeline::ahead;
use super::prepared::PreparedLoad;
use super::refused::{Complaint, RefusedRows};
use crate::blocking::run_blocking;
use crate::clock;
use crate::postgres::CopyError;
use crate::stream::{LINE, row_text};
use crate::task::{Progress, TaskError};
use crate::tasks::bad_rows::{BadRows, Rejected};

/// How many rows a COPY collects before it stores them. Source: `MAX_BUFFERED_TUPLES` in Postgres's `copyfrom.c`.
const COLLECTED_ROWS: u64 = 1000;

impl PreparedLoad<'_> {
    /// The problem as the file's own: its line, its column and its text. `before` rows were sent in earlier statements.
    pub(super) async fn locate(
        &self,
        refusal: &CopyError,
        relation: &str,
        before: u64,
        problem: TaskError,
    ) -> TaskError {
        let last = refusal.row(relation).filter(|_| refusal.is_of_collected_rows()).map(|row| before + row);
        let collected = last.and_then(|last| {
            run_blocking(|| self.lines_of(last.saturating_sub(COLLECTED_ROWS - 1).max(1), last)).ok().flatten()
        });
        if let Some((first, last)) = collected.filter(|(first, last)| first < last) {
            let file = &self.source.name;
            let mut problem = CopyError::without_row(relation, problem);
            problem.message.push_str(&format!("; it is one of the rows on lines {first} to {last} of {file}"));
            return without_a_row(problem);
        }
        let line = match (collected, refusal.row(relation)) {
            (Some((only, _)), _) => Ok(Some(only)),
            (None, Some(row)) => run_blocking(|| self.line_of(before + row)),
            (None, None) => run_blocking(|| self.line_with_key(refusal)),
        };
        let line = match line {
            Ok(Some(line)) => line,
            _ if refusal.row(relation).is_none() => return without_a_row(CopyError::without_row(relation, problem)),
            _ => return problem,
        };
        let mut refused = RefusedRows::default();
        refused.add(Some(line), self.rejection(refusal, relation, Vec::new()));
        let located = async {
            let mut first = Rejected::start(&BadRows::Fail, &self.source.name, self.context)?;
            self.take_refused(refused, &mut first).await
        };
        located.await.err().unwrap_or(problem)
    }

    /// The same for a merge, away from the threads of the runtime.
    ///
    /// # Errors
    /// When the file cannot be read again.
    pub(super) fn line_of_sent(&self, row: u64) -> Result<Option<u64>, TaskError> {
        run_blocking(|| self.line_of(row))
    }

    /// The line of the file that a row which was sent (from 1) is on; none when it is a query's.
    fn line_of(&self, row: u64) -> Result<Option<u64>, TaskError> {
        let mut seen = 0;
        self.scan_frames(&mut |frame| {
            let before = seen;
            seen += frame.height() as u64;
            match row <= seen {
                true => ControlFlow::Break(line(frame, (row - before - 1) as usize)),
                false => ControlFlow::Continue(()),
            }
        })
    }

    /// The lines of two rows that were sent (from 1); the last one of the file if there are fewer. None of a query's.
    fn lines_of(&self, first: u64, last: u64) -> Result<Option<(u64, u64)>, TaskError> {
        let (mut seen, mut found) = (0, None);
        self.scan_frames(&mut |frame| {
            let (before, rows) = (seen, frame.height() as u64);
            seen += rows;
            if seen < first || rows == 0 {
                return ControlFlow::Continue(());
            }
            let end = line(frame, (last.min(seen) - before - 1) as usize);
            let start =
                found.map(|(start, _)| start).or_else(|| line(frame, first.saturating_sub(before + 1) as usize));
            found = start.zip(end);
            if last <= seen { ControlFlow::Break(None) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Reads the file again and gives its rows, batch by batch as they are sent, to `look` until that has found the
    /// line that is wanted.
    ///
    /// # Errors
    /// When the file cannot be read again.
    pub(super) fn scan_frames(
        &self,
        look: &mut dyn FnMut(&DataFrame) -> ControlFlow<Option<u64>>,
    ) -> Result<Option<u64>, TaskError> {
        let (reader, plan) =
            self.load.opened(self.target, self.source, (Arc::new(Progress::default()), &self.session))?;
        let plan = plan.with_lines();
        let scratch = self.context.output_file("place.work")?.path;
        let wanted = self.load.wanted(&plan, self.target);
        for batch in plan.run(ahead(reader, wanted), &scratch, clock::now()) {
            if let ControlFlow::Break(line) = look(&batch?.frame) {
                return Ok(line);
            }
        }
        Ok(None)
    }

    /// Notes a row that the server refused; `row` is a frame of this row alone.
    pub(super) fn note(
        &self,
        refusal: &CopyError,
        relation: &str,
        row: &DataFrame,
        refused: &mut RefusedRows,
    ) -> Result<(), TaskError> {
        let line = line(row, 0);
        let text = match line {
            Some(_) => Vec::new(),
            None => row_text(&self.encoder.text(row).map_err(|error| unwritable(&error))?),
        };
        refused.add(line, self.rejection(refusal, relation, text));
        Ok(())
    }

    /// What is wrong with a row of another partition.
    pub(super) fn misplaced(&self, row: Misplaced) -> Complaint {
        let Misplaced { column, value, text, .. } = row;
        let column = self.file_column(&column);
        let due = self.encoder.constant.as_deref().unwrap_or_default();
        let message = format!("`{column}`: `{value}` is not `{due}`, the partition that is replaced");
        let hint = Some("leave the column out of the load with `transform: {select: […]}`".to_owned());
        Complaint { column: Some(column), message, text, hint }
    }

    /// What the file calls a column that the steps may have renamed.
    fn file_column(&self, name: &str) -> String {
        let rename = &self.load.transform.rename.0;
        rename.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old).to_owned()
    }

    pub(super) fn rejection(&self, refusal: &CopyError, relation: &str, text: Vec<u8>) -> Complaint {
        let fields = self.encoder.fields.iter().map(|field| field.name.as_str());
        let named = refusal.column(relation, fields.clone()).or_else(|| self.key_column(refusal));
        let place = named.and_then(|name| fields.clone().position(|other| other == name));
        let column = place.and_then(|place| self.encoder.used.get(place)).map(|name| self.file_column(name));
        let sentence = self.without_stage(refusal.message_with_code());
        let message = match &column {
            Some(column) => format!("`{column}`: {sentence}"),
            None => format!("loading into `{}`: {sentence}", self.load.table),
        };
        let limit = (refusal.is_program_limit() && refusal.row(STAGE_NAME).is_some()).then(|| {
            "the temporary table of the load has columns of its own besides the table's; without `on_bad_row` and `merge` the \
             row goes straight into the table"
                .to_owned()
        });
        let message = [message].into_iter().chain(limit).collect::<Vec<_>>().join("; ");
        Complaint { column, message, text, hint: None }
    }

    /// A message about the stage as one about the user's table, whose checks it has, without the stage's own columns.
    fn without_stage(&self, mut sentence: String) -> String {
        let (stage, own) = (format!("\"{STAGE_NAME}\""), format!("\"{}\"", self.target.nature.relation));
        let Some(named) = self.stage.as_ref().filter(|_| sentence.contains(&stage)) else { return sentence };
        // `Failing row contains (1, -1, 7, 8).`, with the number and the line of the row at the end.
        for _ in 0..1 + usize::from(named.line.is_some()) {
            let Some(end) = sentence.rfind(')') else { break };
            let Some(start) = sentence[..end].rfind(", ") else { break };
            if !sentence[start + 2..end].bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            sentence.replace_range(start..end, "");
        }
        sentence.replace(&stage, &own)
    }

    /// Gives refused rows to `rejected`, with their text.
    ///
    /// # Errors
    /// What `rejected` makes of them, or what keeps the file from being read again.
    pub(super) async fn take_refused(&self, refused: RefusedRows, rejected: &mut Rejected) -> Result<(), TaskError> {
        if refused.count() == 0 {
            return Ok(());
        }
        let (rows, loose) = refused.into_parts();
        let options = self.load.options(self.source)?;
        run_blocking(|| rejected.take_by_line(&rows, (&self.source.file.path, &options)))?;
        rejected.take(&loose)?;
        Ok(rejected.sort()?)
    }
}

/// The problem of a row that the server does not name, as those of foreign keys and of triggers that run at the end.
fn without_a_row(problem: TaskError) -> TaskError {
    match problem.help {
        Some(_) => problem,
        None => problem
            .help("Postgres does not say which row it is; `on_bad_row: {reject: {}}` finds it and names its line"),
    }
}

/// The line of the file on which a row of a frame stands.
pub(super) fn line(frame: &DataFrame, row: usize) -> Option<u64> {
    frame.column(LINE).ok()?.i64().ok()?.get(row).map(i64::unsigned_abs)
}
