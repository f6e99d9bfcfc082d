//! From tokens to expressions, with Pebble's precedences.

use serde_json::Value;

use super::ExpressionError;
use super::ast::{Argument, CallExpr, ChainLink, Expr, ExprKind, FILTER, Operator, PathPart, TEST};
use super::lexer::TokenKind as Token;
use super::limits::MAX_PATH_LENGTH;
use super::parser::ExpressionParser;

type ParseResult = Result<Expr, ExpressionError>;

/// What stands between an expression and what is done to it.
enum Infix {
    Binary(Operator, u16),
    Filter,
    Test,
}

impl ExpressionParser<'_> {
    /// A whole expression, the ternary operator included.
    pub(super) fn expression(&mut self) -> ParseResult {
        let start = self.start();
        let condition = self.chain(0)?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let one = self.deeper(Self::expression)?;
        self.expect(":")?;
        let other = self.deeper(Self::expression)?;
        Ok(Expr { kind: ExprKind::Choice(Box::new([condition, one, other])), source: self.source(start) })
    }

    /// Operators that bind at least as tightly as `lowest`.
    fn chain(&mut self, lowest: u16) -> ParseResult {
        let start = self.start();
        let head = self.unary()?;
        let mut links = Vec::new();
        while let Some(infix) = self.infix(lowest) {
            self.advance();
            if self.at_word("in") && matches!(infix, Infix::Binary(Operator::NotIn, _)) {
                // `not in` is two words.
                self.advance();
            }
            links.push(match infix {
                Infix::Binary(operator, binding) => {
                    ChainLink::Binary(operator, self.deeper(|parser| parser.chain(binding + 1))?)
                }
                Infix::Filter => ChainLink::Filter(self.invocation("the name of a filter")?),
                Infix::Test => self.test()?,
            });
        }
        if links.is_empty() {
            return Ok(head);
        }
        Ok(Expr { kind: ExprKind::Chain(Box::new(head), links), source: self.source(start) })
    }

    fn infix(&self, lowest: u16) -> Option<Infix> {
        let (infix, binding) = match self.peek() {
            Token::Sign("|") => (Infix::Filter, FILTER),
            Token::Word(word) if word == "is" => (Infix::Test, TEST),
            Token::Word(word) if word == "not" && self.comes_after("in") => {
                (Infix::Binary(Operator::NotIn, TEST), TEST)
            }
            Token::Sign(text) => {
                Operator::find(text).map(|(operator, binding)| (Infix::Binary(operator, binding), binding))?
            }
            Token::Word(word) => {
                Operator::find(word).map(|(operator, binding)| (Infix::Binary(operator, binding), binding))?
            }
            _ => return None,
        };
        (binding >= lowest).then_some(infix)
    }

    fn test(&mut self) -> Result<ChainLink, ExpressionError> {
        let negated = self.at_word("not");
        if negated {
            self.advance();
        }
        Ok(ChainLink::Test { test: self.invocation("the name of a test")?, negated })
    }

    fn unary(&mut self) -> ParseResult {
        let start = self.start();
        let wrap = if self.at_word("not") {
            self.advance();
            ExprKind::Not
        } else if self.accept("-") {
            ExprKind::Minus
        } else if self.accept("+") {
            ExprKind::Plus
        } else {
            return self.path();
        };
        let operand = self.deeper(Self::unary)?;
        Ok(Expr { kind: wrap(Box::new(operand)), source: self.source(start) })
    }

    /// A value with the steps into it.
    fn path(&mut self) -> ParseResult {
        let start = self.start();
        let root = self.primary()?;
        let mut parts = Vec::new();
        loop {
            if parts.len() > MAX_PATH_LENGTH {
                return Err(self.error(&format!("a name has more than {MAX_PATH_LENGTH} parts")));
            }
            if self.accept(".") {
                parts.push(PathPart::Field(self.field()?));
            } else if self.accept("[") {
                let index = self.deeper(Self::expression)?;
                self.expect("]")?;
                parts.push(match index.kind {
                    ExprKind::Literal(Value::String(name)) => PathPart::Field(name),
                    _ => PathPart::Index(index),
                });
            } else {
                break;
            }
        }
        if parts.is_empty() {
            return Ok(root);
        }
        Ok(Expr { kind: ExprKind::Path(Box::new(root), parts), source: self.source(start) })
    }

    fn field(&mut self) -> Result<String, ExpressionError> {
        let name = match self.peek().clone() {
            Token::Word(word) => word,
            Token::Number(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(self.error(&format!("expected a name after the dot, found {}", self.found()))),
        };
        self.advance();
        if matches!(self.peek(), Token::Sign("(")) {
            return Err(self.error(&format!("values have no methods; is there a filter, `| {name}`?")));
        }
        Ok(name)
    }

    fn primary(&mut self) -> ParseResult {
        let start = self.start();
        let kind = match self.peek().clone() {
            Token::Number(number) => self.literal(number),
            Token::Quoted(text) => self.literal(Value::String(text)),
            Token::Word(word) => return self.named(word, start),
            Token::Sign("(") => {
                self.advance();
                let inner = self.deeper(Self::expression)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => {
                self.advance();
                ExprKind::List(self.items("]", Self::expression)?)
            }
            Token::Sign("{") => {
                self.advance();
                ExprKind::Map(self.items("}", Self::entry)?)
            }
            Token::Sign("=") => return Err(self.error("expected a value, found `=`; write `==` to compare")),
            _ => return Err(self.error(&format!("expected a value, found {}", self.found()))),
        };
        Ok(Expr { kind, source: self.source(start) })
    }

    fn literal(&mut self, value: Value) -> ExprKind {
        self.advance();
        ExprKind::Literal(value)
    }

    fn named(&mut self, word: String, start: usize) -> ParseResult {
        let constant = match word.as_str() {
            "true" | "TRUE" => Some(Value::Bool(true)),
            "false" | "FALSE" => Some(Value::Bool(false)),
            "null" | "NULL" | "none" | "NONE" => Some(Value::Null),
            _ => None,
        };
        let kind = match constant {
            Some(value) => self.literal(value),
            None => {
                self.advance();
                if matches!(self.peek(), Token::Sign("(")) {
                    ExprKind::Call(self.call(word, start)?)
                } else {
                    ExprKind::Name(word)
                }
            }
        };
        Ok(Expr { kind, source: self.source(start) })
    }

    fn entry(&mut self) -> Result<(Expr, Expr), ExpressionError> {
        let key = self.expression()?;
        self.expect(":")?;
        Ok((key, self.expression()?))
    }

    /// Items between commas, up to the closing sign.
    fn items<T>(
        &mut self,
        close: &str,
        item: impl Fn(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<Vec<T>, ExpressionError> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(self.deeper(&item)?);
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    /// A name, with or without arguments.
    pub(super) fn invocation(&mut self, what: &str) -> Result<CallExpr, ExpressionError> {
        let start = self.start();
        let name = self.word(what)?;
        self.call(name, start)
    }

    fn call(&mut self, name: String, start: usize) -> Result<CallExpr, ExpressionError> {
        let arguments = if self.accept("(") { self.items(")", Self::argument)? } else { Vec::new() };
        Ok(CallExpr { name, arguments, source: self.source(start) })
    }

    fn argument(&mut self) -> Result<Argument, ExpressionError> {
        let value = self.expression()?;
        match value.kind {
            ExprKind::Name(name) if self.accept("=") => Ok(Argument { name: Some(name), value: self.expression()? }),
            _ => Ok(Argument { name: None, value }),
        }
    }
}
