//! Texts read in another way: escapes of JSON, of addresses, of HTML and of quotes undone, with the place of everything
//! in the text itself. A secret is then found however it is escaped, and twice over too.

use std::ops::Range;

/// A text with escapes undone.
pub(super) struct UnescapedView {
    /// What it reads.
    pub bytes: Vec<u8>,
    /// Where a piece of it begins, and where the same piece begins in the text that it was made of.
    pieces: Vec<(usize, usize)>,
}

/// Undoes one kind of escape at the beginning of some bytes: what it stands for, and how many bytes it takes.
type Unescape = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

/// Each kind of escape, and the letters that one begins with.
const KINDS: [(&[u8], Unescape); 7] = [
    (b"\\", backslash),
    (b"%", percent),
    (b"%+", form),
    (b"'\"", doubled),
    (b"&", entity),
    (b"\r\n", broken),
    (&[0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xe1], small),
];
/// Base64 is broken into lines that are no shorter.
const MIN_LINE: usize = 60;

impl UnescapedView {
    /// Every other reading of these bytes.
    pub(super) fn all_of(bytes: &[u8]) -> Vec<Self> {
        KINDS.iter().filter_map(|(begins, undo)| Self::of(bytes, begins, *undo)).collect()
    }

    fn of(bytes: &[u8], begins: &[u8], undo: Unescape) -> Option<Self> {
        let next = |at: usize| bytes[at..].iter().position(|byte| begins.contains(byte)).map(|ahead| at + ahead);
        let mut at = next(0)?;
        let mut view = Self { bytes: Vec::new(), pieces: vec![(0, 0)] };
        let mut done = 0;
        while let Some(found) = next(at) {
            at = found + 1;
            let Some((plain, taken)) = undo(&bytes[found..]) else { continue };
            view.bytes.extend_from_slice(&bytes[done..found]);
            view.pieces.push((view.bytes.len(), found));
            view.bytes.extend(plain);
            done = found + taken;
            at = done;
            view.pieces.push((view.bytes.len(), done));
        }
        view.bytes.extend_from_slice(&bytes[done..]);
        (view.pieces.len() > 1).then_some(view)
    }

    /// Where a part of the view is in the text that it was made of.
    pub(super) fn place(&self, part: &Range<usize>) -> Range<usize> {
        let place = |at: usize| {
            let piece = self.pieces.partition_point(|(begins, _)| *begins <= at).saturating_sub(1);
            let (begins, place) = self.pieces[piece];
            place + (at - begins)
        };
        place(part.start)..place(part.end)
    }
}

/// A text with its `%41` undone.
pub(crate) fn percent_decoded(text: &str) -> String {
    let view = UnescapedView::of(text.as_bytes(), b"%", percent);
    view.map_or_else(|| text.to_owned(), |view| String::from_utf8_lossy(&view.bytes).into_owned())
}

fn percent(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    Some((vec![u8::try_from(digits(bytes.get(1..3)?)?).ok()?], 3))
}

/// As forms are sent, with `+` for a blank.
fn form(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    if bytes[0] == b'+' { Some((vec![b' '], 1)) } else { percent(bytes) }
}

/// A line end within base64, with what is before the next line: a longer line follows.
fn broken(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let taken = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    let line = bytes[taken..].iter().take(MIN_LINE).take_while(|byte| is_base64(byte)).count();
    let is_last = bytes.get(taken + line).is_none_or(u8::is_ascii_whitespace);
    (line > 0 && (line == MIN_LINE || is_last)).then_some((Vec::new(), taken))
}

/// A letter beyond ASCII in lower case.
fn small(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length = if bytes[0] < 0xe0 { 2 } else { 3 };
    let letter = std::str::from_utf8(bytes.get(..length)?).ok()?;
    letter.chars().any(char::is_uppercase).then(|| (letter.to_lowercase().into_bytes(), length))
}

/// As JSON and most programming languages have it.
fn backslash(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let plain = match bytes.get(1)? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'x' => return Some((utf8(digits(bytes.get(2..4)?)?)?, 4)),
        b'u' => return unicode(bytes),
        other if other.is_ascii_punctuation() => *other,
        _ => return None,
    };
    Some((vec![plain], 2))
}

/// `\u00fc`, `\ud83d\ude00` or `\u{fc}`.
fn unicode(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    if bytes.get(2) == Some(&b'{') {
        let end = bytes.iter().take(10).position(|byte| *byte == b'}')?;
        return Some((utf8(digits(&bytes[3..end])?)?, end + 1));
    }
    let first = digits(bytes.get(2..6)?)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((utf8(first)?, 6));
    }
    let second = bytes.get(6..8).filter(|mark| mark == b"\\u").and_then(|_| digits(bytes.get(8..12)?))?;
    let low = second.checked_sub(0xdc00)?;
    Some((utf8(0x10000 + ((first - 0xd800) << 10) + low)?, 12))
}

/// Quotes as SQL, CSV and the shell write them within quotes.
fn doubled(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    if bytes.starts_with(br"'\''") {
        return Some((vec![b'\''], 4));
    }
    (bytes.get(1) == bytes.first()).then(|| (vec![bytes[0]], 2))
}

fn entity(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    const NAMED: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    if let Some((name, plain)) = NAMED.iter().find(|(name, _)| bytes.starts_with(name)) {
        return Some((vec![*plain], name.len()));
    }
    let number = bytes.strip_prefix(b"&#")?;
    let end = number.iter().take(8).position(|byte| *byte == b';')?;
    let letter = match &number[..end] {
        [b'x' | b'X', hex @ ..] => digits(hex)?,
        decimal => std::str::from_utf8(decimal).ok()?.parse().ok()?,
    };
    Some((utf8(letter)?, end + 3))
}

fn digits(hex: &[u8]) -> Option<u32> {
    let is_hex = !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok().filter(|_| is_hex)
}

fn utf8(letter: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(letter)?.to_string().into_bytes())
}
