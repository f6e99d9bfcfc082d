//! Where in a flow a position of its text is, derived from the indentation of the lines before it.

use std::ops::Range;

/// The lines that are looked at.
const MAX_LINES: usize = 20_000;

/// One step from a map to what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Item,
}

/// What is being written at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Key,
    /// The value of a key.
    Value(String),
    /// An expression, of which this much is before the position.
    Expression(String),
}

/// A place in a flow.
#[derive(Clone, Debug)]
pub(super) struct CursorContext {
    /// The way to the map that the position is in.
    pub(super) path: Vec<Segment>,
    /// The keys and plain values of each map on the way, the outermost first; the last one is that of the position.
    pub(super) maps: Vec<Vec<(String, String)>>,
    /// What is being written.
    pub(super) slot: Slot,
    /// The characters of the line, from 0, that a choice would replace.
    pub(super) word: Range<usize>,
}

impl CursorContext {
    /// What the innermost map says of a key.
    pub(super) fn sibling(&self, key: &str) -> Option<&str> {
        value_of(self.maps.last()?, key)
    }
}

/// The value of a key.
pub(super) fn value_of<'a>(map: &'a [(String, String)], key: &str) -> Option<&'a str> {
    map.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// A line of YAML: its list markers, and its key with what follows.
#[derive(Clone, Debug)]
struct Line {
    /// The columns of its `-`, from 0.
    dashes: Vec<usize>,
    /// Where its content begins.
    column: usize,
    /// Its key and value, if it begins with a key.
    pair: Option<(String, String)>,
    is_blank: bool,
}

impl Line {
    fn of(text: &str) -> Self {
        let letters: Vec<char> = text.trim_end().chars().collect();
        let (mut column, mut dashes) = (0, Vec::new());
        while let Some(letter) = letters.get(column) {
            match letter {
                ' ' => {}
                '-' if letters.get(column + 1).is_none_or(|next| *next == ' ') => dashes.push(column),
                _ => break,
            }
            column += 1;
        }
        let content: String = letters.get(column..).unwrap_or_default().iter().collect();
        let is_blank = (content.is_empty() && dashes.is_empty()) || content.starts_with('#');
        Self { dashes, column, pair: pair(&content), is_blank }
    }

    /// Where it begins, markers included.
    fn indent(&self) -> usize {
        self.dashes.first().copied().unwrap_or(self.column)
    }

    /// The key, where a map or a list below it is its value.
    fn opens(&self) -> Option<&str> {
        let (key, value) = self.pair.as_ref()?;
        (value.is_empty() || value.starts_with(['#', '&'])).then_some(key)
    }
}

/// A key and its value, of `key: value`.
fn pair(content: &str) -> Option<(String, String)> {
    let end = match content.chars().next()? {
        quote @ ('"' | '\'') => content[1..].find(quote)? + 2,
        '{' | '[' | '#' => return None,
        _ => content.find(": ").or_else(|| content.strip_suffix(':').map(str::len))?,
    };
    let value = content.get(end..)?.strip_prefix(':')?;
    Some((unquoted(&content[..end]), value.trim().to_owned()))
}

pub(super) fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text).to_owned()
}

/// The place of a line and a column, both from 1.
pub(super) fn find(text: &str, line: usize, column: usize) -> CursorContext {
    let index = line.saturating_sub(1);
    let row = text.lines().nth(index).unwrap_or_default();
    let before: Vec<char> = row.chars().take(column.saturating_sub(1)).collect();
    let here = Line::of(row);
    let (path, maps) = way(text, index, &here, before.len());
    let mut place = CursorContext { path, maps, slot: Slot::Key, word: word_before(&before) };
    let head: String = before.iter().collect();
    if let Some(open) = braces(&before) {
        within_braces(&mut place, &here, row, &before, open);
    } else if let Some((key, _)) = here.pair.as_ref().filter(|_| is_behind_key(&here, &before)) {
        place.slot = Slot::Value(key.clone());
        place.word = value_word(&before);
    }
    if let Some(open) = head.rfind("{{").filter(|open| !head[*open..].contains("}}")) {
        place.slot = Slot::Expression(head[open + 2..].to_owned());
        place.word = word_before(&before);
    }
    place
}

fn is_behind_key(line: &Line, before: &[char]) -> bool {
    let content: String = before.get(line.column..).unwrap_or_default().iter().collect();
    content.contains(": ") || content.ends_with(':')
}

