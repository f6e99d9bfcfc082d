//! Queries of a step: what they cannot hold, and how the queries inside of them are run.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use polars::prelude::{LazyFrame, PolarsError, PolarsResult};
use polars::sql::SQLContext;
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr,
    SetOperator, Statement, TableFactor, Value, Visitor, VisitorMut,
};

use super::function_table::{self, PREFIX, SqlFunction};
use super::sql::parser;
use super::unsupported::{SqlResult, UnsupportedSql, unsupported};
use super::walk::{walk, walk_expressions, walk_mut};

/// What begins the names of tables that stand for queries in FROM.
const SUBQUERY_PREFIX: &str = "\u{1}inner";

/// The names that queries give to values, by which outer ones know them, with the values.
pub(super) fn aliased_values(statements: &[Statement]) -> BTreeMap<String, Vec<Expr>> {
    struct Aliases(BTreeMap<String, Vec<Expr>>);
    impl Visitor for Aliases {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let values = selects(&query.body).into_iter().flat_map(|select| &select.projection).filter_map(aliased);
            values.for_each(|(name, value)| self.0.entry(name).or_default().push(value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut all = Aliases(BTreeMap::new());
    let _ = statements.iter().try_for_each(|statement| walk(statement, &mut all));
    all.0
}

/// Refuses what Polars would compute otherwise than Postgres, once expressions are rewritten.
pub(super) fn check(statements: &[Statement]) -> SqlResult<()> {
    struct Check;
    impl Visitor for Check {
        type Break = Box<UnsupportedSql>;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<UnsupportedSql>> {
            let checked =
                check_operators(&query.body).and_then(|()| selects(&query.body).into_iter().try_for_each(check_groups));
            checked.map_or_else(ControlFlow::Break, ControlFlow::Continue)
        }
    }
    let visited = statements.iter().try_for_each(|statement| walk(statement, &mut Check));
    visited.break_value().map_or(Ok(()), Err)
}

fn check_operators(body: &SetExpr) -> SqlResult<()> {
    match body {
        SetExpr::SetOperation { op: op @ (SetOperator::Except | SetOperator::Intersect), .. } => {
            unsupported(format!("{op} between queries"), "write it with a join, or with `WHERE column IN (SELECT …)`")
        }
        SetExpr::SetOperation { left, right, .. } => check_operators(left).and_then(|()| check_operators(right)),
        _ => Ok(()),
    }
}

/// A value in GROUP BY would be computed again from its own result.
fn check_groups(select: &Select) -> SqlResult<()> {
    if select.having.as_ref().is_some_and(|having| walk(having, &mut FindBareColumn { aggregates: 0 }).is_break()) {
        let help = "put conditions on the groups' columns into WHERE";
        return unsupported("HAVING on a column outside an aggregate such as `count` or `sum`", help);
    }
    let GroupByExpr::Expressions(groups, _) = &select.group_by else { return Ok(()) };
    let is_internal = |text: &str| text.contains(PREFIX);
    let item = |group: &Expr| match group {
        Expr::Value(_) => select.projection.get(output_position(group)?).map(ToString::to_string),
        Expr::Identifier(name) => {
            let mut items = select.projection.iter().filter_map(aliased);
            items.find(|(alias, _)| *alias == name.value).map(|(_, value)| value.to_string())
        }
        _ => None,
    };
    match groups
        .iter()
        .find(|group| is_internal(&group.to_string()) || item(group).is_some_and(|item| is_internal(&item)))
    {
        None => Ok(()),
        Some(_) => unsupported(
            "GROUP BY a value that is computed or cast",
            "compute it in a column first, with `with_columns` or in `FROM (SELECT …)`, and group by that column",
        ),
    }
}

fn aliased(item: &SelectItem) -> Option<(String, &Expr)> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((alias.value.clone(), expr)),
        _ => None,
    }
}

/// Whether an expression is a number that stands for a place among the values of a query.
pub(super) fn output_position(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        _ => None,
    }
}

/// The conditions that AND joins into one.
pub(super) fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => [conjuncts(left), conjuncts(right)].concat(),
        condition => vec![condition],
    }
}

/// What a join is made by.
pub(super) fn join_constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{
        Anti, CrossJoin, FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightAnti, RightOuter,
        RightSemi, Semi, StraightJoin,
    };
    match join {
        Join(join_constraint)
        | Inner(join_constraint)
        | Left(join_constraint)
        | LeftOuter(join_constraint)
        | Right(join_constraint)
        | RightOuter(join_constraint)
        | FullOuter(join_constraint)
        | CrossJoin(join_constraint)
        | Semi(join_constraint)
        | LeftSemi(join_constraint)
        | RightSemi(join_constraint)
        | Anti(join_constraint)
        | LeftAnti(join_constraint)
        | RightAnti(join_constraint)
        | StraightJoin(join_constraint) => Some(join_constraint),
        _ => None,
    }
}

