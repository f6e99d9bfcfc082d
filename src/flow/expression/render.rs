//! Renders template nodes: text, `{{ … }}` and tags.

use serde_json::{Map, Value, json};

use super::ast::{Expr, TemplateNode};
use super::eval::{EvalError, Evaluator, failure};
use super::limits::MAX_OUTPUT_BYTES;
use super::value::{kind, to_text};

impl Evaluator<'_> {
    /// Appends what the nodes write.
    pub(super) fn write(&mut self, nodes: &[TemplateNode], out: &mut String) -> Result<(), EvalError> {
        nodes.iter().try_for_each(|node| self.node(node, out))
    }

    fn node(&mut self, node: &TemplateNode, out: &mut String) -> Result<(), EvalError> {
        match node {
            TemplateNode::Text(text) => self.put(text, "", out),
            TemplateNode::Print(expression) => {
                let text = to_text(&*self.evaluate(expression)?);
                self.put(&text, &expression.source, out)
            }
            TemplateNode::Set { name, value } => self.set(name, value),
            TemplateNode::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.is_true(condition)? {
                        return self.write(body, out);
                    }
                }
                self.write(otherwise, out)
            }
            TemplateNode::For { item, list, body, otherwise } => {
                let items = self.items(list)?;
                if items.is_empty() { self.write(otherwise, out) } else { self.repeat(item, list, items, body, out) }
            }
            TemplateNode::Filter { filters, body } => {
                let mut text = String::new();
                self.write(body, &mut text)?;
                let filtered =
                    filters.iter().try_fold(Value::String(text), |value, filter| self.filter(filter, &value))?;
                self.put(&to_text(&filtered), "", out)
            }
        }
    }

    fn put(&self, text: &str, source: &str, out: &mut String) -> Result<(), EvalError> {
        self.budget.spend(text.len()).map_err(|message| failure(source, &message))?;
        if out.len() + text.len() > MAX_OUTPUT_BYTES {
            return Err(failure(source, &format!("the text becomes larger than {} MiB", MAX_OUTPUT_BYTES >> 20)));
        }
        out.push_str(text);
        Ok(())
    }

    /// Binds a name where it is bound already, else in the innermost scope.
    fn set(&mut self, name: &str, value: &Expr) -> Result<(), EvalError> {
        let result = self.evaluate(value)?.into_owned();
        self.budget.charge(&result).map_err(|message| failure(&value.source, &message))?;
        let place = self.scopes.iter().rposition(|scope| scope.contains_key(name));
        let place = place.unwrap_or(self.scopes.len().saturating_sub(1));
        if let Some(scope) = self.scopes.get_mut(place) {
            scope.insert(name.to_owned(), result);
        }
        Ok(())
    }

    /// What a loop goes over; a map gives entries with `key` and `value`.
    fn items(&self, list: &Expr) -> Result<Vec<Value>, EvalError> {
        let value = self.evaluate(list)?;
        self.budget.charge(&value).map_err(|message| failure(&list.source, &message))?;
        match value.into_owned() {
            Value::Array(items) => Ok(items),
            Value::Object(map) => Ok(map.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()),
            Value::Null => Ok(Vec::new()),
            other => Err(failure(&list.source, &format!("a loop needs a list or a map, not {}", kind(&other)))),
        }
    }

    fn repeat(
        &mut self,
        name: &str,
        list: &Expr,
        items: Vec<Value>,
        body: &[TemplateNode],
        out: &mut String,
    ) -> Result<(), EvalError> {
        let length = items.len();
        for (index, item) in items.into_iter().enumerate() {
            self.budget.iterate().map_err(|message| failure(&list.source, &message))?;
            let state = json!({
                "index": index, "length": length, "first": index == 0, "last": index + 1 == length,
                "revindex": length - index - 1,
            });
            self.scopes.push(Map::from_iter([(name.to_owned(), item), ("loop".to_owned(), state)]));
            let written = self.write(body, out);
            self.scopes.pop();
            written?;
        }
        Ok(())
    }
}
