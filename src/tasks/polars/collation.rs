//! Comparisons of texts in expressions and queries. Steps compare bytes, so that an order or an equality which the
//! destination decides otherwise is refused.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments,
    OrderByExpr, Visitor, WindowType,
};

use super::class::Class;
use super::comparison_rule::{Comparability, ComparisonRule};
use super::dialect::Rewriter;
use super::expression::Columns;
use super::function_table::{self, SqlFunction};
use super::functions::arguments;
use super::unsupported::{SqlResult, UnsupportedSql, unsupported};
use super::walk::walk;

/// How deep a name may stand for a value that names another.
const MAX_ALIAS_DEPTH: usize = 8;

/// What is known of the texts of a step.
pub(super) struct CollationCheck<'a> {
    pub(super) columns: &'a Columns,
    /// How the values of these columns are compared, where they are kept as texts.
    pub(super) comparison_rule: &'a BTreeMap<String, ComparisonRule>,
    /// How all other texts are.
    pub(super) default: &'a ComparisonRule,
    /// What names stand for that a query gives.
    pub(super) aliased_values: BTreeMap<String, Vec<Expr>>,
}

/// Whose comparison decides where two meet: that of a COLLATE, else that of a column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Derivation {
    Default,
    Implicit(Comparability, String),
    Explicit,
}

