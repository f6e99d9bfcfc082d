//! What a SELECT gives that groups rows, and by what its rows may be ordered. Polars takes a column outside an aggregate for a
//! list, computes an aggregate in ORDER BY over the result, and reads names there that Postgres does not.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, OrderByExpr, Query, Select, SelectItem, SetExpr, Visit, Visitor,
};

use super::class::describe;
use super::function_table;
use super::queries::output_position;
use super::scope::{ScopeColumn, field_index, fields_of};
use super::unsupported::{SqlResult, unsupported};
use super::walk::{walk, walk_expressions};

/// What an expression does with the rows of a SELECT.
#[derive(Default)]
struct Uses {
    /// Columns outside aggregates.
    bare: Vec<Expr>,
    aggregates: usize,
    windows: usize,
    /// An aggregate or a window in an aggregate.
    is_nested: bool,
    depth: usize,
    /// How many queries are around; what is in them is theirs.
    queries: usize,
}

impl Uses {
    fn of(node: &impl Visit) -> Self {
        let mut uses = Self::default();
        let _ = walk(node, &mut uses);
        uses
    }
}

fn as_aggregate(expr: &Expr) -> Option<&Function> {
    let Expr::Function(function) = expr else { return None };
    let entry = function_table::find(&function.name.to_string().to_lowercase())?;
    (entry.is_aggregate || function.over.is_some()).then_some(function)
}

impl Visitor for Uses {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) if self.depth == 0 => self.bare.push(expr.clone()),
            _ => {}
        }
        if let Some(function) = as_aggregate(expr) {
            self.is_nested |= self.depth > 0;
            match function.over {
                Some(_) => self.windows += 1,
                None => self.aggregates += 1,
            }
            // The columns of a window are those of the row.
            self.depth += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.depth -= usize::from(self.queries == 0 && as_aggregate(expr).is_some());
        ControlFlow::Continue(())
    }
}

/// How the rows of a query may be ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OrderRule {
    /// By columns of the result alone.
    Result,
    /// By columns of the result, and by these that rows are grouped by.
    Groups(Vec<Expr>),
    /// By values of the rows, too. These are names of the result that stand for something else than a column of that name.
    Rows(Vec<String>),
}

impl OrderRule {
    pub(super) fn of(body: &SetExpr) -> Self {
        let SetExpr::Select(select) = body else { return Self::Result };
        let groups = match &select.group_by {
            GroupByExpr::Expressions(groups, _) => groups.clone(),
            GroupByExpr::All(_) => Vec::new(),
        };
        let aggregates = select.projection.iter().any(|item| Uses::of(item).aggregates > 0);
        match () {
            () if matches!(select.distinct, Some(Distinct::Distinct)) => Self::Result,
            () if !groups.is_empty() => Self::Groups(groups),
            () if aggregates => Self::Result,
            () => Self::Rows(select.projection.iter().filter_map(other_name).collect()),
        }
    }

    /// Refuses an order that Polars would make by something else.
    pub(super) fn check(
        &self,
        order: &OrderByExpr,
        result: &[ScopeColumn],
        fields: Option<&[ScopeColumn]>,
    ) -> SqlResult<()> {
        let expr = &order.expr;
        if output_position(expr).is_some() {
            return Ok(());
        }
        if let Expr::Identifier(name) = expr {
            let named = result.iter().filter(|field| field.name.as_deref() == Some(name.value.as_str())).count();
            match named {
                0 => {}
                1 => return Ok(()),
                _ => return unsupported(format!("an order by `{name}`, of which there are two"), "name it otherwise"),
            }
        }
        let uses = Uses::of(expr);
        let fields = fields.unwrap_or_default();
        if let Some(column) = uses.bare.iter().find(|column| fields_of(fields, column) > 1) {
            return unsupported(
                format!("the column {}, which several tables have", describe(column)),
                "write it with its table, as `a.k`",
            );
        }
        if uses.aggregates + uses.windows > 0 {
            return unsupported(
                format!("an order by {}", describe(expr)),
                "give it a name in SELECT, and order by that name",
            );
        }
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        match self {
            Self::Groups(groups) if is_column && groups.iter().any(|group| last(group) == last(expr)) => Ok(()),
            Self::Rows(others) => {
                match uses.bare.iter().filter_map(last).find(|name| others.iter().any(|other| other == name)) {
                    Some(name) => unsupported(
                        format!("an order by {}, where `{name}` is also the name of another value", describe(expr)),
                        "give that value another name",
                    ),
                    None => Ok(()),
                }
            }
            Self::Result | Self::Groups(_) => unsupported(
                format!("an order by {}, which is no column of the result", describe(expr)),
                "give it a name in SELECT, and order by that name",
            ),
        }
    }
}

/// The name that a SELECT gives to something else than a column of that name.
fn other_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } if last(expr) != Some(&alias.value) => Some(alias.value.clone()),
        _ => None,
    }
}

