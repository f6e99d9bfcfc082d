//! Evaluates expressions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ast::{CallExpr, ChainLink, Expr, ExprKind, Macro, Operator, PathPart, Template};
use super::builtin::{Builtin, BuiltinCall};
use super::host::Host;
use super::limits::{Budget, MAX_NESTING, NODE_BYTES};
use super::value::{is_truthy, kind, name_list, to_text};
use super::{ExpressionError, Names, filters, functions, operators, parser, predicates};
use crate::task::is_template;

pub(super) enum EvalError {
    /// A name leads nowhere: what `??`, `default` and `is defined` are for.
    Undefined(ExpressionError),
    /// Anything else.
    Other(ExpressionError),
}

impl From<EvalError> for ExpressionError {
    fn from(failure: EvalError) -> Self {
        match failure {
            EvalError::Undefined(error) | EvalError::Other(error) => error,
        }
    }
}

/// What went wrong with a piece of source.
pub(super) fn failure(source: &str, message: &str) -> EvalError {
    let shown = super::value::shorten(source);
    EvalError::Other(ExpressionError::new(format!("`{shown}`: {message}"), source))
}

type EvalResult<'m> = Result<Cow<'m, Value>, EvalError>;

/// Names, the world and what is bound so far.
pub(super) struct Evaluator<'a> {
    pub(super) names: &'a Names,
    pub(super) host: &'a dyn Host,
    pub(super) macros: &'a BTreeMap<String, Macro>,
    pub(super) budget: &'a Budget,
    /// What `set`, `for` and parameters bind, the innermost last.
    pub(super) scopes: Vec<Map<String, Value>>,
}

