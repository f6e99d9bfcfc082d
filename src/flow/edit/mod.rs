//! Changes to a flow's text that leave all else in it as it is: comments, order, blank lines, quotes.
//!
//! A change is made on the lines that its part covers, and counts only if the new text says just what it should: it is read
//! again and compared with the changed value. Where the text is written so that this fails, the change is refused.

mod extent;
mod written;

use serde_json::{Map, Value};

use crate::flow::Document;
use extent::{LineSpan, Lines};

/// A change to a flow.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowEdit {
    /// Gives a key of a map a value; the map must be there.
    Set {
        /// The path of the key.
        path: Vec<String>,
        /// The value.
        value: NewValue,
    },
    /// Removes a key of a map, or an item of a list.
    Remove {
        /// Its path.
        path: Vec<String>,
    },
    /// Adds an item to the end of a list, which may not be there yet.
    Add {
        /// The path of the list.
        list: Vec<String>,
        /// The item as YAML: the lines of a map.
        item: String,
    },
    /// Exchanges an item of a list with the one after it.
    Swap {
        /// The path of the list.
        list: Vec<String>,
        /// The index of the first of them.
        first: usize,
    },
}

/// A value as somebody writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// A text; it is quoted where it must be.
    Text(String),
    /// YAML.
    Yaml(String),
}

impl NewValue {
    fn value(&self) -> Result<Value, String> {
        match self {
            Self::Text(text) => Ok(Value::String(text.clone())),
            Self::Yaml(yaml) => crate::flow::from_yaml(&format!("{}\n", yaml.trim_end())),
        }
    }
}

/// The text after a change.
///
/// # Errors
/// When the text is no flow, the path leads nowhere, or the change cannot be made without touching more than it.
pub fn apply(text: &str, change: &FlowEdit) -> Result<String, String> {
    let document = Document::parse("flow.yaml", text).map_err(|finding| finding.message)?;
    let mut wanted = document.value.clone();
    change_value(&mut wanted, change)?;
    let changed = change_text(&document, change)?;
    let result = Document::parse("flow.yaml", &changed).map_err(|_| REFUSED.to_owned())?;
    if result.value == wanted { Ok(changed) } else { Err(REFUSED.to_owned()) }
}