impl CollationCheck<'_> {
    /// Checks an expression, and all within.
    pub(super) fn check(&self, expr: &Expr) -> SqlResult<()> {
        struct Check<'a>(&'a CollationCheck<'a>);
        impl Visitor for Check<'_> {
            type Break = Box<UnsupportedSql>;

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<UnsupportedSql>> {
                self.0.node(expr).map_or_else(ControlFlow::Break, ControlFlow::Continue)
            }
        }
        walk(expr, &mut Check(self)).break_value().map_or(Ok(()), Err)
    }

    pub(super) fn node(&self, expr: &Expr) -> SqlResult<()> {
        use Comparability::{Equality, Nothing, Order};
        match expr {
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
                    self.require(Order, &[left, right])
                }
                BinaryOperator::And | BinaryOperator::Or => Ok(()),
                BinaryOperator::StringConcat => self.require(Nothing, &[left, right]),
                _ => self.require(Equality, &[left, right]),
            },
            Expr::Between { expr, low, high, .. } => self.require(Order, &[expr, low, high]),
            Expr::InList { expr, list, .. } => {
                self.require(Equality, &list.iter().chain([expr.as_ref()]).collect::<Vec<_>>())
            }
            Expr::InSubquery { expr, .. } => self.require(Equality, &[expr]),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.require(Equality, &[left, right])
            }
            Expr::Like { expr, pattern, .. }
            | Expr::ILike { expr, pattern, .. }
            | Expr::SimilarTo { expr, pattern, .. }
            | Expr::RLike { expr, pattern, .. } => self.require(Equality, &[expr, pattern]),
            Expr::Position { expr, r#in } => self.require(Equality, &[expr, r#in]),
            Expr::Case { operand: Some(operand), conditions, .. } => {
                let values = conditions.iter().map(|when| &when.condition).chain([operand.as_ref()]);
                self.require(Equality, &values.collect::<Vec<_>>())
            }
            Expr::Cast { expr, .. } | Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => {
                self.require(Nothing, &[expr])
            }
            Expr::Function(function) => self.function(function),
            _ => Ok(()),
        }
    }

    fn function(&self, function: &Function) -> SqlResult<()> {
        let values = arguments(function);
        let entry = function_table::find(&function.name.to_string().to_lowercase());
        let wanted = entry.map_or(Comparability::Nothing, |entry| entry.comparability);
        self.require(wanted, &values.iter().collect::<Vec<_>>())?;
        if let FunctionArguments::List(list) = &function.args {
            if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
                self.require_equality(&values)?;
            }
            for clause in &list.clauses {
                if let FunctionArgumentClause::OrderBy(orders) = clause {
                    self.require_order_of_keys(orders)?;
                }
            }
        }
        if let Some(WindowType::WindowSpec(window)) = &function.over {
            self.require_equality(&window.partition_by)?;
            self.require_order_of_keys(&window.order_by)?;
        }
        Ok(())
    }

    /// Refuses to tell values apart that may be equal.
    pub(super) fn require_equality(&self, values: &[Expr]) -> SqlResult<()> {
        values.iter().try_for_each(|value| self.require(Comparability::Equality, &[value]))
    }

    /// Refuses an order that is not the bytes'.
    pub(super) fn require_order_of_keys(&self, orders: &[OrderByExpr]) -> SqlResult<()> {
        orders.iter().try_for_each(|order| self.require(Comparability::Order, &[&order.expr]))
    }

    /// Refuses values that are compared together unless their bytes say so much.
    pub(super) fn require(&self, wanted: Comparability, values: &[&Expr]) -> SqlResult<()> {
        if values.iter().any(|value| self.is_text(value, 0) == Some(false)) {
            return Ok(());
        }
        let (comparability, by) = match values.iter().map(|value| self.derivation(value, 0)).max() {
            Some(Derivation::Implicit(comparability, by)) => (comparability, by),
            Some(Derivation::Explicit) => return Ok(()),
            _ => (self.default.comparability, self.default.by.clone()),
        };
        if comparability <= wanted {
            return Ok(());
        }
        let described =
            values.iter().map(|value| format!("`{}`", last(value).map_or_else(|| value.to_string(), str::to_owned)));
        let described = described.collect::<Vec<_>>().join(" and ");
        match (comparability, wanted) {
            (Comparability::OtherType, _) => unsupported(
                format!("{described} of {by}, whose values steps treat as plain text"),
                "state what the file holds, `schema: {column: text}`, to treat its values as texts; or compute it in \
                 SQL after the load",
            ),
            (_, Comparability::Order) => unsupported(
                format!("{described} ordered, which {by} does otherwise than by bytes"),
                "write `COLLATE \"C\"` after a text to order by bytes, or compute it in SQL after the load",
            ),
            _ => unsupported(
                format!("{described} compared or searched, where texts with different bytes may be equal by {by}"),
                "write `COLLATE \"C\"` after a text to compare bytes, or compute it in SQL after the load",
            ),
        }
    }

    /// Whether a value is a text; none where nothing is known, as of NULL or a literal in quotes.
    fn is_text(&self, expr: &Expr, depth: usize) -> Option<bool> {
        if depth > MAX_ALIAS_DEPTH {
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
            Expr::Function(function) if passes_argument(function) => arguments(function).iter().find_map(is),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.is_text_name(expr, depth),
            expr => self.class(expr),
        }
    }

    /// A name may be that of a column and of values.
    fn is_text_name(&self, name: &Expr, depth: usize) -> Option<bool> {
        let own = if self.comparable_of(name).is_some() { Some(true) } else { self.class(name) };
        let values = self.values(name);
        let own = own.map(Some).into_iter().chain(values.is_empty().then_some(own));
        let mut found = values.iter().map(|value| self.is_text(value, depth + 1)).chain(own);
        found.find(|is| *is != Some(false)).unwrap_or(Some(false))
    }

    fn class(&self, expr: &Expr) -> Option<bool> {
        Rewriter::over(self.columns).class(expr).map(|class| class == Class::Text)
    }

    fn derivation(&self, expr: &Expr, depth: usize) -> Derivation {
        if depth > MAX_ALIAS_DEPTH {
            return Derivation::Default;
        }
        let of = |expr: &Expr| self.derivation(expr, depth + 1);
        let of_all = |values: &[Expr]| values.iter().map(of).max().unwrap_or(Derivation::Default);
        match expr {
            Expr::Nested(inner) => of(inner),
            Expr::Collate { expr, .. } => match of(expr) {
                other @ Derivation::Implicit(Comparability::OtherType, _) => other,
                _ => Derivation::Explicit,
            },
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let own = self.comparable_of(expr).map(|own| match own == self.default {
                    true => Derivation::Default,
                    false => Derivation::Implicit(own.comparability, own.by.clone()),
                });
                own.into_iter().chain(self.values(expr).into_iter().map(of)).max().unwrap_or(Derivation::Default)
            }
            Expr::BinaryOp { left, right, .. } => of(left).max(of(right)),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
                results.map(of).max().unwrap_or(Derivation::Default)
            }
            Expr::Function(function) => of_all(&arguments(function)),
            Expr::Cast { expr, .. } | Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => of(expr),
            _ => Derivation::Default,
        }
    }

    fn comparable_of(&self, name: &Expr) -> Option<&ComparisonRule> {
        self.comparison_rule.get(last(name)?)
    }

    /// The values that a query calls by a name; not those that are that name again.
    fn values(&self, name: &Expr) -> Vec<&Expr> {
        let Some(word) = last(name) else { return Vec::new() };
        let values = self.aliased_values.get(word).into_iter().flatten();
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

fn passes_argument(function: &Function) -> bool {
    function_table::find(&function.name.to_string().to_lowercase()).is_some_and(SqlFunction::passes_argument)
}
