//! From tokens to nodes: text, prints and tags. Expressions are read in `grammar.rs`.

use super::ExpressionError;
use super::ast::{CallExpr, Expr, Macro, Template, TemplateNode};
use super::lexer::{Token, TokenKind, tokens};
use super::limits::MAX_NESTING;
use crate::diagnostic::nearest;

/// The tags that begin something.
const TAGS: &[&str] = &["set", "if", "for", "filter", "macro", "raw", "verbatim"];

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Template, ExpressionError> {
    let mut parser = ExpressionParser { text, tokens: tokens(text)?, at: 0, depth: 0, template: Template::default() };
    parser.template.nodes = parser.block(None, &[])?;
    Ok(parser.template)
}

pub(super) struct ExpressionParser<'t> {
    pub(super) text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    template: Template,
}

impl ExpressionParser<'_> {
    /// The token that comes next.
    pub(super) fn peek(&self) -> &TokenKind {
        self.tokens.get(self.at).map_or(&TokenKind::End, |token| &token.kind)
    }

    /// Where the next token begins.
    pub(super) fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |token| token.start)
    }

    /// The text from `start` to the last token taken.
    pub(super) fn source(&self, start: usize) -> String {
        let end = self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |token| token.end);
        self.text.get(start..end).unwrap_or_default().to_owned()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Takes the sign if it comes next.
    pub(super) fn accept(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), TokenKind::Sign(next) if *next == sign);
        self.at += usize::from(is_next);
        is_next
    }

    /// Whether this word comes next.
    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Word(next) if next == word)
    }

    /// Whether this word comes after the next token.
    pub(super) fn comes_after(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at + 1).map(|token| &token.kind), Some(TokenKind::Word(next)) if next == word)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if self.accept(sign) { Ok(()) } else { Err(self.error(&format!("expected `{sign}`, found {}", self.found()))) }
    }

    /// Takes a word.
    pub(super) fn word(&mut self, what: &str) -> Result<String, ExpressionError> {
        match self.peek().clone() {
            TokenKind::Word(word) => {
                self.advance();
                Ok(word)
            }
            TokenKind::Sign("|") => Err(self.error(&format!("expected {what}, found `|`; write `or` for `||`"))),
            _ => Err(self.error(&format!("expected {what}, found {}", self.found()))),
        }
    }

    /// An error at the next token.
    pub(super) fn error(&self, message: &str) -> ExpressionError {
        ExpressionError::malformed(self.text, self.start(), message)
    }

    /// The next token as a message names it.
    pub(super) fn found(&self) -> String {
        match self.peek() {
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::Plain(_) => "text".to_owned(),
            TokenKind::Open(sign) | TokenKind::Close(sign) | TokenKind::Sign(sign) => format!("`{sign}`"),
            TokenKind::Word(word) => format!("`{word}`"),
            TokenKind::Quoted(text) => format!("'{text}'"),
            TokenKind::Number(number) => format!("`{number}`"),
        }
    }

    /// Runs a part of the parser one level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        if self.depth >= MAX_NESTING {
            return Err(self.error(&format!("this is nested more than {MAX_NESTING} levels deep")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Nodes up to one of the tags in `ends`, whose name is left to be read; without ends, up to the text's end.
    fn block(&mut self, tag: Option<(&str, usize)>, ends: &[&str]) -> Result<Vec<TemplateNode>, ExpressionError> {
        let mut nodes = Vec::new();
        loop {
            let start = self.start();
            match self.peek().clone() {
                TokenKind::Plain(text) => {
                    self.advance();
                    nodes.push(TemplateNode::Text(text));
                }
                TokenKind::Open("{{") => {
                    self.advance();
                    let expression = self.expression()?;
                    self.close("}}")?;
                    nodes.push(TemplateNode::Print(expression));
                }
                TokenKind::Open(_) => {
                    self.advance();
                    if matches!(self.peek(), TokenKind::Word(word) if ends.contains(&word.as_str())) {
                        return Ok(nodes);
                    }
                    nodes.extend(self.deeper(|parser| parser.tag(start))?);
                }
                _ => {
                    let Some((tag, begin)) = tag else { return Ok(nodes) };
                    let message = format!("the tag `{tag}` has no `{{% end{tag} %}}`");
                    return Err(ExpressionError::malformed(self.text, begin, &message));
                }
            }
        }
    }

    fn close(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if matches!(self.peek(), TokenKind::Close(_)) {
            self.advance();
            return Ok(());
        }
        let hint = if matches!(self.peek(), TokenKind::Sign("=")) { "; write `==` to compare" } else { "" };
        Err(self.error(&format!("expected `{sign}` or an operator, found {}{hint}", self.found())))
    }

    fn tag(&mut self, start: usize) -> Result<Option<TemplateNode>, ExpressionError> {
        let name = self.word("the name of a tag")?;
        Ok(Some(match name.as_str() {
            "set" => self.set()?,
            "if" => self.condition(start)?,
            "for" => self.for_loop(start)?,
            "filter" => self.filter(start)?,
            "macro" => {
                self.macro_definition(start)?;
                return Ok(None);
            }
            other => return Err(self.unknown_tag(other, start)),
        }))
    }

    fn unknown_tag(&self, name: &str, start: usize) -> ExpressionError {
        let message = if name.starts_with("end") || name.starts_with("else") {
            format!("no open tag matches `{name}`")
        } else {
            let suggestion = nearest(name, TAGS.iter().copied().chain(["elseif"]));
            let suggestion = suggestion
                .map_or_else(|| format!("there is `{}`", TAGS.join("`, `")), |near| format!("did you mean `{near}`?"));
            format!("there is no tag `{name}`; {suggestion}")
        };
        ExpressionError::malformed(self.text, start, &message)
    }

    fn set(&mut self) -> Result<TemplateNode, ExpressionError> {
        let name = self.word("a name")?;
        self.expect("=")?;
        let value = self.expression()?;
        self.close("%}")?;
        Ok(TemplateNode::Set { name, value })
    }

    fn condition(&mut self, start: usize) -> Result<TemplateNode, ExpressionError> {
        let mut arms = Vec::new();
        loop {
            let condition = self.expression()?;
            self.close("%}")?;
            arms.push((condition, self.block(Some(("if", start)), &["elseif", "else", "endif"])?));
            if !self.at_word("elseif") {
                break;
            }
            self.advance();
        }
        let otherwise = self.otherwise("if", start)?;
        Ok(TemplateNode::If { arms, otherwise })
    }

    /// What comes after `else`, if there is one, and the closing tag.
    fn otherwise(&mut self, tag: &str, start: usize) -> Result<Vec<TemplateNode>, ExpressionError> {
        let mut nodes = Vec::new();
        if self.at_word("else") {
            self.advance();
            self.close("%}")?;
            nodes = self.block(Some((tag, start)), &[&format!("end{tag}")])?;
        }
        self.advance();
        self.close("%}")?;
        Ok(nodes)
    }

    fn for_loop(&mut self, start: usize) -> Result<TemplateNode, ExpressionError> {
        let item = self.word("a name for the item")?;
        if !self.at_word("in") {
            return Err(self.error(&format!("expected `in`, found {}", self.found())));
        }
        self.advance();
        let list = self.expression()?;
        self.close("%}")?;
        let body = self.block(Some(("for", start)), &["else", "endfor"])?;
        let otherwise = self.otherwise("for", start)?;
        Ok(TemplateNode::For { item, list, body, otherwise })
    }

    fn filter(&mut self, start: usize) -> Result<TemplateNode, ExpressionError> {
        let mut filters: Vec<CallExpr> = vec![self.invocation("the name of a filter")?];
        while self.accept("|") {
            filters.push(self.invocation("the name of a filter")?);
        }
        self.close("%}")?;
        let body = self.block(Some(("filter", start)), &["endfilter"])?;
        self.advance();
        self.close("%}")?;
        Ok(TemplateNode::Filter { filters, body })
    }

    fn macro_definition(&mut self, start: usize) -> Result<(), ExpressionError> {
        let name = self.word("the macro's name")?;
        self.expect("(")?;
        let mut parameters: Vec<(String, Option<Expr>)> = Vec::new();
        while !self.accept(")") {
            let parameter = self.word("a parameter's name")?;
            let default = if self.accept("=") { Some(self.expression()?) } else { None };
            parameters.push((parameter, default));
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        self.close("%}")?;
        let body = self.block(Some(("macro", start)), &["endmacro"])?;
        self.advance();
        if matches!(self.peek(), TokenKind::Word(_)) {
            self.advance();
        }
        self.close("%}")?;
        self.template.macros.insert(name, Macro { parameters, body });
        Ok(())
    }
}
