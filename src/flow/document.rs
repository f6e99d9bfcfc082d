//! A flow's text with the position of every node: the only module that knows YAML.
//!
//! saphyr's marked tree gives positions, serde_yaml gives values. serde_yaml is no longer developed; should it have to
//! be replaced, only this file changes.
//!
//! Values are found by path. A template is only part of a scalar, so the place of a name in it is found by searching the
//! lines that the scalar spans, preferring a whole word. A value that was copied elsewhere (a default, a misspelt key)
//! is redirected to the path where it is written.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr::{LoadableYamlNode, MarkedYaml, Marker, ScanError, YamlData};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::flow::{bounds, syntax_error};

/// Windows editors mark a text as UTF-8 with it.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// How many duplicate keys are reported.
const MAX_DUPLICATES: usize = 20;

/// A parsed YAML file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file as the user named it.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Its content.
    pub value: Value,
    root: NodePosition,
    /// Paths of inserted values, and the paths they were copied from.
    redirects: BTreeMap<Vec<String>, Vec<String>>,
}

/// The position of a value and of everything in it.
#[derive(Clone, Debug)]
struct NodePosition {
    position: Position,
    end: Position,
    /// Its characters in the text, from 0.
    chars: Range<usize>,
    children: Vec<ChildPosition>,
}

impl NodePosition {
    fn child(&self, key: &str) -> Option<&ChildPosition> {
        // The key of a list item is its index.
        let listed = key.parse().ok().and_then(|index: usize| self.children.get(index));
        listed.filter(|child| child.key == key).or_else(|| self.children.iter().find(|child| child.key == key))
    }

    /// The values that hold no others, with their paths, in the order of the text.
    fn scalars<'a>(&'a self, path: &mut Vec<&'a str>, found: &mut Vec<(Vec<&'a str>, Range<usize>)>) {
        for ChildPosition { key, value, .. } in &self.children {
            path.push(key);
            if value.children.is_empty() {
                found.push((path.clone(), value.chars.clone()));
            }
            value.scalars(path, found);
            path.pop();
        }
    }
}

#[derive(Clone, Debug)]
struct ChildPosition {
    key: String,
    /// The key's own place; a list item's is its value's.
    position: Position,
    chars: Range<usize>,
    value: NodePosition,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column in characters.
    pub column: usize,
}

/// The value of a YAML text.
///
/// # Errors
/// When it is not YAML, nests too deeply or is too large.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    let text = strip_byte_order_mark(text);
    bounds::check_text(text)?;
    serde_yaml::from_str(text).map(to_json).map_err(|error| format!("this is not YAML: {error}"))
}

/// A value as YAML text, which ends with a line break.
///
/// # Errors
/// When it has no YAML form.
pub(super) fn to_yaml(value: &Value) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| format!("this cannot be written as YAML: {error}"))
}

