//! Static analysis of a template: the names it uses, and invalid calls of filters, functions and predicates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ast::{Argument, CallExpr, ChainLink, Expr, ExprKind, Operator, PathPart, Template, TemplateNode};
use super::{ExpressionError, filters, functions, predicates};

const READ_ALL_NAMES: &[&str] = &["printContext", "render", "renderOnce"];
const RENDER_FUNCTIONS: &[&str] = &["render", "renderOnce"];

/// The dotted names that a template cannot do without.
pub(super) fn references(template: &Template) -> Vec<String> {
    let NameCollector { required, tested, .. } = NameCollector::collect(template);
    let is_tested = |name: &str| {
        tested.iter().any(|tested| {
            name.strip_prefix(tested.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    required.into_iter().filter(|name| !is_tested(name)).collect()
}

/// Every dotted name that a template may look at; `*` where that cannot be known.
pub(super) fn mentions(template: &Template) -> Vec<String> {
    NameCollector::collect(template).mentioned.into_iter().collect()
}

/// The dotted names whose values a template renders: what `render()` is given.
pub(super) fn rendered(template: &Template) -> Vec<String> {
    NameCollector::collect(template).rendered.into_iter().collect()
}

/// What is wrong with the calls in a template.
pub(super) fn wrong_calls(template: &Template) -> Vec<ExpressionError> {
    NameCollector::collect(template).invalid_calls
}

struct NameCollector<'a> {
    template: &'a Template,
    /// What `set`, `for` and parameters bind at this place.
    bound: Vec<String>,
    required: BTreeSet<String>,
    /// Required or not: operands of `??` too.
    mentioned: BTreeSet<String>,
    /// Names that the template itself asks whether they are defined.
    tested: BTreeSet<String>,
    /// Names that are given to `render()`.
    rendered: BTreeSet<String>,
    invalid_calls: Vec<ExpressionError>,
}

impl<'a> NameCollector<'a> {
    fn collect(template: &'a Template) -> Self {
        let mut collector = Self {
            template,
            bound: Vec::new(),
            required: BTreeSet::new(),
            mentioned: BTreeSet::new(),
            tested: BTreeSet::new(),
            rendered: BTreeSet::new(),
            invalid_calls: Vec::new(),
        };
        collector.template();
        collector
    }

    fn template(&mut self) {
        let template = self.template;
        self.nodes(&template.nodes);
        for definition in template.macros.values() {
            let defaults = definition.parameters.iter().filter_map(|(_, default)| default.as_ref());
            defaults.for_each(|default| self.expression(default));
            self.with_bound(definition.parameters.iter().map(|(name, _)| name.clone()), &definition.body);
        }
    }

    /// Nodes in which more names are bound.
    fn with_bound(&mut self, names: impl Iterator<Item = String>, nodes: &'a [TemplateNode]) {
        let before = self.bound.len();
        self.bound.extend(names);
        self.nodes(nodes);
        self.bound.truncate(before);
    }

    fn nodes(&mut self, nodes: &'a [TemplateNode]) {
        for node in nodes {
            match node {
                TemplateNode::Text(_) => {}
                TemplateNode::Print(expression) => self.expression(expression),
                TemplateNode::Set { name, value } => {
                    self.expression(value);
                    self.bound.push(name.clone());
                }
                TemplateNode::If { arms, otherwise } => {
                    for (condition, body) in arms {
                        self.expression(condition);
                        self.nodes(body);
                    }
                    self.nodes(otherwise);
                }
                TemplateNode::For { item, list, body, otherwise } => {
                    self.expression(list);
                    self.with_bound([item.clone(), "loop".to_owned()].into_iter(), body);
                    self.nodes(otherwise);
                }
                TemplateNode::Filter { filters, body } => {
                    filters.iter().for_each(|filter| {
                        let names = self.filter(filter);
                        self.required.extend(names);
                    });
                    self.nodes(body);
                }
            }
        }
    }

    fn expression(&mut self, expression: &Expr) {
        let names = self.names(expression);
        self.required.extend(names);
    }

    /// The names that an expression needs to have a value.
    fn names(&mut self, expression: &Expr) -> Vec<String> {
        match &expression.kind {
            ExprKind::Literal(_) => Vec::new(),
            ExprKind::Name(name) => self.name(name, &[]),
            ExprKind::Path(root, parts) => {
                let mut names = match &root.kind {
                    ExprKind::Name(name) => self.name(name, parts),
                    _ => self.names(root),
                };
                for part in parts {
                    if let PathPart::Index(index) = part {
                        names.extend(self.names(index));
                    }
                }
                names
            }
            ExprKind::List(items) => items.iter().flat_map(|item| self.names(item)).collect(),
            ExprKind::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [self.names(key), self.names(value)].concat()).collect()
            }
            ExprKind::Call(invocation) => self.call(invocation),
            ExprKind::Not(operand) | ExprKind::Minus(operand) | ExprKind::Plus(operand) => self.names(operand),
            ExprKind::Choice(choice) => choice.iter().flat_map(|part| self.names(part)).collect(),
            ExprKind::Chain(head, links) => self.chain(head, links),
        }
    }

    /// A name and the constant steps that follow it.
    fn name(&mut self, root: &str, parts: &[PathPart]) -> Vec<String> {
        if self.bound.iter().any(|bound| bound == root) {
            return Vec::new();
        }
        let mut name = root.to_owned();
        for part in parts {
            let step = match part {
                PathPart::Field(field) => field.clone(),
                PathPart::Index(Expr { kind: ExprKind::Literal(Value::Number(index)), .. }) => index.to_string(),
                PathPart::Index(_) => break,
            };
            name.push('.');
            name.push_str(&step);
        }
        self.mentioned.insert(name.clone());
        vec![name]
    }

    fn chain(&mut self, head: &Expr, links: &[ChainLink]) -> Vec<String> {
        let mut names = self.names(head);
        for link in links {
            match link {
                ChainLink::Binary(operator, right) => {
                    if matches!(operator, Operator::IfNull | Operator::IfUndefined) {
                        names.clear();
                    }
                    names.extend(self.names(right));
                }
                ChainLink::Filter(filter) => {
                    if filter.name == "default" {
                        names.clear();
                    }
                    names.extend(self.filter(filter));
                }
                ChainLink::Test { test, .. } => {
                    if test.name == "defined" {
                        self.tested.extend(names.drain(..));
                    }
                    let checked = predicates::check(test);
                    self.record(test, checked);
                }
            }
        }
        names
    }

    fn filter(&mut self, filter: &CallExpr) -> Vec<String> {
        let checked = match filters::find(&filter.name) {
            Some(builtin) => {
                builtin.positions(filter).map(drop).map_err(|reason| format!("the filter `{}`: {reason}", filter.name))
            }
            None => Err(filters::unknown(&filter.name)),
        };
        self.record(filter, checked);
        self.arguments(&filter.arguments)
    }

    fn call(&mut self, call: &CallExpr) -> Vec<String> {
        let macros = &self.template.macros;
        let checked = match (macros.get(&call.name), functions::find(&call.name)) {
            (Some(definition), _) if call.arguments.len() > definition.parameters.len() => {
                Err(format!("the macro `{}` takes at most {} arguments", call.name, definition.parameters.len()))
            }
            (Some(_), _) => Ok(()),
            (None, Some(builtin)) => {
                builtin.positions(call).map(drop).map_err(|reason| format!("the function `{}`: {reason}", call.name))
            }
            (None, None) => Err(functions::unknown(&call.name, macros.keys())),
        };
        self.record(call, checked);
        if READ_ALL_NAMES.contains(&call.name.as_str()) {
            self.mentioned.insert("*".to_owned());
        }
        let names = self.arguments(&call.arguments);
        if RENDER_FUNCTIONS.contains(&call.name.as_str()) {
            self.rendered.extend(names.iter().cloned());
        }
        names
    }

    fn arguments(&mut self, arguments: &[Argument]) -> Vec<String> {
        arguments.iter().flat_map(|argument| self.names(&argument.value)).collect()
    }

    fn record(&mut self, invocation: &CallExpr, checked: Result<(), String>) {
        if let Err(message) = checked {
            self.invalid_calls.push(ExpressionError::new(message, &invocation.source));
        }
    }
}
