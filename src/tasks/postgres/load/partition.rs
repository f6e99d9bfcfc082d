//! The partition that a load replaces: its value must be the one that the column stores, and a row of the file that
//! says another value is not of it.

use polars::prelude::{BooleanChunked, DataFrame, NewChunkedArray, PolarsResult};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::encode::Encoder;
use super::locate::line;
use super::mode::Mode;
use super::spelling::Spellings;
use crate::postgres::explain;
use crate::postgres::sql::quote;
use crate::task::TaskError;
use crate::tasks::postgres::target::Target;

impl Mode {
    /// Checks that the column stores the partition's value as it is written. Rows that are stored with another one, such
    /// as a rounded number, would not be found when the partition is replaced again.
    ///
    /// # Errors
    /// When it does not, or the server refuses.
    pub(super) async fn check_value(&self, transaction: &Transaction<'_>, target: &Target) -> Result<(), TaskError> {
        let Some((column, value)) = self.partition()? else { return Ok(()) };
        let Some(field) = target.stored(column) else { return Ok(()) };
        let (text, kind) = (quote(&value), &field.sql_type);
        let sql = format!("SELECT CAST({text} AS {kind}) = {text}, CAST(CAST({text} AS {kind}) AS text)");
        let doing = format!("reading the value of `{column}` in `replace_partition`");
        let row = transaction.query_one(&sql, &[]).await.map_err(|error| explain(&doing, &error))?;
        let stored: Option<String> = row.get(1);
        let stored = stored.unwrap_or_default();
        // Text keeps the word as it is, and a bytea has it in digits.
        if moments(&value) != moments(&stored) && field.oid != Type::BYTEA.oid() {
            let message = format!("`replace_partition`: `{value}` is another value of {kind} each time it is read");
            return Err(TaskError::permanent(message).help(format!(
                "rows that are loaded with it would not be found again; write the value itself, such as \
                 `mode: {{replace_partition: {{{column}: '{stored}'}}}}`, or take it from an input or a trigger's date"
            )));
        }
        if row.get::<_, Option<bool>>(0).unwrap_or_default() {
            return Ok(());
        }
        Err(TaskError::permanent(format!(
            "`replace_partition`: `{column}` is {kind}, which stores `{value}` as `{stored}`"
        ))
        .help(format!("write the value as it is stored: `mode: {{replace_partition: {{{column}: '{stored}'}}}}`")))
    }

    /// Checks that the rows are in the partition once they were sent.
    ///
    /// # Errors
    /// When a trigger has stored them with another value, or the server refuses.
    pub(super) async fn check_stored(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        stored: u64,
    ) -> Result<(), TaskError> {
        let Some((column, value)) = self.partition()?.filter(|_| target.nature.may_skip_rows) else { return Ok(()) };
        let Some(rows) = self.rows(target)? else { return Ok(()) };
        let row = transaction.query_one(&format!("SELECT count(*) FROM {rows}"), &[]).await;
        let there: i64 = row.map_err(|error| explain("counting the rows of the partition", &error))?.get(0);
        if there.unsigned_abs() >= stored {
            return Ok(());
        }
        Err(TaskError::permanent(format!(
            "{stored} rows were stored and the partition `{value}` of `{}` has {there}: a trigger changes `{column}`",
            target.table.name
        ))
        .help("name the value that the trigger stores"))
    }
}

/// How many of the words there are in a text that dates and times read as the present moment, yesterday or tomorrow. Source: the
/// special values in the chapter on date/time types in Postgres's manual.
fn moments(text: &str) -> usize {
    let words = text.split(|letter: char| !letter.is_ascii_alphabetic());
    words
        .filter(|word| ["now", "today", "tomorrow", "yesterday"].iter().any(|now| word.eq_ignore_ascii_case(now)))
        .count()
}

/// A row whose own value of the partition's column is another one.
pub(super) struct Misplaced {
    /// Its line in the file; none when it is a query's.
    pub(super) line: Option<u64>,
    /// The partition's column, as the steps name it.
    pub(super) column: String,
    pub(super) value: String,
    /// The row as it would be sent.
    pub(super) text: Vec<u8>,
}

/// Takes those rows out of a batch. `columns` are those that are loaded into the partition's column.
pub(super) fn misplaced(
    encoder: &Encoder,
    columns: &[String],
    spellings: &mut Spellings,
    mut frame: DataFrame,
) -> PolarsResult<(DataFrame, Vec<Misplaced>)> {
    let mut all = Vec::new();
    for column in columns {
        let found = spellings.others(encoder.mismatches(&frame, column)?)?;
        if found.is_empty() {
            continue;
        }
        let mut stays = vec![true; frame.height()];
        for (row, value) in found {
            let text = encoder.text(&frame.slice(row as i64, 1))?.trim_ascii_end().to_vec();
            all.push(Misplaced { line: line(&frame, row), column: column.clone(), value, text });
            stays.get_mut(row).into_iter().for_each(|stays| *stays = false);
        }
        frame = frame.filter(&BooleanChunked::from_slice("stays".into(), &stays))?;
    }
    Ok((frame, all))
}
