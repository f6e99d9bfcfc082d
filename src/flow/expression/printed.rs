//! Which values a template writes out as they are.

use super::ast::{Expr, Kind, Link, Node, Operator, Part, Template};

/// Filters whose results mean nothing to a shell.
const HARMLESS: &[&str] = &[
    "abs",
    "base64encode",
    "date",
    "length",
    "md5",
    "number",
    "sha1",
    "sha256",
    "shellQuote",
    "slugify",
    "timestamp",
    "timestampMicro",
    "timestampMilli",
    "timestampNano",
    "urlencode",
];

/// The dotted names whose values a template writes out, but for those that a filter makes harmless to a shell.
pub(super) fn names(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    nodes(&template.nodes, &mut found);
    found
}

fn nodes(all: &[Node], found: &mut Vec<String>) {
    for node in all {
        match node {
            Node::Text(_) | Node::Set { .. } => {}
            Node::Print(expression) => found.extend(written(expression)),
            Node::If { arms, otherwise } => {
                arms.iter().for_each(|(_, body)| nodes(body, found));
                nodes(otherwise, found);
            }
            Node::For { body, otherwise, .. } => {
                nodes(body, found);
                nodes(otherwise, found);
            }
            Node::Filter { filters, body } => {
                if !filters.iter().any(|filter| HARMLESS.contains(&filter.name.as_str())) {
                    nodes(body, found);
                }
            }
        }
    }
}

fn written(expression: &Expr) -> Vec<String> {
    match &expression.kind {
        Kind::Name(name) => vec![name.clone()],
        Kind::Path(root, parts) => match &root.kind {
            Kind::Name(name) => vec![dotted(name, parts)],
            _ => Vec::new(),
        },
        Kind::Choice(choice) => choice[1..].iter().flat_map(written).collect(),
        Kind::Chain(head, links) => links.iter().fold(written(head), after),
        _ => Vec::new(),
    }
}

/// The names that are still written out when one more thing is done to a value.
fn after(mut names: Vec<String>, link: &Link) -> Vec<String> {
    match link {
        Link::Binary(Operator::Join | Operator::Add | Operator::IfNull | Operator::IfUndefined, other) => {
            names.extend(written(other));
            names
        }
        Link::Filter(filter) if !HARMLESS.contains(&filter.name.as_str()) => names,
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
