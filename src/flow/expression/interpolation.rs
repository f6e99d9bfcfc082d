//! Which values a template inserts unescaped, and inside which shell quotes.

use super::ast::{ChainLink, Expr, ExprKind, Operator, PathPart, Template, TemplateNode};

/// Filters whose results are safe in any language.
const HARMLESS: &[&str] = &[
    "abs",
    "base64encode",
    "date",
    "length",
    "md5",
    "number",
    "sha1",
    "sha256",
    "slugify",
    "timestamp",
    "timestampMicro",
    "timestampMilli",
    "timestampNano",
    "urlencode",
];

/// The dotted names whose values a template writes out, except for those that a filter makes harmless: these or
/// those that always do.
pub(super) fn names(template: &Template, harmless: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    collect_names(&template.nodes, harmless, &mut names);
    names
}

/// The expressions of a shell's text that quote their value although they stand within quotes already.
pub(super) fn quoted_twice(template: &Template) -> Vec<String> {
    let mut expressions = Vec::new();
    find_nested_quotes(&template.nodes, &mut ShellQuotes::default(), &mut expressions);
    expressions
}

fn find_nested_quotes(all: &[TemplateNode], state: &mut ShellQuotes, expressions: &mut Vec<String>) {
    for node in all {
        match node {
            TemplateNode::Text(text) => state.read(text),
            TemplateNode::Print(expression) if state.is_within() && is_quoted(expression) => {
                expressions.push(expression.source.trim().to_owned());
            }
            TemplateNode::If { arms, otherwise } => {
                let (before, bodies) = (state.clone(), arms.iter().map(|(_, body)| body));
                bodies.chain([otherwise]).for_each(|body| {
                    *state = before.clone();
                    find_nested_quotes(body, state, expressions);
                });
            }
            TemplateNode::For { body, .. } | TemplateNode::Filter { body, .. } => {
                find_nested_quotes(body, state, expressions);
            }
            TemplateNode::Print(_) | TemplateNode::Set { .. } => {}
        }
    }
}

fn is_quoted(expression: &Expr) -> bool {
    match &expression.kind {
        ExprKind::Chain(_, links) => {
            matches!(links.last(), Some(ChainLink::Filter(filter)) if filter.name == "shellQuote")
        }
        _ => false,
    }
}

/// What is open at a place in a shell's text: quotes, and `(` of commands within them.
#[derive(Clone, Default)]
struct ShellQuotes {
    open: Vec<char>,
    /// Whether the text has what is not followed here, such as a here-document: nothing is known then.
    is_unknown: bool,
}

impl ShellQuotes {
    fn is_within(&self) -> bool {
        !self.is_unknown && matches!(self.open.last(), Some('"' | '\''))
    }

    fn read(&mut self, text: &str) {
        self.is_unknown |= text.contains("<<") || text.contains('`');
        let (mut chars, mut before) = (text.chars(), '\n');
        while let Some(letter) = chars.next() {
            match (self.open.last().copied(), letter) {
                (Some('\''), '\'') | (Some('"'), '"') => drop(self.open.pop()),
                (Some('\''), _) => {}
                (_, '\\') => drop(chars.next()),
                (Some('"'), '(') if before == '$' => self.open.push('('),
                (Some('"'), _) => {}
                (_, '"' | '\'' | '(') => self.open.push(letter),
                (Some('('), ')') => drop(self.open.pop()),
                (_, '#') if before.is_whitespace() => drop(chars.by_ref().find(|letter| *letter == '\n')),
                _ => {}
            }
            before = letter;
        }
    }
}

fn collect_names(all: &[TemplateNode], harmless: &[&str], names: &mut Vec<String>) {
    for node in all {
        match node {
            TemplateNode::Text(_) | TemplateNode::Set { .. } => {}
            TemplateNode::Print(expression) => names.extend(interpolated(expression, harmless)),
            TemplateNode::If { arms, otherwise } => {
                arms.iter().for_each(|(_, body)| collect_names(body, harmless, names));
                collect_names(otherwise, harmless, names);
            }
            TemplateNode::For { body, otherwise, .. } => {
                collect_names(body, harmless, names);
                collect_names(otherwise, harmless, names);
            }
            TemplateNode::Filter { filters, body } => {
                if !filters.iter().any(|filter| is_harmless(&filter.name, harmless)) {
                    collect_names(body, harmless, names);
                }
            }
        }
    }
}

fn is_harmless(filter: &str, more: &[&str]) -> bool {
    HARMLESS.contains(&filter) || more.contains(&filter)
}

fn interpolated(expression: &Expr, harmless: &[&str]) -> Vec<String> {
    match &expression.kind {
        ExprKind::Name(name) => vec![name.clone()],
        ExprKind::Path(root, parts) => match &root.kind {
            ExprKind::Name(name) => vec![dotted(name, parts)],
            _ => Vec::new(),
        },
        ExprKind::Choice(choice) => choice[1..].iter().flat_map(|one| interpolated(one, harmless)).collect(),
        ExprKind::Chain(head, links) => {
            links.iter().fold(interpolated(head, harmless), |names, link| after(names, link, harmless))
        }
        _ => Vec::new(),
    }
}

/// The names that are still written out when one more thing is done to a value.
fn after(mut names: Vec<String>, link: &ChainLink, harmless: &[&str]) -> Vec<String> {
    match link {
        ChainLink::Binary(Operator::Join | Operator::Add | Operator::IfNull | Operator::IfUndefined, other) => {
            names.extend(interpolated(other, harmless));
            names
        }
        ChainLink::Filter(filter) if !is_harmless(&filter.name, harmless) => names,
        _ => Vec::new(),
    }
}

fn dotted(name: &str, parts: &[PathPart]) -> String {
    let mut dotted = name.to_owned();
    for part in parts {
        let PathPart::Field(field) = part else { break };
        dotted.push('.');
        dotted.push_str(field);
    }
    dotted
}
