//! The way to the rows of a JSON document that stand in an array within it, and past what stands around that array.

use super::{Expected, Records, StopReason, error};
use crate::stream::json;

/// What may come next on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A document, or the end of the file.
    Document,
    /// The first key of an object, or its end.
    FirstKey,
    /// A key after a comma.
    NextKey,
    /// A comma, or the end of an object.
    AfterMember,
}

/// How far the way is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Objects that are open.
    pub depth: usize,
    /// Whether this document's rows were found.
    pub is_found: bool,
}

impl Records {
    /// Continues from a stop; none where the rows begin, or one more step can be made.
    pub(super) fn step(&mut self, stop: Stop, at: usize) -> Option<StopReason> {
        let byte = *self.text.get(at)?;
        match (stop, byte) {
            (Stop::Document, b'{') => {
                self.way = Way { depth: 1, is_found: false };
                self.go(at + 1, Stop::FirstKey);
            }
            (Stop::Document, _) => return Some(self.lacks_rows("the document is not an object")),
            (Stop::FirstKey | Stop::AfterMember, b'}') => return self.close(at),
            (Stop::AfterMember, b',') => self.go(at + 1, Stop::NextKey),
            (Stop::AfterMember, _) => {
                return Some(StopReason::Invalid(error(at, "expected `,` or `}` after a value of the object")));
            }
            (Stop::FirstKey | Stop::NextKey, _) => return self.member(at),
        }
        None
    }

    fn go(&mut self, to: usize, next: Stop) {
        self.pass(to);
        self.place.next = Expected::Way(next);
    }

    fn close(&mut self, at: usize) -> Option<StopReason> {
        if !self.way.is_found && self.way.depth <= self.keys.len() {
            let key = &self.keys[self.way.depth - 1];
            let what = format!("the object has no key `{key}`");
            return Some(self.lacks_rows(&what));
        }
        self.way.depth -= 1;
        self.go(at + 1, if self.way.depth == 0 { Stop::Document } else { Stop::AfterMember });
        None
    }

    fn member(&mut self, at: usize) -> Option<StopReason> {
        let (key, value) = match json::key(&self.text, at) {
            Ok(found) => found,
            Err(error) if error.is_end => return Some(StopReason::More),
            Err(error) => return Some(StopReason::Invalid(error)),
        };
        let start = json::skip_whitespace(&self.text, value);
        let Some(first) = self.text.get(start).copied() else { return Some(StopReason::More) };
        let wanted = self.keys.get(self.way.depth - 1);
        let is_wanted = wanted.is_some_and(|wanted| {
            self.text.get(key).and_then(json::text_value).is_some_and(|key| key.as_ref() == wanted.as_bytes())
        });
        if !is_wanted {
            return self.skip(start);
        }
        let key = wanted.cloned().unwrap_or_default();
        let is_last = self.way.depth == self.keys.len();
        match first {
            _ if self.way.is_found => return Some(StopReason::Wrong(start, format!("the key `{key}` comes twice"))),
            b'[' if is_last => {
                self.way.is_found = true;
                self.pass(start + 1);
                self.place.next = Expected::First;
            }
            b'{' if !is_last => {
                self.way.depth += 1;
                self.go(start + 1, Stop::FirstKey);
            }
            _ => {
                let due = if is_last { "an array" } else { "an object" };
                return Some(StopReason::Wrong(start, format!("`{key}` is not {due}, as `records` says")));
            }
        }
        None
    }

    /// Passes a value that is not on the way.
    fn skip(&mut self, start: usize) -> Option<StopReason> {
        match json::end_of_value(&self.text, start) {
            Ok(end) if end == self.text.len() && !self.is_last => Some(StopReason::More),
            Ok(end) => {
                self.go(end, Stop::AfterMember);
                None
            }
            Err(error) if error.is_end => Some(StopReason::More),
            Err(error) => Some(StopReason::Invalid(error)),
        }
    }

    fn lacks_rows(&self, what: &str) -> StopReason {
        StopReason::Wrong(
            self.place.taken,
            format!("{what}, and `records: {}` says where its rows are", self.keys.join(".")),
        )
    }
}