impl Evaluator<'_> {
    /// The value of an expression.
    pub(super) fn evaluate<'m>(&'m self, expression: &'m Expr) -> EvalResult<'m> {
        let fail = |message: String| failure(&expression.source, &message);
        self.budget.enter().map_err(fail)?;
        let value = self.value(expression);
        self.budget.leave();
        value
    }

    fn value<'m>(&'m self, expression: &'m Expr) -> EvalResult<'m> {
        let fail = |message: String| failure(&expression.source, &message);
        let value = match &expression.kind {
            ExprKind::Literal(value) => return Ok(Cow::Borrowed(value)),
            ExprKind::Name(name) => return self.name(name),
            ExprKind::Path(root, parts) => return self.path(expression, root, parts),
            ExprKind::Chain(head, links) => return self.chain(&expression.source, head, links),
            ExprKind::Choice(choice) => {
                let [condition, one, other] = &**choice;
                return self.evaluate(if self.is_true(condition)? { one } else { other });
            }
            ExprKind::Call(call) => self.call(call)?,
            ExprKind::Not(operand) => Value::Bool(!self.is_true(operand)?),
            ExprKind::Minus(operand) => operators::negative(&*self.evaluate(operand)?).map_err(fail)?,
            ExprKind::Plus(operand) => {
                let operand = self.evaluate(operand)?;
                operators::apply(Operator::Subtract, &operand, &Value::from(0), self.budget).map_err(fail)?
            }
            ExprKind::List(items) => Value::Array(items.iter().map(|item| self.owned(item)).collect::<Result<_, _>>()?),
            ExprKind::Map(entries) => self.map(entries)?,
        };
        self.budget.charge(&value).map_err(fail)?;
        Ok(Cow::Owned(value))
    }

    /// Whether an expression's value counts as true.
    pub(super) fn is_true(&self, expression: &Expr) -> Result<bool, EvalError> {
        let value = self.evaluate(expression)?;
        self.truth(&value).map_err(|message| failure(&expression.source, &message))
    }

    fn truth(&self, value: &Value) -> Result<bool, String> {
        self.budget.spend(value.as_str().map_or(0, str::len))?;
        Ok(is_truthy(value))
    }

    fn owned(&self, expression: &Expr) -> Result<Value, EvalError> {
        self.evaluate(expression).map(Cow::into_owned)
    }

    fn map(&self, entries: &[(Expr, Expr)]) -> Result<Value, EvalError> {
        let entry = |(key, value): &(Expr, Expr)| Ok((to_text(&*self.evaluate(key)?), self.owned(value)?));
        Ok(Value::Object(entries.iter().map(entry).collect::<Result<_, EvalError>>()?))
    }

    fn name(&self, name: &str) -> EvalResult<'_> {
        let bound = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        bound.or_else(|| self.names.get(name)).map(Cow::Borrowed).ok_or_else(|| {
            let known = name_list(self.names.keys().map(String::as_str));
            let message = format!("`{name}` is not defined; the defined names are {known}");
            EvalError::Undefined(ExpressionError::new(message, name))
        })
    }

    fn path<'m>(&'m self, source: &'m Expr, root: &'m Expr, parts: &'m [PathPart]) -> EvalResult<'m> {
        let mut value = match self.evaluate(root) {
            Err(EvalError::Undefined(error)) if matches!(root.kind, ExprKind::Name(_)) => {
                let message = error.message.replacen(&root.source, &source.source, 1);
                return Err(EvalError::Undefined(ExpressionError::new(message, &source.source)));
            }
            other => other?,
        };
        let mut path = root.source.clone();
        for part in parts {
            let key = match part {
                PathPart::Field(name) => Cow::Borrowed(name.as_str()),
                PathPart::Index(index) => Cow::Owned(to_text(&*self.evaluate(index)?)),
            };
            let step = match value {
                Cow::Borrowed(value) => child(value, &key).map(Cow::Borrowed),
                Cow::Owned(ref value) => child(value, &key).cloned().map(Cow::Owned),
            };
            value = match step {
                Some(step) => step,
                None => {
                    // The error message lists the names that exist, which costs as much as reading them.
                    let names = value.as_object().map_or(0, Map::len).saturating_mul(NODE_BYTES);
                    let spent = self.budget.spend(names.saturating_add(key.len()));
                    spent.map_err(|message| failure(&source.source, &message))?;
                    return Err(undefined(&source.source, &path, &value, &key));
                }
            };
            path = if path.is_empty() { key.into_owned() } else { format!("{path}.{key}") };
        }
        Ok(value)
    }

    fn chain<'m>(&'m self, source: &str, head: &'m Expr, links: &'m [ChainLink]) -> EvalResult<'m> {
        let mut current = self.evaluate(head);
        for link in links {
            current = match link {
                ChainLink::Binary(operator, right) => self.binary(source, *operator, current, right),
                ChainLink::Filter(filter) if filter.name == "default" => {
                    let value =
                        if let Err(EvalError::Undefined(_)) = current { Ok(Cow::Owned(Value::Null)) } else { current };
                    value.and_then(|value| self.filter(filter, &value)).map(Cow::Owned)
                }
                ChainLink::Filter(filter) => current.and_then(|value| self.filter(filter, &value)).map(Cow::Owned),
                ChainLink::Test { test, negated } => {
                    let value = match current {
                        Err(EvalError::Undefined(_)) if test.name == "defined" => Ok(Cow::Owned(Value::Null)),
                        other => other,
                    };
                    value.and_then(|value| self.test(test, &value, *negated)).map(Cow::Owned)
                }
            };
        }
        current
    }

    fn test(&self, test: &CallExpr, value: &Value, negated: bool) -> Result<Value, EvalError> {
        self.budget.charge(value).map_err(|message| failure(&test.source, &message))?;
        let passes = predicates::evaluate(&test.name, value).map_err(|message| failure(&test.source, &message))?;
        Ok(Value::Bool(passes != negated))
    }

    fn binary<'m>(&'m self, source: &str, operator: Operator, left: EvalResult<'m>, right: &'m Expr) -> EvalResult<'m> {
        match (operator, &left) {
            (Operator::IfNull | Operator::IfUndefined, Err(EvalError::Undefined(_))) => return self.evaluate(right),
            (Operator::IfNull, Ok(value)) if value.is_null() => return self.evaluate(right),
            (Operator::IfNull | Operator::IfUndefined, _) => return left,
            _ => {}
        }
        let left = left?;
        let fail = |message: String| failure(source, &message);
        let decided = match operator {
            Operator::And => Some(self.truth(&left).map_err(fail)? && self.is_true(right)?),
            Operator::Or => Some(self.truth(&left).map_err(fail)? || self.is_true(right)?),
            _ => None,
        };
        if let Some(decided) = decided {
            return Ok(Cow::Owned(Value::Bool(decided)));
        }
        let value = self.evaluate(right)?;
        let result = self.budget.charge(&left).and_then(|()| self.budget.charge(&value));
        let result = result.and_then(|()| operators::apply(operator, &left, &value, self.budget));
        let result = result.and_then(|result| self.budget.charge(&result).map(|()| result));
        result.map(Cow::Owned).map_err(fail)
    }

    /// What a filter makes of a value.
    pub(super) fn filter(&self, call: &CallExpr, input: &Value) -> Result<Value, EvalError> {
        let fail = |message: String| failure(&call.source, &message);
        let filter = filters::find(&call.name).ok_or_else(|| fail(filters::unknown(&call.name)))?;
        if input.is_null() && !filter.takes_null {
            return Ok(Value::Null);
        }
        self.run(filter, call, input)
    }

    fn call(&self, call: &CallExpr) -> Result<Value, EvalError> {
        if let Some(definition) = self.macros.get(&call.name) {
            return self.expand(definition, call);
        }
        let function = functions::find(&call.name)
            .ok_or_else(|| failure(&call.source, &functions::unknown(&call.name, self.macros.keys())))?;
        self.run(function, call, &Value::Null)
    }

    fn run(&self, builtin: &Builtin, call: &CallExpr, input: &Value) -> Result<Value, EvalError> {
        let fail = |message: String| failure(&call.source, &message);
        let positions = builtin.positions(call).map_err(fail)?;
        let mut arguments: Vec<Option<Value>> = Vec::new();
        for (position, argument) in positions.into_iter().zip(&call.arguments) {
            arguments.resize(arguments.len().max(position + 1), None);
            let value = self.owned(&argument.value)?;
            self.budget.charge(&value).map_err(fail)?;
            if let Some(slot) = arguments.get_mut(position) {
                *slot = Some(value);
            }
        }
        self.budget.charge(input).map_err(fail)?;
        let call = BuiltinCall { builtin, input, arguments, evaluator: self };
        let result = (builtin.run)(&call).map_err(fail)?;
        self.budget.charge(&result).map_err(fail)?;
        Ok(result)
    }

    /// What a macro writes.
    fn expand(&self, definition: &Macro, call: &CallExpr) -> Result<Value, EvalError> {
        let fail = |message: String| failure(&call.source, &message);
        let mut scope = Map::new();
        for (name, default) in &definition.parameters {
            scope.insert(name.clone(), default.as_ref().map_or(Ok(Value::Null), |default| self.owned(default))?);
        }
        for (position, argument) in call.arguments.iter().enumerate() {
            let name = argument.name.as_ref().or_else(|| definition.parameters.get(position).map(|(name, _)| name));
            let known = name.filter(|name| scope.contains_key(*name));
            let name = known.ok_or_else(|| fail("the macro has no such parameter".to_owned()))?;
            let value = self.owned(&argument.value)?;
            self.budget.charge(&value).map_err(fail)?;
            scope.insert(name.clone(), value);
        }
        let mut inner = Evaluator { scopes: vec![scope], ..*self };
        let mut out = String::new();
        self.budget.enter().map_err(fail)?;
        let result = inner.write(&definition.body, &mut out);
        self.budget.leave();
        result.map(|()| Value::String(out))
    }

    /// A value whose own templates are rendered, and those in the result again if `again` is set.
    pub(super) fn render(&self, value: &Value, recursive: bool) -> Result<Value, String> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.render(item, recursive)).collect(),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, item)| Ok((key.clone(), self.render(item, recursive)?)));
                Ok(Value::Object(entries.collect::<Result<_, String>>()?))
            }
            Value::String(text) if is_template(text) => {
                let mut rendered = self.render_text(text)?;
                for _ in 0..MAX_NESTING {
                    match &rendered {
                        Value::String(text) if recursive && is_template(text) => rendered = self.render_text(text)?,
                        _ => return Ok(rendered),
                    }
                }
                Err(format!("the text still contains a template after {MAX_NESTING} rounds; does it refer to itself?"))
            }
            other => Ok(other.clone()),
        }
    }

    fn render_text(&self, text: &str) -> Result<Value, String> {
        self.budget.spend(text.len())?;
        self.budget.enter()?;
        let rendered = parser::parse(text)
            .and_then(|template| Ok(evaluate(&template, self.names, self.host, self.budget)?))
            .map_err(|error| error.message);
        self.budget.leave();
        rendered
    }
}

