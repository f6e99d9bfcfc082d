//! Walks through the nodes of SQL.
//!
//! sqlparser's own walk is generic over the visitor, and through some 700 types: each type of visitor is another 700 functions to
//! compile. Here every visitor is walked as one type.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Shows all nodes in `node` to a visitor, until it breaks off.
pub(super) fn walk<V: Visitor>(node: &impl Visit, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut stopping = Stopping { visitor, stop: None };
    let _ = node.visit(&mut AnyVisitor(&mut stopping));
    stopping.stop.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// As [`walk`], for a visitor that changes nodes.
pub(super) fn walk_mut<V: VisitorMut>(node: &mut impl VisitMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut stopping = Stopping { visitor, stop: None };
    let _ = node.visit(&mut AnyVisitorMut(&mut stopping));
    stopping.stop.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Shows all expressions in `node`, each before those within it.
pub(super) fn walk_expressions<E>(node: &impl Visit, see: impl FnMut(&Expr) -> ControlFlow<E>) -> ControlFlow<E> {
    walk(node, &mut Expressions(see))
}

/// Shows all expressions in `node`, each after those within it, to what changes them.
pub(super) fn walk_expressions_mut<E>(
    node: &mut impl VisitMut,
    change: impl FnMut(&mut Expr) -> ControlFlow<E>,
) -> ControlFlow<E> {
    walk_mut(node, &mut Expressions(change))
}

struct Expressions<F>(F);

impl<E, F: FnMut(&Expr) -> ControlFlow<E>> Visitor for Expressions<F> {
    type Break = E;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<E> {
        self.0(expr)
    }
}

impl<E, F: FnMut(&mut Expr) -> ControlFlow<E>> VisitorMut for Expressions<F> {
    type Break = E;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<E> {
        self.0(expr)
    }
}

/// A visitor, and what it broke off with.
struct Stopping<'a, V, B> {
    visitor: &'a mut V,
    stop: Option<B>,
}

/// Gives all methods of a visitor to one type, through an object of the type that has them.
macro_rules! as_one_type {
    ($one:ident, $object:ident, $visitor:ident, $($method:ident($node:ty)),+) => {
        struct $one<'a>(&'a mut dyn $object);

        trait $object {
            $(fn $method(&mut self, node: $node) -> ControlFlow<()>;)+
        }

        impl<V: $visitor> $object for Stopping<'_, V, V::Break> {
            $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
                self.visitor.$method(node).map_break(|stop| self.stop = Some(stop))
            })+
        }

        impl $visitor for $one<'_> {
            type Break = ();

            $(fn $method(&mut self, node: $node) -> ControlFlow<()> {
                self.0.$method(node)
            })+
        }
    };
}

as_one_type!(
    AnyVisitor,
    VisitorObject,
    Visitor,
    pre_visit_query(&Query),
    post_visit_query(&Query),
    pre_visit_select(&Select),
    post_visit_select(&Select),
    pre_visit_relation(&ObjectName),
    post_visit_relation(&ObjectName),
    pre_visit_table_factor(&TableFactor),
    post_visit_table_factor(&TableFactor),
    pre_visit_expr(&Expr),
    post_visit_expr(&Expr),
    pre_visit_statement(&Statement),
    post_visit_statement(&Statement),
    pre_visit_value(&ValueWithSpan),
    post_visit_value(&ValueWithSpan)
);

as_one_type!(
    AnyVisitorMut,
    VisitorMutObject,
    VisitorMut,
    pre_visit_query(&mut Query),
    post_visit_query(&mut Query),
    pre_visit_select(&mut Select),
    post_visit_select(&mut Select),
    pre_visit_relation(&mut ObjectName),
    post_visit_relation(&mut ObjectName),
    pre_visit_table_factor(&mut TableFactor),
    post_visit_table_factor(&mut TableFactor),
    pre_visit_expr(&mut Expr),
    post_visit_expr(&mut Expr),
    pre_visit_statement(&mut Statement),
    post_visit_statement(&mut Statement),
    pre_visit_value(&mut ValueWithSpan),
    post_visit_value(&mut ValueWithSpan)
);
