//! Which values a template writes out as they are, and within which quotes of a shell.

use super::ast::{Expr, Kind, Link, Node, Operator, Part, Template};

/// Filters whose results mean nothing to whoever reads the text.
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

/// The dotted names whose values a template writes out, but for those that a filter makes harmless: these or
/// those that always do.
pub(super) fn names(template: &Template, harmless: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    nodes(&template.nodes, harmless, &mut found);
    found
}

/// The expressions of a shell's text that quote their value although they stand within quotes already.
pub(super) fn quoted_twice(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    quotes(&template.nodes, &mut Quotes::default(), &mut found);
    found
}

fn quotes(all: &[Node], state: &mut Quotes, found: &mut Vec<String>) {
    for node in all {
        match node {
            Node::Text(text) => state.read(text),
            Node::Print(expression) if state.is_within() && is_quoted(expression) => {
                found.push(expression.source.trim().to_owned());
            }
            Node::If { arms, otherwise } => {
                let (before, bodies) = (state.clone(), arms.iter().map(|(_, body)| body));
                bodies.chain([otherwise]).for_each(|body| {
                    *state = before.clone();
                    quotes(body, state, found);
                });
            }
            Node::For { body, .. } | Node::Filter { body, .. } => quotes(body, state, found),
            Node::Print(_) | Node::Set { .. } => {}
        }
    }
}

fn is_quoted(expression: &Expr) -> bool {
    match &expression.kind {
        Kind::Chain(_, links) => {
            matches!(links.last(), Some(Link::Filter(filter)) if filter.name == "shellQuote")
        }
        _ => false,
    }
}

/// What is open at a place in a shell's text: quotes, and `(` of commands within them.
#[derive(Clone, Default)]
struct Quotes {
    open: Vec<char>,
    /// Whether the text has what is not followed here, such as a here-document: nothing is known then.
    is_lost: bool,
}

impl Quotes {
    fn is_within(&self) -> bool {
        !self.is_lost && matches!(self.open.last(), Some('"' | '\''))
    }

    fn read(&mut self, text: &str) {
        self.is_lost |= text.contains("<<") || text.contains('`');
        let (mut letters, mut before) = (text.chars(), '\n');
        while let Some(letter) = letters.next() {
            match (self.open.last().copied(), letter) {
                (Some('\''), '\'') | (Some('"'), '"') => drop(self.open.pop()),
                (Some('\''), _) => {}
                (_, '\\') => drop(letters.next()),
                (Some('"'), '(') if before == '$' => self.open.push('('),
                (Some('"'), _) => {}
                (_, '"' | '\'' | '(') => self.open.push(letter),
                (Some('('), ')') => drop(self.open.pop()),
                (_, '#') if before.is_whitespace() => drop(letters.by_ref().find(|letter| *letter == '\n')),
                _ => {}
            }
            before = letter;
        }
    }
}

fn nodes(all: &[Node], harmless: &[&str], found: &mut Vec<String>) {
    for node in all {
        match node {
            Node::Text(_) | Node::Set { .. } => {}
            Node::Print(expression) => found.extend(written(expression, harmless)),
            Node::If { arms, otherwise } => {
                arms.iter().for_each(|(_, body)| nodes(body, harmless, found));
                nodes(otherwise, harmless, found);
            }
            Node::For { body, otherwise, .. } => {
                nodes(body, harmless, found);
                nodes(otherwise, harmless, found);
            }
            Node::Filter { filters, body } => {
                if !filters.iter().any(|filter| is_harmless(&filter.name, harmless)) {
                    nodes(body, harmless, found);
                }
            }
        }
    }
}

fn is_harmless(filter: &str, more: &[&str]) -> bool {
    HARMLESS.contains(&filter) || more.contains(&filter)
}

fn written(expression: &Expr, harmless: &[&str]) -> Vec<String> {
    match &expression.kind {
        Kind::Name(name) => vec![name.clone()],
        Kind::Path(root, parts) => match &root.kind {
            Kind::Name(name) => vec![dotted(name, parts)],
            _ => Vec::new(),
        },
        Kind::Choice(choice) => choice[1..].iter().flat_map(|one| written(one, harmless)).collect(),
        Kind::Chain(head, links) => {
            links.iter().fold(written(head, harmless), |names, link| after(names, link, harmless))
        }
        _ => Vec::new(),
    }
}

/// The names that are still written out when one more thing is done to a value.
fn after(mut names: Vec<String>, link: &Link, harmless: &[&str]) -> Vec<String> {
    match link {
        Link::Binary(Operator::Join | Operator::Add | Operator::IfNull | Operator::IfUndefined, other) => {
            names.extend(written(other, harmless));
            names
        }
        Link::Filter(filter) if !is_harmless(&filter.name, harmless) => names,
        _ => Vec::new(),
    }
}

fn dotted(name: &str, parts: &[Part]) -> String {
    let mut dotted = name.to_owned();
    for part in parts {
        let Part::Field(field) = part else { break };
        dotted.push('.');
        dotted.push_str(field);
    }
    dotted
}
