//! How large and how deep a flow's text may be, looked at before anything walks what is in it.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use crate::diagnostic::Diagnostic;
use crate::flow::document::place;
use crate::text::DEEPEST;

/// The largest flow in bytes.
pub const LARGEST_FLOW: usize = 256 << 10;
/// How many values a text may stand for, those counted that an alias repeats.
const MOST_VALUES: usize = 1_000_000;

/// What is wrong with a text as a whole.
pub(super) fn check(file: &str, text: &str) -> Option<Diagnostic> {
    if text.len() > LARGEST_FLOW {
        let message = format!("the flow is larger than {} kB", LARGEST_FLOW >> 10);
        let finding = Diagnostic::error(message).help("put scripts and queries into files beside it, for `read()`");
        return Some(Diagnostic { file: file.to_owned(), line: 1, column: 1, ..finding });
    }
    let (reason, line, column) = too_much(text)?;
    Some(Diagnostic::error(reason).at(file, text, line, column))
}

/// What a value and all that is in it take.
#[derive(Clone, Copy)]
struct Extent {
    values: usize,
    depth: usize,
}

/// A list or map that is not over yet.
struct Open {
    anchor: usize,
    extent: Extent,
}

/// Why a YAML text cannot be walked, and where. One that is no YAML is left to those who say why.
pub(super) fn too_much(text: &str) -> Option<(String, usize, usize)> {
    let (mut open, mut anchors) = (Vec::<Open>::new(), HashMap::<usize, Extent>::new());
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let ended = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push(Open { anchor, extent: Extent { values: 1, depth: 1 } });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|ended| (ended.anchor, ended.extent)),
            Event::Scalar(_, _, anchor, _) => Some((anchor, Extent { values: 1, depth: 0 })),
            Event::Alias(anchor) => Some((0, anchors.get(&anchor).copied().unwrap_or(Extent { values: 1, depth: 0 }))),
            _ => None,
        };
        let Some((anchor, extent)) = ended else {
            if open.len() <= DEEPEST {
                continue;
            }
            return Some(at(span.start, too_deep()));
        };
        anchors.extend((anchor > 0).then_some((anchor, extent)));
        if open.len() + extent.depth > DEEPEST {
            return Some(at(span.start, too_deep()));
        }
        let Some(around) = open.last_mut() else { continue };
        around.extent.values += extent.values;
        around.extent.depth = around.extent.depth.max(extent.depth + 1);
        if around.extent.values > MOST_VALUES {
            return Some(at(span.start, format!("the text stands for more than {MOST_VALUES} values")));
        }
    }
    None
}

/// What is wrong with a value that nests too deeply.
pub(super) fn too_deep() -> String {
    format!("this nests deeper than {DEEPEST} levels")
}

fn at(marker: saphyr_parser::Marker, reason: String) -> (String, usize, usize) {
    let place = place(marker);
    (reason, place.line, place.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_too_deeply_is_found_in_every_style_and_through_aliases() {
        let chain: String = (1..50).map(|n| format!("a{n}: &a{n} [[[*a{}]]]\n", n - 1)).collect();
        let texts = [
            format!("a:\n {}x", "- ".repeat(20_000)),
            format!("a:\n {}x", "? ".repeat(20_000)),
            format!("a: {}x{}", "[".repeat(101), "]".repeat(101)),
            format!("a0: &a0 x\n{chain}"),
        ];
        for text in texts {
            let (reason, line, _) = too_much(&text).unwrap_or_default();
            assert_eq!(reason, "this nests deeper than 100 levels", "{}", &text[..60]);
            assert!(line > 0);
        }
        assert_eq!(too_much(&format!("a: {}x{}", "[".repeat(99), "]".repeat(99))), None);
        assert_eq!(too_much("a: &a [1, 2]\nb: *a\nc: [*a, *a]"), None);
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let lists: String =
            (1..9).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
        let (reason, line, _) = too_much(&format!("a0: &a0 x\n{lists}")).unwrap();
        assert_eq!((reason.as_str(), line), ("the text stands for more than 1000000 values", 8));
    }
}
