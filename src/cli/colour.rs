//! Colours, where the terminal has them: `NO_COLOR`, `CLICOLOR_FORCE` and `CLICOLOR` decide otherwise.

use std::io::IsTerminal;
use std::sync::LazyLock;

use crate::config::wants_colour;

/// What a word means, which is how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// It went well.
    Good,
    /// It failed.
    Bad,
    /// It needs attention.
    Attention,
    /// It is under way.
    Active,
    /// A heading.
    Heading,
}

static STDOUT: LazyLock<bool> = LazyLock::new(|| wants_colour(std::io::stdout().is_terminal()));
static STDERR: LazyLock<bool> = LazyLock::new(|| wants_colour(std::io::stderr().is_terminal()));

/// Whether stdout gets colours.
pub(super) fn on_stdout() -> bool {
    *STDOUT
}

/// Whether stderr gets colours.
pub(super) fn on_stderr() -> bool {
    *STDERR
}

impl Style {
    /// The style of a state of an execution, a backfill or a finding.
    pub(super) fn of_state(word: &str) -> Option<Self> {
        match word {
            "SUCCESS" | "ok" => Some(Self::Good),
            "FAILED" | "KILLED" | "INTERRUPTED" | "missing" => Some(Self::Bad),
            "WARNING" | "PAUSED" | "CANCELLED" | "KILLING" | "warn" => Some(Self::Attention),
            "RUNNING" | "RESTARTED" | "RETRYING" | "QUEUED" | "CREATED" => Some(Self::Active),
            _ => None,
        }
    }

    /// The text in this style, if there are colours. The text must not have control characters.
    pub(super) fn paint(self, text: &str, has_colours: bool) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Attention => "33",
            Self::Active => "36",
            Self::Heading => "1",
        };
        if has_colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Findings with the words at the beginnings of their lines in colour: `error:`, `warning:`, `help:`.
pub(super) fn findings(text: &str, has_colours: bool) -> String {
    let line = |line: &str| {
        let rest = line.trim_start();
        let words = [("error:", Style::Bad), ("warning:", Style::Attention), ("help:", Style::Active)];
        match words.iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, style)) => {
                let margin = &line[..line.len() - rest.len()];
                format!("{margin}{}{}", style.paint(word, has_colours), &rest[word.len()..])
            }
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The marks of a calendar in colour.
pub(super) fn marks(text: &str, has_colours: bool) -> String {
    if !has_colours {
        return text.to_owned();
    }
    let marks = [("✓", Style::Good), ("✗", Style::Bad), ("!", Style::Attention), ("▸", Style::Active)];
    marks.iter().fold(text.to_owned(), |text, (mark, style)| text.replace(mark, &style.paint(mark, true)))
}
