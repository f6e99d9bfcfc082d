//! The steps that compare texts, held against how their destination does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator,
    SetQuantifier, Statement, TableFactor, Visitor, WildcardAdditionalOptions,
};

use super::collation::CollationCheck;
use super::comparison_rule::{Comparability, ComparisonRule};
use super::expression::{self, Columns, find, is_same_name, resolve};
use super::grammar;
use super::plan::renamed;
use super::queries::{aliased_values, join_constraint, output_position, selects};
use super::spec::{Dedupe, Transform};
use super::sql::{self, INPUT, parser};
use super::unsupported::{SqlResult, UnsupportedSql};
use super::walk::walk;
use crate::stream::ColumnType;
use crate::task::TaskError;

/// How the destination compares what is under a name of the result, or, without a name, any text; none where it has
/// nothing of that name.
type Destination<'a> = &'a dyn Fn(Option<&str>) -> Option<ComparisonRule>;
/// What the destination holds under a name of the result.
type Types<'a> = &'a dyn Fn(&str) -> Option<ColumnType>;

impl Transform {
    /// Refuses types of dates and times that only the session's time zone makes others of, where it is not UTC: steps know
    /// it by the columns of the table alone. `own` says what the file itself has under a name.
    ///
    /// # Errors
    /// When a column has such a type.
    pub fn check_time_zones(&self, types: Types, own: Types) -> Result<(), TaskError> {
        for (field, pairs) in [("schema", &self.schema), ("cast", &self.cast)] {
            for (name, kind) in &pairs.0 {
                let stored = types(renamed(name, &self.rename));
                let is_zoned = stored == Some(ColumnType::Instant);
                let is_moment = own(name) == Some(ColumnType::TimestampTz);
                let kind = ColumnType::from(*kind);
                let is_of_day = matches!(kind, ColumnType::Date | ColumnType::Timestamp);
                if is_moment && kind != ColumnType::TimestampTz && (field == "cast" || is_of_day) {
                    let message = format!(
                        "`{field}.{name}`: the day, hour or text of a timestamptz, since the session is not in UTC"
                    );
                    let help = "compute it in SQL after the load, or set the session's time zone to UTC";
                    return Err(TaskError::permanent(message).help(help));
                }
                let differs = match kind {
                    ColumnType::TimestampTz => !is_zoned,
                    ColumnType::Date | ColumnType::Timestamp => is_zoned,
                    _ => false,
                };
                if differs {
                    let message =
                        format!("`{field}.{name}`: the session is not in UTC, and the table's column is no {kind}");
                    let help = "give the table's column that type, leave the text for the server to read, or set the \
                                session's time zone to UTC";
                    return Err(TaskError::permanent(message).help(help));
                }
            }
        }
        Ok(())
    }

    /// Refuses comparisons of texts that the destination would make otherwise: steps compare bytes. `result` are the
    /// columns that come out.
    ///
    /// # Errors
    /// When there is such a comparison.
    pub fn check_comparisons(
        &self,
        columns: &[(String, Option<ColumnType>)],
        (types, destination): (Types, Destination),
        result: &Columns,
    ) -> Result<(), TaskError> {
        let default = destination(None).unwrap_or_else(ComparisonRule::by_bytes);
        sql::deep(|| self.compare(self.typed(columns, types)?, (types, destination, &default), result))
    }

