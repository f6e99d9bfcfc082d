//! Which lines a part of a flow covers, with the comments that belong to it.

use crate::flow::Document;

/// Lines, from the first one and without the last, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineSpan {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A flow's text as lines, and where its parts are.
pub(super) struct Lines<'a> {
    document: &'a Document,
    pub(super) all: Vec<&'a str>,
    chars: Vec<char>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(document: &'a Document) -> Self {
        let all = document.text.split('\n').collect();
        Self { document, all, chars: document.text.chars().collect() }
    }

    /// Line and column, from 0, of a character.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.chars[..at.min(self.chars.len())];
        let line = before.iter().filter(|letter| **letter == '\n').count();
        (line, before.iter().rev().take_while(|letter| **letter != '\n').count())
    }

    /// The column, from 0, of a character.
    pub(super) fn column(&self, at: usize) -> usize {
        self.place(at).1
    }

    fn indent(line: &str) -> usize {
        line.len() - line.trim_start_matches(' ').len()
    }

    fn is_blank(line: &str) -> bool {
        line.trim().is_empty()
    }

    fn is_comment(line: &str) -> bool {
        line.trim_start().starts_with('#')
    }

    fn is_item(line: &str) -> bool {
        let content = line.trim();
        content == "-" || content.starts_with("- ")
    }

    /// Whether a map or a list is written between braces or brackets, or is in one that is.
    pub(super) fn is_inline(&self, path: &[String]) -> bool {
        (1..=path.len()).any(|length| {
            let start = self.document.chars(&path[..length], false).map(|range| range.start);
            start.and_then(|start| self.chars.get(start)).is_some_and(|letter| "{[".contains(*letter))
        })
    }

    /// The place of a key.
    pub(super) fn key_place(&self, path: &[String]) -> Option<(usize, usize)> {
        self.document.chars(path, true).map(|range| self.place(range.start))
    }

    /// The line and the column of an item's marker.
    pub(super) fn marker(&self, list: &[String], index: usize) -> Option<(usize, usize)> {
        let path = [list, &[index.to_string()]].concat();
        let (line, column) = self.place(self.document.chars(&path, false)?.start);
        let before = self.all.get(line)?.get(..column)?;
        let marker = before.rfind('-')?;
        // Several markers on a line belong to several lists.
        (before[..marker].trim().is_empty()).then_some((line, marker))
    }

    /// The lines of a list item, with the comments above it.
    pub(super) fn item(&self, list: &[String], index: usize) -> Option<LineSpan> {
        let (line, column) = self.marker(list, index)?;
        let mut start = line;
        while start > 0 && Self::is_comment(self.all[start - 1]) && Self::indent(self.all[start - 1]) == column {
            start -= 1;
        }
        Some(LineSpan { start, end: self.end(line, |text| Self::indent(text) <= column, column) })
    }

    /// The lines of a key and its value.
    pub(super) fn key(&self, path: &[String]) -> Option<LineSpan> {
        let (line, column) = self.key_place(path)?;
        let is_next =
            |text: &str| Self::indent(text) < column || (Self::indent(text) == column && !Self::is_item(text));
        Some(LineSpan { start: line, end: self.end(line, is_next, column) })
    }

    /// Where a part ends that begins at a line: before what is next, and the blank lines and comments that belong to that.
    fn end(&self, line: usize, is_next: impl Fn(&str) -> bool, column: usize) -> usize {
        let rest = self.all.iter().enumerate().skip(line + 1);
        let next =
            rest.filter(|(_, text)| !Self::is_blank(text) && !Self::is_comment(text)).find(|(_, text)| is_next(text));
        let mut end = next.map_or(self.all.len(), |(at, _)| at);
        let is_before_next =
            |text: &str| Self::is_blank(text) || (Self::is_comment(text) && Self::indent(text) <= column);
        while end > line + 1 && is_before_next(self.all[end - 1]) {
            end -= 1;
        }
        end
    }

    /// The line after the blank ones that begin at a line.
    pub(super) fn behind_blanks(&self, line: usize) -> usize {
        // The last line is after the last line break, and stays.
        let blank = self.all.iter().skip(line).take_while(|text| Self::is_blank(text)).count();
        (line + blank).min(self.all.len() - 1).max(line)
    }

    /// The lines to remove with an item: the blank ones after it, or those before it if it is the last thing in the text.
    pub(super) fn with_blanks(&self, item: LineSpan) -> LineSpan {
        let (mut start, end) = (item.start, self.behind_blanks(item.end));
        while end + 1 == self.all.len() && start > 0 && Self::is_blank(self.all[start - 1]) {
            start -= 1;
        }
        LineSpan { start, end }
    }

    /// Whether a key follows the marker of a list item.
    pub(super) fn begins_item(&self, path: &[String]) -> bool {
        let Some((line, column)) = self.key_place(path) else { return false };
        self.all[line].get(..column).is_some_and(|before| before.contains('-'))
    }

    pub(super) fn text(&self, span: LineSpan) -> &[&'a str] {
        self.all.get(span.start..span.end).unwrap_or_default()
    }

    /// The text with other lines in place of some.
    pub(super) fn replaced(&self, span: LineSpan, new: &[impl AsRef<str>]) -> String {
        let new: Vec<&str> = new.iter().map(AsRef::as_ref).collect();
        [&self.all[..span.start], &new, &self.all[span.end..]].concat().join("\n")
    }

    /// The text without a key that follows a marker.
    pub(super) fn pull_up(&self, key: LineSpan) -> Option<String> {
        let column = Self::indent(self.all[key.start]);
        let next = self.all.get(key.end)?;
        let own = &self.all[key.start];
        let content = column + (own.len() - column) - own.trim_start_matches([' ', '-']).len();
        let joined =
            format!("{}{}", own.get(..content)?, next.get(content..).filter(|_| Self::indent(next) == content)?);
        Some(self.replaced(LineSpan { start: key.start, end: key.end + 1 }, &[joined]))
    }

    /// The text with other characters in place of some.
    pub(super) fn spliced(&self, from: usize, to: usize, new: &str) -> String {
        let (before, behind) = (&self.chars[..from], &self.chars[to.max(from)..]);
        before.iter().copied().chain(new.chars()).chain(behind.iter().copied()).collect()
    }

    /// The characters of a value, without the blanks after it.
    pub(super) fn value(&self, path: &[String]) -> Option<(usize, usize)> {
        let range = self.document.chars(path, false)?;
        let text = self.chars.get(range.clone())?;
        // What the parser ends after a comment ends with its quote or its brace.
        if let Some(length) = closed(&self.chars[range.start..]) {
            return Some((range.start, range.start + length));
        }
        let blanks = text.iter().rev().take_while(|letter| letter.is_whitespace()).count();
        Some((range.start, range.end - blanks))
    }

    /// Whether a key has a text of several lines, which begins on the next one.
    pub(super) fn is_block(&self, path: &[String]) -> bool {
        let Some((line, column)) = self.key_place(path) else { return false };
        let behind = self.all[line].char_indices().nth(column).and_then(|(at, _)| self.all[line][at..].split_once(':'));
        behind.is_some_and(|(_, rest)| rest.trim_start().starts_with(['|', '>']))
    }

    pub(super) fn letters(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to).unwrap_or_default().iter().collect()
    }

    /// The text without a key of a map in braces, and the comma that belongs to it.
    pub(super) fn without_inline(&self, path: &[String]) -> Option<String> {
        let start = self.document.chars(path, true)?.start;
        let (_, end) = self.value(path)?;
        let behind = self.chars[end..].iter().take_while(|letter| **letter == ' ').count();
        if self.chars.get(end + behind) == Some(&',') {
            let blanks = self.chars[end + behind + 1..].iter().take_while(|letter| **letter == ' ').count();
            return Some(self.spliced(start, end + behind + 1 + blanks, ""));
        }
        let before = self.chars[..start].iter().rposition(|letter| *letter != ' ')?;
        let from = if self.chars[before] == ',' { before } else { start };
        Some(self.spliced(from, end, ""))
    }

    /// The keys of a map that the text has.
    pub(super) fn keys(&self, path: &[String]) -> Vec<String> {
        self.document.keys(path)
    }
}

/// The length of a text in quotes, or of a map or a list in braces; none of anything else.
fn closed(text: &[char]) -> Option<usize> {
    let first = text.first()?;
    if !"\"'{[".contains(*first) {
        return None;
    }
    let (mut depth, mut quote, mut at) = (0, None, 0);
    while let Some(letter) = text.get(at) {
        match (quote, letter) {
            (Some('"'), '\\') => at += 1,
            (Some('\''), '\'') if text.get(at + 1) == Some(&'\'') => at += 1,
            (Some(open), letter) if open == *letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(*letter),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && quote.is_none() {
            return Some(at);
        }
    }
    None
}
