//! What a template is made of. Left-leaning operators are lists, not trees: a long sum costs no stack.

use std::collections::BTreeMap;

use serde_json::Value;

/// A parsed text.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub(super) nodes: Vec<TemplateNode>,
    pub(super) macros: BTreeMap<String, Macro>,
}

impl Template {
    /// The expression of a text that is one `{{ … }}` and nothing else but white space.
    pub(super) fn sole_expression(&self) -> Option<&Expr> {
        let mut rest =
            self.nodes.iter().filter(|node| !matches!(node, TemplateNode::Text(text) if text.trim().is_empty()));
        match (rest.next(), rest.next()) {
            (Some(TemplateNode::Print(expression)), None) => Some(expression),
            _ => None,
        }
    }
}

/// A piece of a text.
#[derive(Debug)]
pub(super) enum TemplateNode {
    Text(String),
    Print(Expr),
    Set { name: String, value: Expr },
    If { arms: Vec<(Expr, Vec<Self>)>, otherwise: Vec<Self> },
    For { item: String, list: Expr, body: Vec<Self>, otherwise: Vec<Self> },
    Filter { filters: Vec<CallExpr>, body: Vec<Self> },
}

/// A macro: parameters with their defaults, and what it writes.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) parameters: Vec<(String, Option<Expr>)>,
    pub(super) body: Vec<TemplateNode>,
}

/// An expression and the text that it was written as.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) source: String,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Literal(Value),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Name(String),
    Path(Box<Expr>, Vec<PathPart>),
    Call(CallExpr),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    /// What to begin with, and what is done to it, in order.
    Chain(Box<Expr>, Vec<ChainLink>),
    /// `condition ? one : other`
    Choice(Box<[Expr; 3]>),
}

/// A step into a value.
#[derive(Debug)]
pub(super) enum PathPart {
    Field(String),
    Index(Expr),
}

/// One thing that is done to a value.
#[derive(Debug)]
pub(super) enum ChainLink {
    Binary(Operator, Expr),
    Filter(CallExpr),
    Test { test: CallExpr, negated: bool },
}

/// A filter, function, macro or test with its arguments.
#[derive(Debug)]
pub(super) struct CallExpr {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) source: String,
}

#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: Option<String>,
    pub(super) value: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Contains,
    In,
    NotIn,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Join,
    Range,
    IfNull,
    IfUndefined,
}

impl Operator {
    /// The operator of this spelling and how tightly it binds.
    pub(super) fn find(text: &str) -> Option<(Self, u16)> {
        Some(match text {
            "or" => (Self::Or, 10),
            "and" => (Self::And, 15),
            "contains" => (Self::Contains, 20),
            "in" | "isIn" => (Self::In, 20),
            "isNotIn" => (Self::NotIn, 20),
            "==" | "equals" => (Self::Equal, 30),
            "!=" => (Self::Unequal, 30),
            "<" => (Self::Less, 30),
            "<=" => (Self::AtMost, 30),
            ">" => (Self::More, 30),
            ">=" => (Self::AtLeast, 30),
            "+" => (Self::Add, 40),
            "-" => (Self::Subtract, 40),
            "*" => (Self::Multiply, 60),
            "/" => (Self::Divide, 60),
            "%" => (Self::Remainder, 60),
            "~" => (Self::Join, 110),
            ".." => (Self::Range, 120),
            "??" => (Self::IfNull, 120),
            "???" => (Self::IfUndefined, 120),
            _ => return None,
        })
    }
}

/// How tightly `is` and `is not` bind.
pub(super) const TEST: u16 = 20;
/// How tightly `|` binds.
pub(super) const FILTER: u16 = 100;
