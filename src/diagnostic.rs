//! What is wrong with something that a user wrote, and where: one shape for the terminal, for JSON and for a page.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::secret::hide_line;
use crate::text::{indented, visible, visible_line, without_number};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The flow cannot run.
    Error,
    /// The flow runs, but probably not as its author thinks.
    Warning,
}

/// A longer line is not shown: a line may have thousands of findings.
const MAX_SNIPPET: usize = 1_000;

/// One located finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the flow can run all the same.
    pub severity: Severity,
    /// What is wrong, in one plain sentence without a full stop.
    pub message: String,
    /// The file as the user named it; empty where there is none (a command line value).
    pub file: String,
    /// Line of the finding, from 1; 0 for the whole file.
    pub line: usize,
    /// Column of the finding in characters, from 1; 0 for the whole line.
    pub column: usize,
    /// The line of text that the finding is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether what it is about is well-formed, and asks for something that is not possible here.
    #[serde(skip)]
    pub is_refusal: bool,
}

impl Diagnostic {
    /// An error with no place yet. The system's own numbers for errors are left out of its words.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: without_number(&message.into()).into_owned(),
            file: String::new(),
            line: 0,
            column: 0,
            snippet: None,
            help: None,
            is_refusal: false,
        }
    }

    /// A warning with no place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Puts the finding at a line and column (both from 1) of a file whose text is given. Passwords in it are hidden.
    pub fn at(self, file: &str, text: &str, line: usize, column: usize) -> Self {
        let mut finding = self.quoting(file, text, line, column);
        finding.snippet = finding.snippet.as_deref().map(hide_line);
        finding
    }

    /// The same for a text that a redactor has yet to see: of a secret that looks like an address it would not know
    /// what is left when its password is hidden.
    pub fn quoting(mut self, file: &str, text: &str, line: usize, column: usize) -> Self {
        self.file = file.to_owned();
        self.line = line;
        self.column = column;
        let snippet = line.checked_sub(1).and_then(|index| text.lines().nth(index));
        self.snippet = snippet.filter(|line| line.len() <= MAX_SNIPPET).map(str::to_owned);
        self
    }

    /// Adds the line that says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding on one line, for those who draw nothing: what is wrong, where, and what to do.
    pub fn sentence(&self) -> String {
        let place = match (self.file.is_empty(), self.line) {
            (true, _) => String::new(),
            (false, 0) => format!("{}: ", self.file),
            (false, line) => format!("{}:{line}:{}: ", self.file, self.column.max(1)),
        };
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{place}{}{help}", self.message)
    }

    /// Whether this finding stops the flow from running.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let word = if self.is_error() { "error" } else { "warning" };
        write!(text, "{word}: {}", indented(&visible(&self.message), 2))?;
        if !self.file.is_empty() {
            write!(text, "\n  --> {}", visible_line(&self.file))?;
            if self.line > 0 {
                write!(text, ":{}:{}", self.line, self.column.max(1))?;
            }
        }
        if let Some(snippet) = &self.snippet {
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            write!(text, "\n {gutter} |\n {number} | {}", visible(snippet))?;
            if self.column > 0 {
                let before: String = snippet.chars().take(self.column - 1).collect();
                let shown = visible(&before).chars().count().max(self.column - 1);
                write!(text, "\n {gutter} | {}^", " ".repeat(shown))?;
            }
        }
        if let Some(help) = &self.help {
            write!(text, "\n  help: {}", indented(&visible(help), 8))?;
        }
        f.write_str(&text)
    }
}

/// The candidate that a misspelt word most probably means, if any is near enough to offer.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    // `1` is `01` to its author, and not `12`.
    let number = |text: &str| text.trim().parse::<f64>().ok();
    if let Some(equal) = candidates.iter().find(|candidate| number(word).is_some() && number(candidate) == number(word))
    {
        return Some(equal);
    }
    candidates
        .into_iter()
        .map(|candidate| (likeness(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// How alike two words are, from 0 to 1. One that holds the other is as near as their lengths: `distance` to
/// `trip_distance`.
fn likeness(word: &str, candidate: &str) -> f64 {
    let (short, long) = if word.len() < candidate.len() { (word, candidate) } else { (candidate, word) };
    let part = short.len() as f64 / long.len().max(1) as f64;
    let holds = part >= 0.5 && long.contains(short);
    strsim::jaro_winkler(word, candidate).max(if holds { 0.88 + 0.12 * part } else { 0.0 })
}

/// A help line that names the word that is probably meant, or all that there are.
pub fn offer(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match known {
            [] => "nothing is accepted here".to_owned(),
            [only] => format!("expected `{only}`"),
            several => format!("expected one of `{}`", several.join("`, `")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_points_at_its_column() {
        let text = "id: taxi\ntaks: []\n";
        let shown = Diagnostic::error("unknown key `taks`").at("flow.yaml", text, 2, 1).help("did you mean `tasks`?");
        assert_eq!(
            shown.to_string(),
            "error: unknown key `taks`\n  --> flow.yaml:2:1\n   |\n 2 | taks: []\n   | ^\n  help: did you mean `tasks`?"
        );
        assert_eq!(shown.sentence(), "flow.yaml:2:1: unknown key `taks`; did you mean `tasks`?");
    }

    #[test]
    fn a_finding_shows_no_password_obeys_no_control_character_and_forges_no_line() {
        let finding = Diagnostic::error("no `a\nerror: b\u{1b}[2J`").at("f\nx.yaml", "password: hunter2\n", 1, 1);
        let shown = finding.to_string();
        assert_eq!(shown, "error: no `a\n  error: b\\x1b[2J`\n  --> f\\nx.yaml:1:1\n   |\n 1 | password: ***\n   | ^");
    }

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("postgres.lod", ["http.download", "postgres.load"]), Some("postgres.load"));
        assert_eq!(nearest("1", ["01", "02", "10", "11", "12"]), Some("01"));
        assert_eq!(nearest("trip_distance", ["trip_type", "distance", "RatecodeID"]), Some("distance"));
        assert_eq!(nearest("xyz", ["http.download", "postgres.load"]), None);
    }
}
