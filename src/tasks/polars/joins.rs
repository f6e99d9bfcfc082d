//! Joins that give Postgres's rows: by equal values of both tables. Polars applies any other condition of ON to the rows that
//! were joined, and finds no way to join by an order alone.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, JoinConstraint, JoinOperator, Select, TableFactor, TableWithJoins};

use super::class::{describe, is_comparison};
use super::queries::{conjuncts, join_constraint};
use super::unsupported::{SqlResult, unsupported};
use super::walk::walk_expressions;

/// Refuses joins by anything but equal values.
pub(super) fn check_joins(select: &Select) -> SqlResult<()> {
    let crosses = check_tables(&select.from)? || select.from.len() > 1;
    match &select.selection {
        Some(condition) if crosses => check_crossed(condition),
        _ => Ok(()),
    }
}

/// Whether one of the joins has no condition.
fn check_tables(tables: &[TableWithJoins]) -> SqlResult<bool> {
    let mut crosses = false;
    for table in tables {
        if let TableFactor::NestedJoin { table_with_joins, .. } = &table.relation {
            crosses |= check_tables(std::slice::from_ref(table_with_joins.as_ref()))?;
        }
        for join in &table.joins {
            match join_constraint(&join.join_operator) {
                Some(JoinConstraint::On(condition)) => check_on(condition, &join.join_operator, &join.relation)?,
                Some(JoinConstraint::None) | None => crosses = true,
                Some(_) => {}
            }
        }
    }
    Ok(crosses)
}

fn check_on(condition: &Expr, join: &JoinOperator, joined: &TableFactor) -> SqlResult<()> {
    let parts = conjuncts(condition);
    let is_inner = matches!(join, JoinOperator::Join(_) | JoinOperator::Inner(_));
    let name = name_of(joined);
    let mut joins = false;
    for part in &parts {
        match part {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let (left, right) = (tables(left), tables(right));
                let is_of = |tables: &BTreeSet<String>| name.as_ref().is_some_and(|name| tables.contains(name));
                if is_of(&left) && is_of(&right) || !left.is_empty() && !right.is_empty() && left == right {
                    return unsupported(
                        format!("the join condition {}, which is about one table", describe(part)),
                        "write it in WHERE, or in `FROM (SELECT … WHERE …)`",
                    );
                }
                joins |= !left.is_empty() && !right.is_empty();
            }
            part if !is_inner => {
                return unsupported(
                    format!("{} in ON of an outer join, where only equal columns are compared", describe(part)),
                    "join a query that holds the condition, such as `LEFT JOIN (SELECT … WHERE …) b ON a.k = b.k`, or \
                     compute it in SQL after the load",
                );
            }
            _ => {}
        }
    }
    match joins || !parts.iter().any(|part| is_unequal(part)) {
        true => Ok(()),
        false => by_order(condition),
    }
}

fn by_order<T>(condition: &Expr) -> SqlResult<T> {
    unsupported(
        format!("a join by {}, without columns that are equal", describe(condition)),
        "join by equal columns with `JOIN … ON a.k = b.k`, or compute it in SQL after the load",
    )
}

/// Refuses conditions of a cross join that compare columns of two tables by their order.
fn check_crossed(condition: &Expr) -> SqlResult<()> {
    let found = walk_expressions(condition, |node| match node {
        node if is_unequal(node) && tables(node).len() > 1 => ControlFlow::Break(node.clone()),
        _ => ControlFlow::Continue(()),
    });
    found.break_value().map_or(Ok(()), |node| by_order(&node))
}

fn is_unequal(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, .. } => is_comparison(op) && *op != BinaryOperator::Eq,
        Expr::Between { .. } => true,
        _ => false,
    }
}

fn name_of(table: &TableFactor) -> Option<String> {
    let (own, alias) = match table {
        TableFactor::Table { name, alias, .. } => (name.0.last().map(ToString::to_string), alias),
        TableFactor::Derived { alias, .. } => (None, alias),
        _ => return None,
    };
    let name = alias.as_ref().map(|alias| alias.name.value.clone()).or(own)?;
    Some(name.trim_matches('"').to_lowercase())
}

/// The tables that an expression names; one without a name counts as another.
fn tables(expr: &Expr) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let _ = walk_expressions(expr, |node| {
        match node {
            Expr::CompoundIdentifier(names) => {
                all.extend(names.iter().rev().nth(1).map(|table| table.value.to_lowercase()));
            }
            Expr::Identifier(name) => {
                all.insert(format!("\u{1}{}", name.value));
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    all
}
