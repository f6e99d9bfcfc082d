//! The steps that compare texts, held against how their destination does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator,
    SetQuantifier, Statement, TableFactor, Visit, Visitor, WildcardAdditionalOptions,
};

use super::collation::Texts;
use super::comparable::{Comparable, Reach};
use super::expression::{self, Columns, alike, find, resolve};
use super::plan::renamed;
use super::queries::{constraint, given, place, selects};
use super::refusal::{Outcome, Refusal};
use super::spec::{Dedupe, Transform};
use super::sql::{self, INPUT, parser};
use crate::stream::ColumnType;
use crate::task::TaskError;

/// How the destination compares what is under a name of the result, or, without a name, any text; none where it has
/// nothing of that name.
type Destination<'a> = &'a dyn Fn(Option<&str>) -> Option<Comparable>;
/// What the destination holds under a name of the result.
type Types<'a> = &'a dyn Fn(&str) -> Option<ColumnType>;

impl Transform {
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
        let default = destination(None).unwrap_or_else(Comparable::by_bytes);
        sql::deep(|| self.compare(self.typed(columns, types)?, (types, destination, &default), result))
    }

    fn compare(
        &self,
        mut columns: Vec<(String, ColumnType)>,
        (types, destination, default): (Types, Destination, &Comparable),
        result: &Columns,
    ) -> Result<(), TaskError> {
        let of = |name: &str| destination(Some(name)).unwrap_or_else(|| default.clone());
        let states = |name: &str| self.schema.0.iter().any(|(stated, _)| alike(stated, name));
        let texts = columns.iter().filter(|(_, kind)| is_text(*kind));
        let mut comparable: BTreeMap<String, Comparable> = texts
            .map(|(name, _)| {
                let own = if states(name) { default.clone() } else { of(renamed(name, &self.rename)) };
                (name.clone(), own)
            })
            .collect();
        let file = columns.clone();
        let filter = self.filter.iter().map(|text| ("filter".to_owned(), text));
        let computed = self.with_columns.0.iter().map(|(name, text)| (format!("with_columns.{name}"), text));
        for (field, text) in filter.chain(computed) {
            texts_of(&file, &comparable, default).check_text(&field, text)?;
        }
        for (name, text) in &self.with_columns.0 {
            let new_name = renamed(name, &self.rename);
            let kind = match types(new_name) {
                Some(kind) => kind,
                None => expression::parse("with_columns", text, &file)?.1,
            };
            set((&mut columns, &mut comparable), name, (kind, of(new_name)));
        }
        for (name, kind) in &self.cast.0 {
            let name = find("cast", name, &columns)?.0.clone();
            set((&mut columns, &mut comparable), &name, ((*kind).into(), default.clone()));
        }
        for (name, _) in &mut columns {
            let new_name = renamed(name, &self.rename).to_owned();
            if let Some(own) = comparable.remove(name) {
                comparable.insert(new_name.clone(), own);
            }
            *name = new_name;
        }
        self.compare_all(&columns, &comparable, default)?;
        if self.sql.is_some() {
            let texts = result.iter().filter(|(_, kind)| is_text(*kind));
            comparable = texts.map(|(name, _)| (name.clone(), of(name))).collect();
        }
        self.compare_expected(&texts_of(result, &comparable, default))
    }

    /// The steps that see all rows.
    fn compare_all(
        &self,
        columns: &Columns,
        comparable: &BTreeMap<String, Comparable>,
        default: &Comparable,
    ) -> Result<(), TaskError> {
        let texts = texts_of(columns, comparable, default);
        let keys = self.dedupe.iter().flat_map(|dedupe| Dedupe::choice(dedupe).0);
        texts
            .equal(&keys.map(|name| column(name, columns)).collect::<Vec<_>>())
            .map_err(|refusal| refusal.error("dedupe"))?;
        let Some(query) = &self.sql else { return Ok(()) };
        let Ok(statements) = parser(query).and_then(|mut parser| parser.parse_statements()) else { return Ok(()) };
        texts.check_query(&statements).map_err(|refusal| refusal.error("sql"))
    }

    fn compare_expected(&self, texts: &Texts) -> Result<(), TaskError> {
        let of = |name: &String| column(name, texts.columns);
        for rule in &self.expect {
            let equal = rule.unique.iter().chain(rule.among.iter().map(|among| &among.column)).map(of);
            let checked = texts.equal(&equal.collect::<Vec<_>>());
            let ordered = rule.between.as_ref().map_or(Ok(()), |between| texts.in_order(&[of(&between.column)]));
            checked.and(ordered).map_err(|refusal| refusal.error("expect"))?;
        }
        Ok(())
    }
}

/// Whether steps have values of this kind as texts which something else than their bytes may compare.
fn is_text(kind: ColumnType) -> bool {
    kind == ColumnType::Text || kind.is_notation()
}

