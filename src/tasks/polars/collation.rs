//! Comparisons of texts in expressions and queries. Steps compare bytes, so that an order or an equality which the
//! destination decides otherwise is refused.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments,
    OrderByExpr, Visit, Visitor, WindowType,
};

use super::class::Class;
use super::comparable::{Comparable, Reach};
use super::dialect::Rewriting;
use super::expression::Columns;
use super::function_table::{self, SqlFunction};
use super::functions::arguments;
use super::refusal::{Outcome, Refusal, refused};

/// How deep a name may stand for a value that names another.
const MAX_NAMES: usize = 8;

/// What is known of the texts of a step.
pub(super) struct Texts<'a> {
    pub(super) columns: &'a Columns,
    /// How the values of these columns are compared, where they are kept as texts.
    pub(super) comparable: &'a BTreeMap<String, Comparable>,
    /// How all other texts are.
    pub(super) default: &'a Comparable,
    /// What names stand for that a query gives.
    pub(super) given: BTreeMap<String, Vec<Expr>>,
}

/// Whose comparison decides where two meet: that of a COLLATE, else that of a column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Derived {
    Default,
    Column(Reach, String),
    Stated,
}

impl Texts<'_> {
    /// Checks an expression, and all within.
    pub(super) fn check(&self, expr: &Expr) -> Outcome<()> {
        struct Check<'a>(&'a Texts<'a>);
        impl Visitor for Check<'_> {
            type Break = Box<Refusal>;

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<Refusal>> {
                self.0.node(expr).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }
        }
        match expr.visit(&mut Check(self)) {
            ControlFlow::Break(refusal) => Err(refusal),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    pub(super) fn node(&self, expr: &Expr) -> Outcome<()> {
        use Reach::{Equality, Nothing, Order};
        match expr {
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
                    self.want(Order, &[left, right])
                }
                BinaryOperator::And | BinaryOperator::Or => Ok(()),
                BinaryOperator::StringConcat => self.want(Nothing, &[left, right]),
                _ => self.want(Equality, &[left, right]),
            },
            Expr::Between { expr, low, high, .. } => self.want(Order, &[expr, low, high]),
            Expr::InList { expr, list, .. } => {
                self.want(Equality, &list.iter().chain([expr.as_ref()]).collect::<Vec<_>>())
            }
            Expr::InSubquery { expr, .. } => self.want(Equality, &[expr]),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.want(Equality, &[left, right])
            }
            Expr::Like { expr, pattern, .. }
            | Expr::ILike { expr, pattern, .. }
            | Expr::SimilarTo { expr, pattern, .. }
            | Expr::RLike { expr, pattern, .. } => self.want(Equality, &[expr, pattern]),
            Expr::Position { expr, r#in } => self.want(Equality, &[expr, r#in]),
            Expr::Case { operand: Some(operand), conditions, .. } => {
                let values = conditions.iter().map(|when| &when.condition).chain([operand.as_ref()]);
                self.want(Equality, &values.collect::<Vec<_>>())
            }
            Expr::Cast { expr, .. } | Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => {
                self.want(Nothing, &[expr])
            }
            Expr::Function(function) => self.function(function),
            _ => Ok(()),
        }
    }

    fn function(&self, function: &Function) -> Outcome<()> {
        let values = arguments(function);
        let entry = function_table::find(&function.name.to_string().to_lowercase());
        let wanted = entry.map_or(Reach::Nothing, |entry| entry.reach);
        self.want(wanted, &values.iter().collect::<Vec<_>>())?;
        if let FunctionArguments::List(list) = &function.args {
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
                self.equal(&values)?;
            }
            for clause in &list.clauses {
                if let FunctionArgumentClause::OrderBy(orders) = clause {
                    self.ordered(orders)?;
                }
            }
        }
        if let Some(WindowType::WindowSpec(window)) = &function.over {
            self.equal(&window.partition_by)?;
            self.ordered(&window.order_by)?;
        }
        Ok(())
    }

    /// Refuses to tell values apart that may be equal.
    pub(super) fn equal(&self, values: &[Expr]) -> Outcome<()> {
        values.iter().try_for_each(|value| self.want(Reach::Equality, &[value]))
    }

    /// Refuses an order that is not the bytes'.
    pub(super) fn ordered(&self, orders: &[OrderByExpr]) -> Outcome<()> {
        orders.iter().try_for_each(|order| self.want(Reach::Order, &[&order.expr]))
    }

    /// Refuses values that are compared together unless their bytes say so much.
    pub(super) fn want(&self, wanted: Reach, values: &[&Expr]) -> Outcome<()> {
        if values.iter().any(|value| self.is_text(value, 0) == Some(false)) {
            return Ok(());
        }
        let (reach, by) = match values.iter().map(|value| self.derived(value, 0)).max() {
            Some(Derived::Column(reach, by)) => (reach, by),
            Some(Derived::Stated) => return Ok(()),
            _ => (self.default.reach, self.default.by.clone()),
        };
        if reach <= wanted {
            return Ok(());
        }
        let shown =
            values.iter().map(|value| format!("`{}`", last(value).map_or_else(|| value.to_string(), str::to_owned)));
        let shown = shown.collect::<Vec<_>>().join(" and ");
        match (reach, wanted) {
            (Reach::OtherType, _) => refused(
                format!("{shown} of {by}, whose values steps have as mere texts"),
                "state what the file holds, `schema: {column: text}`, to treat its values as texts; or compute it in \
                 SQL after the load",
            ),
            (_, Reach::Order) => refused(
                format!("{shown} in an order, which {by} decides otherwise than by bytes"),
                "write `COLLATE \"C\"` behind a text to order by bytes, or compute it in SQL after the load",
            ),
            _ => refused(
                format!("{shown} compared or searched, where texts with different bytes may be equal by {by}"),
                "write `COLLATE \"C\"` behind a text to compare bytes, or compute it in SQL after the load",
            ),
        }
    }

    /// Whether a value is a text; none where nothing is known, as of NULL or a literal in quotes.
    fn is_text(&self, expr: &Expr, depth: usize) -> Option<bool> {
        if depth > MAX_NAMES {
            return None;
        }
        let is = |expr: &Expr| self.is_text(expr, depth + 1);
        match expr {
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => is(inner),
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => Some(true),
            Expr::BinaryOp { .. } | Expr::UnaryOp { .. } | Expr::Interval(_) | Expr::TypedString(_) => Some(false),
            Expr::Position { .. } | Expr::InSubquery { .. } | Expr::Exists { .. } => Some(false),
            Expr::Cast { data_type, .. } => Some(matches!(
                data_type,
                DataType::Text | DataType::String(_) | DataType::Varchar(_) | DataType::CharVarying(_)
            )),
            Expr::Case { conditions, else_result, .. } => {
                let mut results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                results.find_map(is)
            }
            Expr::Function(function) if is_passing(function) => arguments(function).iter().find_map(is),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.named(expr, depth),
            expr => self.class(expr),
        }
    }

    /// A name may be that of a column and of values.
    fn named(&self, name: &Expr, depth: usize) -> Option<bool> {
        let own = if self.comparable_of(name).is_some() { Some(true) } else { self.class(name) };
        let values = self.values(name);
        let own = own.map(Some).into_iter().chain(values.is_empty().then_some(own));
        let mut found = values.iter().map(|value| self.is_text(value, depth + 1)).chain(own);
        found.find(|is| *is != Some(false)).unwrap_or(Some(false))
    }

    fn class(&self, expr: &Expr) -> Option<bool> {
        Rewriting::over(self.columns).class(expr).map(|class| class == Class::Text)
    }

    fn derived(&self, expr: &Expr, depth: usize) -> Derived {
        if depth > MAX_NAMES {
            return Derived::Default;
        }
        let of = |expr: &Expr| self.derived(expr, depth + 1);
        let of_all = |values: &[Expr]| values.iter().map(of).max().unwrap_or(Derived::Default);
        match expr {
            Expr::Nested(inner) => of(inner),
            Expr::Collate { expr, .. } => match of(expr) {
                other @ Derived::Column(Reach::OtherType, _) => other,
                _ => Derived::Stated,
            },
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let own = self.comparable_of(expr).map(|own| match own == self.default {
                    true => Derived::Default,
                    false => Derived::Column(own.reach, own.by.clone()),
                });
                own.into_iter().chain(self.values(expr).into_iter().map(of)).max().unwrap_or(Derived::Default)
            }
            Expr::BinaryOp { left, right, .. } => of(left).max(of(right)),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                results.map(of).max().unwrap_or(Derived::Default)
            }
            Expr::Function(function) => of_all(&arguments(function)),
            Expr::Cast { expr, .. } | Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => of(expr),
            _ => Derived::Default,
        }
    }

    fn comparable_of(&self, name: &Expr) -> Option<&Comparable> {
        self.comparable.get(last(name)?)
    }

    /// The values that a query calls by a name; not those that are that name again.
    fn values(&self, name: &Expr) -> Vec<&Expr> {
        let Some(word) = last(name) else { return Vec::new() };
        let values = self.given.get(word).into_iter().flatten();
        values.filter(|value| last(value) != Some(word)).collect()
    }
}

fn last(name: &Expr) -> Option<&str> {
    match name {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

fn is_passing(function: &Function) -> bool {
    function_table::find(&function.name.to_string().to_lowercase()).is_some_and(SqlFunction::passes_argument)
}
