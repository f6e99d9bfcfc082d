//! The keys of JSON objects: found again from row to row, with the types of their values.

use std::collections::HashMap;
use std::ops::Range;

use super::{ColumnType, json, value};

/// Keys that a file may have; no table has so many columns.
const MAX_KEYS: usize = 10_000;

/// Which of the wanted keys a key is. Rows of one file mostly have theirs in the same order, so each key is first held
/// against the one that stood in its place before.
#[derive(Default)]
pub(super) struct KeyLookup {
    indices: HashMap<Vec<u8>, usize>,
    previous: Vec<(Vec<u8>, Option<usize>)>,
}

impl KeyLookup {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let indices = names.enumerate().map(|(index, name)| (name.as_bytes().to_vec(), index)).collect();
        Self { indices, previous: Vec::new() }
    }

    /// The place of the key that is a row's `number`th (from 0) among the wanted ones. `key` has its quotes.
    pub(super) fn index_of(&mut self, number: usize, key: &[u8]) -> Option<usize> {
        if let Some((_, index)) = self.previous.get(number).filter(|(previous, _)| previous == key) {
            return *index;
        }
        let index = json::text_value(key).and_then(|name| self.indices.get(name.as_ref()).copied());
        match self.previous.get_mut(number) {
            Some(previous) => *previous = (key.to_vec(), index),
            None if number < MAX_KEYS => self.previous.push((key.to_vec(), index)),
            None => {}
        }
        index
    }

    fn add(&mut self, key: &[u8], index: usize) {
        let name = json::text_value(key).unwrap_or_default();
        self.indices.insert(name.into_owned(), index);
        // It was remembered as one that nobody wants.
        self.previous.clear();
    }
}

/// All keys of a file, in the order in which they first come, with what their values seem to be.
#[derive(Default)]
pub(super) struct ColumnInference {
    keys: KeyLookup,
    columns: Vec<(String, Option<ColumnType>)>,
    /// How many levels of objects are taken apart.
    flatten: u8,
    /// What tells the way on which each column was first found.
    ways: Vec<u64>,
    /// Rows that were seen, those that are no objects included.
    rows: u64,
}

impl ColumnInference {
    /// None so far; so many levels of objects within a row are taken apart.
    pub(super) fn of(flatten: u8) -> Self {
        Self { flatten, ..Self::default() }
    }

    /// Takes the keys of a row. One that is no object is passed over.
    ///
    /// # Errors
    /// When there are too many, or two ways lead to one name.
    pub(super) fn row(&mut self, row: &[u8]) -> Result<(), String> {
        self.rows += 1;
        let (mut number, mut new, mut twice) = (0, Vec::new(), None);
        let mut visit = |key: &[u8], value: Range<usize>, way: u64| {
            let value = row.get(value).unwrap_or_default();
            match self.keys.index_of(number, key) {
                Some(index) if self.ways.get(index) == Some(&way) => {
                    if let Some((_, known)) = self.columns.get_mut(index) {
                        *known = common_type(*known, value);
                    }
                }
                Some(index) => twice = Some(index),
                None => new.push((number, key.to_vec(), value, way)),
            }
            number += 1;
        };
        // The rows are read again, and then each fault is told.
        if json::members(row, 0, self.flatten, &mut visit).is_err() {
            return Ok(());
        }
        if let Some((name, _)) = twice.and_then(|index| self.columns.get(index)) {
            return Err(two_ways(name));
        }
        for (number, key, value, way) in new {
            self.add(number, &key, value, way)?;
        }
        Ok(())
    }

    fn add(&mut self, number: usize, key: &[u8], value: &[u8], way: u64) -> Result<(), String> {
        if let Some(index) = self.keys.index_of(number, key) {
            let Some((name, known)) = self.columns.get_mut(index) else { return Ok(()) };
            if self.ways.get(index) != Some(&way) {
                return Err(two_ways(name));
            }
            *known = common_type(*known, value);
            return Ok(());
        }
        let name = json::text_value(key).and_then(|name| String::from_utf8(name.into_owned()).ok());
        let Some(name) = name else { return Ok(()) };
        if self.columns.len() == MAX_KEYS {
            return Err(format!("the objects have more than {MAX_KEYS} different keys"));
        }
        self.keys.add(key, self.columns.len());
        self.columns.push((name, common_type(None, value)));
        self.ways.push(way);
        Ok(())
    }

