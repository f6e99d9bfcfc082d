//! Limits on the size and depth of a YAML text, enforced on parser events before any tree is built: aliases can make a
//! small text stand for gigabytes, and deep nesting would overflow the stack.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::Chars;
use std::time::Duration;

use cpu_time::ThreadTime;
use saphyr_parser::{Event, Parser, ScanError};

use crate::diagnostic::Diagnostic;
use crate::flow::document::position_of;
use crate::text::MAX_DEPTH;

/// The largest flow in bytes.
pub const MAX_FLOW_BYTES: usize = 256 << 10;
/// The largest YAML text that is no flow in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// How many values a text may expand to; values repeated by aliases count each time.
const MAX_VALUES: usize = 1_000_000;
/// How many bytes these values may take.
const MAX_BYTES: usize = 64 << 20;
/// CPU time for the scanner. It buffers a flow collection to its end, and the cost of each token grows with the number
/// of open brackets: without a limit, a few hundred kilobytes of open brackets would take hours.
const SCAN_TIMEOUT: Duration = Duration::from_secs(2);
/// The clock is checked after this many characters.
const CHECK_INTERVAL: usize = 256;
/// A text with no more brackets is scanned quickly.
const SAFE_BRACKETS: usize = 1_000;
/// Line ends for only one of the two parsers: what one reads as a comment may be a list for the other.
const SEPARATORS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// What is wrong with a text as a whole.
pub(super) fn check(file: &str, text: &str) -> Option<Diagnostic> {
    if text.len() > MAX_FLOW_BYTES {
        let message = format!("the flow is larger than {} kB", MAX_FLOW_BYTES >> 10);
        let finding = Diagnostic::error(message)
            .help("move scripts and queries to files next to it, and read them with `read()`");
        return Some(Diagnostic { file: file.to_owned(), line: 1, column: 1, ..finding });
    }
    let (reason, line, column) = check_bounds(text)?;
    Some(Diagnostic::error(reason).at(file, text, line, column))
}

/// Why a YAML text from outside cannot be read.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("the YAML text is larger than {} MiB", MAX_TEXT_BYTES >> 20));
    }
    match walk(text) {
        Err(WalkError::OutOfBounds((reason, line, column))) => Err(format!("{reason}, at line {line} column {column}")),
        // The other parser may accept it, or explain it better.
        Err(WalkError::Syntax(error)) if has_many_brackets(text) => Err(format!("this is not YAML: {error}")),
        _ => Ok(()),
    }
}

/// The size of a value with everything in it.
#[derive(Clone, Copy)]
struct ValueSize {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl ValueSize {
    const ONE: Self = Self { values: 1, bytes: 0, depth: 0 };

    fn add(&mut self, part: Self) {
        self.values = self.values.saturating_add(part.values);
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.depth = self.depth.max(part.depth + 1);
    }

    fn too_large(&self) -> Option<String> {
        if self.values > MAX_VALUES {
            return Some(format!("the text expands to more than {MAX_VALUES} values"));
        }
        (self.bytes > MAX_BYTES).then(|| format!("the text expands to more than {} MiB", MAX_BYTES >> 20))
    }
}

/// The characters of a text, cut off at the timeout.
struct TimedChars<'t> {
    chars: Chars<'t>,
    started: ThreadTime,
    read: usize,
    is_timed_out: Rc<Cell<bool>>,
}

impl Iterator for TimedChars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.read += 1;
        if self.read.is_multiple_of(CHECK_INTERVAL) && self.started.elapsed() > SCAN_TIMEOUT {
            self.is_timed_out.set(true);
        }
        if self.is_timed_out.get() { None } else { self.chars.next() }
    }
}

/// What is wrong, and in which line and column.
type LocatedError = (String, usize, usize);

/// Why the values of a text cannot be walked.
enum WalkError {
    OutOfBounds(LocatedError),
    Syntax(ScanError),
}

/// A list or map whose end has not been reached.
struct OpenCollection {
    anchor: usize,
    extent: ValueSize,
}

/// Which limit a text exceeds, and where. Syntax errors are left to the parser, which explains them.
fn check_bounds(text: &str) -> Option<LocatedError> {
    match walk(text) {
        Err(WalkError::OutOfBounds(located)) => Some(located),
        _ => None,
    }
}

fn walk(text: &str) -> Result<(), WalkError> {
    check_separators(text)?;
    let is_timed_out = Rc::new(Cell::new(false));
    let chars =
        TimedChars { chars: text.chars(), started: ThreadTime::now(), read: 0, is_timed_out: is_timed_out.clone() };
    let (mut open, mut anchors) = (Vec::<OpenCollection>::new(), HashMap::<usize, ValueSize>::new());
    for event in Parser::new_from_iter(chars) {
        if is_timed_out.get() {
            let marker = event.map_or_else(|error| *error.marker(), |(_, span)| span.start);
            return Err(at(marker, "this takes too long to parse: it is nested too deeply".to_owned()));
        }
        let (event, span) = event.map_err(WalkError::Syntax)?;
        let closed = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push(OpenCollection { anchor, extent: ValueSize { depth: 1, ..ValueSize::ONE } });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|closed| (closed.anchor, closed.extent)),
            Event::Scalar(text, _, anchor, _) => Some((anchor, ValueSize { bytes: text.len(), ..ValueSize::ONE })),
            Event::Alias(anchor) => Some((0, anchors.get(&anchor).copied().unwrap_or(ValueSize::ONE))),
            _ => None,
        };
        let Some((anchor, extent)) = closed else {
            if open.len() <= MAX_DEPTH {
                continue;
            }
            return Err(at(span.start, too_deep()));
        };
        anchors.extend((anchor > 0).then_some((anchor, extent)));
        if open.len() + extent.depth > MAX_DEPTH {
            return Err(at(span.start, too_deep()));
        }
        let Some(parent) = open.last_mut() else { continue };
        parent.extent.add(extent);
        if let Some(reason) = parent.extent.too_large() {
            return Err(at(span.start, reason));
        }
    }
    Ok(())
}

