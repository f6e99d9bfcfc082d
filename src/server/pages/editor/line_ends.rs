//! Texts from a browser, which ends every line with a carriage return and a line feed, with the line ends of the file.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

const BYTE_ORDER_MARK: char = '\u{feff}';
/// How long the lines of two texts are compared; a coarser comparison is used then.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A text as a page shows it.
pub(super) fn shown(text: &str) -> String {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).replace("\r\n", "\n")
}

/// An edited text with the line ends and the byte order mark of the file that it is to replace: what was not edited stays as it
/// is, byte for byte.
pub(super) fn as_in_file(before: &str, edited: &str) -> String {
    let edited = shown(edited);
    let (mark, before) = match before.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => ("\u{feff}", rest),
        None => ("", before),
    };
    if !before.contains("\r\n") {
        return format!("{mark}{edited}");
    }
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let usual = if old.iter().filter(|line| line.ends_with("\r\n")).count() * 2 >= old.len() { "\r\n" } else { "\n" };
    let plain = before.replace("\r\n", "\n");
    let compared = TextDiff::configure().timeout(TIMEOUT).diff_lines(plain.as_str(), edited.as_str());
    let mut text = mark.to_owned();
    for change in compared.iter_all_changes() {
        let line = change.value();
        match (change.tag(), change.old_index().and_then(|index| old.get(index))) {
            (ChangeTag::Delete, _) => {}
            (ChangeTag::Equal, Some(line)) => text += line,
            _ => {
                text += line.trim_end_matches('\n');
                text += if line.ends_with('\n') { usual } else { "" };
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_edited_keeps_its_line_ends() {
        let from_browser = |text: &str| shown(text).replace('\n', "\r\n");
        for file in ["a: 1\nb: 2\n", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\nc: 3", "\u{feff}a: 1\r\n\r\nb: 2", "", "a"] {
            assert_eq!(as_in_file(file, &from_browser(file)), file);
        }
        let mixed = "a: 1\r\nb: 2\nc: 3\r\nd: 4\r\n";
        let edited = from_browser(mixed).replace("c: 3", "c: 5").replace("a: 1\r\n", "a: 1\r\nnew: x\r\n");
        assert_eq!(as_in_file(mixed, &edited), "a: 1\r\nnew: x\r\nb: 2\nc: 5\r\nd: 4\r\n");
        assert_eq!(as_in_file("a: 1\nb: 2\n", "a: 1\r\nb: 3\r\n"), "a: 1\nb: 3\n");
    }
}