/// A value as it is written, moved to the left margin.
pub fn source(document: &Document, path: &[String]) -> Option<String> {
    let lines = Lines::of(document);
    let (from, to) = lines.value(path)?;
    let column = lines.column(from);
    let text = lines.letters(from, to);
    let moved = |line: &str| {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        line[blanks.min(column)..].to_owned()
    };
    Some(
        text.split('\n')
            .enumerate()
            .map(|(at, line)| if at == 0 { line.to_owned() } else { moved(line) })
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

const NO_LINES: &[&str] = &[];

const REFUSED: &str = "this part is written in a way that the form cannot change: change it in the YAML";

fn change_value(value: &mut Value, change: &FlowEdit) -> Result<(), String> {
    let gone = || "there is no such part of the flow".to_owned();
    match change {
        FlowEdit::Set { path, value: new } => {
            let (key, parent) = path.split_last().ok_or_else(gone)?;
            let map = at(value, parent).and_then(Value::as_object_mut).ok_or_else(gone)?;
            map.insert(key.clone(), new.value()?);
        }
        FlowEdit::Remove { path } => {
            let (key, parent) = path.split_last().ok_or_else(gone)?;
            match at(value, parent).ok_or_else(gone)? {
                Value::Object(map) => drop(map.shift_remove(key).ok_or_else(gone)?),
                Value::Array(items) => {
                    let index = key.parse::<usize>().ok().filter(|index| *index < items.len()).ok_or_else(gone)?;
                    items.remove(index);
                }
                _ => return Err(gone()),
            }
        }
        FlowEdit::Add { list, item } => {
            let item = crate::flow::from_yaml(&format!("{}\n", item.trim_end()))?;
            let (key, parent) = list.split_last().ok_or_else(gone)?;
            let map: &mut Map<String, Value> = at(value, parent).and_then(Value::as_object_mut).ok_or_else(gone)?;
            match map.entry(key).or_insert(Value::Null) {
                Value::Array(items) => items.push(item),
                empty @ Value::Null => *empty = Value::Array(vec![item]),
                _ => return Err(gone()),
            }
        }
        FlowEdit::Swap { list, first } => {
            let items = at(value, list).and_then(Value::as_array_mut).ok_or_else(gone)?;
            if first + 1 >= items.len() {
                return Err(gone());
            }
            items.swap(*first, first + 1);
        }
    }
    Ok(())
}

fn at<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(map) => map.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn change_text(document: &Document, change: &FlowEdit) -> Result<String, String> {
    let lines = Lines::of(document);
    match change {
        FlowEdit::Set { path, value } if document.has(path) => written::replace(&lines, path, value),
        FlowEdit::Set { path, value } => written::insert(&lines, path, value),
        FlowEdit::Remove { path } => remove(&lines, path),
        FlowEdit::Add { list, item } => written::add(&lines, list, item),
        FlowEdit::Swap { list, first } => swap(&lines, list, *first),
    }
    .ok_or_else(|| REFUSED.to_owned())
}

fn remove(lines: &Lines, path: &[String]) -> Option<String> {
    let (last, parent) = path.split_last()?;
    if lines.is_inline(parent) {
        return lines.without_inline(path);
    }
    if let Ok(index) = last.parse::<usize>() {
        let item = lines.item(parent, index)?;
        // With the last item the list goes too, and a key without a value stays.
        return Some(lines.replaced(lines.with_blanks(item), NO_LINES));
    }
    let key = lines.key(path)?;
    match lines.begins_item(path) {
        // The next key takes the place after the marker.
        true => lines.pull_up(key),
        false => Some(lines.replaced(key, NO_LINES)),
    }
}

fn swap(lines: &Lines, list: &[String], first: usize) -> Option<String> {
    if lines.is_inline(list) {
        return None;
    }
    let (one, two) = (lines.item(list, first)?, lines.item(list, first + 1)?);
    let between = lines.text(LineSpan { start: one.end, end: two.start });
    let new: Vec<&str> = [lines.text(two), between, lines.text(one)].concat();
    Some(lines.replaced(LineSpan { start: one.start, end: two.end }, &new))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "\
# The flow
id: trips   # its name
namespace: zoomcamp

tasks:
  # Fetches
  - id: extract  # first
    type: http.download
    uri: \"https://example.org/{{ inputs.month }}.csv\"  # the source

    options:   # rarely
      readTimeout: 1m

  # Loads
  - type: postgres.load
    id: load
    columns:
    - a   # one
    - b
    sql: |
      SELECT 1

      FROM x

  - {id: end, type: log, message: 'Done, all'}   # last
";

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn set(at: &str, value: NewValue) -> Result<String, String> {
        apply(FLOW, &FlowEdit::Set { path: path(at), value })
    }

    fn text(text: &str) -> NewValue {
        NewValue::Text(text.to_owned())
    }

    fn yaml(text: &str) -> NewValue {
        NewValue::Yaml(text.to_owned())
    }

    /// The lines that differ: those that went and those that came.
    #[track_caller]
    fn difference(new: Result<String, String>) -> String {
        let new = new.unwrap();
        let (old, new): (Vec<&str>, Vec<&str>) = (FLOW.split('\n').collect(), new.split('\n').collect());
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let most = old.len().min(new.len()) - same;
        let behind = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
        format!("{} => {}", old[same..old.len() - behind].join("|"), new[same..new.len() - behind].join("|"))
    }

    #[test]
    fn a_value_is_replaced_in_its_own_style_and_all_else_stays() {
        assert_eq!(difference(set("id", text("taxi"))), "id: trips   # its name => id: taxi   # its name");
        assert_eq!(
            difference(set("tasks.0.uri", text("say \"é\""))),
            "    uri: \"https://example.org/{{ inputs.month }}.csv\"  # the source =>     uri: \"say \\\"é\\\"\"  # the source"
        );
        assert_eq!(
            difference(set("tasks.2.message", text("it's"))),
            "  - {id: end, type: log, message: 'Done, all'}   # last =>   - {id: end, type: log, message: 'it''s'}   # last"
        );
        assert_eq!(
            difference(set("tasks.1.sql", text("SELECT 2"))),
            "    sql: ||      SELECT 1||      FROM x =>     sql: SELECT 2"
        );
        assert_eq!(
            difference(set("tasks.1.columns", yaml("- a\n- c"))),
            "    - a   # one|    - b =>       - a|      - c"
        );
        assert_eq!(
            difference(set("tasks.0.options.readTimeout", text("2"))),
            "      readTimeout: 1m =>       readTimeout: '2'"
        );
        let several = set("tasks.0.uri", text("a\nb")).unwrap();
        assert!(several.contains("    uri: |-\n      a\n      b\n"), "{several}");
    }

    #[test]
    fn a_new_key_comes_last_in_its_map() {
        assert_eq!(difference(set("tasks.0.timeout", yaml("1h"))), " =>     timeout: 1h");
        assert_eq!(difference(set("tasks.1.mode", yaml("append"))), " =>     mode: append");
        let inline = set("tasks.2.level", text("yes, [x]")).unwrap();
        assert!(inline.contains("message: 'Done, all', level: \"yes, [x]\"}   # last"), "{inline}");
        assert_eq!(difference(set("labels", yaml("{a: b}"))), " => labels: {a: b}");
        assert_eq!(
            difference(set("tasks.0.retry", yaml("type: constant\ninterval: 1s"))),
            " =>     retry:|      type: constant|      interval: 1s"
        );
    }

    #[test]
    fn a_key_or_an_item_goes_with_its_comments() {
        let remove = |at: &str| apply(FLOW, &FlowEdit::Remove { path: path(at) });
        assert_eq!(difference(remove("tasks.0.options")), "    options:   # rarely|      readTimeout: 1m => ");
        assert_eq!(difference(remove("tasks.1.type")), "  - type: postgres.load|    id: load =>   - id: load");
        assert_eq!(difference(remove("tasks.1.columns")), "    columns:|    - a   # one|    - b => ");
        let inline = remove("tasks.2.message").unwrap();
        assert!(inline.contains("  - {id: end, type: log}   # last"), "{inline}");
        assert!(remove("tasks.2.id").unwrap().contains("  - {type: log, message"));
        let without = remove("tasks.1").unwrap();
        assert!(!without.contains("# Loads") && without.contains("readTimeout: 1m\n\n  - {id: end"), "{without}");
    }

    #[test]
    fn items_are_added_and_moved_with_their_comments() {
        let added = apply(
            FLOW,
            &FlowEdit::Add { list: path("tasks"), item: "id: new\ntype: log\nmessage: |\n  a\n\n  b".to_owned() },
        );
        let added = added.unwrap();
        assert!(
            added.ends_with("# last\n\n  - id: new\n    type: log\n    message: |\n      a\n\n      b\n"),
            "{added}"
        );
        let moved = apply(FLOW, &FlowEdit::Swap { list: path("tasks"), first: 0 }).unwrap();
        let back = apply(&moved, &FlowEdit::Swap { list: path("tasks"), first: 0 }).unwrap();
        assert_eq!(back, FLOW);
        assert!(
            moved.starts_with(
                "# The flow\nid: trips   # its name\nnamespace: zoomcamp\n\ntasks:\n  # Loads\n  - type: postgres.load"
            ),
            "{moved}"
        );
        let first =
            apply("id: a\nnamespace: b\n", &FlowEdit::Add { list: path("tasks"), item: "id: x\ntype: log".to_owned() });
        assert_eq!(first.unwrap(), "id: a\nnamespace: b\ntasks:\n  - id: x\n    type: log\n");
    }

    #[test]
    fn what_cannot_be_changed_alone_is_refused() {
        let inline = "id: a\ntasks: [{id: x}, {id: y}]\n";
        assert_eq!(apply(inline, &FlowEdit::Swap { list: path("tasks"), first: 0 }).unwrap_err(), REFUSED);
        let alias = "id: a\nx: &x {b: 1}\ny: *x\n";
        assert!(apply(alias, &FlowEdit::Set { path: path("y.b"), value: yaml("2") }).is_err());
        for wrong in ["gone.key", "tasks.9", "id.x"] {
            assert!(apply(FLOW, &FlowEdit::Remove { path: path(wrong) }).is_err(), "{wrong}");
        }
        assert!(apply("a: [", &FlowEdit::Remove { path: path("a") }).is_err());
        assert!(set("tasks.0.options", yaml("a: [")).is_err());
        for odd in ["id: a", "id: a\r\nb:\r\n  - c: d\r\n", "{id: a}", "id: a\nb: {c: d,\n  e: f}\n"] {
            for at in ["id", "b.0.c", "b.c", "new"] {
                let change = FlowEdit::Set { path: path(at), value: text("x") };
                if let Ok(new) = apply(odd, &change) {
                    assert!(new.contains('x'), "{odd}: {new}");
                }
            }
        }
    }
}
