//! What may be written at a position: keys, words, and names within expressions.

use serde::Serialize;
use serde_json::Value;

use super::names;
use super::place::{CursorContext, Slot, find};
use super::schema_walk::{properties, schemas_at, words};
use crate::flow::documentation::flowing;
use crate::task::TaskType;
use crate::task::documentation::{description, first_sentence, type_name};
use crate::text::shortened;

/// The most that are offered.
const MAX_CANDIDATES: usize = 500;
/// The most letters of a type.
const MAX_KIND_LENGTH: usize = 60;

/// The choices at a position.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Completion {
    /// The characters of the line, from 1, that a choice replaces.
    pub from: usize,
    /// Where they end.
    pub to: usize,
    /// The choices, the likeliest first.
    pub candidates: Vec<Candidate>,
}

/// One choice.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// What is written.
    pub label: String,
    /// What it is: `key`, `word`, `name`.
    pub kind: &'static str,
    /// Its type in a word or two.
    pub detail: String,
    /// What it is for.
    pub about: String,
    /// What is written after it.
    pub after: &'static str,
}

/// What may be written at a line and a column (both from 1) of a text, by the schema of flows.
pub fn complete(text: &str, line: usize, column: usize, schema: &Value, tasks: &[TaskType]) -> Completion {
    let place = find(text, line, column);
    let mut candidates = match &place.slot {
        Slot::Key => keys(schema, &place),
        Slot::Value(key) => values(schema, &place, key),
        Slot::Expression(written) => expressions(text, written, tasks),
    };
    candidates.truncate(MAX_CANDIDATES);
    let dotted = matches!(place.slot, Slot::Expression(_));
    let word: String =
        text.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars().take(place.word.end).collect();
    // Of a dotted name only the last part is replaced.
    let last: String = word.chars().skip(place.word.start).collect();
    let skipped = last.rfind('.').filter(|_| dotted).map_or(0, |at| last[..=at].chars().count());
    Completion { from: place.word.start + skipped + 1, to: place.word.end + 1, candidates }
}

fn keys(schema: &Value, place: &CursorContext) -> Vec<Candidate> {
    let found = properties(&schemas_at(schema, place));
    let mut missing: Vec<_> = found.into_iter().filter(|property| place.sibling(property.name).is_none()).collect();
    missing.sort_by_key(|property| !property.is_required);
    let candidate = |property: super::schema_walk::Property| Candidate {
        label: property.name.to_owned(),
        kind: "key",
        detail: match (kind_of(schema, property.schema), property.is_required) {
            (kind, true) => format!("{kind}, required"),
            (kind, false) => kind,
        },
        about: beginning(&description(property.schema)),
        after: ": ",
    };
    missing.into_iter().map(candidate).collect()
}

/// The first paragraph.
fn beginning(text: &str) -> String {
    flowing(text.split("\n\n").next().unwrap_or_default())
}

/// A type in a word or two, or the beginning of a long list of words.
pub(super) fn kind_of(schema: &Value, property: &Value) -> String {
    shortened(&type_name(schema, property), MAX_KIND_LENGTH).into_owned()
}

fn values(schema: &Value, place: &CursorContext, key: &str) -> Vec<Candidate> {
    let all = properties(&schemas_at(schema, place));
    let Some(property) = all.iter().find(|property| property.name == key) else { return Vec::new() };
    let mut words = words(schema, property.schema);
    // Short names come before the long ones that they stand for.
    words.sort_by_key(|(word, _)| word.starts_with("io.kestra."));
    let candidate = |(label, about): (String, String)| Candidate {
        detail: first_sentence(&about),
        label,
        kind: "word",
        about: beginning(&about),
        after: "",
    };
    words.into_iter().map(candidate).collect()
}

fn expressions(text: &str, written: &str, tasks: &[TaskType]) -> Vec<Candidate> {
    let candidate = |name: names::Name| Candidate {
        after: if name.kind == "function" { "()" } else { "" },
        label: name.name,
        kind: "name",
        detail: name.kind,
        about: name.about,
    };
    names::following(text, written, tasks).into_iter().map(candidate).collect()
}
