//! Names with values in any text: `name=value`, `name = 'value'`, `"name": "value"`.

use std::ops::Range;

/// No quoted value has more bytes.
const MAX_VALUE_BYTES: usize = 4096;

/// A name with its value.
pub(super) struct NamedValue {
    /// Where the name stands.
    pub name: Range<usize>,
    /// Where the value stands, with its quotes if it follows a `=`.
    pub value: Range<usize>,
}

/// The pairs of a text whose names are wanted.
pub(super) fn pairs(text: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<NamedValue> {
    let mut done = 0;
    let pair = |(at, mark): (usize, &str)| {
        let name =
            name_before(text, at, mark == ":").filter(|name| name.start >= done && is_wanted(&text[name.clone()]))?;
        let value = if mark == ":" { member(text, at + 1)? } else { assigned(text, name.end, at + 1)? };
        done = value.end;
        Some(NamedValue { name, value })
    };
    text.match_indices(['=', ':']).filter_map(pair).collect()
}

/// Whether a letter may belong to a name.
pub(super) fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.".contains(letter)
}

fn name_before(text: &str, at: usize, is_quoted: bool) -> Option<Range<usize>> {
    let before = text[..at].trim_end_matches(' ');
    let before = match is_quoted {
        true => before.strip_suffix(['"', '\''])?.trim_end_matches('\\'),
        false => before,
    };
    let start = before.trim_end_matches(is_of_name).len();
    (start < before.len()).then_some(start..before.len())
}

/// The value of a member of JSON or of a map as Python writes it, without its quotes.
fn member(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + (text[from..].len() - text[from..].trim_start().len());
    let quote = quote_at(text, start)?;
    let length = closing(&text[start + quote.len()..], quote)?;
    Some(start + quote.len()..start + quote.len() + length)
}

/// The value after a `=`, with its quotes. Where blanks are around it, program code is left alone.
fn assigned(text: &str, name_end: usize, from: usize) -> Option<Range<usize>> {
    let is_comparison = text[..from - 1].ends_with(['=', '!', '<', '>', ':']) || text[from..].starts_with(['=', '~']);
    if is_comparison {
        return None;
    }
    let is_spaced = name_end < from - 1;
    let start = if is_spaced { text.len() - text[from..].trim_start_matches(' ').len() } else { from };
    if let Some(quote) = quote_at(text, start)
        && let Some(length) = closing(&text[start + quote.len()..], quote)
        && !text[start + quote.len()..].starts_with([',', '}', ']', ' '])
    {
        return Some(start..start + length + 2 * quote.len());
    }
    let end = start + bare(&text[start..]);
    let is_code = is_spaced && text[start..end].contains(['(', '[']);
    (end > start && !is_code).then_some(start..end)
}

fn quote_at(text: &str, at: usize) -> Option<&'static str> {
    ["\"", "'", "\\\"", "\\'"].into_iter().find(|quote| text[at..].starts_with(quote))
}

/// The length of what is before the closing quote, which is in the same line and not far.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let line = text[..text.floor_char_boundary(MAX_VALUE_BYTES)].lines().next().unwrap_or_default();
    let is_end = |at: &usize| quote.starts_with('\\') || !line[..*at].ends_with('\\');
    line.match_indices(quote).map(|(at, _)| at).find(is_end)
}

/// The length of a value without quotes: a `;` or the like ends it only where something else begins.
fn bare(text: &str) -> usize {
    let is_end = |(at, letter): &(usize, char)| match letter {
        '&' | '"' | '`' => true,
        '\'' | ',' | ';' | ')' => begins_anew(&text[at + 1..]),
        letter => letter.is_whitespace(),
    };
    text.char_indices().find(is_end).map_or(text.len(), |(at, _)| at)
}

fn begins_anew(rest: &str) -> bool {
    let name = rest.len() - rest.trim_start_matches(is_of_name).len();
    rest.chars().next().is_none_or(|next| next.is_whitespace() || "\"'`)]},;.".contains(next))
        || (name > 0 && rest[name..].starts_with('='))
}