fn strip_byte_order_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not YAML, holds no map, or has a key twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        Self::parse_strictly(file, strip_byte_order_mark(text))
    }

    /// Continues after duplicate keys: the first one counts, and the findings are returned with the document.
    ///
    /// # Errors
    /// When it is not YAML, or holds no map.
    pub fn parse_leniently(file: &str, text: &str) -> Result<(Self, Vec<Diagnostic>), Box<Diagnostic>> {
        let text = strip_byte_order_mark(text);
        let (mut rest, mut duplicates) = (text.to_owned(), Vec::new());
        loop {
            let finding = match Self::parse_strictly(file, &rest) {
                Ok(document) => return Ok((Self { text: text.to_owned(), ..document }, duplicates)),
                Err(finding) => finding,
            };
            let without_duplicate = syntax_error::blank_duplicate_key(&rest, &finding);
            match without_duplicate.filter(|_| duplicates.len() < MAX_DUPLICATES) {
                Some(without_duplicate) => {
                    rest = without_duplicate;
                    duplicates.push(*finding);
                }
                // An error that appears only without the duplicate may not be the author's.
                None => return Err(Box::new(duplicates.into_iter().next().unwrap_or(*finding))),
            }
        }
    }

    fn parse_strictly(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        if let Some(finding) = bounds::check(file, text).or_else(|| lone_carriage_return(file, text)) {
            return Err(Box::new(finding));
        }
        let marked = MarkedYaml::load_from_str(text).map_err(|error| Box::new(syntax_error(file, text, &error)))?;
        let mut value: serde_yaml::Value =
            serde_yaml::from_str(text).map_err(|error| Box::new(yaml_error(file, text, &error)))?;
        value.apply_merge().map_err(|error| Box::new(yaml_error(file, text, &error)))?;
        let Some(root) = marked.first().filter(|_| marked.len() == 1 && value.is_mapping()) else {
            let help = "a flow is a map that begins with `id:` and `namespace:`";
            return Err(Box::new(Diagnostic::error("this is not a flow").at(file, text, 1, 1).help(help)));
        };
        if let Some(key) = compound_key(root) {
            return Err(Box::new(compound_key_error(file, text, position_of(key.span.start))));
        }
        let chars: Vec<char> = text.chars().collect();
        let root = build_node(root, &chars);
        Ok(Self {
            file: file.to_owned(),
            text: text.to_owned(),
            value: to_json(value),
            root,
            redirects: BTreeMap::new(),
        })
    }

    /// Whether something is written at this path.
    pub fn has(&self, path: &[String]) -> bool {
        let mut node = Some(&self.root);
        for part in &self.resolve_redirects(path) {
            node = node.and_then(|node| node.child(part)).map(|child| &child.value);
        }
        node.is_some()
    }

    /// The line of the value of `path`, from 1, or of its deepest ancestor that exists.
    pub fn line(&self, path: &[String]) -> usize {
        self.position(path, false).line
    }

    /// Places a finding at the value of `path`, or at its deepest ancestor that exists.
    pub fn locate(&self, path: &[String], finding: Diagnostic) -> Diagnostic {
        self.at(self.position(path, false), finding)
    }

    /// Places a finding at the last key of `path`.
    pub fn locate_key(&self, path: &[String], finding: Diagnostic) -> Diagnostic {
        self.at(self.position(path, true), finding)
    }

    /// Places a finding at the first occurrence of `needle` in the value of `path`.
    pub fn locate_text(&self, path: &[String], needle: &str, finding: Diagnostic) -> Diagnostic {
        self.locate_any(path, &[needle.to_owned()], finding)
    }

    /// Places a finding at the occurrence of `needle` that follows `before`, else at the first one.
    pub fn locate_after(&self, path: &[String], before: &str, needle: &str, finding: Diagnostic) -> Diagnostic {
        let place = self.find_text(path, &format!("{before}{needle}")).filter(|_| !before.is_empty());
        match place {
            Some(Position { line, column }) => {
                self.at(Position { line, column: column + before.chars().count() }, finding)
            }
            None => self.locate_text(path, needle, finding),
        }
    }

    /// Places a finding at the first of `needles` that occurs in the value of `path`.
    pub fn locate_any(&self, path: &[String], needles: &[String], finding: Diagnostic) -> Diagnostic {
        let found = needles.iter().find_map(|needle| self.find_text(path, needle));
        self.at(found.unwrap_or_else(|| self.position(path, false)), finding)
    }

    /// The position of a text in the value of `path`.
    pub fn find_text(&self, path: &[String], needle: &str) -> Option<Position> {
        let node = self.node(path);
        let lines = self.text.lines().enumerate().take(node.end.line).skip(node.position.line.saturating_sub(1));
        lines.into_iter().find_map(|(index, line)| {
            let from = if index + 1 == node.position.line { byte_of_column(line, node.position.column) } else { 0 };
            let to = if index + 1 == node.end.line { byte_of_column(line, node.end.column) } else { line.len() };
            let byte = from + find_word(line.get(from..to)?, needle)?;
            Some(Position { line: index + 1, column: line[..byte].chars().count() + 1 })
        })
    }

    /// The text with each scalar replaced for which `rewrite` returns a value, given its path and its source.
    pub fn rewrite_scalars(&self, rewrite: impl Fn(&[&str], &str) -> Option<String>) -> String {
        let mut scalars = Vec::new();
        self.root.scalars(&mut Vec::new(), &mut scalars);
        let chars: Vec<char> = self.text.chars().collect();
        let (mut text, mut copied) = (String::with_capacity(self.text.len()), 0);
        for (path, place) in scalars {
            let Some(value) = chars.get(place.clone()).filter(|_| place.start >= copied) else { continue };
            let value: String = value.iter().collect();
            if let Some(other) = rewrite(&path, value.trim_end()) {
                text.extend(&chars[copied..place.start]);
                text.push_str(&other);
                copied = place.start + value.trim_end().chars().count();
            }
        }
        text.extend(&chars[copied..]);
        text
    }

    /// The keys of the map at `path`, or the indices of the list, in the order of the text.
    pub fn keys(&self, path: &[String]) -> Vec<String> {
        let found = path.iter().try_fold(&self.root, |node, part| node.child(part).map(|child| &child.value));
        found.map(|node| node.children.iter().map(|child| child.key.clone()).collect()).unwrap_or_default()
    }

    /// The range of characters of the value of `path`, or of its last key.
    pub fn chars(&self, path: &[String], key: bool) -> Option<Range<usize>> {
        let mut node = &self.root;
        let mut chars = node.chars.clone();
        for (depth, part) in path.iter().enumerate() {
            let child = node.child(part)?;
            node = &child.value;
            chars = if key && depth + 1 == path.len() { child.chars.clone() } else { node.chars.clone() };
        }
        Some(chars)
    }

    /// Makes findings about the value of `path` point at `to`, where it is written.
    pub fn redirect(&mut self, path: Vec<String>, to: Vec<String>) {
        self.redirects.insert(path, to);
    }

    fn resolve_redirects(&self, path: &[String]) -> Vec<String> {
        let redirected = (1..=path.len()).rev().find_map(|length| {
            let to = self.redirects.get(&path[..length])?;
            Some(to.iter().chain(&path[length..]).cloned().collect())
        });
        redirected.unwrap_or_else(|| path.to_vec())
    }

    fn at(&self, position: Position, finding: Diagnostic) -> Diagnostic {
        finding.at(&self.file, &self.text, position.line, position.column)
    }

    fn position(&self, path: &[String], key: bool) -> Position {
        let path = self.resolve_redirects(path);
        let mut node = &self.root;
        let mut position = node.position;
        for (depth, part) in path.iter().enumerate() {
            let Some(child) = node.child(part) else { break };
            node = &child.value;
            position = if key && depth + 1 == path.len() { child.position } else { node.position };
        }
        position
    }

    /// The node of a path, or its deepest ancestor that exists.
    fn node(&self, path: &[String]) -> &NodePosition {
        let mut node = &self.root;
        for part in self.resolve_redirects(path) {
            let Some(child) = node.child(&part) else { break };
            node = &child.value;
        }
        node
    }
}

