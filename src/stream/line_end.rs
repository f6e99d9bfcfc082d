//! How the lines of a text end, and where its quotes do.

use memchr::memchr2;

/// How lines end. The first line tells, and the others are held to it, as COPY does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// A newline.
    Lf,
    /// A carriage return and a newline.
    CrLf,
    /// A carriage return.
    Cr,
}

impl LineEnd {
    /// What it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lf => "a newline",
            Self::CrLf => "a carriage return and a newline",
            Self::Cr => "a carriage return",
        }
    }

    /// The last byte of a line.
    pub(super) fn mark(self) -> u8 {
        if self == Self::Cr { b'\r' } else { b'\n' }
    }

    /// The line end of the first line; how it is not known yet otherwise: whether the text ends within quotes.
    pub(super) fn of(text: &[u8], quote: Option<u8>, escape: u8, is_last: bool) -> Result<Self, bool> {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            match (byte, text.get(at + 1)) {
                (b'\n', _) => return Ok(Self::Lf),
                (b'\r', Some(b'\n')) => return Ok(Self::CrLf),
                (b'\r', None) if !is_last => return Err(false),
                (b'\r', _) => return Ok(Self::Cr),
                (byte, _) if Some(*byte) == quote => at = closing_quote(text, at, *byte, escape).ok_or(true)?.0,
                _ => {}
            }
            at += 1;
        }
        if is_last { Ok(Self::Lf) } else { Err(false) }
    }
}

/// Where the quotes that open at `open` close, and whether there are escapes between.
pub(super) fn closing_quote(text: &[u8], open: usize, quote: u8, escape: u8) -> Option<(usize, bool)> {
    let mut at = open + 1;
    let mut has_escapes = false;
    loop {
        at += memchr2(quote, escape, text.get(at..)?)?;
        let is_escape = text[at] == escape && text.get(at + 1).is_some_and(|next| [quote, escape].contains(next));
        if !is_escape && text[at] == quote {
            return Some((at, has_escapes));
        }
        has_escapes |= is_escape;
        at += if is_escape { 2 } else { 1 };
    }
}
