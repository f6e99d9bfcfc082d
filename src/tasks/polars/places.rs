//! Which table a name stands for, and where queries may stand in a SELECT.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Visitor,
};

use super::class::describe;
use super::queries::{conjuncts, join_constraint};
use super::scope::{ScopeColumn, fields_of};
use super::select_parts::reads_column;
use super::unsupported::{SqlResult, unsupported};
use super::walk::walk;

/// What a SELECT names itself, in its own expressions and in none of the queries in them.
#[derive(Default)]
struct NamedColumns {
    columns: Vec<Expr>,
    /// How many queries stand behind IN.
    queries: usize,
    depth: usize,
}

impl Visitor for NamedColumns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            _ if self.depth > 0 => {}
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.columns.push(expr.clone()),
            Expr::InSubquery { .. } => self.queries += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl NamedColumns {
    fn of(select: &Select) -> Self {
        let mut named = Self::default();
        let _ = walk(&select.projection, &mut named);
        let _ = walk(&select.selection, &mut named);
        let _ = walk(&select.group_by, &mut named);
        let _ = walk(&select.having, &mut named);
        for join in select.from.iter().flat_map(|table| &table.joins) {
            let _ = walk(&join.join_operator, &mut named);
        }
        named
    }
}

/// Refuses names that several tables have, `*` where two columns would have one name, and queries behind IN that are no
/// condition of WHERE by themselves. A query that is `inside` another one reads no columns of that.
pub(super) fn check_places(select: &Select, fields: &[ScopeColumn], inside: bool) -> SqlResult<()> {
    let using = using(select);
    let named = NamedColumns::of(select);
    // GROUP BY may name values of the SELECT.
    let values: BTreeSet<&str> = select.projection.iter().filter_map(alias).collect();
    named.columns.iter().try_for_each(|column| {
        let is_value = matches!(column, Expr::Identifier(name) if values.contains(name.value.as_str()));
        check_name(column, (fields, &using), inside && !is_value)
    })?;
    select.projection.iter().try_for_each(|item| check_wildcard(item, select, fields))?;
    check_inner_queries(select, named.queries)
}

fn alias(item: &SelectItem) -> Option<&str> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
        _ => None,
    }
}

fn using(select: &Select) -> BTreeSet<String> {
    let joins = select.from.iter().flat_map(|table| &table.joins);
    let names = joins.filter_map(|join| match join_constraint(&join.join_operator) {
        Some(JoinConstraint::Using(names)) => {
            Some(names.iter().map(|name| name.to_string().trim_matches('"').to_owned()))
        }
        _ => None,
    });
    names.flatten().collect()
}

fn check_name(node: &Expr, (fields, using): (&[ScopeColumn], &BTreeSet<String>), inside: bool) -> SqlResult<()> {
    let of = fields_of(fields, node);
    match node {
        Expr::Identifier(name) if of > 1 && !using.contains(&name.value) => {
            unsupported(format!("the column `{name}`, which several tables have"), "write it with its table, as `a.k`")
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) if inside && of == 0 => unsupported(
            format!("{} in a query behind IN, which reads columns of its own tables alone", describe(node)),
            "join the two: `FROM self a JOIN (SELECT …) b ON a.k = b.k`",
        ),
        _ => Ok(()),
    }
}

fn check_wildcard(item: &SelectItem, select: &Select, fields: &[ScopeColumn]) -> SqlResult<()> {
    let is_twice = |field: &&ScopeColumn| {
        fields.iter().filter(|other| other.name.is_some() && other.name == field.name).count() > 1
    };
    let Some(twice) = fields.iter().find(is_twice) else { return Ok(()) };
    let is_first = |name: &str| {
        fields.first().and_then(|field| field.table.as_ref()).is_some_and(|table| table.eq_ignore_ascii_case(name))
    };
    let keeps_left = select.from.iter().flat_map(|table| &table.joins).all(|join| {
        use JoinOperator::{CrossJoin, Inner, Join, Left, LeftOuter};
        matches!(join.join_operator, Join(_) | Inner(_) | Left(_) | LeftOuter(_) | CrossJoin(_))
    });
    match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => Ok(()),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)
            if keeps_left && is_first(name.to_string().trim_matches('"')) =>
        {
            Ok(())
        }
        item => unsupported(
            format!("`{item}`, where several tables have a column `{}`", twice.name.as_deref().unwrap_or_default()),
            "name the columns one by one",
        ),
    }
}

/// Polars makes joins of queries behind IN where they are conditions of WHERE.
fn check_inner_queries(select: &Select, queries: usize) -> SqlResult<()> {
    let conditions = select.selection.as_ref().map(conjuncts).unwrap_or_default();
    let is_query = |expr: &Expr| matches!(expr, Expr::InSubquery { .. });
    let placed = conditions.iter().filter(|condition| is_query(condition)).count();
    let constant = conditions
        .iter()
        .find(|condition| matches!(condition, Expr::InSubquery { expr, .. } if !reads_column(expr.as_ref())));
    if let Some(constant) = constant {
        return unsupported(format!("`{constant}`, which reads no column of the rows"), "join the query instead");
    }
    match placed == queries {
        true => Ok(()),
        false => unsupported(
            "a query behind IN that is not a condition of WHERE, alone or joined by AND",
            "write `WHERE column IN (SELECT …)`, or join the query",
        ),
    }
}
