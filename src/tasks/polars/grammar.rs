//! SQL of a step as Postgres reads it. The library's parser binds several operators otherwise (`||`, `&`, `~`, LIKE, IS DISTINCT
//! FROM), so each text is read with Postgres's precedence, and written anew with parentheses where the two would differ.

use std::any::TypeId;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, SelectItem, Statement, UnaryOperator, VisitMut};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use super::allowed;
use super::class::is_comparison;
use super::sql::{deep, parser};
use super::unsupported::{SqlResult, UnsupportedSql, unsupported};
use super::walk::walk_expressions_mut;
use crate::task::TaskError;

/// The expression of a step, with parentheses where it needs them to be read in one way only.
///
/// # Errors
/// When Postgres could not read it, or it holds what steps do not compute.
pub(super) fn expression(field: &str, text: &str) -> Result<String, TaskError> {
    deep(|| {
        let mut item = read(field, text, |parser| {
            let item = parser.parse_select_item()?;
            at_end(parser, item)
        })?;
        if let SelectItem::ExprWithAlias { alias, .. } = &item {
            let help = "the name of the field is the column's name";
            return Err(
                TaskError::permanent(format!("`{field}`: the expression ends with a name, `{alias}`")).help(help)
            );
        }
        let checked = match &item {
            SelectItem::UnnamedExpr(expr) => allowed::check(expr),
            other => unsupported(format!("`{other}`"), "write one expression"),
        };
        checked.and_then(|()| parenthesise(&mut item)).map_err(|unsupported| unsupported.error(field))?;
        let written = item.to_string();
        let again = parser(&written).and_then(|mut parser| parser.parse_select_item());
        same(field, again.ok().as_ref() == Some(&item), written)
    })
}

/// The query of a step, likewise.
///
/// # Errors
/// As [`expression`].
pub(super) fn query(field: &str, text: &str) -> Result<String, TaskError> {
    deep(|| {
        let mut statements = read(field, text, |parser| parser.parse_statements())?;
        let [Statement::Query(query)] = statements.as_mut_slice() else {
            return Err(
                TaskError::permanent(format!("`{field}`: this is not one query")).help("write `SELECT … FROM self`")
            );
        };
        allowed::check(query).and_then(|()| parenthesise(query)).map_err(|unsupported| unsupported.error(field))?;
        let written = query.to_string();
        let again = parser(&written).and_then(|mut parser| parser.parse_statements());
        same(field, again.is_ok_and(|again| again == statements), written)
    })
}

fn read<T>(field: &str, text: &str, parse: impl FnOnce(&mut Parser) -> Result<T, ParserError>) -> Result<T, TaskError> {
    let parsed =
        Parser::new(&StepDialect(PostgreSqlDialect {})).try_with_sql(text).and_then(|mut parser| parse(&mut parser));
    parsed.map_err(|error| {
        let reason = error.to_string().replace("sql parser error: ", "");
        TaskError::permanent(format!("`{field}`: {reason} in `{text}`")).help("steps read SQL as Postgres does")
    })
}

fn at_end<T>(parser: &Parser, item: T) -> Result<T, ParserError> {
    let next = parser.peek_token();
    match next.token {
        sqlparser::tokenizer::Token::EOF => Ok(item),
        token => Err(ParserError::ParserError(format!("unexpected `{token}`{}", next.span.start))),
    }
}

fn same(field: &str, is_same: bool, written: String) -> Result<String, TaskError> {
    match is_same {
        true => Ok(written),
        false => Err(TaskError::permanent(format!("`{field}`: `{written}` may be read in more than one way"))
            .help("put parentheses around its parts, or compute it in SQL after the load")),
    }
}

/// Postgres's dialect, with the one operator that its parser binds too loosely.
#[derive(Debug)]
struct StepDialect(PostgreSqlDialect);

impl Dialect for StepDialect {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.0.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.0.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.0.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.0.prec_value(precedence)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    /// The right side of IS DISTINCT FROM ends before AND and OR.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let negated = match () {
            () if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) => false,
            () if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) => true,
            () => return None,
        };
        let (left, right) = (Box::new(left.clone()), parser.parse_subexpr(self.prec_value(Precedence::Is)));
        Some(right.map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, Box::new(right)),
            false => Expr::IsDistinctFrom(left, Box::new(right)),
        }))
    }
}

/// Puts operators that are operands of others into parentheses.
fn parenthesise(node: &mut impl VisitMut) -> SqlResult<()> {
    let visited = walk_expressions_mut(node, |expr| match enclose_operands(expr) {
        Ok(()) => ControlFlow::Continue(()),
        Err(unsupported) => ControlFlow::Break(unsupported),
    });
    visited.break_value().map_or(Ok(()), Err)
}

