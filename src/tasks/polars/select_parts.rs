//! The clauses of a query that steps compute as Postgres does; see [`super::allowed`].

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Fetch, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, OrderBy, OrderByExpr,
    OrderByKind, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    SetQuantifier, TableAlias, TableFactor, Value, Visit, WildcardAdditionalOptions,
};

use super::sql::INPUT;
use super::unsupported::{AFTER_LOAD, SqlResult, unsupported};
use super::walk::walk_expressions;

pub(super) fn check_body(body: &SetExpr) -> SqlResult<()> {
    match body {
        SetExpr::Select(select) => check_select(select),
        SetExpr::Query(_) => Ok(()),
        SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } => {
            if !matches!(set_quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None) {
                return unsupported(format!("UNION {set_quantifier}"), "write UNION or UNION ALL");
            }
            check_body(left).and_then(|()| check_body(right))
        }
        SetExpr::SetOperation { op, .. } => {
            unsupported(format!("{op} between queries"), "write it with a join, or with `WHERE column IN (SELECT …)`")
        }
        other => unsupported(format!("`{other}`"), "write `SELECT … FROM self`"),
    }
}

fn check_select(select: &Select) -> SqlResult<()> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let is_plain = optimizer_hints.is_empty()
        && select_modifiers.is_none()
        && top.is_none()
        && exclude.is_none()
        && into.is_none()
        && lateral_views.is_empty()
        && prewhere.is_none()
        && connect_by.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && qualify.is_none()
        && value_table_mode.is_none()
        && *flavor == SelectFlavor::Standard;
    if !is_plain {
        return unsupported("a clause of SELECT that Postgres does not know", "write the query as Postgres has it");
    }
    if !named_window.is_empty() {
        return unsupported("WINDOW, which names windows", "write each window out: `OVER (…)`");
    }
    if matches!(distinct, Some(Distinct::On(_))) {
        let help = "the step `dedupe` keeps one row of each key; or number the rows with `row_number() OVER (…)`";
        return unsupported("DISTINCT ON", help);
    }
    match group_by {
        GroupByExpr::Expressions(_, modifiers) if modifiers.is_empty() => {}
        _ => return unsupported("GROUP BY ALL, ROLLUP and CUBE", "name the columns to group by"),
    }
    if projection.is_empty() || from.len() != 1 {
        let help = "write `SELECT … FROM self`; tables are joined with `JOIN … ON …`";
        return unsupported("a SELECT of nothing, from nothing, or from several tables with commas", help);
    }
    projection.iter().try_for_each(check_item)?;
    from.iter().flat_map(|table| &table.joins).try_for_each(check_join)
}

fn check_item(item: &SelectItem) -> SqlResult<()> {
    match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => Ok(()),
        SelectItem::Wildcard(options)
        | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options)
            if *options == WildcardAdditionalOptions::default() =>
        {
            Ok(())
        }
        item => unsupported(format!("`{item}`"), "name the columns one by one"),
    }
}

/// Refuses joins that are none of Postgres's, or that Polars makes otherwise.
fn check_join(join: &Join) -> SqlResult<()> {
    let Join { relation: _, global, join_operator } = join;
    if *global {
        return unsupported("a GLOBAL join", "write JOIN");
    }
    use JoinOperator::{CrossJoin, FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match join_operator {
        JoinOperator::Join(constraint) | Inner(constraint) | Left(constraint) | LeftOuter(constraint) => {
            match constraint {
                JoinConstraint::On(_) | JoinConstraint::Using(_) => Ok(()),
                JoinConstraint::Natural => unsupported("NATURAL JOIN", "write `JOIN … USING (columns)`"),
                JoinConstraint::None => unsupported("a join without a condition", "write CROSS JOIN, or ON"),
            }
        }
        Right(constraint) | RightOuter(constraint) | FullOuter(constraint) => match constraint {
            JoinConstraint::On(_) => Ok(()),
            _ => unsupported(
                "a RIGHT or FULL JOIN with USING, NATURAL or no condition",
                "write ON, and `coalesce(a.k, b.k)` for the columns that are equal",
            ),
        },
        CrossJoin(JoinConstraint::None) => Ok(()),
        _ => unsupported("a kind of join that steps do not compute", "write JOIN, LEFT, RIGHT, FULL or CROSS JOIN"),
    }
}

/// Refuses what is no table and no query. `named` are the names that WITH gives.
pub(super) fn check_table(table: &TableFactor, named: &BTreeSet<String>) -> SqlResult<()> {
    let alias = match table {
        TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } if name.0.len() == 1 && with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => alias,
        TableFactor::Derived { lateral: false, subquery: _, alias, sample: None } => alias,
        other => {
            return unsupported(format!("`{other}` in FROM"), "read `self`, or a query: `FROM (SELECT … FROM self) a`");
        }
    };
    let Some(TableAlias { explicit: _, name, columns, at }) = alias else { return Ok(()) };
    if !columns.is_empty() || at.is_some() {
        return unsupported(
            format!("names of columns behind the table `{}`", name.value),
            "name them in a query: `FROM (SELECT a AS b FROM self) x`",
        );
    }
    let lower = name.value.to_lowercase();
    match lower == INPUT || named.contains(&lower) {
        true => {
            unsupported(format!("the name `{}` for a second table", name.value), "give the table in FROM another name")
        }
        false => Ok(()),
    }
}

pub(super) fn check_order(order: Option<&OrderBy>) -> SqlResult<()> {
    let Some(OrderBy { kind, interpolate }) = order else { return Ok(()) };
    match kind {
        OrderByKind::Expressions(orders) if interpolate.is_none() => orders.iter().try_for_each(check_key),
        _ => unsupported("ORDER BY ALL or INTERPOLATE", "name the columns that decide the order"),
    }
}

/// A key of an order: a value that depends on the row, or a place.
pub(super) fn check_key(order: &OrderByExpr) -> SqlResult<()> {
    let OrderByExpr { expr, options: _, with_fill } = order;
    let is_place = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        },
        _ => false,
    };
    let is_all =
        matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all"));
    match with_fill.is_none() && !is_all && (is_place(expr) || reads_column(expr)) {
        true => Ok(()),
        false => unsupported(format!("the order by `{order}`"), "order by columns"),
    }
}

pub(super) fn check_limit(limit: Option<&LimitClause>, fetch: Option<&Fetch>) -> SqlResult<()> {
    let (limit, offset) = match limit {
        None => (None, None),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        Some(_) => return unsupported("a LIMIT that Postgres does not know", "write `LIMIT 10 OFFSET 20`"),
    };
    let quantity = match fetch {
        None => None,
        Some(Fetch { with_ties: false, percent: false, quantity: Some(quantity) }) => Some(quantity),
        Some(_) => return unsupported("FETCH WITH TIES, PERCENT or without a number", AFTER_LOAD),
    };
    let is_number = |expr: &&Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<u32>().is_ok(),
            _ => false,
        },
        _ => false,
    };
    match [limit, offset, quantity].into_iter().flatten().all(|expr| is_number(&expr)) {
        true => Ok(()),
        false => unsupported("LIMIT and OFFSET of what is not a whole number", "write `LIMIT 10 OFFSET 20`"),
    }
}

/// Whether a value depends on the row.
pub(super) fn reads_column(node: &impl Visit) -> bool {
    let found = walk_expressions(node, |node| match node {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
