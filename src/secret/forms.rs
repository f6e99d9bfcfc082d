//! The forms in which a secret may be in a text.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::parts::{is_ordinary, parts};
use super::readings::readings;

/// A shorter form would be found in innocent words, and guards nothing.
pub(super) const MIN_FORM: usize = 6;
/// Of a longer secret only the text itself, its lines and its members are known: in every encoding it would take
/// megabytes.
const MAX_ENCODED: usize = 16 << 10;
/// Of a longer one, what base64 makes of its base64 is known of its lines and members alone.
const MAX_ENCODED_TWICE: usize = 4 << 10;
/// How long the lines are into which `base64` and PEM files break what they encode.
const BASE64_LINES: [usize; 2] = [64, 76];
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretForm {
    /// The text to look for.
    pub text: String,
    /// Whether the letter of base64 before it is partly the secret's.
    pub before: bool,
    /// Whether the letter of base64 after it is.
    pub after: bool,
    /// Whether letters in another case are others.
    pub is_exact: bool,
}

impl SecretForm {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), before: false, after: false, is_exact: false }
    }

    fn exact(text: impl Into<String>) -> Self {
        Self { is_exact: true, ..Self::plain(text) }
    }

    /// Whether it continues after these bytes.
    pub(super) fn begins_with(&self, bytes: &[u8]) -> bool {
        let begin = self.text.as_bytes().get(..bytes.len()).filter(|begin| begin.len() < self.text.len());
        begin.is_some_and(|begin| begin == bytes || (!self.is_exact && begin.eq_ignore_ascii_case(bytes)))
    }
}

/// Every form of a secret: of itself and of all that is secret with it (`parts.rs`) as they stand, in hex and in base64.
/// Letters in another case are found all the same, and escaped ones are the concern of `views.rs`.
pub(super) fn forms(secret: &str) -> Vec<SecretForm> {
    let parts = parts(secret);
    let mut forms: Vec<SecretForm> = parts.iter().flat_map(|text| encodings(text)).collect();
    // Nobody encodes what was only printed.
    let read = parts.iter().flat_map(|text| readings(text)).filter(|text| text.len() >= MIN_FORM && !is_ordinary(text));
    forms.extend(read.map(SecretForm::plain));
    forms.retain(|form| !form.text.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn encodings(text: &str) -> Vec<SecretForm> {
    let mut forms = vec![SecretForm::plain(text)];
    if !text.is_ascii() {
        forms.extend([text.to_uppercase(), text.to_lowercase()].map(SecretForm::plain));
    }
    if text.len() > MAX_ENCODED {
        return forms;
    }
    forms.push(SecretForm::plain(crate::text::hex(text.as_bytes())));
    let whole = STANDARD_NO_PAD.encode(text);
    for length in BASE64_LINES.into_iter().filter(|length| whole.len() > *length) {
        // Base64 is ASCII, so that any cut is between letters. A short rest is no more than a word.
        let lines = (0..whole.len()).step_by(length).map(|at| &whole[at..whole.len().min(at + length)]);
        forms.extend(lines.filter(|line| line.len() >= MIN_FORM).map(SecretForm::exact));
    }
    let once: Vec<SecretForm> = (0..3).flat_map(|offset| base64_at(text, offset)).collect();
    let twice = once.iter().flat_map(|form| (0..3).flat_map(|offset| base64_at(&form.text, offset)));
    let twice: Vec<SecretForm> = twice
        .filter(|_| text.len() <= MAX_ENCODED_TWICE)
        .map(|form| SecretForm { before: true, after: true, ..form })
        .collect();
    forms.extend(once.into_iter().chain(twice));
    forms
}

/// What base64 makes of a text that stands somewhere in another: the letters that depend on nothing else, in the
/// ordinary and in the URL-safe alphabet.
fn base64_at(text: &str, offset: usize) -> [SecretForm; 2] {
    let padded = [&[0; 2][..offset], text.as_bytes()].concat();
    let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    let form = |encoded: String| SecretForm {
        text: encoded.get(first..last).unwrap_or_default().to_owned(),
        before: offset > 0,
        after: !padded.len().is_multiple_of(3),
        is_exact: true,
    };
    [form(STANDARD_NO_PAD.encode(&padded)), form(URL_SAFE_NO_PAD.encode(&padded))]
}