fn last(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => last(inner),
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

/// Refuses a SELECT whose values are not one for each group, or that groups by what is no column.
pub(super) fn check_groups(select: &Select, fields: &[ScopeColumn]) -> SqlResult<()> {
    let GroupByExpr::Expressions(groups, _) = &select.group_by else { return Ok(()) };
    for (clause, uses) in [
        ("WHERE", Uses::of(&select.selection)),
        ("GROUP BY", Uses::of(&select.group_by)),
        ("ON", Uses::of(&JoinConditions(select))),
    ] {
        if uses.aggregates + uses.windows > 0 {
            let help = "compute it in a query, and compare its result: `FROM (SELECT …) x WHERE …`";
            return unsupported(format!("an aggregate or a window in {clause}"), help);
        }
    }
    let items: Vec<Uses> = select.projection.iter().map(Uses::of).collect();
    let having = Uses::of(&select.having);
    if items.iter().chain([&having]).any(|uses| uses.is_nested) || having.windows > 0 {
        return unsupported("an aggregate in an aggregate or a window", "compute the inner one in `FROM (SELECT …) x`");
    }
    let is_grouped = !groups.is_empty();
    if select.having.is_some() && !is_grouped {
        return unsupported("HAVING without GROUP BY", "write `FROM (SELECT …) x WHERE …`");
    }
    if !is_grouped && items.iter().all(|uses| uses.aggregates == 0) {
        return Ok(());
    }
    if items.iter().any(|uses| uses.windows > 0) {
        return unsupported("a window over groups", "group the rows in `FROM (SELECT … GROUP BY …) x`");
    }
    let keys = groups.iter().map(|group| key(group, select, fields)).collect::<SqlResult<Vec<_>>>()?;
    for (item, uses) in select.projection.iter().zip(&items) {
        check_item(item, uses, (&keys, fields))?;
    }
    let unknown = walk_expressions(&select.having, |node| match node {
        Expr::Identifier(name) if field_index(fields, node).is_none() => ControlFlow::Break(name.value.clone()),
        _ => ControlFlow::Continue(()),
    });
    match unknown.break_value() {
        Some(name) => unsupported(
            format!("`{name}` in HAVING, which is no column of the input"),
            "write the value out, or `FROM (SELECT …) x WHERE …`",
        ),
        None => Ok(()),
    }
}

/// The conditions of a SELECT's joins.
struct JoinConditions<'a>(&'a Select);

impl Visit for JoinConditions<'_> {
    fn visit<V: Visitor>(&self, visitor: &mut V) -> ControlFlow<V::Break> {
        let joins = self.0.from.iter().flat_map(|table| &table.joins);
        joins.map(|join| &join.join_operator).try_for_each(|join| join.visit(visitor))
    }
}

/// The column of the input that a value of GROUP BY is; none for a name that there is not, which is refused elsewhere.
fn key(group: &Expr, select: &Select, fields: &[ScopeColumn]) -> SqlResult<Option<usize>> {
    let item = |expr: &Expr| match expr {
        Expr::Identifier(name) => select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if alias.value == name.value => Some(expr.clone()),
            _ => None,
        }),
        expr => match select.projection.get(output_position(expr)?)? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
            _ => None,
        },
    };
    let value = match field_index(fields, group) {
        Some(index) => return Ok(Some(index)),
        None => item(group).unwrap_or_else(|| group.clone()),
    };
    match last(&value) {
        Some(_) => Ok(field_index(fields, &value)),
        None => unsupported(
            "GROUP BY a value that is computed or cast",
            "compute it in a column first, with `with_columns` or in `FROM (SELECT …)`, and group by that column",
        ),
    }
}

fn check_item(item: &SelectItem, uses: &Uses, (keys, fields): (&[Option<usize>], &[ScopeColumn])) -> SqlResult<()> {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return unsupported(format!("`{item}` in a SELECT of groups"), "name the columns one by one");
    };
    let is_key = |column: &Expr| {
        let index = field_index(fields, column);
        index.is_none() || keys.contains(&index)
    };
    if let Some(column) = uses.bare.iter().find(|column| !is_key(column)) {
        return unsupported(
            format!("{} outside an aggregate, and not in GROUP BY", describe(column)),
            "group by it, or write `min(…)` or `max(…)` of it",
        );
    }
    let is_alone = last(expr).is_some();
    match () {
        () if is_alone || uses.bare.is_empty() => Ok(()),
        () if uses.aggregates > 0 => unsupported(
            format!("{}, which is made of both an aggregate and a column", describe(expr)),
            "give each a name in `FROM (SELECT …) x`, and compute with these names",
        ),
        () => match item {
            SelectItem::ExprWithAlias { alias, .. }
                if field_index(fields, &Expr::Identifier(alias.clone())).is_none() =>
            {
                Ok(())
            }
            _ => unsupported(
                format!("{} without a name of its own in a SELECT of groups", describe(expr)),
                "write `… AS name`, with a name that no column has",
            ),
        },
    }
}
