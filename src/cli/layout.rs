//! Text in lines that fit the terminal.

use std::io::IsTerminal;

use dialoguer::console::measure_text_width;

/// The columns of output that does not go to a terminal.
pub(super) const WIDTH: usize = 80;
/// The fewest and the most columns that lines are broken for.
const MIN_WIDTH: usize = 40;
const MAX_WIDTH: usize = 160;

/// The columns of the terminal that stdout is; 80 if it is none.
pub(super) fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return WIDTH;
    }
    crossterm::terminal::size().map_or(WIDTH, |(columns, _)| usize::from(columns).clamp(MIN_WIDTH, MAX_WIDTH))
}

/// The words of a text in lines of at most `width` columns. A longer word is broken.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            if !current.is_empty() && measure_text_width(&current) + 1 + measure_text_width(word) > width {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            for letter in word.chars() {
                if measure_text_width(&current) >= width.max(1) {
                    lines.push(std::mem::take(&mut current));
                }
                current.push(letter);
            }
        }
        lines.push(current);
    }
    lines
}

/// A name, and a text in the column behind it: its lines are broken before `width`.
pub(super) fn entry(name: &str, column: usize, text: &str, width: usize) -> String {
    let lines = wrapped(text, width.saturating_sub(column).max(MIN_WIDTH / 2));
    let margin = " ".repeat(column);
    let gap = " ".repeat(column.saturating_sub(measure_text_width(name)));
    let separator = if gap.is_empty() { format!("\n{margin}") } else { gap };
    format!("{name}{separator}{}", lines.join(&format!("\n{margin}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_within() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("", 7), Vec::<String>::new());
        assert_eq!(entry("name", 6, "some words of text that go on", 26), "name  some words of text\n      that go on");
        assert_eq!(entry("a long name", 6, "text", 26), "a long name\n      text");
    }
}
