//! The words of a web page that came in place of a file.

use crate::secret::Redactor;

/// More of a page than this does not help to understand what went wrong.
const MAX_QUOTED: usize = 200;

/// Whether these first bytes are those of a web page.
pub(super) fn is_html(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']).to_lowercase();
    text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<head")
}

/// A page's title, else its first words; of any other text the beginning.
pub(super) fn words(head: &[u8], redactor: &Redactor) -> String {
    // Before anything is left out of it: a part of a secret is not known again.
    let text = redactor.clean(&String::from_utf8_lossy(head));
    match title(&text) {
        Some(title) => redactor.excerpt(title, MAX_QUOTED),
        None if text.trim_start().starts_with('<') => redactor.excerpt(&without_tags(&text), MAX_QUOTED),
        None => redactor.excerpt(&text, MAX_QUOTED),
    }
}

fn title(text: &str) -> Option<&str> {
    // ASCII lower case keeps every byte in its place, so that the positions hold for the text itself.
    let lower = text.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    text.get(start..end).filter(|title| !title.trim().is_empty())
}

fn without_tags(text: &str) -> String {
    let pieces = text.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, words)| words));
    pieces.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_title_or_first_words() {
        let words = |head: &[u8]| super::words(head, &Redactor::default());
        assert!(is_html(b"\n<!DOCTYPE html><html>") && !is_html(b"a,b\n<html>"));
        assert_eq!(words(b"<html><Title lang=en>Rate\n limit</TITLE><body>x"), "Rate limit");
        assert_eq!(words(b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey");
        assert_eq!(words(b"not  today\r\n"), "not today");
        assert_eq!(words("ü".repeat(300).as_bytes()), format!("{}…", "ü".repeat(200)));
    }
}
