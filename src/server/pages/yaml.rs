//! YAML with colours, line by line, as the flow's page shows it.

/// A line of a text.
pub(super) struct CodeLine {
    pub(super) number: usize,
    /// Its parts, each with its class; an empty class for what has no colour.
    pub(super) parts: Vec<(&'static str, String)>,
}

/// The lines of a flow.
pub(super) fn lines(text: &str) -> Vec<CodeLine> {
    let mut block: Option<usize> = None;
    let line = |(index, line): (usize, &str)| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if block.is_some_and(|outer| indent > outer || line.trim().is_empty()) {
            return CodeLine { number: index + 1, parts: templates("text", line) };
        }
        block = None;
        let content = line.trim_start_matches([' ', '-']);
        let column = line.len() - content.len();
        let (parts, value) = parts(line, column);
        let opens = value.trim_end().trim_end_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        block = (opens == "|" || opens == ">").then_some(column);
        CodeLine { number: index + 1, parts }
    };
    text.lines().enumerate().map(line).collect()
}

/// The parts of a line whose content begins at a column, and the value in it.
fn parts(line: &str, column: usize) -> (Vec<(&'static str, String)>, &str) {
    let (margin, content) = line.split_at(column);
    let mut parts = vec![("", margin.to_owned())];
    if content.starts_with('#') {
        parts.push(("comment", content.to_owned()));
        return (parts, "");
    }
    let key = content.find(": ").or_else(|| content.strip_suffix(':').map(str::len));
    let value = match key.filter(|end| !content[..*end].contains(['{', '"', '\'', ' ', '['])) {
        Some(end) => {
            parts.push(("key", content[..end].to_owned()));
            let rest = content[end + 1..].trim_start();
            parts.push(("", content[end..content.len() - rest.len()].to_owned()));
            rest
        }
        None => content,
    };
    let (value, comment) = value.split_at(comment(value));
    parts.extend(templates(class(value.trim_end()), value));
    if !comment.is_empty() {
        parts.push(("comment", comment.to_owned()));
    }
    (parts, value)
}

/// Where the comment begins that follows a value.
fn comment(value: &str) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in value.char_indices() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter == '#' && before == ' ' => return at,
            None => {}
        }
        before = letter;
    }
    value.len()
}

fn class(value: &str) -> &'static str {
    match value {
        "true" | "false" | "null" | "~" => "word",
        value if value.parse::<f64>().is_ok() => "word",
        value if value.starts_with(['"', '\'']) => "text",
        _ => "",
    }
}

/// A value whose templates are marked.
fn templates(class: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let (mut parts, mut rest) = (Vec::new(), value);
    while let Some((before, from)) = rest.split_once("{{") {
        let Some((inner, behind)) = from.split_once("}}") else { break };
        parts.push((class, before.to_owned()));
        parts.push(("template", format!("{{{{{inner}}}}}")));
        rest = behind;
    }
    parts.push((class, rest.to_owned()));
    parts.retain(|(_, text)| !text.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_stays_and_parts_have_their_classes() {
        let text = "# a\nid: b # c\nlist:\n  - {x: 'y # z'}\n  - n: 1\n    m: \"{{ a }} é\"\n    run: |-\n      key: no\n\n      {{ x }}\nend: true";
        let lines = lines(text);
        let plain: Vec<String> =
            lines.iter().map(|line| line.parts.iter().map(|(_, text)| text.as_str()).collect()).collect();
        assert_eq!(plain.join("\n"), text);
        let classes =
            |number: usize| -> Vec<&str> { lines[number - 1].parts.iter().map(|(class, _)| *class).collect() };
        assert_eq!(classes(1), ["", "comment"]);
        assert_eq!(classes(2)[1..], ["key", "", "", "comment"]);
        assert_eq!(classes(5)[1..], ["key", "", "word"]);
        assert_eq!(classes(6)[1..], ["key", "", "text", "template", "text"]);
        assert_eq!((classes(8), classes(10).last()), (vec!["text"], Some(&"template")));
        assert_eq!(classes(11)[1..], ["key", "", "word"]);
    }
}
