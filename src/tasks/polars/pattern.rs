//! Patterns of LIKE and regular expressions.

use sqlparser::ast::{BinaryOperator, Expr};

use super::dialect::{sql, text_of};
use super::unsupported::{SqlResult, unsupported};

/// An operator between texts, or between the bits of numbers.
pub(super) fn operator_of_texts(left: &Expr, op: &BinaryOperator, right: &Expr) -> SqlResult<Option<Expr>> {
    match op {
        BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::PGRegexNotMatch
        | BinaryOperator::PGRegexNotIMatch => match regular_expression(right)? {
            // The pattern has to be a mere text.
            Some(Expr::Nested(pattern)) => sql(&format!("{left} {op} {pattern}")).map(Some),
            _ => Ok(None),
        },
        BinaryOperator::PGLikeMatch
        | BinaryOperator::PGILikeMatch
        | BinaryOperator::PGNotLikeMatch
        | BinaryOperator::PGNotILikeMatch => check_pattern(right).map(|()| None),
        BinaryOperator::BitwiseAnd | BinaryOperator::BitwiseOr | BinaryOperator::PGStartsWith => Ok(None),
        op => {
            unsupported(format!("the operator `{op}`"), "write it with other operators, or compute it after the load")
        }
    }
}

/// Polars knows no `\\` in patterns of LIKE.
pub(super) fn check_pattern(pattern: &Expr) -> SqlResult<()> {
    match text_of(pattern).is_some_and(|text| text.contains('\\')) {
        true => unsupported("a backslash in the pattern of LIKE", "compare with `=`, `starts_with` or `~`"),
        false => Ok(()),
    }
}

/// A regular expression as Polars is to read it, whose `.` does not stand for a line break; none for one that it reads so.
pub(super) fn regular_expression(pattern: &Expr) -> SqlResult<Option<Expr>> {
    let Some(text) = text_of(pattern) else { return Ok(None) };
    if text.contains(r"\b") || text.contains(r"\B") {
        return unsupported(
            format!("`\\b` in the regular expression '{text}'"),
            "write what stands there, such as `(^| )`",
        );
    }
    let unsupported_parts = ["&&", "[[:<:]]", "[[:>:]]", "[.", "[=", r"\p", r"\P", r"\z", r"\K", "(?P"];
    if let Some(part) = unsupported_parts.into_iter().find(|part| text.contains(part)) {
        return unsupported(
            format!("`{part}` in the regular expression '{text}', which Postgres reads in another way"),
            "write the characters out",
        );
    }
    if !text.contains('.') {
        return Ok(None);
    }
    sql(&format!("'(?s){}'", text.replace('\'', "''"))).map(Some)
}