fn enclose_operands(expr: &mut Expr) -> SqlResult<()> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            if is_comparison(op) {
                refuse_chain(
                    [left.as_ref(), right.as_ref()],
                    |side| matches!(side, Expr::BinaryOp { op, .. } if is_comparison(op)),
                )?;
            }
            let continues = matches!(left.as_ref(), Expr::BinaryOp { op: before, .. } if is_one_chain(before, op));
            if !continues {
                enclose(left);
            }
            enclose(right);
        }
        Expr::UnaryOp { expr, .. } => enclose_unary(expr),
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => enclose(inner),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            enclose(left);
            enclose(right);
        }
        Expr::InList { expr, .. } | Expr::InSubquery { expr, .. } => {
            refuse_chain([expr.as_ref()], is_range)?;
            enclose(expr);
        }
        Expr::Between { expr, low, high, .. } => {
            refuse_chain([expr.as_ref(), low.as_ref(), high.as_ref()], is_range)?;
            [expr, low, high].into_iter().for_each(enclose);
        }
        Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
            refuse_chain([expr.as_ref(), pattern.as_ref()], is_range)?;
            enclose(expr);
            enclose(pattern);
        }
        _ => {}
    }
    Ok(())
}

/// Comparisons in a row, which Postgres does not read.
fn refuse_chain<'a>(
    operands: impl IntoIterator<Item = &'a Expr>,
    is_same: impl Fn(&Expr) -> bool,
) -> Result<(), Box<UnsupportedSql>> {
    match operands.into_iter().find(|operand| is_same(operand)) {
        Some(chain) => unsupported(
            format!("a comparison of `{chain}`, which is a comparison itself"),
            "put parentheses around it, or join comparisons with AND",
        ),
        None => Ok(()),
    }
}

fn is_range(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::InList { .. } | Expr::InSubquery { .. } | Expr::Between { .. } | Expr::Like { .. } | Expr::ILike { .. }
    )
}

/// Whether operators in a row are taken from the left by both parsers, so that they need no parentheses.
fn is_one_chain(one: &BinaryOperator, other: &BinaryOperator) -> bool {
    use BinaryOperator::{And, Divide, Minus, Modulo, Multiply, Or, Plus, StringConcat};
    match one {
        And | Or | StringConcat => one == other,
        Plus | Minus => matches!(other, Plus | Minus),
        Multiply | Divide | Modulo => matches!(other, Multiply | Divide | Modulo),
        _ => false,
    }
}

fn enclose(operand: &mut Box<Expr>) {
    // A sign binds closer than any operator between two values.
    let is_signed = matches!(operand.as_ref(), Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, .. });
    if !is_signed {
        enclose_unary(operand);
    }
}

fn enclose_unary(operand: &mut Box<Expr>) {
    let is_operator = is_range(operand)
        || matches!(
            operand.as_ref(),
            Expr::BinaryOp { .. }
                | Expr::UnaryOp { .. }
                | Expr::IsFalse(_)
                | Expr::IsNotFalse(_)
                | Expr::IsTrue(_)
                | Expr::IsNotTrue(_)
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsUnknown(_)
                | Expr::IsNotUnknown(_)
                | Expr::IsDistinctFrom(..)
                | Expr::IsNotDistinctFrom(..)
        );
    if is_operator {
        let inner = std::mem::replace(operand.as_mut(), Expr::value(sqlparser::ast::Value::Null));
        **operand = Expr::Nested(Box::new(inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_postgres() {
        for (text, written) in [
            ("a & b | c & d", "((a & b) | c) & d"),
            ("a + b || c", "(a + b) || c"),
            ("a || b + c", "a || (b + c)"),
            ("s ~ 'a' = b", "(s ~ 'a') = b"),
            ("a LIKE 'x' = b", "(a LIKE 'x') = b"),
            ("b = s LIKE 'x'", "b = (s LIKE 'x')"),
            ("b = i IN (1)", "b = (i IN (1))"),
            ("a = i BETWEEN 1 AND 2", "a = (i BETWEEN 1 AND 2)"),
            ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
            ("c AND a IS NOT DISTINCT FROM b OR d", "(c AND (a IS NOT DISTINCT FROM b)) OR d"),
            ("a IS DISTINCT FROM b = c", "a IS DISTINCT FROM (b = c)"),
            ("NOT a = b AND c", "(NOT (a = b)) AND c"),
            ("a AND b AND c OR d", "(a AND b AND c) OR d"),
            ("-a::int * -1", "-a::INT * -1"),
            ("a + b - c + d", "a + b - c + d"),
            ("a NOTNULL", "a IS NOT NULL"),
        ] {
            assert_eq!(expression("x", text).map_err(|error| error.to_string()).as_deref(), Ok(written), "{text}");
        }
        for text in ["a < b < c", "a = b <> c", "a IN (1) IN (true)", "a LIKE b LIKE c", "a b c", "a, b", "a <=> b"] {
            assert!(expression("x", text).is_err(), "{text}");
        }
    }
}