/// The letters of a name that end at the position.
fn word_before(before: &[char]) -> Range<usize> {
    let is_part = |letter: &&char| letter.is_alphanumeric() || "_-.".contains(**letter);
    let length = before.iter().rev().take_while(is_part).count();
    before.len() - length..before.len()
}

/// The value so far, without a quote.
fn value_word(before: &[char]) -> Range<usize> {
    let start = before.iter().rposition(|letter| " \"'[{,".contains(*letter)).map_or(0, |at| at + 1);
    start..before.len()
}

/// Where the last brace opens that is not closed; one of a template does not count.
fn braces(before: &[char]) -> Option<usize> {
    let (mut open, mut at, mut quote) = (Vec::new(), 0, None);
    while let Some(letter) = before.get(at) {
        match (letter, quote) {
            (letter, Some(open)) if *letter == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(*letter),
            ('{', None) if before.get(at + 1) == Some(&'{') => at += 1,
            ('}', None) if before.get(at + 1) == Some(&'}') => at += 1,
            ('{', None) => open.push(at),
            ('}', None) => drop(open.pop()),
            _ => {}
        }
        at += 1;
    }
    // Deeper than one map this goes no way.
    (open.len() == 1).then(|| open.pop()).flatten()
}

/// `key: {a: b, c…`
fn within_braces(place: &mut CursorContext, here: &Line, row: &str, before: &[char], open: usize) {
    let outer: String = before.get(here.column..open).unwrap_or_default().iter().collect();
    if let Some((key, _)) = pair(outer.trim_end()) {
        place.path.push(Segment::Key(key));
    } else if !outer.trim().is_empty() {
        return;
    }
    let rest: String = row.chars().skip(open + 1).collect();
    let inner = rest.split('}').next().unwrap_or_default();
    let map: Vec<(String, String)> = inner.split(',').filter_map(|part| pair(part.trim())).collect();
    let typed: String = before[open + 1..].iter().collect();
    let last = typed.rsplit(',').next().unwrap_or_default();
    if let Some((key, _)) = pair(last.trim_start()).or_else(|| pair(last.trim())) {
        place.slot = Slot::Value(key);
        place.word = value_word(before);
    }
    // The item itself is the map, or it is the value of a key.
    if let Some(map_of_item) = place.maps.last_mut().filter(|_| outer.is_empty()) {
        *map_of_item = plain(map);
    } else {
        place.maps.push(plain(map));
    }
}

fn plain(map: Vec<(String, String)>) -> Vec<(String, String)> {
    map.into_iter().map(|(key, value)| (key, unquoted(&value))).collect()
}

/// The way to the map of a line, and the maps on it.
fn way(text: &str, index: usize, here: &Line, column: usize) -> (Vec<Segment>, Vec<Vec<(String, String)>>) {
    let mut outline = Outline::default();
    let mut rows = text.lines().take(MAX_LINES).map(Line::of);
    rows.by_ref().take(index).for_each(|line| outline.read(&line));
    match here.is_blank || here.pair.is_none() {
        // Where nothing is written yet, the position says how deep it is.
        true => outline.enter(here, if here.is_blank { column } else { here.column }),
        false => outline.read(here),
    }
    let mut snapshot = outline.open.clone();
    // What follows belongs to the same maps as long as these are open.
    rows.skip(1).for_each(|line| {
        outline.read(&line);
        for (known, open) in snapshot.iter_mut().zip(&outline.open).filter(|(known, open)| known.number == open.number)
        {
            known.pairs.clone_from(&open.pairs);
        }
    });
    let path = snapshot.iter().filter_map(|frame| frame.entry.clone()).collect();
    (path, snapshot.into_iter().filter(|frame| !frame.is_list).map(|frame| frame.pairs).collect())
}

/// A map or a list that is open at a line.
#[derive(Clone, Debug)]
struct OpenNode {
    number: usize,
    is_list: bool,
    /// The column of its keys, or of its markers.
    column: usize,
    /// How it is reached from the one before.
    entry: Option<Segment>,
    pairs: Vec<(String, String)>,
    /// The key that what is deeper belongs to.
    last: Option<String>,
}

/// The maps and lists that are open.
#[derive(Default)]
struct Outline {
    open: Vec<OpenNode>,
    count: usize,
    /// The column of a key whose value is a text of several lines.
    block: Option<usize>,
}