/// The value of a whole text: of a lone expression its result, else a text.
pub(super) fn evaluate(
    template: &Template,
    names: &Names,
    host: &dyn Host,
    budget: &Budget,
) -> Result<Value, EvalError> {
    let mut evaluator = Evaluator { names, host, macros: &template.macros, budget, scopes: vec![Map::new()] };
    if let Some(expression) = template.sole_expression() {
        return evaluator.owned(expression);
    }
    let mut out = String::new();
    evaluator.write(&template.nodes, &mut out)?;
    Ok(Value::String(out))
}

fn child<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

fn undefined(source: &str, path: &str, value: &Value, key: &str) -> EvalError {
    let there = match value {
        Value::Object(map) if map.is_empty() => format!("`{path}` is empty"),
        Value::Object(map) => {
            let cut =
                |sign: char| map.keys().find(|name| name.strip_prefix(key).is_some_and(|rest| rest.starts_with(sign)));
            let hint = match (cut('-'), cut('.')) {
                (Some(name), _) => format!("; write `{path}['{name}']` for a name with a dash"),
                (_, Some(name)) => format!("; write `{path}['{name}']` for a name with a dot"),
                _ => String::new(),
            };
            format!("`{path}` has {}{hint}", name_list(map.keys().map(String::as_str)))
        }
        Value::Array(items) => format!("`{path}` has {} items, counted from 0", items.len()),
        other => format!("`{path}` is {}", kind(other)),
    };
    let message = format!("`{source}` is not defined; {there}");
    EvalError::Undefined(ExpressionError::new(message, source))
}
