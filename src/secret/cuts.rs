//! Where a text was cut off, perhaps within a secret: the beginning of one that is there is secret too.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::memmem;

use super::forms::{MIN_FORM, SecretForm};

/// What a text ends with that this program cut off.
const OURS: &str = "…";
/// What others write there, such as databases.
const DOTS: &str = "...";
/// Where somebody else cut a text, or where it just ends, less may be an innocent word.
const MIN_PREFIX: usize = 16;
/// A text that is cut more often is no message.
const MAX_CUTS: usize = 16;
/// Of a secret that was cut off, more bytes than this are not compared.
const MAX_COMPARED: usize = 16 << 10;
/// An escape that was cut in two has no more bytes.
const MAX_ESCAPE: usize = 10;

/// A place where a text was cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truncation {
    /// Where the last whole letter ends, escapes that were cut in two left out.
    from: usize,
    /// Where the mark begins.
    to: usize,
    /// A shorter beginning does not count.
    shortest: usize,
}

/// Where a text was cut off. Its end counts as such a place if `has_end`.
pub(super) fn cuts(bytes: &[u8], has_end: bool) -> Vec<Truncation> {
    let marks = |mark: &'static str, shortest| {
        let found: Vec<usize> = memmem::rfind_iter(bytes, mark).take(MAX_CUTS).collect();
        found.into_iter().map(move |at| (at, shortest))
    };
    let end = has_end.then_some((bytes.len(), MIN_PREFIX));
    let all = marks(OURS, MIN_FORM).chain(marks(DOTS, MIN_PREFIX)).chain(end);
    all.flat_map(|(to, shortest)| ends(bytes, to).into_iter().map(move |from| Truncation { from, to, shortest }))
        .collect()
}

/// Where the letters before a mark may end: right there, before a bracket or half a letter, before half an escape.
fn ends(bytes: &[u8], mark: usize) -> Vec<usize> {
    let before = &bytes[..mark];
    let half = before.strip_suffix("\u{fffd}".as_bytes());
    let bracket = before.strip_suffix(b" ").or_else(|| before.strip_suffix(b"[")).or_else(|| before.strip_suffix(b"("));
    let start = mark.saturating_sub(MAX_ESCAPE);
    let escape = before[start..].iter().rposition(|byte| b"%\\&".contains(byte)).map(|at| start + at);
    [Some(mark), half.map(<[u8]>::len), bracket.map(<[u8]>::len), escape].into_iter().flatten().collect()
}

/// Finds the beginnings of forms.
#[derive(Debug)]
pub(super) struct PrefixIndex {
    /// None if there is nothing to find, or in the case, not known to occur, that it cannot be built.
    automaton: Option<AhoCorasick>,
    /// The forms that begin with each of the automaton's patterns.
    forms: Vec<Vec<usize>>,
    /// Bytes of the longest form.
    longest: usize,
}

impl PrefixIndex {
    pub(super) fn of(forms: &[SecretForm]) -> Self {
        let mut by_head: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (index, form) in forms.iter().enumerate() {
            if let Some(head) = form.text.as_bytes().get(..MIN_FORM) {
                by_head.entry(head.to_ascii_lowercase()).or_default().push(index);
            }
        }
        let mut builder = AhoCorasick::builder();
        builder.kind(Some(AhoCorasickKind::ContiguousNFA)).ascii_case_insensitive(true);
        let longest = forms.iter().map(|form| form.text.len()).max().unwrap_or_default().min(MAX_COMPARED);
        let automaton = if by_head.is_empty() { None } else { builder.build(by_head.keys()).ok() };
        Self { automaton, forms: by_head.into_values().collect(), longest }
    }

    /// The longest beginning of a form that is cut off there: which form, and where it starts.
    pub(super) fn before<'a>(
        &self,
        bytes: &[u8],
        cut: &Truncation,
        forms: &'a [SecretForm],
    ) -> Option<(&'a SecretForm, std::ops::Range<usize>)> {
        let start = cut.from.saturating_sub(self.longest);
        let window = &bytes[start..cut.from];
        let found = self.automaton.as_ref()?.find_overlapping_iter(window);
        let long = found.filter(|found| window.len() - found.start() >= cut.shortest);
        long.into_iter().find_map(|found| {
            let part = &window[found.start()..];
            let begins = |index: &usize| forms.get(*index).filter(|form| form.begins_with(part));
            let form = self.forms[found.pattern().as_usize()].iter().find_map(begins)?;
            Some((form, start + found.start()..cut.to))
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use crate::secret::tests::redactor;

    #[test]
    fn a_secret_that_was_cut_off_is_hidden_in_every_form_and_whoever_cut_it() {
        let secret = "Kq7Zx-ab12/cd34 \"ef\" 56gh\\78ij ü90kl+mn";
        let redactor = redactor(&[secret]);
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let url: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let forms = [
            secret.to_owned(),
            json(secret),
            json(&json(secret)),
            url.clone(),
            url.replace('%', "%25"),
            crate::text::hex(secret.as_bytes()),
            STANDARD.encode(secret),
            STANDARD.encode(format!("user:{secret}")),
            STANDARD.encode(STANDARD.encode(secret)),
        ];
        for form in forms {
            let letters = form.chars().count();
            for (mark, least) in [("…", 6), ("...", 16), (" ... more", 16), ("", 16)] {
                for kept in letters / 2..letters {
                    let cut: String = form.chars().take(kept).collect();
                    let clean = redactor.clean(&format!("{cut}{mark}"));
                    let shown = clean.replace("***", "").replace(mark, "");
                    let most = if form.starts_with("dXNlcj") { 8 + least } else { least };
                    assert!(shown.len() < most, "{cut}{mark} becomes {clean}");
                }
            }
        }
        let text = "Kq7Zx-ab12/cd34… is whole: Kq7Zx-ab12/cd3 and more";
        assert_eq!(redactor.clean(text), "***… is whole: Kq7Zx-ab12/cd3 and more");
        assert_eq!(
            redactor.without_known("see Kq7Zx-ab12/cd34 \"ef"),
            "see Kq7Zx-ab12/cd34 \"ef",
            "a value is not cut off"
        );
    }

    #[test]
    fn an_excerpt_is_cut_and_printed_once_it_has_no_secrets() {
        let secret = "Kq7Zx\ttab\u{1b}\tsecret-value\nwith a second line of it";
        let redactor = redactor(&[secret]);
        let json = serde_json::Value::from(secret).to_string();
        for form in [secret.to_owned(), json, STANDARD.encode(secret), crate::text::hex(secret.as_bytes())] {
            for before in [0, 150, 180, 195] {
                let shown = redactor.excerpt(&format!("{} {form} end", "x".repeat(before)), 200);
                let rest = shown.replace(['x', ' ', '*', '"', '=', '…'], "");
                assert!("end".starts_with(&rest), "{shown}");
            }
        }
        assert_eq!(redactor.excerpt("a\r\n\tb\u{7} c", 200), "a b c");
        assert_eq!(redactor.excerpt("not today", 3), "not…");
    }

    #[test]
    fn a_part_of_a_text_shows_no_part_of_a_secret() {
        let (redactor, whole) = (redactor(&["hunter22-and-more"]), "say hunter22-and-more now");
        assert_eq!(redactor.part(whole, 9..whole.len()), "*** now");
        assert_eq!(redactor.part(whole, 0..12), "say ***");
        assert_eq!(redactor.part(whole, 0..4), "say ");
    }
}
