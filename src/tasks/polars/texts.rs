//! Texts as Postgres makes and compares them: parts, texts of a length, and texts side by side.

use sqlparser::ast::{Expr, Value};

use super::class::{Class, describe};
use super::dialect::{Rewriter, call, sql, text_of};
use super::unsupported::{SqlResult, unsupported};
use crate::stream::ColumnType;

impl Rewriter<'_> {
    /// A part of a text.
    pub(super) fn substring(&self, text: &Expr, start: Option<&Expr>, length: Option<&Expr>) -> SqlResult<Expr> {
        self.require_text(text)?;
        let first = sql("1")?;
        let start = start.unwrap_or(&first);
        [Some(start), length].into_iter().flatten().try_for_each(|place| self.require_int(place))?;
        call("substr", &[Some(text), Some(start), length].into_iter().flatten().collect::<Vec<_>>())
    }

    /// A text that is filled up to a length, or cut to it.
    pub(super) fn padded(&self, name: &str, text: &Expr, length: &Expr, fill: Option<&Expr>) -> SqlResult<Expr> {
        self.require_text(text)?;
        self.require_int(length)?;
        let blank = sql("' '")?;
        let fill = fill.unwrap_or(&blank);
        self.require_text(fill)?;
        call(name, &[text, length, fill])
    }

    /// Refuses what is certainly no text.
    pub(super) fn require_text(&self, value: &Expr) -> SqlResult<()> {
        match self.class(value) {
            None | Some(Class::Text) => Ok(()),
            Some(_) => unsupported(
                format!("{}, which is not text, where Postgres wants one", describe(value)),
                "convert it: `CAST(… AS text)`",
            ),
        }
    }

    /// A text that is compared byte by byte, as all are here.
    pub(super) fn by_bytes(&self, text: &Expr, collation: &str) -> SqlResult<Expr> {
        if !["\"C\"", "\"POSIX\""].contains(&collation.trim_start_matches("pg_catalog.")) {
            return unsupported(format!("the collation {collation}"), "write `COLLATE \"C\"`, which orders by bytes");
        }
        match self.class(text) {
            None | Some(Class::Text) => sql(&text.to_string()),
            Some(_) => {
                unsupported(format!("a collation for {}, which is not text", describe(text)), "leave COLLATE out")
            }
        }
    }

    /// Values side by side, as the texts that Postgres casts them to.
    pub(super) fn joined(&self, left: &Expr, right: &Expr) -> SqlResult<Expr> {
        let is_text = |side: &Expr| text_of(side).is_some() || self.kind(side) == Some(ColumnType::Text);
        let describe = |side: &Expr| match is_text(side) {
            true => Ok(side.to_string()),
            false => self.text(side).map(|text| text.to_string()),
        };
        let is_other = |side: &Expr| self.class(side).is_some_and(|class| class != Class::Text);
        if is_other(left) && is_other(right) {
            return unsupported(
                "`||` between values of which neither is text",
                "convert one of them: `CAST(… AS text)`",
            );
        }
        sql(&format!("{} || {}", describe(left)?, describe(right)?))
    }

    /// Refuses a long list of values but for whole numbers compared with one, and texts with a text: they are not compared one
    /// by one.
    pub(super) fn require_plain_list(&self, value: &Expr, list: &[Expr]) -> SqlResult<()> {
        let are_whole = self.bits(value).is_some() && list.iter().all(|other| self.bits(other).is_some());
        let are_texts = self.class(value) == Some(Class::Text) && list.iter().all(|other| text_of(other).is_some());
        match are_whole || are_texts {
            true => Ok(()),
            false => unsupported(
                "IN with more than 1000 values that are not all whole numbers or texts, as the value before it",
                "write fewer values, or join the rows with them in Postgres after the load",
            ),
        }
    }

    fn require_int(&self, value: &Expr) -> SqlResult<()> {
        let is_null = matches!(value, Expr::Value(value) if value.value == Value::Null);
        match is_null || matches!(self.bits(value), Some(16 | 32)) {
            true => Ok(()),
            false => unsupported(
                format!("{} as a place or length in a text, which Postgres wants to be an int", describe(value)),
                "write `CAST(… AS int)`",
            ),
        }
    }
}

/// TRIM without saying what, which is spaces to Postgres, and every blank to Polars.
pub(super) fn without_blanks(trim: &Expr) -> SqlResult<Expr> {
    let mut trim = trim.clone();
    if let Expr::Trim { trim_where, trim_what, .. } = &mut trim {
        trim_where.get_or_insert(sqlparser::ast::TrimWhereField::Both);
        *trim_what = Some(Box::new(Expr::value(Value::SingleQuotedString(" ".to_owned()))));
    }
    Ok(Expr::Nested(Box::new(trim)))
}