    fn compare(
        &self,
        mut columns: Vec<(String, ColumnType)>,
        (types, destination, default): (Types, Destination, &ComparisonRule),
        result: &Columns,
    ) -> Result<(), TaskError> {
        let of = |name: &str| destination(Some(name)).unwrap_or_else(|| default.clone());
        let states = |name: &str| self.schema.0.iter().any(|(stated, _)| is_same_name(stated, name));
        let texts = columns.iter().filter(|(_, kind)| is_text(*kind));
        let mut comparison_rule: BTreeMap<String, ComparisonRule> = texts
            .map(|(name, _)| {
                let own = if states(name) { default.clone() } else { of(renamed(name, &self.rename)) };
                (name.clone(), own)
            })
            .collect();
        let file = columns.clone();
        let filter = self.filter.iter().map(|text| ("filter".to_owned(), text));
        let computed = self.with_columns.0.iter().map(|(name, text)| (format!("with_columns.{name}"), text));
        for (field, text) in filter.chain(computed) {
            collation_check(&file, &comparison_rule, default).check_expression(&field, text)?;
        }
        for (name, text) in &self.with_columns.0 {
            let new_name = renamed(name, &self.rename);
            let kind = match types(new_name) {
                Some(kind) => kind,
                None => expression::parse("with_columns", text, &file)?.1,
            };
            set((&mut columns, &mut comparison_rule), name, (kind, of(new_name)));
        }
        for (name, kind) in &self.cast.0 {
            let name = find("cast", name, &columns)?.0.clone();
            set((&mut columns, &mut comparison_rule), &name, ((*kind).into(), default.clone()));
        }
        for (name, _) in &mut columns {
            let new_name = renamed(name, &self.rename).to_owned();
            if let Some(own) = comparison_rule.remove(name) {
                comparison_rule.insert(new_name.clone(), own);
            }
            *name = new_name;
        }
        self.compare_all(&columns, &comparison_rule, default)?;
        if self.sql.is_some() {
            let texts = result.iter().filter(|(_, kind)| is_text(*kind));
            comparison_rule = texts.map(|(name, _)| (name.clone(), of(name))).collect();
        }
        self.compare_expected(&collation_check(result, &comparison_rule, default))
    }

    /// The steps that see all rows.
    fn compare_all(
        &self,
        columns: &Columns,
        comparison_rule: &BTreeMap<String, ComparisonRule>,
        default: &ComparisonRule,
    ) -> Result<(), TaskError> {
        let texts = collation_check(columns, comparison_rule, default);
        let keys = self.dedupe.iter().flat_map(|dedupe| Dedupe::choice(dedupe).0);
        texts
            .require_equality(&keys.map(|name| column(name, columns)).collect::<Vec<_>>())
            .map_err(|unsupported| unsupported.error("dedupe"))?;
        let Some(query) = &self.sql else { return Ok(()) };
        let Ok(query) = grammar::query("sql", query) else { return Ok(()) };
        let Ok(statements) = parser(&query).and_then(|mut parser| parser.parse_statements()) else { return Ok(()) };
        texts.check_query(&statements).map_err(|unsupported| unsupported.error("sql"))
    }

    fn compare_expected(&self, texts: &CollationCheck) -> Result<(), TaskError> {
        let of = |name: &String| column(name, texts.columns);
        for rule in &self.expect {
            let require_equality = rule.unique.iter().chain(rule.among.iter().map(|among| &among.column)).map(of);
            let checked = texts.require_equality(&require_equality.collect::<Vec<_>>());
            let require_order_of_keys =
                rule.between.as_ref().map_or(Ok(()), |between| texts.require_order(&[of(&between.column)]));
            checked.and(require_order_of_keys).map_err(|unsupported| unsupported.error("expect"))?;
        }
        Ok(())
    }
}

/// Whether steps have values of this kind as texts which something else than their bytes may compare.
fn is_text(kind: ColumnType) -> bool {
    kind == ColumnType::Text || kind.is_notation()
}

fn set(
    (columns, comparison_rule): (&mut Vec<(String, ColumnType)>, &mut BTreeMap<String, ComparisonRule>),
    name: &str,
    (kind, own): (ColumnType, ComparisonRule),
) {
    columns.retain(|(column, _)| column != name);
    comparison_rule.remove(name);
    columns.push((name.to_owned(), kind));
    if is_text(kind) {
        comparison_rule.insert(name.to_owned(), own);
    }
}

fn collation_check<'a>(
    columns: &'a Columns,
    comparison_rule: &'a BTreeMap<String, ComparisonRule>,
    default: &'a ComparisonRule,
) -> CollationCheck<'a> {
    CollationCheck { columns, comparison_rule, default, aliased_values: BTreeMap::new() }
}

/// The column that a step means by a name.
fn column(name: &str, columns: &Columns) -> Expr {
    let found = resolve(name, columns.iter().map(|(column, _)| column.as_str()));
    Expr::Identifier(Ident::with_quote('"', found.unwrap_or(name)))
}