    /// Whether there was no row at all.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn columns(self) -> Vec<(String, Option<ColumnType>)> {
        self.columns
    }
}

fn two_ways(name: &str) -> String {
    format!(
        "with `flatten`, `{name}` is the name of two values: that of a key, and that of a key within an object; flatten fewer \
         levels"
    )
}

/// What a column holds with one more value.
fn common_type(known: Option<ColumnType>, value: &[u8]) -> Option<ColumnType> {
    if known == Some(ColumnType::Text) {
        return known;
    }
    match (known, inferred_type(value)) {
        (None, kind) | (kind, None) => kind,
        (known, kind) if known == kind => kind,
        (Some(known), Some(kind)) if is_number(known) && is_number(kind) => {
            let is_exact = known == ColumnType::Numeric || kind == ColumnType::Numeric;
            Some(if is_exact { ColumnType::Numeric } else { ColumnType::Float })
        }
        _ => Some(ColumnType::Text),
    }
}

fn is_number(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Int(_) | ColumnType::Float | ColumnType::Numeric)
}

fn inferred_type(value: &[u8]) -> Option<ColumnType> {
    match value.first()? {
        b'n' => None,
        b't' | b'f' => Some(ColumnType::Bool),
        b'"' | b'[' | b'{' => Some(ColumnType::Text),
        _ => Some(inferred_number_type(value)),
    }
}

/// A double where it has all digits of the number, otherwise the number's own text.
fn inferred_number_type(text: &[u8]) -> ColumnType {
    let is_whole = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    if is_whole {
        return if value::parse_int(text, 64).is_some() { ColumnType::Int(64) } else { ColumnType::Numeric };
    }
    if value::is_exact_double(text) { ColumnType::Float } else { ColumnType::Numeric }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_order_and_spelling() {
        let mut keys = KeyLookup::of(["a", "b", "é"].into_iter());
        let rows = [["\"a\"", "\"x\"", "\"b\""], ["\"b\"", "\"\\u0061\"", "\"\\u00e9\""]];
        let found = rows.map(|row| [0, 1, 2].map(|number| keys.index_of(number, row[number].as_bytes())));
        assert_eq!(found, [[Some(0), None, Some(1)], [Some(1), Some(0), Some(2)]]);
    }

    #[test]
    fn a_column_holds_what_all_its_values_are() {
        let kind = |values: &[&str]| values.iter().fold(None, |known, value| common_type(known, value.as_bytes()));
        let cases: [(&[&str], Option<ColumnType>); 14] = [
            (&["null"], None),
            (&["1", "null", "-7"], Some(ColumnType::Int(64))),
            (&["1", "2.5"], Some(ColumnType::Float)),
            (&["1e2"], Some(ColumnType::Float)),
            (&["0.30000000000000004"], Some(ColumnType::Float)),
            (&["1.50000000000000000000"], Some(ColumnType::Float)),
            (&["0.0000000000000000000"], Some(ColumnType::Float)),
            (&["12345678901234567890.5"], Some(ColumnType::Numeric)),
            (&["9223372036854775808", "1.5"], Some(ColumnType::Numeric)),
            (&["1e400"], Some(ColumnType::Numeric)),
            (&["true", "false"], Some(ColumnType::Bool)),
            (&["true", "1"], Some(ColumnType::Text)),
            (&["1", "\"1\""], Some(ColumnType::Text)),
            (&["[1]", "null"], Some(ColumnType::Text)),
        ];
        for (values, expected) in cases {
            assert_eq!(kind(values), expected, "{values:?}");
        }
    }

    #[test]
    fn keys_come_in_the_order_of_the_file_and_are_limited() {
        let mut inference = ColumnInference::default();
        for row in [
            r#"{"b": 1, "a": "x"}"#,
            r#"{"a": "y", "b": 1}"#,
            "[1]",
            r#"{"c": null, "a": 2, "\u0062": 1.5, "c": true}"#,
        ] {
            inference.row(row.as_bytes()).unwrap();
        }
        let expected = [("b", Some(ColumnType::Float)), ("a", Some(ColumnType::Text)), ("c", Some(ColumnType::Bool))];
        assert_eq!(inference.columns, expected.map(|(name, kind)| (name.to_owned(), kind)));
        let row = |number: usize| format!("{{\"k{number}\": 1}}");
        let all = (0..=MAX_KEYS).try_for_each(|number| inference.row(row(number).as_bytes()));
        assert!(all.unwrap_err().contains("more than 10000"));
    }
}