/// The SELECTs that a query is made of.
pub(super) fn selects(body: &SetExpr) -> Vec<&Select> {
    match body {
        SetExpr::Select(select) => vec![select],
        SetExpr::SetOperation { left, right, .. } => [selects(left), selects(right)].concat(),
        _ => Vec::new(),
    }
}

/// Whether a query makes one row, or none, of each row of its input alone, whatever other rows there are.
pub(super) fn is_row_wise(sql: &str) -> bool {
    let Ok(statements) = parser(sql).and_then(|mut parser| parser.parse_statements()) else { return false };
    let [Statement::Query(query)] = statements.as_slice() else { return false };
    let Query { with: None, order_by: None, limit_clause: None, fetch: None, body, .. } = query.as_ref() else {
        return false;
    };
    let SetExpr::Select(select) = body.as_ref() else { return false };
    let is_plain = select.distinct.is_none()
        && select.top.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.lateral_views.is_empty()
        && matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    let reads_input = matches!(select.from.as_slice(), [table] if table.joins.is_empty()
        && matches!(&table.relation, TableFactor::Table { args: None, .. }));
    is_plain
        && reads_input
        && select.projection.iter().all(reads_its_row)
        && walk(select, &mut FindCrossRow).is_continue()
}

/// A value that reads no column would be one for all rows.
fn reads_its_row(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            walk_expressions(expr, |node| match node {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
            .is_break()
        }
        _ => true,
    }
}

/// Finds what sees more than one row.
struct FindCrossRow;

impl Visitor for FindCrossRow {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if function.over.is_some() || aggregate(expr).is_some() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn aggregate(expr: &Expr) -> Option<&'static SqlFunction> {
    let Expr::Function(function) = expr else { return None };
    function_table::find(&function.name.to_string().to_lowercase()).filter(|entry| entry.is_aggregate)
}

/// Finds a column that is in no function which sees all rows of a group.
struct FindBareColumn {
    aggregates: usize,
}

impl FindBareColumn {
    fn is_aggregate(expr: &Expr) -> bool {
        aggregate(expr).is_some_and(|entry| !entry.is_internal())
    }
}

impl Visitor for FindBareColumn {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.aggregates += usize::from(Self::is_aggregate(expr));
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) if self.aggregates == 0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.aggregates -= usize::from(Self::is_aggregate(expr));
        ControlFlow::Continue(())
    }
}

/// The query with one more column of its input.
pub(super) fn with_column(sql: &str, name: &str) -> String {
    let Ok(mut statements) = parser(sql).and_then(|mut parser| parser.parse_statements()) else {
        return sql.to_owned();
    };
    if let Some(Statement::Query(query)) = statements.first_mut()
        && let SetExpr::Select(select) = query.body.as_mut()
        && !select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    {
        let column = Expr::Identifier(Ident::with_quote('"', name));
        select.projection.push(SelectItem::UnnamedExpr(column));
    }
    statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Runs a query. Polars gives queries in WITH and in FROM none of the functions that it is given, so they are run first,
/// each as a table of its own.
///
/// # Errors
/// When Polars cannot run it.
pub(super) fn run(context: &mut SQLContext, sql: &str) -> PolarsResult<LazyFrame> {
    let Ok(mut statements) = parser(sql).and_then(|mut parser| parser.parse_statements()) else {
        return context.execute(sql);
    };
    let mut subqueries = Subqueries { context: &mut *context, count: 0 };
    let visited = walk_mut(&mut statements, &mut subqueries);
    let count = subqueries.count;
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) if count == 0 => context.execute(sql),
        ControlFlow::Continue(()) => {
            context.execute(&statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}

/// The queries inside of a query, which become tables.
struct Subqueries<'a> {
    context: &'a mut SQLContext,
    count: usize,
}

impl Subqueries<'_> {
    fn register(&mut self, name: &str, query: &Query) -> ControlFlow<PolarsError> {
        self.count += 1;
        match self.context.execute(&query.to_string()) {
            Ok(frame) => {
                self.context.register(name, frame);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl VisitorMut for Subqueries<'_> {
    type Break = PolarsError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PolarsError> {
        let Some(with) = query.with.take() else { return ControlFlow::Continue(()) };
        for mut table in with.cte_tables {
            if with.recursive || !table.alias.columns.is_empty() {
                let message = "WITH RECURSIVE and column names after WITH are not supported";
                return ControlFlow::Break(PolarsError::SQLInterface(message.into()));
            }
            walk_mut(&mut table.query, self)?;
            self.register(&table.alias.name.value, &table.query)?;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<PolarsError> {
        let TableFactor::Derived { lateral: false, subquery, alias, .. } = table else {
            return ControlFlow::Continue(());
        };
        let name = format!("{SUBQUERY_PREFIX}{}", self.count);
        let alias = alias.as_ref().map(|alias| format!(" {alias}")).unwrap_or_default();
        let read = parser(&format!("\"{name}\"{alias}")).and_then(|mut parser| parser.parse_table_factor());
        let Ok(read) = read else { return ControlFlow::Continue(()) };
        self.register(&name, subquery)?;
        *table = read;
        ControlFlow::Continue(())
    }
}
