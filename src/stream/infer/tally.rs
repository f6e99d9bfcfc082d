//! How many values of a column have a type, and the first that does not.

use std::fmt;

use crate::stream::bytes::preview;

/// Words that stand for NULL in many files.
const NULL_WORDS: &[&str] =
    &["null", "na", "n/a", "#n/a", "none", "nil", "nan", "-", "--", "?", ".", "\\n", "(null)", "<na>", "missing"];

/// The values of a column, as far as they were looked at for one type.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueTally {
    /// How many have it.
    pub fits: u64,
    /// The first that does not.
    pub odd: Option<OddValue>,
}

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct OddValue {
    value: String,
    line: u64,
}

impl ValueTally {
    /// Takes one more value.
    pub(super) fn take(&mut self, fits: bool, value: &[u8], line: u64) {
        if fits {
            self.fits += 1;
        } else if self.odd.is_none() {
            self.odd = Some(OddValue { value: preview(value).trim_matches('"').to_owned(), line });
        }
    }
}

impl OddValue {
    /// What to do about it, if it is a word that may stand for NULL.
    pub(super) fn hint(&self) -> &'static str {
        if is_null_word(self.value.as_bytes()) { "; if that means NULL, set `null_string`" } else { "" }
    }
}

impl fmt::Display for OddValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on line {}", self.value, self.line)
    }
}

/// Whether a value may stand for NULL.
pub(super) fn is_null_word(value: &[u8]) -> bool {
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value).trim_ascii();
    NULL_WORDS.iter().any(|word| unquoted.eq_ignore_ascii_case(word.as_bytes()))
}
