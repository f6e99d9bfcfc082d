//! The columns that each part of a query sees and gives, with their types. Numeric ones are known by them wherever they
//! go: a query has them as texts, which Polars would compare letter by letter.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, JoinConstraint, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias, TableFactor, TableWithJoins,
    VisitMut, WildcardAdditionalOptions,
};

use super::class::Class;
use super::dialect::{Rewriter, sql};
use super::function_table::PREFIX;
use super::groups::{OrderRule, check_groups};
use super::joins::check_joins;
use super::places::check_places;
use super::queries::{join_constraint, output_position};
use super::sql::{INPUT, parser};
use super::unsupported::{SqlResult, unsupported};
use super::walk::{walk_expressions, walk_mut};
use crate::stream::ColumnType;

/// A column of a table or of a result.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    /// The name of its table; none in a result.
    pub(super) table: Option<String>,
    /// Its name; none where Polars makes one.
    pub(super) name: Option<String>,
    /// Its type, as far as it is known.
    pub(super) kind: Option<ColumnType>,
}

impl ScopeColumn {
    fn is_numeric(&self) -> bool {
        self.kind == Some(ColumnType::Numeric)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// Whether an expression is its name, with or without its table.
    fn is_named(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.is_named(inner),
            Expr::Identifier(name) => self.is_called(&name.value),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [table, name] => {
                    let own = self.table.as_ref();
                    self.is_called(&name.value) && own.is_some_and(|own| own.eq_ignore_ascii_case(&table.value))
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// The type of a column, as far as it is known. Where tables have one of that name each, it may be numeric if one is.
pub(super) fn kind(fields: &[ScopeColumn], table: Option<&str>, name: &str) -> Option<ColumnType> {
    let is_of = |field: &&ScopeColumn| {
        table.is_none_or(|table| field.table.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(table)))
    };
    let mut kinds = fields.iter().filter(|field| field.is_called(name)).filter(is_of).map(|field| field.kind);
    let first = kinds.next()?;
    let numeric = Some(ColumnType::Numeric);
    let others: Vec<_> = kinds.filter(|kind| *kind != first).collect();
    match others.is_empty() {
        true => first,
        false => others.into_iter().chain([first]).find(|kind| *kind == numeric).flatten(),
    }
}

/// How many columns a name may stand for.
pub(super) fn fields_of(fields: &[ScopeColumn], name: &Expr) -> usize {
    fields.iter().filter(|field| field.is_named(name)).count()
}

/// The place of the first column that a name stands for.
pub(super) fn field_index(fields: &[ScopeColumn], name: &Expr) -> Option<usize> {
    fields.iter().position(|field| field.is_named(name))
}

impl Rewriter<'_> {
    /// Rewrites a query; gives the columns of its result.
    pub(super) fn query(&mut self, query: &mut Query) -> SqlResult<Vec<ScopeColumn>> {
        let (fields, tables) = (self.fields.take(), self.tables.len());
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            let result = self.query(&mut table.query)?;
            self.tables.push((table.alias.name.value.clone(), with_aliases(result, Some(&table.alias))));
        }
        let rule = OrderRule::of(&query.body);
        let result = self.body(&mut query.body)?;
        if let Some(order) = &mut query.order_by {
            if let OrderByKind::Expressions(orders) = &order.kind {
                orders.iter().try_for_each(|order| rule.check(order, &result, self.fields.as_deref()))?;
            }
            self.order(order, &result, matches!(*query.body, SetExpr::SetOperation { .. }))?;
        }
        self.tables.truncate(tables);
        self.fields = fields;
        Ok(result)
    }

    /// Rewrites a query that is a part of an expression, and leaves another in its place. Its values come from a table of
    /// their own, so that nothing in it can be taken for a column of the query around it.
    pub(super) fn inner_query(&mut self, query: &mut Query) -> SqlResult<Query> {
        let nothing = parser("SELECT 1").and_then(|mut parser| parser.parse_query());
        let Ok(nothing) = nothing else { return unsupported("a query inside an expression", "write it in FROM") };
        let mut inner = std::mem::replace(query, *nothing);
        self.depth += 1;
        let result = self.query(&mut inner)?;
        self.depth -= 1;
        if result.iter().any(ScopeColumn::is_numeric) {
            return unsupported(
                "a query inside an expression that gives numeric values",
                "let it give `CAST(column AS double precision)`, or compute it in SQL after the load",
            );
        }
        let name = Ident::with_quote('"', format!("{PREFIX}value"));
        let item = match inner.body.as_mut() {
            SetExpr::Select(select) => match select.projection.as_mut_slice() {
                [item @ (SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })] => item,
                _ => return unsupported("a query behind IN that gives several columns", "let it give one column"),
            },
            _ => return unsupported("UNION behind IN", "write `IN (SELECT a FROM (… UNION …) x)`"),
        };
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() };
        }
        if inner.order_by.is_some() || inner.with.is_some() {
            return unsupported(
                "ORDER BY and WITH in a query behind IN",
                "leave ORDER BY out, and write WITH in front",
            );
        }
        self.is_changed = true;
        let outer = parser(&format!("SELECT {name} FROM ({inner}) AS {PREFIX}values"))
            .and_then(|mut parser| parser.parse_query());
        outer.map(|outer| *outer).or_else(|error| unsupported(error.to_string(), "write it in FROM"))
    }

    /// Leaves the columns in place that the SELECT saw, for ORDER BY.
    fn body(&mut self, body: &mut SetExpr) -> SqlResult<Vec<ScopeColumn>> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let (one, other) = (self.body(left)?, self.body(right)?);
                self.fields = None;
                union_columns(*op, *set_quantifier, one, &other)
            }
            body => self.visit(body).map(|()| Vec::new()),
        }
    }

    fn visit(&mut self, node: &mut impl VisitMut) -> SqlResult<()> {
        walk_mut(node, self).break_value().map_or(Ok(()), |unsupported| Err(Box::new(unsupported)))
    }

    fn select(&mut self, select: &mut Select) -> SqlResult<Vec<ScopeColumn>> {
        check_joins(select)?;
        let mut from = std::mem::take(&mut select.from);
        let fields = self.from(&mut from)?;
        self.fields = Some(fields.clone());
        select.from = from;
        check_places(select, &fields, self.depth > 0)?;
        check_groups(select, &fields)?;
        from = std::mem::take(&mut select.from);
        enclose_constants(select);
        self.joins(&mut from)?;
        let mut projection = std::mem::take(&mut select.projection);
        // All that is left are conditions, groups and the like.
        self.visit(select)?;
        let mut result = Vec::new();
        for item in &mut projection {
            result.extend(self.item(item, &fields)?);
        }
        self.check_numeric_groups(select, &result)?;
        self.check_numeric_columns(&mut select.clone())?;
        (select.from, select.projection) = (from, projection);
        Ok(result)
    }

    /// The columns of the tables in FROM, with their queries rewritten.
    fn from(&mut self, tables: &mut [TableWithJoins]) -> SqlResult<Vec<ScopeColumn>> {
        let (mut all, mut names) = (Vec::new(), Vec::new());
        let relations = tables.iter_mut().flat_map(|table| {
            std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation))
        });
        for relation in relations {
            let fields = self.table(relation)?;
            let name = fields.first().and_then(|field| field.table.as_ref()).map(|name| name.to_lowercase());
            if let Some(name) = name.filter(|name| names.contains(name)) {
                let help = "give each table in FROM a name of its own";
                return unsupported(format!("the name `{name}` for two tables"), help);
            }
            names.extend(fields.first().and_then(|field| field.table.as_ref()).map(|name| name.to_lowercase()));
            all.extend(fields);
        }
        Ok(all)
    }

    fn table(&mut self, table: &mut TableFactor) -> SqlResult<Vec<ScopeColumn>> {
        let (fields, own, alias) = match table {
            TableFactor::Table { name, alias, .. } => {
                let name = name.0.last().map(ToString::to_string).unwrap_or_default();
                let name = name.trim_matches('"').to_owned();
                let known = self.tables.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(&name));
                let input = || {
                    let column = |(name, kind): &(String, ColumnType)| ScopeColumn {
                        table: None,
                        name: Some(name.clone()),
                        kind: Some(*kind),
                    };
                    self.columns.iter().map(column).collect()
                };
                let fields = match known {
                    Some((_, fields)) => fields.clone(),
                    None if name.eq_ignore_ascii_case(INPUT) => input(),
                    None => Vec::new(),
                };
                (fields, Some(name), alias)
            }
            TableFactor::Derived { subquery, alias, .. } => (self.query(subquery)?, None, alias),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                return self.from(std::slice::from_mut(table_with_joins.as_mut()));
            }
            other => {
                self.visit(other)?;
                return Ok(Vec::new());
            }
        };
        let table = alias.as_ref().map(|alias| alias.name.value.clone()).or(own);
        let fields = with_aliases(fields, alias.as_ref()).into_iter();
        Ok(fields.map(|field| ScopeColumn { table: table.clone(), ..field }).collect())
    }

    fn joins(&mut self, tables: &mut [TableWithJoins]) -> SqlResult<()> {
        let is_numeric = |fields: &Option<Vec<ScopeColumn>>, name: &str| {
            fields.iter().flatten().any(|field| field.is_called(name) && field.is_numeric())
        };
        for table in tables {
            if let TableFactor::NestedJoin { table_with_joins, .. } = &mut table.relation {
                self.joins(std::slice::from_mut(table_with_joins.as_mut()))?;
            }
            for join in &mut table.joins {
                let is_by_numeric = match join_constraint(&join.join_operator) {
                    Some(JoinConstraint::On(condition)) => self.reads(condition, |kind| kind == ColumnType::Numeric),
                    Some(JoinConstraint::Using(names)) => {
                        names.iter().any(|name| is_numeric(&self.fields, name.to_string().trim_matches('"')))
                    }
                    Some(JoinConstraint::Natural) => self.fields.iter().flatten().any(ScopeColumn::is_numeric),
                    Some(JoinConstraint::None) | None => false,
                };
                if is_by_numeric {
                    return unsupported(
                        "a join by a numeric column, whose equal values may be written in several ways, as 1.0 and 1.00",
                        "join by a column of another type, or compute it in SQL after the load",
                    );
                }
                self.visit(&mut join.join_operator)?;
            }
        }
        Ok(())
    }

    /// Rewrites what a SELECT gives in one place; the columns of the result that this makes.
    fn item(&mut self, item: &mut SelectItem, fields: &[ScopeColumn]) -> SqlResult<Vec<ScopeColumn>> {
        let all = |options: &WildcardAdditionalOptions, fields: Vec<ScopeColumn>| {
            let is_renamed = options.opt_rename.is_some() || options.opt_replace.is_some();
            match is_renamed && fields.iter().any(ScopeColumn::is_numeric) {
                true => unsupported("RENAME or REPLACE in a query with numeric columns", "name the columns one by one"),
                false => Ok(fields.into_iter().map(|field| ScopeColumn { table: None, ..field }).collect()),
            }
        };
        Ok(match item {
            SelectItem::Wildcard(options) => return all(options, fields.to_vec()),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = name.to_string();
                let is_of = |field: &&ScopeColumn| {
                    field.table.as_ref().is_some_and(|table| table.eq_ignore_ascii_case(name.trim_matches('"')))
                };
                return all(options, fields.iter().filter(is_of).cloned().collect());
            }
            SelectItem::UnnamedExpr(expr) => {
                let name = name_of(expr);
                self.visit(expr)?;
                let kind = self.finish(expr)?;
                let (expr, name) = (expr.clone(), name.clone());
                if let (Some(ColumnType::Numeric), Some(alias)) = (kind, &name) {
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
                }
                vec![ScopeColumn { table: None, name, kind }]
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.visit(expr)?;
                let kind = self.finish(expr)?;
                vec![ScopeColumn { table: None, name: Some(alias.value.clone()), kind }]
            }
            other => {
                self.visit(other)?;
                self.check_numeric_columns(&mut other.clone())?;
                Vec::new()
            }
        })
    }

    /// Refuses to tell numeric values apart by their texts.
    fn check_numeric_groups(&self, select: &Select, result: &[ScopeColumn]) -> SqlResult<()> {
        let has_numeric = result.iter().any(ScopeColumn::is_numeric);
        let is_distinct = matches!(select.distinct, Some(Distinct::Distinct)) && has_numeric;
        let groups = match &select.group_by {
            GroupByExpr::All(_) => has_numeric,
            GroupByExpr::Expressions(groups, _) => groups.iter().any(|group| self.sort_digits(group, result).is_some()),
        };
        if is_distinct || groups {
            let what = if groups { "GROUP BY" } else { "DISTINCT" };
            return unsupported(
                format!("{what} a numeric column, whose equal values may be written in several ways, as 1.0 and 1.00"),
                "the step `dedupe` compares numeric values; or compute it in SQL after the load",
            );
        }
        Ok(())
    }

    /// SQL for the digits of what ORDER BY or GROUP BY names, if it is numeric: a column of the result by its place or
    /// name, or another.
    fn sort_digits(&self, expr: &Expr, result: &[ScopeColumn]) -> Option<String> {
        let quoted = |name: &str| Ident::with_quote('"', name).to_string();
        if let Some(output_position) = output_position(expr) {
            return result.get(output_position).filter(|field| field.is_numeric())?.name.as_deref().map(quoted);
        }
        if let Expr::Identifier(name) = expr
            && let Some(field) = result.iter().find(|field| field.is_called(&name.value))
        {
            return field.is_numeric().then(|| quoted(&name.value));
        }
        (self.kind(expr) == Some(ColumnType::Numeric)).then(|| expr.to_string())
    }

    fn order(&mut self, order: &mut OrderBy, result: &[ScopeColumn], is_union: bool) -> SqlResult<()> {
        let OrderByKind::Expressions(orders) = &mut order.kind else {
            return match result.iter().any(ScopeColumn::is_numeric) {
                true => unsupported("ORDER BY ALL with a numeric column", "name the columns that decide the order"),
                false => Ok(()),
            };
        };
        for order in orders {
            let digits = match self.sort_digits(&order.expr, result) {
                Some(digits) => Some(digits),
                None => {
                    self.visit(&mut order.expr)?;
                    self.digits(&order.expr)?
                }
            };
            match digits {
                // Polars gives a UNION none of our functions.
                Some(_) if is_union => {
                    let help = "write `SELECT * FROM (… UNION ALL …) AS x ORDER BY …`";
                    return unsupported("UNION in the order of a numeric column", help);
                }
                Some(digits) => {
                    order.expr = sql(&format!("{PREFIX}sortkey({digits}, TRUE)"))?;
                    self.is_changed = true;
                }
                None => self.check_numeric_columns(&mut order.expr.clone())?,
            }
        }
        Ok(())
    }
}