impl CollationCheck<'_> {
    fn check_expression(&self, field: &str, text: &str) -> Result<(), TaskError> {
        // What cannot be read was refused before.
        let Ok(text) = grammar::expression(field, text) else { return Ok(()) };
        let Ok(item) = parser(&text).and_then(|mut parser| parser.parse_select_item()) else { return Ok(()) };
        match item {
            SelectItem::UnnamedExpr(expr) => self.check(&expr).map_err(|unsupported| unsupported.error(field)),
            _ => Ok(()),
        }
    }

    fn check_query(self, statements: &[Statement]) -> SqlResult<()> {
        struct Check<'a>(CollationCheck<'a>);
        impl Visitor for Check<'_> {
            type Break = Box<UnsupportedSql>;

            fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<UnsupportedSql>> {
                self.0.query(query).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<UnsupportedSql>> {
                self.0.node(expr).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }
        }
        let mut check = Check(CollationCheck { aliased_values: aliased_values(statements), ..self });
        let visited = statements.iter().try_for_each(|statement| walk(statement, &mut check));
        visited.break_value().map_or(Ok(()), Err)
    }

    fn query(&self, query: &Query) -> SqlResult<()> {
        let first = selects(&query.body).into_iter().next();
        match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(orders)) => {
                let values = orders.iter().flat_map(|order| self.resolve_position(&order.expr, first));
                self.require_order(&values.collect::<Vec<_>>())?;
            }
            Some(OrderByKind::All(_)) => self.require_order(&self.output_values(first))?,
            None => {}
        }
        if removes_duplicates(&query.body) {
            selects(&query.body)
                .into_iter()
                .try_for_each(|select| self.require_equality(&self.output_values(Some(select))))?;
        }
        selects(&query.body).into_iter().try_for_each(|select| self.select(select))
    }

    fn select(&self, select: &Select) -> SqlResult<()> {
        match &select.distinct {
            Some(Distinct::Distinct) => self.require_equality(&self.output_values(Some(select)))?,
            Some(Distinct::On(values)) => self.require_equality(values)?,
            Some(Distinct::All) | None => {}
        }
        match &select.group_by {
            GroupByExpr::Expressions(groups, _) => {
                self.require_equality(
                    &groups.iter().flat_map(|group| self.resolve_position(group, Some(select))).collect::<Vec<_>>(),
                )?;
            }
            GroupByExpr::All(_) => self.require_equality(&self.output_values(Some(select)))?,
        }
        for join in select.from.iter().flat_map(|table| &table.joins) {
            match join_constraint(&join.join_operator) {
                Some(JoinConstraint::Using(names)) => {
                    let names = names.iter().map(|name| {
                        let name = name.to_string();
                        column(name.trim_matches('"'), self.columns)
                    });
                    self.require_equality(&names.collect::<Vec<_>>())?;
                }
                Some(JoinConstraint::Natural) => self.require_equality(&self.output_values(None))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a place stands for in ORDER BY and GROUP BY; it may be any value of a query that gives all columns of another.
    fn resolve_position(&self, expr: &Expr, select: Option<&Select>) -> Vec<Expr> {
        let (Some(output_position), Some(select)) = (output_position(expr), select) else { return vec![expr.clone()] };
        let values = self.output_values(Some(select));
        let reads_input = matches!(select.from.as_slice(), [table] if table.joins.is_empty()
            && matches!(&table.relation, TableFactor::Table { name, .. } if name.to_string().eq_ignore_ascii_case(INPUT)));
        let is_known = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::Wildcard(options) => reads_input && *options == WildcardAdditionalOptions::default(),
            _ => false,
        };
        match select.projection.iter().all(is_known) {
            true => values.get(output_position).cloned().into_iter().collect(),
            false => values,
        }
    }

    fn require_order(&self, values: &[Expr]) -> SqlResult<()> {
        values.iter().try_for_each(|value| self.require(Comparability::Order, &[value]))
    }

    /// What a query gives; all columns where it does not say.
    fn output_values(&self, select: Option<&Select>) -> Vec<Expr> {
        let all = || self.columns.iter().map(|(name, _)| column(name, self.columns)).collect();
        let Some(select) = select else { return all() };
        let values = select.projection.iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => vec![expr.clone()],
            _ => all(),
        });
        values.flatten().collect()
    }
}

/// Whether queries are put together without rows that are there twice.
fn removes_duplicates(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let keeps_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            *op != SetOperator::Union || !keeps_all || removes_duplicates(left) || removes_duplicates(right)
        }
        _ => false,
    }
}
