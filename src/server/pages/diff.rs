//! Two texts side by side: the lines that differ, with some around them.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// How many equal lines are shown around those that differ.
const CONTEXT: usize = 3;
/// The most lines that are shown.
const MAX_LINES: usize = 2_000;
/// How long the texts are compared; a coarser comparison is used then.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A line of a comparison.
pub(super) struct DiffLine {
    /// The class of the stylesheet: `added`, `removed`, `gap` for lines left out, or none.
    pub(super) class: &'static str,
    /// The sign before it.
    pub(super) sign: &'static str,
    /// Its number in the old text and in the new one; empty where it is not there.
    pub(super) old: String,
    pub(super) new: String,
    pub(super) text: String,
}

/// What was removed from the old text and added in the new one; nothing if they are equal.
pub(super) fn lines(old: &str, new: &str) -> Vec<DiffLine> {
    let compared = TextDiff::configure().timeout(TIMEOUT).diff_lines(old, new);
    let mut lines = Vec::new();
    for (index, group) in compared.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            lines.push(DiffLine {
                class: "gap",
                sign: "",
                old: String::new(),
                new: String::new(),
                text: "…".to_owned(),
            });
        }
        for change in group.iter().flat_map(|operation| compared.iter_changes(operation)) {
            let (class, sign) = match change.tag() {
                ChangeTag::Equal => ("", " "),
                ChangeTag::Delete => ("removed", "−"),
                ChangeTag::Insert => ("added", "+"),
            };
            let number = |index: Option<usize>| index.map(|index| (index + 1).to_string()).unwrap_or_default();
            let text = change.value().trim_end_matches(['\r', '\n']).to_owned();
            lines.push(DiffLine {
                class,
                sign,
                old: number(change.old_index()),
                new: number(change.new_index()),
                text,
            });
        }
        if lines.len() > MAX_LINES {
            lines.truncate(MAX_LINES);
            let text = "… the rest is not shown".to_owned();
            lines.push(DiffLine { class: "gap", sign: "", old: String::new(), new: String::new(), text });
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_shown_with_those_around_them() {
        let old: String = (1..=20).map(|number| format!("line {number}\n")).collect();
        let new = old.replace("line 10\n", "line ten\n");
        let shown: Vec<String> = lines(&old, &new)
            .iter()
            .map(|line| format!("{}{}{}{}", line.old, line.sign, line.text, line.new))
            .collect();
        assert_eq!(shown.len(), 8);
        assert_eq!(shown[0], "7 line 77");
        assert!(shown.contains(&"10−line 10".to_owned()) && shown.contains(&"+line ten10".to_owned()), "{shown:?}");
        assert!(lines(&old, &old).is_empty());
    }
}
