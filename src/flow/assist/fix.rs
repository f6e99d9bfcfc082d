//! The correction of a finding that suggests one.

use serde::Serialize;

use crate::diagnostic::Diagnostic;

/// How much of a line there is looked through.
const MAX_LINE: usize = 4_000;

/// A word to replace, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// Its line, from 1.
    pub line: usize,
    /// Its first column, from 1, and the one after it.
    pub from: usize,
    /// The column after its last.
    pub to: usize,
    /// The suggestion.
    pub text: String,
}

/// The fix of a finding that says `did you mean …`, if the misspelt word is at the finding's position.
pub fn fix(text: &str, finding: &Diagnostic) -> Option<Fix> {
    let row = text.lines().nth(finding.line.checked_sub(1)?).filter(|row| row.len() <= MAX_LINE)?;
    let start = row.char_indices().nth(finding.column.checked_sub(1)?).map_or(row.len(), |(at, _)| at);
    let hint = [finding.help.as_deref().unwrap_or_default(), &finding.message].join(" ");
    let meant = hint.split_once("did you mean `")?.1.split('`').next()?;
    // The wrong word is one of those that the message quotes.
    let quoted = finding.message.split('`').skip(1).step_by(2).filter(|word| *word != meant);
    let likeness = |word: &str| strsim::jaro_winkler(word, meant);
    let found = quoted.filter_map(|word| whole(row, start, word, meant));
    let (at, wrong, meant) = found.max_by(|a, b| likeness(a.1).total_cmp(&likeness(b.1)))?;
    let from = row[..at].chars().count() + 1;
    Some(Fix { line: finding.line, from, to: from + wrong.chars().count(), text: meant })
}

/// Where a word is at or after a place. Of `outputs.a.b` the suggestion may be the last part alone.
fn whole<'a>(row: &str, start: usize, wrong: &'a str, meant: &str) -> Option<(usize, &'a str, String)> {
    let part = wrong.rsplit('.').next().filter(|_| !meant.contains('.')).unwrap_or(wrong);
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_whole = |at: &usize| {
        !row[..*at].chars().next_back().is_some_and(is_part)
            && !row[at + part.len()..].chars().next().is_some_and(is_part)
    };
    let places = row.match_indices(part).map(|(at, _)| at).filter(|at| *at >= start && !part.is_empty());
    places.filter(is_whole).min().map(|at| (at, part, meant.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str, finding: Diagnostic, line: usize, column: usize) -> Option<String> {
        let Fix { line, from, to, text: meant } = fix(text, &finding.at("f.yaml", text, line, column))?;
        let row: Vec<char> = text.lines().nth(line - 1)?.chars().collect();
        Some(format!(
            "{}{meant}{}",
            row[..from - 1].iter().collect::<String>(),
            row[to - 1..].iter().collect::<String>()
        ))
    }

    #[test]
    fn the_word_that_a_finding_is_about_is_replaced_by_the_one_that_is_meant() {
        let unknown = |word: &str, meant: &str| {
            Diagnostic::error(format!("unknown field `{word}`")).help(format!("did you mean `{meant}`?"))
        };
        assert_eq!(fixed("a: 1\ntaks: []\n", unknown("taks", "tasks"), 2, 1).as_deref(), Some("tasks: []"));
        let outputs = Diagnostic::error("`extract` gives no output `url`").help("did you mean `uri`?");
        let row = "  from: \"é {{ outputs.extract.url }}\"";
        assert_eq!(fixed(row, outputs, 1, 15).as_deref(), Some("  from: \"é {{ outputs.extract.uri }}\""));
        let dotted = Diagnostic::error("there is no `flow.idd`").help("did you mean `flow.id`?");
        assert_eq!(fixed("m: '{{ flow.idd }}'", dotted, 1, 8).as_deref(), Some("m: '{{ flow.id }}'"));
        assert_eq!(fixed("a: b", unknown("c", "d"), 1, 1), None, "it does not stand there");
        assert_eq!(fixed("a: b", Diagnostic::error("unknown field `a`"), 1, 1), None);
        assert_eq!(fixed("a: b", unknown("a", "d"), 9, 9), None);
    }
}
