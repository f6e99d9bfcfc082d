//! Patterns of LIKE and regular expressions.

use sqlparser::ast::{BinaryOperator, Expr};

use super::dialect::{sql, text_of};
use super::regex;
use super::unsupported::{SqlResult, unsupported};

/// An operator between texts, or between the bits of numbers.
pub(super) fn operator_of_texts(left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
    match op {
        BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::PGRegexNotMatch
        | BinaryOperator::PGRegexNotIMatch => {
            let pattern = regular_expression(right)?;
            sql(&format!("{left} {op} {pattern}")).map(Some)
        }
        BinaryOperator::PGLikeMatch
        | BinaryOperator::PGILikeMatch
        | BinaryOperator::PGNotLikeMatch
        | BinaryOperator::PGNotILikeMatch => check_pattern(right).map(|()| None),
        BinaryOperator::PGStartsWith => Ok(None),
        op => {
            unsupported(format!("the operator `{op}`"), "write it with other operators, or compute it after the load")
        }
    }
}

/// Polars knows no `\\` in patterns of LIKE.
pub(super) fn check_pattern(pattern: &Expr) -> SqlResult<()> {
    match text_of(pattern).is_none_or(|text| text.contains('\\')) {
        true => unsupported(
            "a pattern of LIKE with a backslash, or that is not a text in quotes",
            "compare with `=`, `starts_with` or `~`",
        ),
        false => Ok(()),
    }
}

/// A regular expression as Polars is to read it.
pub(super) fn regular_expression(pattern: &Expr) -> SqlResult<String> {
    let Some(text) = text_of(pattern) else {
        return unsupported("a regular expression that is not a text in quotes", "write it out: `text ~ '^a'`");
    };
    match regex::translated(text) {
        Ok(translated) => Ok(format!("'{}'", translated.replace('\'', "''"))),
        Err(part) => unsupported(
            format!("{part} in the regular expression '{text}', which Postgres may read in another way"),
            "write the characters out, such as `[a-z]`, or compute it in Postgres after the load",
        ),
    }
}