/// Polars takes a condition of two values that are written out for true where they are written alike.
fn enclose_constants(select: &mut Select) {
    let is_value = |expr: &Expr| matches!(expr, Expr::Value(_));
    if let Some(condition) = &mut select.selection
        && matches!(condition, Expr::BinaryOp { left, right, .. } if is_value(left) && is_value(right))
    {
        *condition = Expr::Nested(Box::new(condition.clone()));
    }
}

/// The columns of queries that are put together.
fn union_columns(
    op: SetOperator,
    quantifier: SetQuantifier,
    one: Vec<ScopeColumn>,
    other: &[ScopeColumn],
) -> SqlResult<Vec<ScopeColumn>> {
    let is_numeric = one.iter().chain(other).any(ScopeColumn::is_numeric);
    let keeps_all = op == SetOperator::Union && quantifier == SetQuantifier::All;
    let is_alike =
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_numeric() == other.is_numeric());
    let class = |field: &ScopeColumn| field.kind.and_then(Class::of_column);
    let mixed = one
        .iter()
        .zip(other)
        .find(|(one, other)| class(one).zip(class(other)).is_some_and(|(one, other)| one != other));
    let is_zoned = |field: &ScopeColumn| matches!(field.kind, Some(ColumnType::TimestampTz | ColumnType::Instant));
    let has_zones = one.iter().zip(other).any(|(one, other)| {
        class(one) == Some(Class::Time) && class(other) == Some(Class::Time) && is_zoned(one) != is_zoned(other)
    });
    match () {
        () if mixed.is_some() || has_zones => unsupported(
            format!("{op} of columns of different types"),
            "convert one of them with CAST, so that both are of one type",
        ),
        () if is_numeric && !keeps_all => unsupported(
            format!("{op} of numeric columns, whose equal values may be written in several ways, as 1.0 and 1.00"),
            "write UNION ALL, and let the step `dedupe` leave out what is there twice",
        ),
        () if is_numeric && !is_alike => unsupported(
            "UNION ALL of a numeric column and another",
            "write `CAST(column AS double precision)` for both",
        ),
        () => {
            let known = one.into_iter().zip(other).map(|(field, other)| ScopeColumn {
                kind: field.kind.filter(|kind| Some(*kind) == other.kind),
                ..field
            });
            Ok(known.collect())
        }
    }
}

/// Columns under the names that an alias of their table gives them.
fn with_aliases(mut fields: Vec<ScopeColumn>, alias: Option<&TableAlias>) -> Vec<ScopeColumn> {
    let names = alias.into_iter().flat_map(|alias| &alias.columns);
    for (field, column) in fields.iter_mut().zip(names) {
        field.name = Some(column.name.value.clone());
    }
    fields
}

/// The name that Polars gives to a value: that of the first column in it.
fn name_of(expr: &Expr) -> Option<String> {
    let found = walk_expressions(expr, |node| match node {
        Expr::Identifier(name) => ControlFlow::Break(name.value.clone()),
        Expr::CompoundIdentifier(names) => {
            names.last().map_or(ControlFlow::Continue(()), |name| ControlFlow::Break(name.value.clone()))
        }
        _ => ControlFlow::Continue(()),
    });
    found.break_value()
}