impl Outline {
    fn read(&mut self, line: &Line) {
        if line.is_blank || self.block.is_some_and(|column| line.indent() > column) {
            return;
        }
        self.block = None;
        line.dashes.iter().for_each(|dash| self.dash(*dash));
        let Some((key, value)) = &line.pair else { return };
        self.map_at(line.column);
        if let Some(map) = self.open.last_mut() {
            map.pairs.push((key.clone(), unquoted(value)));
            map.last = line.opens().map(str::to_owned);
        }
        self.block = value.starts_with(['|', '>']).then_some(line.column);
    }

    /// Goes to where a line without a key is being written.
    fn enter(&mut self, line: &Line, column: usize) {
        line.dashes.iter().for_each(|dash| self.dash(*dash));
        self.map_at(column.max(line.dashes.last().map_or(0, |dash| dash + 1)));
    }

    fn dash(&mut self, column: usize) {
        self.open.retain(|frame| frame.column <= column);
        if self.open.last().is_some_and(|frame| frame.is_list && frame.column == column) {
            return;
        }
        self.push(true, column);
    }

    /// Makes a map with keys at this column the innermost one.
    fn map_at(&mut self, column: usize) {
        self.open.retain(|frame| frame.column < column || (frame.column == column && !frame.is_list));
        let is_there = |frame: &OpenNode| !frame.is_list && (frame.column == column || frame.last.is_none());
        if !self.open.last().is_some_and(is_there) {
            self.push(false, column);
        }
    }

    fn push(&mut self, is_list: bool, column: usize) {
        let entry = self.open.last().map(|frame| match &frame.last {
            Some(key) if !frame.is_list => Segment::Key(key.clone()),
            _ => Segment::Item,
        });
        self.count += 1;
        self.open.push(OpenNode { number: self.count, is_list, column, entry, pairs: Vec::new(), last: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "\
id: trips
namespace: zoomcamp

inputs:
  - id: month
    type: SELECT

tasks:
  - id: extract
    type: http.download
    uri: \"{{ inputs.mon\"
    options:
      readTimeout: 1m

  - id: both
    type: parallel
    tasks:
      - id: load
        type: postgres.load
        mode:

  - {id: end, type: log, mess}
triggers:
- id: monthly
  type: schedule
  
";

    /// The way to a place, with the types of the maps on it.
    fn at(line: usize, column: usize) -> (String, Slot) {
        let place = find(FLOW, line, column);
        let way = place.path.iter().map(|segment| match segment {
            Segment::Key(key) => key.clone(),
            Segment::Item => "-".to_owned(),
        });
        let types = place.maps.iter().filter_map(|map| value_of(map, "type")).collect::<Vec<_>>().join(",");
        (format!("{} [{types}]", way.collect::<Vec<_>>().join(".")), place.slot)
    }

    #[test]
    fn a_position_is_found_by_its_indentation() {
        let value = |key: &str| Slot::Value(key.to_owned());
        assert_eq!(at(1, 6), (" []".to_owned(), value("id")));
        assert_eq!(at(3, 1), (" []".to_owned(), Slot::Key));
        assert_eq!(at(6, 11), ("inputs.- [SELECT]".to_owned(), value("type")));
        assert_eq!(at(10, 5), ("tasks.- [http.download]".to_owned(), Slot::Key));
        assert_eq!(at(13, 9), ("tasks.-.options [http.download]".to_owned(), Slot::Key));
        assert_eq!(at(14, 1), (" []".to_owned(), Slot::Key));
        assert_eq!(at(20, 15), ("tasks.-.tasks.- [parallel,postgres.load]".to_owned(), value("mode")));
        assert_eq!(at(24, 3).0, "triggers.- [schedule]");
        assert_eq!(at(26, 3), ("triggers.- [schedule]".to_owned(), Slot::Key));
    }

    #[test]
    fn an_expression_and_a_map_on_one_line_are_seen() {
        assert_eq!(at(11, 24).1, Slot::Expression(" inputs.mon".to_owned()));
        assert_eq!(at(22, 30), ("tasks.- [log]".to_owned(), Slot::Key));
        assert_eq!(at(22, 24).1, Slot::Value("type".to_owned()));
        let place = find(FLOW, 22, 30);
        assert_eq!(place.word, 25..29);
        assert_eq!(place.sibling("id"), Some("end"));
    }

    #[test]
    fn no_text_is_too_odd_to_be_looked_at() {
        for text in ["", "-", "- - - a", ":", "a:\n -\n  -\n", "{", "\u{feff}é: {{", "x: [{a: {b", "- ? :"] {
            for line in 1..4 {
                for column in 1..8 {
                    find(text, line, column);
                }
            }
        }
    }
}
