//! Documents in pieces that are small enough to be found one by one.
//!
//! A document is first cut at its headings, and each section then at the largest joints that make pieces small enough:
//! paragraphs, lines, sentences, words. Neighbours share a few words, so that no sentence is out of its context.

use schemars::JsonSchema;
use serde::Deserialize;

/// Letters of a piece, and those that it shares with the one before.
const USUAL: (usize, usize) = (1000, 100);

/// How documents are cut.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DocumentSplitter {
    /// At which joints: `RECURSIVE` takes the largest that do; `PARAGRAPH`, `LINE`, `SENTENCE` and `WORD` begin with that one.
    #[serde(default)]
    splitter: SplitterKind,
    /// The most letters of a piece.
    #[serde(default = "usual_size", alias = "max_segment_size_in_chars")]
    pub(super) max_segment_size_in_chars: usize,
    /// How many letters a piece shares with the one before, at most.
    #[serde(default = "usual_overlap", alias = "max_overlap_size_in_chars")]
    pub(super) max_overlap_size_in_chars: usize,
}

fn usual_size() -> usize {
    USUAL.0
}

fn usual_overlap() -> usize {
    USUAL.1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum SplitterKind {
    #[default]
    Recursive,
    Paragraph,
    Line,
    Sentence,
    Word,
}

impl Default for DocumentSplitter {
    fn default() -> Self {
        let (max_segment_size_in_chars, max_overlap_size_in_chars) = USUAL;
        Self { splitter: SplitterKind::Recursive, max_segment_size_in_chars, max_overlap_size_in_chars }
    }
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DocumentPiece {
    /// Its text.
    pub(super) text: String,
    /// The headings that it stands under: `Loading > From a file`.
    pub(super) heading: String,
}

impl DocumentPiece {
    /// The text that is turned into a vector: with the headings, which say what it is about.
    pub(super) fn to_embed(&self) -> String {
        if self.heading.is_empty() || self.text.starts_with('#') {
            self.text.clone()
        } else {
            format!("{}\n{}", self.heading, self.text)
        }
    }
}

impl DocumentSplitter {
    /// What is wrong with the sizes.
    pub(super) fn problem(&self) -> Option<String> {
        let (size, overlap) = (self.max_segment_size_in_chars, self.max_overlap_size_in_chars);
        if size < 20 {
            return Some("`maxSegmentSizeInChars` must be at least 20".to_owned());
        }
        (overlap * 2 > size)
            .then(|| "`maxOverlapSizeInChars` must be at most half of `maxSegmentSizeInChars`".to_owned())
    }

    /// The pieces of a text.
    pub(super) fn split(&self, text: &str) -> Vec<DocumentPiece> {
        let text = text.replace("\r\n", "\n");
        let first = match self.splitter {
            SplitterKind::Recursive | SplitterKind::Paragraph => 0,
            SplitterKind::Line => 1,
            SplitterKind::Sentence => 2,
            SplitterKind::Word => 3,
        };
        let mut found = Vec::new();
        for (heading, section) in sections(&text) {
            let mut parts = Vec::new();
            self.cut(section.trim(), first, &mut parts);
            let pieces = self.joined(&parts).into_iter().filter(|text| !text.trim().is_empty());
            found.extend(pieces.map(|text| DocumentPiece { text, heading: heading.clone() }));
        }
        found
    }

    /// Cuts a text into parts that are small enough, each with the white space behind it.
    fn cut<'a>(&self, text: &'a str, joint: usize, parts: &mut Vec<&'a str>) {
        let most = self.max_segment_size_in_chars;
        if text.chars().count() <= most && joint == 0 {
            parts.push(text);
            return;
        }
        for part in parts_at(text, joint, most) {
            let is_small = part.chars().count() <= most;
            if is_small || joint > 3 { parts.push(part) } else { self.cut(part, joint + 1, parts) }
        }
    }

    /// As many neighbours together as fit, each piece with the end of the one before.
    fn joined(&self, parts: &[&str]) -> Vec<String> {
        let (most, overlap) = (self.max_segment_size_in_chars, self.max_overlap_size_in_chars);
        let (mut pieces, mut piece, mut letters) = (Vec::new(), String::new(), 0);
        let mut is_new = false;
        for part in parts {
            let length = part.trim_end().chars().count();
            if is_new && letters + length > most {
                pieces.push(piece.trim().to_owned());
                let shared = tail(piece.trim_end(), overlap.min(most.saturating_sub(length + 1)));
                piece = if shared.is_empty() { String::new() } else { format!("{shared} ") };
                letters = piece.chars().count();
            }
            piece.push_str(part);
            letters += part.chars().count();
            is_new = true;
        }
        if is_new && !piece.trim().is_empty() {
            pieces.push(piece.trim().to_owned());
        }
        pieces
    }
}

/// The sections of a text by its Markdown headings, each with the headings that it stands under.
fn sections(text: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let (mut path, mut start, mut is_code): (Vec<(usize, &str)>, _, _) = (Vec::new(), 0, false);
    let mut at = 0;
    let named = |path: &[(usize, &str)]| path.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" > ");
    for line in text.split_inclusive('\n') {
        is_code ^= line.trim_start().starts_with("```");
        if let Some((level, name)) = heading(line).filter(|_| !is_code) {
            if text.get(start..at).is_some_and(|section| !section.trim().is_empty()) {
                found.push((named(&path), &text[start..at]));
            }
            path.retain(|(outer, _)| *outer < level);
            path.push((level, name));
            start = at;
        }
        at += line.len();
    }
    if text.get(start..).is_some_and(|section| !section.trim().is_empty()) {
        found.push((named(&path), &text[start..]));
    }
    found
}