/// Rejects a text that the two parsers may split into lines differently, if scanning it may be slow.
fn check_separators(text: &str) -> Result<(), WalkError> {
    let Some(place) = text.find(SEPARATORS).filter(|_| has_many_brackets(text)) else { return Ok(()) };
    let before = text.get(..place).unwrap_or_default();
    let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |end| end + 1));
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let reason =
        "the text has a Unicode line separator among many brackets; write it as an escape, `\\u2028` in quotes";
    Err(WalkError::OutOfBounds((reason.to_owned(), line, column)))
}

fn has_many_brackets(text: &str) -> bool {
    text.bytes().filter(|byte| b"[{".contains(byte)).count() > SAFE_BRACKETS
}

/// What is wrong with a value that nests too deeply.
pub(super) fn too_deep() -> String {
    format!("this is nested more than {MAX_DEPTH} levels deep")
}

fn at(marker: saphyr_parser::Marker, reason: String) -> WalkError {
    let place = position_of(marker);
    WalkError::OutOfBounds((reason, place.line, place.column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_is_found_in_every_style_and_through_aliases() {
        let chain: String = (1..50).map(|n| format!("a{n}: &a{n} [[[*a{}]]]\n", n - 1)).collect();
        let texts = [
            format!("a:\n {}x", "- ".repeat(20_000)),
            format!("a:\n {}x", "? ".repeat(20_000)),
            format!("a: {}x{}", "[".repeat(101), "]".repeat(101)),
            format!("a0: &a0 x\n{chain}"),
        ];
        for text in texts {
            let (reason, line, _) = check_bounds(&text).unwrap_or_default();
            assert_eq!(reason, "this is nested more than 100 levels deep", "{}", &text[..60]);
            assert!(line > 0);
        }
        assert_eq!(check_bounds(&format!("a: {}x{}", "[".repeat(99), "]".repeat(99))), None);
        assert_eq!(check_bounds("a: &a [1, 2]\nb: *a\nc: [*a, *a]"), None);
    }

    #[test]
    fn open_brackets_are_refused_in_time() {
        for piece in ["[{a: ", "[", "{? ", "[\"a\", {"] {
            for count in [2_000, 100_000] {
                let reason = check_text(&format!("a: {}", piece.repeat(count))).unwrap_err();
                let expected = ["this takes too long", "this is nested more than 100 levels deep", "this is not YAML"];
                let is_expected = expected.iter().any(|expected| reason.starts_with(expected));
                assert!(is_expected, "{piece}: {reason}");
            }
        }
        // A comment for one parser, and lists for the other.
        let hidden = format!("a: 1 #\u{2028}{}", "[".repeat(200_000));
        assert!(check_text(&hidden).unwrap_err().starts_with("the text has a Unicode line separator"));
        let broken = format!("a: 1\n\ta: {}", "[".repeat(200_000));
        assert!(check_text(&broken).unwrap_err().starts_with("this is not YAML"));
    }

    #[test]
    fn brackets_that_do_not_nest_are_accepted_in_any_number() {
        let brackets = "[{".repeat(5_000);
        let script = format!("  {brackets}\n").repeat(5);
        let list = "[a, {b: [1]}], ".repeat(5_000);
        for text in [
            format!("a: \"{brackets}\""),
            format!("a: '{brackets} it''s'"),
            format!("a: b # {brackets}\nc: d"),
            format!("a: |\n{script}b: >-\n{script}"),
            format!("a: x{brackets}\n  {brackets}\nb: 1"),
            format!("a: [{list}]"),
            format!("{{\"a\": [{}1]}}", "{\"b\": \"]}{[\"}, ".repeat(5_000)),
        ] {
            assert_eq!(check_text(&text), Ok(()), "{}", &text[..40]);
        }
    }

    #[test]
    fn a_long_text_that_aliases_repeat_is_refused() {
        let text = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), "*a, ".repeat(1_000));
        assert!(check_text(&text).unwrap_err().starts_with("the text expands to more than 64 MiB"));
        assert!(check_text(&"x".repeat((1 << 20) + 1)).unwrap_err().contains("larger than 1 MiB"));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let lists: String =
            (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
        let (reason, line, _) = check_bounds(&format!("a0: &a0 x\n{lists}")).unwrap();
        assert_eq!((reason.as_str(), line), ("the text expands to more than 1000000 values", 8));
    }
}
