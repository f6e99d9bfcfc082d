//! What functions of [`super::pg_function`] cut from texts, and fill them with.

use polars::prelude::*;

use super::rows::{IntValues, KernelRows, TextValues};

/// The longest text that is filled up, in characters.
const MAX_LENGTH: i64 = 10_000_000;

/// Parts of texts from a place on, which counts from 1 and may lie before the text, and of a length if there is one.
pub(super) fn substrings(rows: &KernelRows, columns: &[Column]) -> PolarsResult<Column> {
    let [text, start, length @ ..] = columns else {
        return Err(PolarsError::ComputeError("a text and a place are wanted".into()));
    };
    let (texts, starts) = (TextValues::cast(text)?, IntValues::of(start)?);
    let lengths = length.first().map(IntValues::of).transpose()?;
    rows.texts(|row| {
        let Some((text, start)) = texts.get(row).zip(starts.get(row)) else { return Ok(None) };
        let end = match &lengths {
            None => i64::MAX,
            Some(lengths) => match lengths.get(row) {
                None => return Ok(None),
                Some(length) if length < 0 => return Err("negative substring length not allowed"),
                Some(length) => start.saturating_add(length),
            },
        };
        let first = start.max(1);
        let count = usize::try_from(end.saturating_sub(first)).unwrap_or(0);
        Ok(Some(text.chars().skip(usize::try_from(first - 1).unwrap_or(usize::MAX)).take(count).collect()))
    })
}

/// Texts of a length: cut to it, or filled up with another text.
pub(super) fn padded(rows: &KernelRows, columns: &[Column], at_start: bool) -> PolarsResult<Column> {
    let [text, length, fill] = columns else {
        return Err(PolarsError::ComputeError("a text, a length and a text are wanted".into()));
    };
    let (texts, lengths, fills) = (TextValues::cast(text)?, IntValues::of(length)?, TextValues::cast(fill)?);
    rows.texts(|row| {
        let (Some(text), Some(length), Some(fill)) = (texts.get(row), lengths.get(row), fills.get(row)) else {
            return Ok(None);
        };
        if length > MAX_LENGTH {
            return Err("requested length too large");
        }
        let length = usize::try_from(length).unwrap_or(0);
        let kept: String = text.chars().take(length).collect();
        let missing = length - kept.chars().count();
        let filling: String = fill.chars().cycle().take(missing).collect();
        Ok(Some(if at_start { filling + &kept } else { kept + &filling }))
    })
}
