//! Where a function of ours may fail: only where Postgres would come to compute it.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::dialect::sql;
use super::function_table::PREFIX;
use super::functions::values_of;
use super::sql::parser;
use super::unsupported::SqlResult;
use super::walk::walk_expressions_mut;

/// The right side of AND and OR fails only where the left side leaves the answer open, as with Postgres.
pub(super) fn short_circuit(left: &Expr, deciding: &str, operator: &str, right: &Expr) -> SqlResult<Option<Expr>> {
    if !right.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut right = right.clone();
    restrict_errors(&mut right, &format!("(({}) IS DISTINCT FROM {deciding})", never_failing(left)))?;
    sql(&format!("{left} {operator} {right}")).map(Some)
}

/// A branch of CASE fails only where it is taken.
pub(super) fn short_circuit_case(case: &Expr) -> SqlResult<Option<Expr>> {
    if !case.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut case = case.clone();
    let Expr::Case { operand, conditions, else_result, .. } = &mut case else { return Ok(None) };
    let mut before = Vec::new();
    for when in conditions {
        let others = before.join(" AND ");
        if !others.is_empty() {
            restrict_errors(&mut when.condition, &others)?;
        }
        let condition = match operand {
            Some(operand) => format!("({}) = ({})", never_failing(operand), never_failing(&when.condition)),
            None => never_failing(&when.condition).to_string(),
        };
        let own = format!("(({condition}) IS NOT DISTINCT FROM TRUE)");
        restrict_errors(&mut when.result, &before.iter().chain([&own]).cloned().collect::<Vec<_>>().join(" AND "))?;
        before.push(format!("(({condition}) IS DISTINCT FROM TRUE)"));
    }
    if let Some(other) = else_result {
        restrict_errors(other, &before.join(" AND "))?;
    }
    Ok(Some(case))
}

/// A value of `coalesce` fails only where those before it are NULL; whether there was something to do.
pub(super) fn short_circuit_coalesce(choice: &mut Function) -> SqlResult<bool> {
    if !choice.to_string().contains(PREFIX) {
        return Ok(false);
    }
    let mut before: Vec<String> = Vec::new();
    for value in values_of(choice) {
        let own = format!("(({}) IS NULL)", never_failing(value));
        if !before.is_empty() {
            restrict_errors(value, &before.join(" AND "))?;
        }
        before.push(own);
    }
    Ok(true)
}

/// Lets calls of our functions fail only where `condition` is true.
fn restrict_errors(expr: &mut Expr, condition: &str) -> SqlResult<()> {
    let restrict_errors = sql(condition)?;
    let _ = each_call(expr, |last| match last.to_string().to_ascii_uppercase().as_str() {
        "FALSE" => {}
        "TRUE" => *last = restrict_errors.clone(),
        _ => {
            let both = sql(&format!("{last} AND {restrict_errors}"));
            if let Ok(both) = both {
                *last = both;
            }
        }
    });
    Ok(())
}

/// The expression with calls that never fail.
fn never_failing(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    if let Ok(never) = parser("FALSE").and_then(|mut parser| parser.parse_expr()) {
        let _ = each_call(&mut expr, |last| *last = never.clone());
    }
    expr
}

/// Changes the last argument of each call of our functions.
fn each_call(expr: &mut Expr, mut change: impl FnMut(&mut Expr)) -> ControlFlow<()> {
    walk_expressions_mut(expr, |node| {
        if let Expr::Function(function) = node
            && function.name.to_string().starts_with(PREFIX)
            && let FunctionArguments::List(list) = &mut function.args
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(last))) = list.args.last_mut()
        {
            change(last);
        }
        ControlFlow::Continue(())
    })
}
