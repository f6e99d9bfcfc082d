//! A text that log lines are searched for, in whatever case.

use memchr::memchr2_iter;

/// The text, in lower case.
pub(super) struct SoughtText(String);

impl SoughtText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether it is in a line.
    pub(super) fn is_in(&self, line: &str) -> bool {
        let Some(first) = self.0.bytes().next() else { return true };
        if !self.0.is_ascii() {
            return line.to_lowercase().contains(&self.0);
        }
        let (sought, line) = (self.0.as_bytes(), line.as_bytes());
        memchr2_iter(first, first.to_ascii_uppercase(), line)
            .any(|at| line.get(at..at + sought.len()).is_some_and(|part| part.eq_ignore_ascii_case(sought)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_in_any_language() {
        let is_in = |text: &str, line: &str| SoughtText::new(text).is_in(line);
        assert!(is_in("Line 4", "a LINE 42") && is_in("", "a") && is_in("über", "ÜBER") && is_in("ŁÓDŹ", "łódź"));
        assert!(!is_in("line 4", "line") && !is_in("a", "") && !is_in("über", "uber"));
    }
}
