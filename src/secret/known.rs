//! The secrets known so far, and where they are in a text.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::cuts::{PrefixIndex, cuts};
use super::forms::{SecretForm, forms};
use super::views::UnescapedView;

/// Bytes of forms that are kept; then the secrets that were not used for the longest time go.
const MAX_BYTES: usize = 4 << 20;
/// How often a text may be escaped.
const MAX_ESCAPE_DEPTH: usize = 2;

/// Secrets, and what finds them.
#[derive(Debug, Default)]
pub(super) struct KnownSecrets {
    secrets: HashMap<String, LastUsed>,
    /// How often something was learned.
    clock: u64,
    bytes: usize,
    /// Forms that are in no level yet.
    fresh: Vec<SecretForm>,
    /// The forms, each level more than twice as large as the next: to learn one secret does not build all of it anew.
    levels: Vec<EscapeLevel>,
}

#[derive(Debug)]
struct LastUsed {
    last: u64,
    is_kept: bool,
}

#[derive(Debug)]
struct EscapeLevel {
    forms: Vec<SecretForm>,
    /// None in the case, not known to occur, that none can be built; every text is hidden then.
    automaton: Option<AhoCorasick>,
    beginnings: PrefixIndex,
}

impl EscapeLevel {
    fn new(forms: Vec<SecretForm>) -> Self {
        let mut builder = AhoCorasick::builder();
        // Tables of the fastest kind take megabytes for some hundred secrets.
        builder.kind(Some(AhoCorasickKind::ContiguousNFA)).ascii_case_insensitive(true);
        let automaton = builder.build(forms.iter().map(|form| &form.text));
        Self { automaton: automaton.ok(), beginnings: PrefixIndex::of(&forms), forms }
    }
}

impl KnownSecrets {
    /// Whether a secret is known; one that is counts as used just now.
    fn touch(&mut self, secret: &str, is_kept: bool) -> bool {
        self.clock += 1;
        let clock = self.clock;
        let used = self.secrets.get_mut(secret);
        used.map(|used| *used = LastUsed { last: clock, is_kept: is_kept || used.is_kept }).is_some()
    }

    /// Learns a secret; one that is kept is not forgotten when there are too many.
    pub(super) fn learn(&mut self, secret: &str, shortest: usize, is_kept: bool) {
        if secret.len() < shortest || self.touch(secret, is_kept) {
            return;
        }
        self.add(forms(secret), shortest);
        self.secrets.insert(secret.to_owned(), LastUsed { last: self.clock, is_kept });
        if self.bytes > MAX_BYTES {
            self.forget(shortest);
        }
    }

    fn add(&mut self, mut forms: Vec<SecretForm>, shortest: usize) {
        forms.retain(|form| form.text.len() >= shortest);
        self.bytes += forms.iter().map(|form| form.text.len()).sum::<usize>();
        self.fresh.extend(forms);
    }

    /// Forgets the half of the secrets that was used longest ago.
    fn forget(&mut self, shortest: usize) {
        let mut used: Vec<u64> = self.secrets.values().filter(|used| !used.is_kept).map(|used| used.last).collect();
        used.sort_unstable();
        let middle = used.get(used.len() / 2).copied().unwrap_or_default();
        self.secrets.retain(|_, used| used.is_kept || used.last >= middle);
        (self.bytes, self.fresh, self.levels) = (0, Vec::new(), Vec::new());
        let left: Vec<Vec<SecretForm>> = self.secrets.keys().map(|secret| forms(secret)).collect();
        left.into_iter().for_each(|forms| self.add(forms, shortest));
    }

    /// Whether all that was learned can be found.
    pub(super) fn is_ready(&self) -> bool {
        self.fresh.is_empty()
    }

    /// Makes all that was learned findable.
    pub(super) fn prepare(&mut self) {
        let mut forms = std::mem::take(&mut self.fresh);
        if forms.is_empty() {
            return;
        }
        while let Some(level) = self.levels.pop_if(|level| level.forms.len() <= 2 * forms.len()) {
            forms.extend(level.forms);
        }
        self.levels.push(EscapeLevel::new(forms));
    }

    /// Where secrets stand that have so many bytes, in order and without overlaps. With `has_end` the text's end may be
    /// in the middle of one.
    pub(super) fn places(&self, text: &str, shortest: usize, has_end: bool) -> Vec<Range<usize>> {
        if self.secrets.is_empty() {
            return Vec::new();
        }
        let look = SearchKind { shortest, has_end };
        let mut places = self.in_bytes(text.as_bytes(), look);
        places.extend(self.in_views(text.as_bytes(), look, MAX_ESCAPE_DEPTH));
        merged(text, places)
    }

    fn in_bytes(&self, bytes: &[u8], look: SearchKind) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        let cuts = cuts(bytes, look.has_end);
        for level in &self.levels {
            let Some(automaton) = &level.automaton else { return std::iter::once(0..bytes.len()).collect() };
            for found in automaton.find_overlapping_iter(bytes).filter(|found| found.len() >= look.shortest) {
                let form = &level.forms[found.pattern().as_usize()];
                if form.is_exact && bytes[found.range()] != *form.text.as_bytes() {
                    continue;
                }
                let end = found.end() + if form.after { rest_of_base64(&bytes[found.end()..]) } else { 0 };
                places.push(start_of(form, bytes, found.start())..end);
            }
            let cut_off = cuts.iter().filter_map(|cut| level.beginnings.before(bytes, cut, &level.forms));
            places.extend(cut_off.map(|(form, place)| start_of(form, bytes, place.start)..place.end));
        }
        places
    }

    fn in_views(&self, bytes: &[u8], look: SearchKind, depth: usize) -> Vec<Range<usize>> {
        let Some(depth) = depth.checked_sub(1) else { return Vec::new() };
        let mut places = Vec::new();
        for view in UnescapedView::all_of(bytes) {
            let within = self.in_bytes(&view.bytes, look).into_iter();
            let deeper = self.in_views(&view.bytes, look, depth);
            places.extend(within.chain(deeper).map(|part| view.place(&part)));
        }
        places
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
struct SearchKind {
    /// Shorter secrets are not.
    shortest: usize,
    /// Whether the end of the text counts as a place where it was cut off.
    has_end: bool,
}

/// Where a form starts: the letter of base64 before it may be partly the secret's.
fn start_of(form: &SecretForm, bytes: &[u8], start: usize) -> usize {
    start - usize::from(form.before && is_base64(bytes, start.checked_sub(1)))
}

/// The length of the letter that is partly the secret's, and of the padding after it.
fn rest_of_base64(bytes: &[u8]) -> usize {
    let letter = usize::from(is_base64(bytes, Some(0)));
    letter + bytes[letter..].iter().take(2).take_while(|byte| **byte == b'=').count()
}

fn is_base64(bytes: &[u8], at: Option<usize>) -> bool {
    let letter = at.and_then(|at| bytes.get(at));
    letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || b"+/-_=".contains(letter))
}

/// Places in order, those that overlap as one, and no letter halved.
fn merged(text: &str, mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| (place.start, place.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for place in places {
        let place = text.floor_char_boundary(place.start)..text.ceil_char_boundary(place.end);
        match merged.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    merged
}