/// The offset of a text in a line, preferring an occurrence that is a whole word.
fn find_word(line: &str, needle: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let whole = line.match_indices(needle).map(|(at, _)| at).find(|at| {
        let before = line[..*at].chars().next_back();
        let after = line[at + needle.len()..].chars().next();
        !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
    });
    whole.or_else(|| line.find(needle))
}

pub(super) fn byte_of_column(line: &str, column: usize) -> usize {
    line.char_indices().nth(column - 1).map_or(line.len(), |(byte, _)| byte)
}

fn build_node(marked: &MarkedYaml, text: &[char]) -> NodePosition {
    let children = match &marked.data {
        YamlData::Mapping(entries) => entries.iter().map(|(key, value)| map_entry(key, value, text)).collect(),
        YamlData::Sequence(items) => {
            items.iter().enumerate().map(|(index, item)| list_item(index, item, text)).collect()
        }
        _ => Vec::new(),
    };
    let chars = marked.span.start.index()..marked.span.end.index();
    NodePosition { position: position_of(marked.span.start), end: position_of(marked.span.end), chars, children }
}

/// A lone carriage return ends a line in YAML but not in editors, so line numbers would disagree.
fn lone_carriage_return(file: &str, text: &str) -> Option<Diagnostic> {
    let is_lone = |at: &usize| !text[at + 1..].starts_with('\n');
    let at = text.match_indices('\r').map(|(at, _)| at).find(is_lone)?;
    let (line, column) = (text[..at].matches('\n').count() + 1, text[..at].rsplit('\n').next()?.chars().count() + 1);
    let mut finding =
        Diagnostic::error("there is a carriage return without a line feed here").at(file, text, line, column);
    finding.snippet = finding.snippet.map(|snippet| snippet.replace('\r', "␍"));
    Some(finding.help("save the file with Unix or Windows line endings"))
}

/// The first key that is a list or a map itself.
fn compound_key<'a, 'text>(marked: &'a MarkedYaml<'text>) -> Option<&'a MarkedYaml<'text>> {
    match &marked.data {
        YamlData::Mapping(entries) => entries.iter().find_map(|(key, value)| {
            let is_compound = matches!(key.data, YamlData::Mapping(_) | YamlData::Sequence(_));
            if is_compound { Some(key) } else { compound_key(value) }
        }),
        YamlData::Sequence(items) => items.iter().find_map(compound_key),
        _ => None,
    }
}

/// `message: {{ inputs.x }}` is a map in a map to YAML.
fn compound_key_error(file: &str, text: &str, place: Position) -> Diagnostic {
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let before = line.get(..byte_of_column(line, place.column)).unwrap_or_default();
    let finding = if before.ends_with('{') && line.get(before.len()..).is_some_and(|rest| rest.starts_with('{')) {
        Diagnostic::error("a value that begins with a template must be quoted").help("write `\"{{ … }}\"`")
    } else {
        Diagnostic::error("a list or a map cannot be a key").help("write a single word before the colon")
    };
    finding.at(file, text, place.line, place.column)
}

