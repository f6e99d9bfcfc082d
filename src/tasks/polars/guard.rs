//! Where a function of ours may fail: only where Postgres would come to compute it.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::dialect::sql;
use super::function_table::PREFIX;
use super::refusal::Outcome;
use super::sql::parser;

/// The right side of AND and OR fails only where the left side leaves the answer open, as with Postgres.
pub(super) fn guarded(left: &Expr, deciding: &str, operator: &str, right: &Expr) -> Outcome<Option<Expr>> {
    if !right.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut right = right.clone();
    guard(&mut right, &format!("(({}) IS DISTINCT FROM {deciding})", quiet(left)))?;
    sql(&format!("{left} {operator} {right}")).map(Some)
}

/// A branch of CASE fails only where it is taken.
pub(super) fn guarded_case(case: &Expr) -> Outcome<Option<Expr>> {
    if !case.to_string().contains(PREFIX) {
        return Ok(None);
    }
    let mut case = case.clone();
    let Expr::Case { operand, conditions, else_result, .. } = &mut case else { return Ok(None) };
    let mut before = Vec::new();
    for when in conditions {
        let others = before.join(" AND ");
        if !others.is_empty() {
            guard(&mut when.condition, &others)?;
        }
        let condition = match operand {
            Some(operand) => format!("({}) = ({})", quiet(operand), quiet(&when.condition)),
            None => quiet(&when.condition).to_string(),
        };
        let own = format!("(({condition}) IS NOT DISTINCT FROM TRUE)");
        guard(&mut when.result, &before.iter().chain([&own]).cloned().collect::<Vec<_>>().join(" AND "))?;
        before.push(format!("(({condition}) IS DISTINCT FROM TRUE)"));
    }
    if let Some(other) = else_result {
        guard(other, &before.join(" AND "))?;
    }
    Ok(Some(case))
}

/// Lets calls of our functions fail only where `condition` is true.
fn guard(expr: &mut Expr, condition: &str) -> Outcome<()> {
    let guard = sql(condition)?;
    let _ = each_call(expr, |last| match last.to_string().to_ascii_uppercase().as_str() {
        "FALSE" => {}
        "TRUE" => *last = guard.clone(),
        _ => {
            let both = sql(&format!("{last} AND {guard}"));
            if let Ok(both) = both {
                *last = both;
            }
        }
    });
    Ok(())
}

/// The expression with calls that never fail.
fn quiet(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    if let Ok(never) = parser("FALSE").and_then(|mut parser| parser.parse_expr()) {
        let _ = each_call(&mut expr, |last| *last = never.clone());
    }
    expr
}

/// Changes the last argument of each call of our functions.
fn each_call(expr: &mut Expr, mut change: impl FnMut(&mut Expr)) -> ControlFlow<()> {
    sqlparser::ast::visit_expressions_mut(expr, |node| {
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
