//! Replaces Kestra's names in a flow's text by the short ones. Only the names are edited, so that comments, order and
//! layout stay; the result is parsed again and must equal the value with the same edits.

mod canonical;
mod converter;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::document::Document;
use crate::task::TaskType;

/// A converted flow.
#[derive(Debug)]
pub struct Converted {
    /// The text; the very same when there was nothing to convert.
    pub text: String,
    /// How many names were changed.
    pub changes: usize,
    /// What was not converted, and why.
    pub skipped: Vec<Diagnostic>,
}

/// A name to put in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NameEdit {
    path: Vec<String>,
    /// Whether to replace the last key of the path, or its value.
    is_key: bool,
    old: String,
    new: String,
}

/// Puts short names into a flow's text.
///
/// # Errors
/// When the text is no YAML map.
pub fn convert(file: &str, text: &str, tasks: &'static [TaskType]) -> Result<Converted, Box<Diagnostic>> {
    let document = Document::parse(file, text)?;
    let mut converter = converter::FlowConverter::new(&document, tasks);
    converter.flow();
    let mut skipped = converter.skipped;
    let mut ranges: Vec<(std::ops::Range<usize>, NameEdit)> = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut value = document.value.clone();
    // A renamed key is not found again, so edits below it come first.
    converter.edits.sort_by_key(|edit| (edit.is_key, std::cmp::Reverse(edit.path.len())));
    for edit in converter.edits {
        match range_of(&document, &chars, &edit) {
            Some(range) => {
                // An anchored value is reached by several paths, and is edited once.
                if !ranges.iter().any(|(other, _)| *other == range) {
                    ranges.push((range, edit.clone()));
                }
                apply_to_value(&mut value, &edit);
            }
            None => skipped.push(unreachable_edit(&document, &edit)),
        }
    }
    let changes = ranges.len();
    let edited = splice_edits(chars, ranges);
    let is_equivalent = Document::parse(file, &edited).is_ok_and(|again| again.value == value);
    if !is_equivalent {
        let finding =
            Diagnostic::warning("this flow uses YAML features that cannot be edited safely; nothing was changed");
        skipped
            .push(document.locate(&[], finding.help("replace anchors and merge keys by their values, and try again")));
        return Ok(Converted { text: text.to_owned(), changes: 0, skipped });
    }
    skipped.sort_by_key(|finding| (finding.line, finding.column));
    Ok(Converted { text: edited, changes, skipped })
}

/// The characters of the name itself, without quotes. A value's range may extend over blanks and a comment.
fn range_of(document: &Document, chars: &[char], edit: &NameEdit) -> Option<std::ops::Range<usize>> {
    let found = document.chars(&edit.path, edit.is_key)?;
    let quote = chars.get(found.start).copied().filter(|letter| ['"', '\''].contains(letter));
    let start = found.start + usize::from(quote.is_some());
    let end = start + edit.old.chars().count();
    let is_there = chars.get(start..end)?.iter().copied().eq(edit.old.chars());
    let next = chars.get(end).copied();
    let is_whole = match quote {
        Some(_) => next == quote,
        None => next.is_none_or(|next| next.is_whitespace() || ",}]:".contains(next)),
    };
    (is_there && (is_whole || edit.is_prefix())).then_some(start..end)
}

impl NameEdit {
    fn is_prefix(&self) -> bool {
        self.old.ends_with("://")
    }
}

fn splice_edits(mut chars: Vec<char>, mut ranges: Vec<(std::ops::Range<usize>, NameEdit)>) -> String {
    ranges.sort_by_key(|(range, _)| range.start);
    for (range, edit) in ranges.into_iter().rev() {
        chars.splice(range, edit.new.chars());
    }
    chars.into_iter().collect()
}

fn apply_to_value(value: &mut Value, edit: &NameEdit) {
    let Some((last, above)) = edit.path.split_last() else { return };
    let mut target = value;
    for part in above {
        let next = match target {
            Value::Object(map) => map.get_mut(part),
            Value::Array(items) => part.parse().ok().and_then(|index: usize| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return };
        target = next;
    }
    let Value::Object(map) = target else { return };
    if edit.is_key {
        *map = map
            .iter()
            .map(|(key, value)| (if key == last { edit.new.clone() } else { key.clone() }, value.clone()))
            .collect();
    } else if let Some(Value::String(text)) = map.get_mut(last)
        && let Some(rest) = text.strip_prefix(edit.old.as_str())
    {
        *text = format!("{}{rest}", edit.new);
    }
}

fn unreachable_edit(document: &Document, edit: &NameEdit) -> Diagnostic {
    let finding = Diagnostic::warning(format!("`{}` is unchanged: it is not written literally here", edit.old));
    document.locate(&edit.path, finding.help(format!("write `{}`", edit.new)))
}
