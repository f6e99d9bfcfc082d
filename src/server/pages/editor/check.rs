//! What is said of a text in the editor: its findings, and the picture of its tasks.

use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::missing_files;
use crate::flow::assist::{Fix, fix};
use crate::flow::{ParsedFlow, parse};
use crate::id::FlowKey;
use crate::server::App;
use crate::server::pages::topology;
use crate::tasks;

/// The most findings that are shown.
const MAX_SHOWN: usize = 100;

/// A text as the server sees it.
pub(super) struct Check {
    pub(super) findings: Vec<ShownFinding>,
    pub(super) errors: usize,
    pub(super) warnings: usize,
    /// SVG; empty while the text is no flow.
    pub(super) topology: String,
}

/// A finding, and how it is corrected.
pub(super) struct ShownFinding {
    pub(super) is_error: bool,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) fix: Option<Fix>,
}

impl ShownFinding {
    /// The fix as the form sends it.
    pub(super) fn fix_text(&self) -> String {
        let text = |fix: &Fix| format!("{} {} {} {}", fix.line, fix.from, fix.to, fix.text);
        self.fix.as_ref().map(text).unwrap_or_default()
    }
}

impl Check {
    /// Checks a text that is, or is to be, in a file.
    pub(super) fn of(file: &str, text: &str) -> Self {
        let parsed = parse(file, text, tasks::ALL);
        let all = all(&parsed);
        let errors = all.iter().filter(|finding| finding.is_error()).count();
        Self {
            warnings: all.len() - errors,
            errors,
            findings: all.iter().take(MAX_SHOWN).map(|finding| shown(text, finding)).collect(),
            topology: parsed.flow.as_ref().map(topology::with_lines).unwrap_or_default(),
        }
    }

    /// `1 error, 2 warnings`
    pub(super) fn verdict(&self) -> String {
        let count = |number: usize, what: &str| (number > 0).then(|| crate::text::count(number as u64, what));
        let parts: Vec<String> =
            [count(self.errors, "error"), count(self.warnings, "warning")].into_iter().flatten().collect();
        if parts.is_empty() { "valid".to_owned() } else { parts.join(", ") }
    }

    /// The class and the sign of the verdict.
    pub(super) fn state(&self) -> (&'static str, &'static str) {
        match (self.errors, self.warnings) {
            (0, 0) => ("ok", "✓"),
            (0, _) => ("warn", "△"),
            _ => ("fail", "✗"),
        }
    }
}

/// The findings of a text.
pub(super) fn findings(file: &str, text: &str) -> Vec<Diagnostic> {
    let mut all = all(&parse(file, text, tasks::ALL));
    all.truncate(MAX_SHOWN);
    all
}

/// Those of the text, and the files that it names and that are not there.
fn all(parsed: &ParsedFlow) -> Vec<Diagnostic> {
    // A file can be put there after the flow.
    let missing = parsed.flow.as_ref().map(missing_files).unwrap_or_default();
    let missing = missing.into_iter().map(|finding| Diagnostic { severity: Severity::Warning, ..finding });
    parsed.findings.iter().cloned().chain(missing).collect()
}

fn shown(text: &str, finding: &Diagnostic) -> ShownFinding {
    ShownFinding {
        is_error: finding.is_error(),
        line: finding.line.max(1),
        column: finding.column.max(1),
        message: finding.message.clone(),
        help: finding.help.clone().unwrap_or_default(),
        fix: fix(text, finding),
    }
}

/// A finding without the name of the file that is open anyway.
pub(in crate::server::pages) fn sentence(finding: &Diagnostic) -> String {
    let place = if finding.line > 0 {
        format!("line {}, column {}: ", finding.line, finding.column.max(1))
    } else {
        String::new()
    };
    let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{place}{}{help}", finding.message)
}

/// The file that a text belongs to: relative paths begin in its folder.
pub(super) fn file_of(app: &App, key: Option<&FlowKey>) -> String {
    let entry = key.and_then(|key| app.catalog.get(&key.namespace, &key.id));
    let new = || app.catalog.folders().first().map(|folder| folder.join("flow.yaml")).unwrap_or_default();
    entry.map_or_else(new, |entry| entry.file.clone()).display().to_string()
}

/// A text with a word replaced, of `LINE FROM TO TEXT`; one that does not fit changes nothing.
pub(super) fn fixed(text: &str, fix: &str) -> String {
    let mut parts = fix.splitn(4, ' ');
    let mut number = || parts.next()?.parse::<usize>().ok()?.checked_sub(1);
    let (Some(line), Some(from), Some(to), Some(word)) = (number(), number(), number(), parts.next()) else {
        return text.to_owned();
    };
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if let Some(row) = lines.get_mut(line) {
        let letters: Vec<char> = row.chars().collect();
        if let (Some(before), Some(behind)) = (letters.get(..from), letters.get(to..)) {
            *row = before.iter().copied().chain(word.chars()).chain(behind.iter().copied()).collect();
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_replaces_its_word_and_a_wrong_one_nothing() {
        assert_eq!(fixed("a\né taks: x\n", "2 3 7 tasks"), "a\né tasks: x\n");
        for wrong in ["", "2", "0 1 2 x", "9 1 2 x", "2 30 40 x", "a b c d"] {
            assert_eq!(fixed("a\nb\n", wrong), "a\nb\n", "{wrong}");
        }
    }

    #[test]
    fn a_text_is_judged_as_jitney_validate_does() {
        let check = Check::of("f.yaml", "id: a\nnamespace: b\ntaks:\n  - {id: x, type: log, message: hi}\n");
        assert_eq!((check.errors, check.verdict().as_str(), check.topology.as_str()), (1, "1 error", ""));
        assert_eq!(check.findings[0].fix_text(), "3 1 5 tasks");
        let check = Check::of("f.yaml", "id: a\nnamespace: b\ntasks:\n  - {id: x, type: log, message: hi}\n");
        assert_eq!(check.verdict(), "valid");
        assert!(check.topology.contains("<a href=\"#L4\"><g class=\"task \" data-task=\"x\">"), "{}", check.topology);
    }
}
