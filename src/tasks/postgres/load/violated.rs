//! The row that breaks a constraint of a key which the server checks when all rows are there, such as a foreign key. The
//! server names the key alone, and by that the row is found in the file.

use std::ops::ControlFlow;

use polars::prelude::DataFrame;
use tokio_postgres::types::Type;

use super::locate::line;
use super::mode::Mode;
use super::prepared::PreparedLoad;
use super::stored::{SessionSettings, StoredValues};
use crate::postgres::CopyError;
use crate::postgres::name::unquoted;
use crate::task::TaskError;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;

/// The key of a broken constraint.
struct BrokenKey<'a> {
    /// `Key (a, b)=(1, 2) is not present in table "p".`, in the server's language.
    detail: &'a str,
    /// `a, b`
    names: &'a str,
    columns: Vec<(&'a TableField, ValueOrigin<'a>)>,
}

/// Where the values of a column come from.
#[derive(Clone, Copy)]
enum ValueOrigin<'a> {
    /// The column of a frame.
    Frame(&'a str),
    /// The same value for all rows.
    Constant(&'a str),
}

impl PreparedLoad<'_> {
    /// The line of the row that breaks a constraint, if it is certain. Each row of the file with the key breaks a
    /// foreign key; a unique key is broken by the second one, if there are two. A merge stores only some of the rows, so
    /// that a row must be the only one.
    ///
    /// # Errors
    /// When the file cannot be read again.
    pub(super) fn line_with_key(&self, refusal: &CopyError) -> Result<Option<u64>, TaskError> {
        // A trigger may have given the row its key, or the error may be of a row that a function stores.
        let is_from_file = !refusal.has_context() && !self.target.nature.may_skip_rows;
        let Some(key) = self.key(refusal).filter(|_| is_from_file) else { return Ok(None) };
        let is_merge = matches!(self.load.mode, Mode::Merge(_));
        let is_each = refusal.is_foreign_key_violation() && !is_merge;
        let (mut first, mut is_again) = (None, false);
        let found = self.scan_frames(&mut |frame| {
            for row in key.rows(frame, &self.session) {
                match (first, line(frame, row)) {
                    (_, found) if is_each => return ControlFlow::Break(found),
                    (None, found) => first = Some(found),
                    (Some(_), found) => {
                        is_again = true;
                        return ControlFlow::Break(found.filter(|_| !is_merge));
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(if is_each || is_again { found } else { first.flatten() })
    }

    /// The column of a broken constraint, if it is of one column of the file.
    pub(super) fn key_column(&self, refusal: &CopyError) -> Option<&str> {
        match self.key(refusal)?.columns.as_slice() {
            [(field, ValueOrigin::Frame(_))] => {
                self.encoder.fields.iter().find(|other| other == field).map(|field| field.name.as_str())
            }
            _ => None,
        }
    }

    /// The key of the constraint that the table's rows break, if values of all of its columns are sent.
    fn key<'a>(&'a self, refusal: &'a CopyError) -> Option<BrokenKey<'a>> {
        let (names, detail) = refusal.key(&self.target.nature.relations)?;
        let column = |name: &str| {
            let unquoted = unquoted(name);
            let is_named = |field: &&TableField| field.name == name || Some(&field.name) == unquoted.as_ref();
            let place = self.encoder.fields.iter().position(|field| is_named(&field))?;
            let origin = match (self.encoder.used.get(place), &self.encoder.constant) {
                (Some(column), _) => ValueOrigin::Frame(column),
                (None, constant) => ValueOrigin::Constant(constant.as_ref()?),
            };
            Some((self.encoder.fields.get(place)?, origin))
        };
        let columns = names.split(", ").map(column).collect::<Option<Vec<_>>>()?;
        Some(BrokenKey { detail, names, columns })
    }
}

impl BrokenKey<'_> {
    /// The rows of a frame that have the key.
    fn rows(&self, frame: &DataFrame, session: &SessionSettings) -> Vec<usize> {
        let values: Vec<_> =
            self.columns.iter().map(|(field, origin)| Values::of(frame, field, *origin, session)).collect();
        let mut shown = Vec::new();
        let mut has_key = |row: &usize| {
            shown.clear();
            shown.extend_from_slice(format!("({})=(", self.names).as_bytes());
            for (index, values) in values.iter().enumerate() {
                shown.extend_from_slice(if index > 0 { b", " } else { b"" });
                if !values.push(*row, session, &mut shown) {
                    return false;
                }
            }
            shown.push(b')');
            std::str::from_utf8(&shown).is_ok_and(|shown| self.detail.contains(shown))
        };
        (0..frame.height()).filter(|row| has_key(row)).collect()
    }
}

/// The values of a column of the key.
struct Values<'a> {
    frame: &'a DataFrame,
    field: &'a TableField,
    origin: ValueOrigin<'a>,
    stored: StoredValues<'a>,
}

impl<'a> Values<'a> {
    fn of(frame: &'a DataFrame, field: &'a TableField, origin: ValueOrigin<'a>, session: &SessionSettings) -> Self {
        let stored = match origin {
            ValueOrigin::Frame(name) => StoredValues::of((frame, name), field.kind.column_type(), field, session),
            ValueOrigin::Constant(_) => Ok(StoredValues::Unknown),
        };
        Self { frame, field, origin, stored: stored.unwrap_or(StoredValues::Unknown) }
    }

    /// Appends a row's value as the server's messages have it; `false` where it is NULL, or not known.
    fn push(&self, row: usize, session: &SessionSettings, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let written = match self.origin {
            ValueOrigin::Constant(text) => Some(text),
            ValueOrigin::Frame(name) => self.frame.column(name).ok().and_then(|column| column.str().ok()?.get(row)),
        };
        let is_printed = match self.origin {
            ValueOrigin::Constant(text) => session.push(text, self.field, out),
            ValueOrigin::Frame(_) => self.stored.push(row, session, out),
        };
        if !is_printed {
            // Only the server can print it; as it is written it may be printed too.
            out.truncate(start);
            out.extend_from_slice(written.unwrap_or_default().as_bytes());
        }
        let is_text = self.field.kind.holds_blanks();
        if out.len() == start && !(is_text && written.is_some()) {
            return false;
        }
        self.as_output(start, out);
        true
    }

    /// What a cast to text prints as what the type's output function does.
    fn as_output(&self, start: usize, out: &mut Vec<u8>) {
        if self.field.kind == Kind::Bool {
            out.truncate(start + 1);
        }
        if self.field.oid == Type::BPCHAR.oid() {
            let length = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).chars().count();
            let due = usize::try_from(self.field.modifier - 4).unwrap_or(0);
            out.extend(std::iter::repeat_n(b' ', due.saturating_sub(length)));
        }
    }
}