fn map_entry(key: &MarkedYaml, value: &MarkedYaml, text: &[char]) -> ChildPosition {
    let chars = key.span.start.index()..key.span.end.index();
    let written = || text.get(chars.clone()).unwrap_or_default().iter().collect::<String>();
    let name = match &key.data {
        // `01` is a string for serde_yaml and a number for saphyr.
        YamlData::Value(saphyr::Scalar::Integer(_)) if written().starts_with('0') => written(),
        YamlData::Value(saphyr::Scalar::Integer(number)) => number.to_string(),
        YamlData::Value(saphyr::Scalar::Boolean(flag)) => flag.to_string(),
        data => data.as_str().unwrap_or_default().to_owned(),
    };
    ChildPosition {
        key: name,
        position: position_of(key.span.start),
        chars: chars.clone(),
        value: build_node(value, text),
    }
}

fn list_item(index: usize, item: &MarkedYaml, text: &[char]) -> ChildPosition {
    let chars = item.span.start.index()..item.span.end.index();
    ChildPosition {
        key: index.to_string(),
        position: position_of(item.span.start),
        chars,
        value: build_node(item, text),
    }
}

pub(super) fn position_of(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn syntax_error(file: &str, text: &str, error: &ScanError) -> Diagnostic {
    let Position { line, column } = position_of(*error.marker());
    syntax_error::explain(file, text, (line, column), error.info().trim_end_matches('.'))
}

fn yaml_error(file: &str, text: &str, error: &serde_yaml::Error) -> Diagnostic {
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or(&words).to_owned();
    if words.contains("more than one document") {
        let second = text.lines().skip(1).position(|line| line.starts_with("---")).map_or(1, |index| index + 2);
        let finding = Diagnostic::error("a second YAML document begins here").at(file, text, second, 1);
        return finding.help("a file contains one flow: move the second one to its own file");
    }
    match error.location() {
        Some(place) => Diagnostic::error(words).at(file, text, place.line(), place.column()),
        None => Diagnostic::error(words).at(file, text, 1, 1),
    }
}

fn to_json(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(flag) => Value::Bool(flag),
        serde_yaml::Value::Number(number) => serde_json::to_value(&number).unwrap_or(Value::Null),
        serde_yaml::Value::String(text) => Value::String(text),
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect()),
        serde_yaml::Value::Mapping(entries) => Value::Object(
            entries.into_iter().map(|(key, value)| (key_text(&key), to_json(value))).collect::<Map<_, _>>(),
        ),
        serde_yaml::Value::Tagged(tagged) => to_json(tagged.value),
    }
}

fn key_text(key: &serde_yaml::Value) -> String {
    match to_json(key.clone()) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[test]
    fn every_value_and_key_is_located() {
        let text = "id: a\ntasks:\n  - id: one\n    type: log\n    message: \"hi {{ inputs.x }}\"\n";
        let document = Document::parse("f.yaml", text).unwrap();
        let place = |finding: Diagnostic| (finding.line, finding.column);
        let blank = || Diagnostic::error("x");
        assert_eq!(place(document.locate(&path(&["tasks", "0", "type"]), blank())), (4, 11));
        assert_eq!(place(document.locate_key(&path(&["tasks", "0", "type"]), blank())), (4, 5));
        assert_eq!(place(document.locate_text(&path(&["tasks", "0", "message"]), "inputs.x", blank())), (5, 21));
        assert_eq!(place(document.locate(&path(&["tasks", "0", "gone"]), blank())), (3, 5));
    }

    #[test]
    fn invalid_yaml_is_located() {
        for (text, line) in [("id: a\n  b: c\n", 2), ("id: [a\n", 2), ("id: a\n\tb: c\n", 2), ("id: a\nid: b\n", 1)] {
            let error = Document::parse("f.yaml", text).unwrap_err();
            assert!(error.line >= 1 && error.line <= line + 1, "{text:?}: {error}");
            assert!(!error.message.is_empty());
        }
        let duplicates = "id: a\nid: b\nlist:\n  - x\nlist:\n- y\nc: d\n";
        let (document, duplicates) = Document::parse_leniently("f.yaml", duplicates).unwrap();
        assert_eq!(duplicates.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(document.value, serde_json::json!({"id": "a", "list": ["x"], "c": "d"}));
        let unclosed = "id: a\nmessage: \"it: {{ x }}\nlevel: \"INFO\"\n";
        let unclosed = Document::parse("f.yaml", unclosed).unwrap_err();
        assert_eq!((unclosed.line, unclosed.column), (2, 10), "{unclosed}");
        assert!(unclosed.message.contains("no closing quotation mark"), "{unclosed}");
        let sole = Document::parse("f.yaml", "id: a\nb: x\ry\r\n").unwrap_err();
        assert_eq!((sole.line, sole.column, sole.snippet.as_deref()), (2, 5, Some("b: x␍y")));
        assert_eq!(Document::parse("f.yaml", "- a\n").unwrap_err().message, "this is not a flow");
        assert_eq!(Document::parse("f.yaml", "").unwrap_err().message, "this is not a flow");
    }
}