fn set(
    (columns, comparable): (&mut Vec<(String, ColumnType)>, &mut BTreeMap<String, Comparable>),
    name: &str,
    (kind, own): (ColumnType, Comparable),
) {
    columns.retain(|(column, _)| column != name);
    comparable.remove(name);
    columns.push((name.to_owned(), kind));
    if is_text(kind) {
        comparable.insert(name.to_owned(), own);
    }
}

fn texts_of<'a>(
    columns: &'a Columns,
    comparable: &'a BTreeMap<String, Comparable>,
    default: &'a Comparable,
) -> Texts<'a> {
    Texts { columns, comparable, default, given: BTreeMap::new() }
}

/// The column that a step means by a name.
fn column(name: &str, columns: &Columns) -> Expr {
    let found = resolve(name, columns.iter().map(|(column, _)| column.as_str()));
    Expr::Identifier(Ident::with_quote('"', found.unwrap_or(name)))
}

impl Texts<'_> {
    fn check_text(&self, field: &str, text: &str) -> Result<(), TaskError> {
        // What cannot be read was refused before.
        let Ok(item) = parser(text).and_then(|mut parser| parser.parse_select_item()) else { return Ok(()) };
        match item {
            SelectItem::UnnamedExpr(expr) => self.check(&expr).map_err(|refusal| refusal.error(field)),
            _ => Ok(()),
        }
    }

    fn check_query(self, statements: &[Statement]) -> Outcome<()> {
        struct Check<'a>(Texts<'a>);
        impl Visitor for Check<'_> {
            type Break = Box<Refusal>;

            fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<Refusal>> {
                self.0.query(query).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<Refusal>> {
                self.0.node(expr).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }
        }
        let mut check = Check(Texts { given: given(statements), ..self });
        match statements.iter().try_for_each(|statement| statement.visit(&mut check)) {
            ControlFlow::Break(refusal) => Err(refusal),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn query(&self, query: &Query) -> Outcome<()> {
        let first = selects(&query.body).into_iter().next();
        match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(orders)) => {
                let values = orders.iter().flat_map(|order| self.meant(&order.expr, first));
                self.in_order(&values.collect::<Vec<_>>())?;
            }
            Some(OrderByKind::All(_)) => self.in_order(&self.given_by(first))?,
            None => {}
        }
        if is_told_apart(&query.body) {
            selects(&query.body).into_iter().try_for_each(|select| self.equal(&self.given_by(Some(select))))?;
        }
        selects(&query.body).into_iter().try_for_each(|select| self.select(select))
    }

    fn select(&self, select: &Select) -> Outcome<()> {
        match &select.distinct {
            Some(Distinct::Distinct) => self.equal(&self.given_by(Some(select)))?,
            Some(Distinct::On(values)) => self.equal(values)?,
            Some(Distinct::All) | None => {}
        }
        match &select.group_by {
            GroupByExpr::Expressions(groups, _) => {
                self.equal(&groups.iter().flat_map(|group| self.meant(group, Some(select))).collect::<Vec<_>>())?;
            }
            GroupByExpr::All(_) => self.equal(&self.given_by(Some(select)))?,
        }
        for join in select.from.iter().flat_map(|table| &table.joins) {
            match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(names)) => {
                    let names = names.iter().map(|name| {
                        let name = name.to_string();
                        column(name.trim_matches('"'), self.columns)
                    });
                    self.equal(&names.collect::<Vec<_>>())?;
                }
                Some(JoinConstraint::Natural) => self.equal(&self.given_by(None))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a place stands for in ORDER BY and GROUP BY; it may be any value of a query that gives all columns of another.
    fn meant(&self, expr: &Expr, select: Option<&Select>) -> Vec<Expr> {
        let (Some(place), Some(select)) = (place(expr), select) else { return vec![expr.clone()] };
        let values = self.given_by(Some(select));
        let reads_input = matches!(select.from.as_slice(), [table] if table.joins.is_empty()
            && matches!(&table.relation, TableFactor::Table { name, .. } if name.to_string().eq_ignore_ascii_case(INPUT)));
        let is_known = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::Wildcard(options) => reads_input && *options == WildcardAdditionalOptions::default(),
            _ => false,
        };
        match select.projection.iter().all(is_known) {
            true => values.get(place).cloned().into_iter().collect(),
            false => values,
        }
    }

    fn in_order(&self, values: &[Expr]) -> Outcome<()> {
        values.iter().try_for_each(|value| self.want(Reach::Order, &[value]))
    }

    /// What a query gives; all columns where it does not say.
    fn given_by(&self, select: Option<&Select>) -> Vec<Expr> {
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
fn is_told_apart(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let keeps_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            *op != SetOperator::Union || !keeps_all || is_told_apart(left) || is_told_apart(right)
        }
        _ => false,
    }
}
