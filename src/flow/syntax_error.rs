//! Explains YAML syntax errors: scanner messages name its internals, so the likely cause is looked for in the text.

use crate::diagnostic::Diagnostic;
use crate::flow::bounds;
use crate::flow::document::byte_of_column;

const UNCLOSED: (&str, &str) = (
    "this is not YAML: the text that begins here has no closing quotation mark",
    "add the closing quotation mark, or remove the opening one",
);

pub(super) fn explain(file: &str, text: &str, (line, column): (usize, usize), scanner_message: &str) -> Diagnostic {
    let content = text.lines().nth(line - 1).unwrap_or_default();
    if let Some(finding) = find_tab(file, text, line) {
        return finding;
    }
    if scanner_message == "recursion limit exceeded" {
        return Diagnostic::error(bounds::too_deep()).at(file, text, line, column);
    }
    if let Some((line, column)) = bare_template(text, line) {
        let finding =
            Diagnostic::error("a value that begins with a template must be quoted").at(file, text, line, column);
        return finding.help("write `\"{{ … }}\"`");
    }
    if scanner_message == "duplicated key in mapping" {
        let key = content.get(byte_of_column(content, column)..).unwrap_or_default();
        let key = key.split(':').next().unwrap_or_default().trim();
        let finding = Diagnostic::error(format!("the key `{key}` is defined twice")).at(file, text, line, column);
        return finding.help("remove one of the two");
    }
    if let Some((line, column)) = unclosed_quote(text, line)
        .filter(|_| scanner_message.contains("quoted scalar") || scanner_message.contains("key"))
    {
        let (message, help) = UNCLOSED;
        return Diagnostic::error(message).at(file, text, line, column).help(help);
    }
    let (message, help) = match scanner_message {
        "simple key expect ':'" if line > 1 && missing_space_after_colon(text, line - 1).is_some() => {
            let column = missing_space_after_colon(text, line - 1).unwrap_or(1);
            let finding = Diagnostic::error("a space is missing after this colon").at(file, text, line - 1, column);
            return finding.help("write `key: value`");
        }
        "invalid indentation in quoted scalar" | "while scanning a quoted scalar, found unexpected end of stream" => {
            UNCLOSED
        }
        "simple key expect ':'" => (
            "this is not YAML: there is no `key: value` here",
            "write a space after the colon, here or on the previous line",
        ),
        "while parsing a block collection, did not find expected '-' indicator"
        | "while parsing a block mapping, did not find expected key" => (
            "this is not YAML: the indentation of this line does not match the lines around it",
            "indent all keys of a task equally, and all tasks of a list; check the previous line, too",
        ),
        "while parsing node, found unknown anchor" => (
            "no earlier value has this anchor",
            "`*name` repeats the value after `&name`; a text that begins with `*` must be quoted",
        ),
        _ => ("", "check indentation, quotes and brackets, here and on the previous line"),
    };
    let message = if message.is_empty() { format!("this is not YAML: {scanner_message}") } else { message.to_owned() };
    Diagnostic::error(message).at(file, text, line, column).help(help)
}

/// A tab in the indentation of this line or the next, or after a colon.
fn find_tab(file: &str, text: &str, line: usize) -> Option<Diagnostic> {
    (line..=line + 1).find_map(|number| {
        let content = text.lines().nth(number - 1)?;
        let indentation = content.len() - content.trim_start().len();
        let in_indentation = content[..indentation].find('\t');
        let at = in_indentation.or(content.find(":\t").map(|at| at + 1))?;
        let (message, help) = match in_indentation {
            Some(_) => ("there is a tab in the indentation", "indent with spaces: YAML allows no tabs here"),
            None => ("there is a tab after the colon", "write a space instead"),
        };
        let column = content[..at].chars().count() + 1;
        Some(Diagnostic::error(message).at(file, text, number, column).help(help))
    })
}

/// The text with the duplicate key of a finding, and its value, replaced by spaces, so that all positions stay. `None`
/// for any other finding, and if the key is not the first on its line.
pub(super) fn blank_duplicate_key(text: &str, finding: &Diagnostic) -> Option<String> {
    if !finding.message.starts_with("the key `") || !finding.message.ends_with("` is defined twice") {
        return None;
    }
    let (line, column) = (finding.line, finding.column);
    let lines: Vec<&str> = text.split('\n').collect();
    let is_blank = |content: &str| content.chars().all(char::is_whitespace);
    let indentation = |content: &str| content.chars().take_while(|letter| letter.is_whitespace()).count();
    if !lines.get(line - 1)?.chars().take(column - 1).all(char::is_whitespace) {
        return None;
    }
    let is_inside = |content: &&str| is_blank(content) || indentation(content) >= column;
    // A list may be indented no deeper than its key.
    let is_item = |content: &&str| indentation(content) + 1 == column && content.trim_start().starts_with("- ");
    let value_lines = lines[line..].iter().take_while(|content| is_inside(content) || is_item(content)).count();
    let blank_out = |content: &str| content.chars().map(|letter| if letter == '\r' { '\r' } else { ' ' }).collect();
    let lines_with_blanks = lines.iter().enumerate().map(|(index, content)| {
        let is_duplicate = (line - 1..line + value_lines).contains(&index);
        if is_duplicate { blank_out(content) } else { (*content).to_owned() }
    });
    Some(lines_with_blanks.collect::<Vec<String>>().join("\n"))
}

/// An unquoted value that begins with a template: `key: {{ … }}.csv`.
fn bare_template(text: &str, line: usize) -> Option<(usize, usize)> {
    let content = text.lines().nth(line - 1)?;
    let at = content.find("{{")?;
    let before = content[..at].trim_end();
    let is_value = before.ends_with(':') || before.trim_start() == "-";
    let is_quoted = before.contains(['"', '\'']);
    (is_value && !is_quoted).then(|| (line, content[..at].chars().count() + 1))
}

/// The nearest quoted text, on this line or before, that is not closed on its line.
fn unclosed_quote(text: &str, line: usize) -> Option<(usize, usize)> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    lines.iter().enumerate().rev().take(20).find_map(|(index, content)| {
        let value = content.find(": ").map(|at| at + 2).or_else(|| content.find("- ").map(|at| at + 2))?;
        let rest = content.get(value..)?.trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let at = content.len() - rest.len();
        let is_closed = rest.get(1..)?.contains(quote);
        (!is_closed).then(|| (index + 1, content[..at].chars().count() + 1))
    })
}

/// A colon without a space after it: `format:CSV`.
fn missing_space_after_colon(text: &str, line: usize) -> Option<usize> {
    let content = text.lines().nth(line - 1)?;
    let (key, value) = content.split_once(':')?;
    let is_key = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
    let is_lone = key.trim_start().trim_start_matches("- ").chars().all(is_key) && !value.starts_with([' ', '/']);
    (is_lone && !value.is_empty()).then(|| key.chars().count() + 1)
}