/// A heading's level and words.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let words = line.get(level..)?.strip_prefix(' ')?.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && !words.is_empty()).then_some((level, words))
}

/// The parts of a text between joints of one kind: paragraphs, lines, sentences, words, letters.
fn parts_at(text: &str, joint: usize, most: usize) -> Vec<&str> {
    match joint {
        0 => split_after(text, |rest| rest.starts_with("\n\n").then_some(2)),
        1 => text.split_inclusive('\n').collect(),
        2 => split_after(text, |rest| {
            let mut letters = rest.chars();
            let is_end = letters.next().is_some_and(|letter| matches!(letter, '.' | '!' | '?' | '。'));
            let mark = rest.len() - letters.as_str().len();
            let blank = letters.next().filter(|letter| letter.is_whitespace())?;
            is_end.then_some(mark + blank.len_utf8())
        }),
        3 => text.split_inclusive(char::is_whitespace).collect(),
        _ => {
            let mut parts = Vec::new();
            let mut rest = text;
            while let Some((at, _)) = rest.char_indices().nth(most) {
                let (part, others) = rest.split_at(at);
                parts.push(part);
                rest = others;
            }
            parts.push(rest);
            parts
        }
    }
}

/// Cuts a text behind each place for which `end` gives a number of bytes.
fn split_after(text: &str, end: impl Fn(&str) -> Option<usize>) -> Vec<&str> {
    let (mut parts, mut start, mut skip) = (Vec::new(), 0, 0);
    for (at, _) in text.char_indices() {
        if at < skip {
            continue;
        }
        if let Some(length) = end(&text[at..]).filter(|length| text.is_char_boundary(at + length)) {
            skip = at + length;
            parts.push(&text[start..skip]);
            start = skip;
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

/// The last words of a text, of so many letters at most.
fn tail(text: &str, most: usize) -> &str {
    let letters = text.chars().count();
    if most == 0 || letters == 0 {
        return "";
    }
    let Some((at, _)) = text.char_indices().nth(letters.saturating_sub(most)) else { return "" };
    let end = &text[at..];
    if at == 0 { end } else { end.split_once(char::is_whitespace).map_or("", |(_, words)| words.trim_start()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter(most: usize, overlap: usize) -> DocumentSplitter {
        DocumentSplitter {
            max_segment_size_in_chars: most,
            max_overlap_size_in_chars: overlap,
            ..DocumentSplitter::default()
        }
    }

    #[test]
    fn sections_are_kept_apart_and_know_their_headings() {
        let text = "Before.\n\n# Loading\n\nText.\n\n## From a file\n\n```sh\n# no heading\n```\n\n# Other\nEnd.";
        let found: Vec<_> =
            splitter(1000, 100).split(text).into_iter().map(|piece| (piece.heading, piece.text)).collect();
        let expected = [
            ("", "Before."),
            ("Loading", "# Loading\n\nText."),
            ("Loading > From a file", "## From a file\n\n```sh\n# no heading\n```"),
            ("Other", "# Other\nEnd."),
        ];
        assert_eq!(found, expected.map(|(heading, text)| (heading.to_owned(), text.to_owned())));
    }

    #[test]
    fn no_piece_is_too_large_no_word_is_lost_and_neighbours_overlap() {
        let sentence = "The quick brown fox jumps over the lazy dog. Ünïcödé wörds, töö!  ";
        let text = format!("{}\n\n{}\n{}", sentence.repeat(9), "x".repeat(500), sentence.repeat(5));
        for kind in [SplitterKind::Recursive, SplitterKind::Line, SplitterKind::Sentence, SplitterKind::Word] {
            let splitter = DocumentSplitter { splitter: kind, ..splitter(120, 30) };
            let pieces = splitter.split(&text);
            assert!(pieces.iter().all(|piece| piece.text.chars().count() <= 120), "{pieces:?}");
            let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            assert!(all.matches('x').count() >= 500 && all.matches("lazy").count() >= 14, "{kind:?}");
            let next = |index: usize| pieces.get(index + 1).map(|piece| piece.text.clone()).unwrap_or_default();
            let last = pieces[0].text.split_whitespace().next_back().unwrap();
            assert!(next(0).split_whitespace().take(8).any(|word| word == last), "{:?} {:?}", pieces[0], next(0));
        }
        assert_eq!(splitter(120, 30).split("   \n\n ").len(), 0);
    }
}
