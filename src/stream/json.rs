//! JSON taken apart without making values of it: what a field is stays the text that the file has for it, so that no digit
//! and no quote is lost.
//!
//! Source of the grammar: RFC 8259. Nesting takes a byte for each level and no recursion.

use std::borrow::Cow;
use std::ops::Range;

/// Stands for half of a surrogate pair, which no text can hold; it is in no UTF-8 text.
const INVALID: u8 = 0xff;

/// Why a text is no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    /// The byte at which that shows.
    pub at: usize,
    /// What is wrong there, as the end of a sentence.
    pub reason: Cow<'static, str>,
    /// Whether the text ends too early, so that more of it may be right.
    pub is_end: bool,
}

/// Reads the object that is at `start`, blanks apart, and calls `each` with the place of each key (with its quotes) and
/// of its value. Returns where the object ends.
///
/// # Errors
/// When there is no whole object.
pub(super) fn object(
    text: &[u8],
    start: usize,
    mut each: impl FnMut(Range<usize>, Range<usize>),
) -> Result<usize, JsonError> {
    let mut scan = JsonScanner { text, at: start, open: Vec::new() };
    scan.skip_whitespace();
    if scan.peek() != Some(b'{') {
        return Err(scan.unexpected("`{`"));
    }
    scan.at += 1;
    scan.skip_whitespace();
    if scan.peek() == Some(b'}') {
        return Ok(scan.at + 1);
    }
    loop {
        let key = scan.key()?;
        let value = scan.value()?;
        each(key, value);
        scan.skip_whitespace();
        match scan.peek() {
            Some(b',') => scan.at += 1,
            Some(b'}') => return Ok(scan.at + 1),
            _ => return Err(scan.unexpected("`,` or `}`")),
        }
    }
}

/// Stands between the keys of an object and of one within it, in the name of a column that is made of both.
const BETWEEN_KEYS: &[u8] = b"__";

/// A key with its quotes; the place of its value; and what tells the ways apart that lead to one name: `a__b` may be a key,
/// or `b` within `a`.
pub(super) type EachMember<'a> = &'a mut dyn FnMut(&[u8], Range<usize>, u64);

/// As [`object`], with the members of objects within it in the place of these, down to so many levels. An object without
/// members gives none.
///
/// # Errors
/// When there is no whole object.
pub(super) fn members(text: &[u8], start: usize, depth: u8, each: EachMember) -> Result<usize, JsonError> {
    object(text, start, |key, value| {
        let key = text.get(key).unwrap_or_default();
        if depth > 0 && text.get(value.start) == Some(&b'{') {
            inner_members((text, value.start), key, (depth - 1, 0), each);
        } else {
            each(key, value, 0);
        }
    })
}

/// The members of an object that is whole, below a key.
fn inner_members((text, start): (&[u8], usize), outer: &[u8], (depth, way): (u8, u64), each: EachMember) {
    let prefix = outer.strip_suffix(b"\"").unwrap_or(outer);
    let way = way.wrapping_mul(1_000_003).wrapping_add(prefix.len() as u64);
    // It was whole as a part of the row.
    let _ = object(text, start, |key, value| {
        let key = text.get(key).and_then(|key| key.get(1..)).unwrap_or_default();
        let key = [prefix, BETWEEN_KEYS, key].concat();
        if depth > 0 && text.get(value.start) == Some(&b'{') {
            inner_members((text, value.start), &key, (depth - 1, way), each);
        } else {
            each(&key, value, way);
        }
    });
}

/// Reads the key that stands at `start` and the colon behind it: the key with its quotes, and where its value may begin.
///
/// # Errors
/// When there is no whole key.
pub(super) fn key(text: &[u8], start: usize) -> Result<(Range<usize>, usize), JsonError> {
    let mut scan = JsonScanner { text, at: start, open: Vec::new() };
    scan.key().map(|key| (key, scan.at))
}

/// Where the value ends that stands at `start`, blanks apart.
///
/// # Errors
/// When there is no whole value.
pub(super) fn end_of_value(text: &[u8], start: usize) -> Result<usize, JsonError> {
    JsonScanner { text, at: start, open: Vec::new() }.value().map(|value| value.end)
}

/// The first byte from `start` on that is no blank, or where the text ends.
pub(super) fn skip_whitespace(text: &[u8], start: usize) -> usize {
    let mut scan = JsonScanner { text, at: start, open: Vec::new() };
    scan.skip_whitespace();
    scan.at
}

/// What a value means as text: none for `null`, what is in the quotes of a string, everything else as it stands.
pub(super) fn text_value(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match value {
        b"null" => None,
        [b'"', inner @ .., b'"'] => Some(unescaped(inner)),
        other => Some(Cow::Borrowed(other)),
    }
}

/// The items of a valid array.
pub(super) fn items(value: &[u8]) -> Vec<&[u8]> {
    let (mut items, mut at) = (Vec::new(), 1);
    loop {
        at = skip_whitespace(value, at);
        match value.get(at) {
            None | Some(b']') => return items,
            Some(b',') => at += 1,
            Some(_) => {
                let end = end_of_value(value, at).unwrap_or(value.len());
                items.push(value.get(at..end).unwrap_or_default());
                at = end;
            }
        }
    }
}

/// The text that the inside of a valid string stands for.
pub(super) fn unescaped(inner: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', inner) else { return Cow::Borrowed(inner) };
    let (head, mut rest) = inner.split_at(first);
    let mut text = head.to_vec();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'\\', Some((b'u', after))) => rest = push_code(after, &mut text),
            (b'\\', Some((escape, after))) => {
                text.push(escaped(*escape));
                rest = after;
            }
            _ => text.push(*byte),
        }
    }
    Cow::Owned(text)
}

fn escaped(letter: u8) -> u8 {
    match letter {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    }
}

/// Appends the character that these hexadecimal digits (and those of a second half) stand for; what follows them.
fn push_code<'a>(digits: &'a [u8], text: &mut Vec<u8>) -> &'a [u8] {
    let Some((first, rest)) = code(digits) else { return digits };
    let second = rest.strip_prefix(b"\\u").and_then(code).filter(|(second, _)| (0xdc00..0xe000).contains(second));
    let (code, rest) = match second {
        Some((second, rest)) if (0xd800..0xdc00).contains(&first) => {
            (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), rest)
        }
        _ => (first, rest),
    };
    match char::from_u32(code) {
        Some(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None => text.push(INVALID),
    }
    rest
}

fn code(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = digits.split_at_checked(4)?;
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((code, rest))
}

struct JsonScanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The brackets that must close what is open.
    open: Vec<u8>,
}

impl JsonScanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn error(&self, reason: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError { at: self.at, reason: reason.into(), is_end: false }
    }

    fn ended(&self) -> JsonError {
        JsonError { at: self.text.len(), reason: "it ends too early".into(), is_end: true }
    }

    /// What stands here in place of `expected`.
    fn unexpected(&self, expected: &str) -> JsonError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        let length = word.count().clamp(1, 20);
        match rest.utf8_chunks().next() {
            None => self.ended(),
            Some(_) if length > 1 => {
                let word = String::from_utf8_lossy(rest.get(..length).unwrap_or_default());
                self.error(format!("expected {expected}, found `{word}`"))
            }
            Some(chunk) => match chunk.valid().chars().next() {
                Some(letter) => self.error(format!("expected {expected}, found `{}`", letter.escape_debug())),
                None => self.error(format!("expected {expected}")),
            },
        }
    }

    fn key(&mut self) -> Result<Range<usize>, JsonError> {
        self.skip_whitespace();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let start = self.at;
        self.string()?;
        let key = start..self.at;
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    fn value(&mut self) -> Result<Range<usize>, JsonError> {
        self.skip_whitespace();
        let start = self.at;
        self.open.clear();
        loop {
            self.skip_whitespace();
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    // Each closing bracket comes two letters after its opening one.
                    let close = open + 2;
                    self.at += 1;
                    self.skip_whitespace();
                    if self.peek() != Some(close) {
                        self.open.push(close);
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.word()?,
            }
            if self.closed()? {
                return Ok(start..self.at);
            }
        }
    }

    /// After a value: whether it was the last one, everything being closed. Otherwise another one follows.
    fn closed(&mut self) -> Result<bool, JsonError> {
        while let Some(close) = self.open.last().copied() {
            self.skip_whitespace();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if close == b'}' {
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    self.open.pop();
                }
                _ if close == b'}' => return Err(self.unexpected("`,` or `}`")),
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
        Ok(true)
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let next = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += next.ok_or_else(|| self.ended())?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.error("a control character in a string must be escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let length = match rest {
            [] => return Err(self.ended()),
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', digits @ ..] => match digits.iter().take(4).position(|digit| !digit.is_ascii_hexdigit()) {
                Some(_) => return Err(self.error("`\\u` must be followed by four hexadecimal digits")),
                None if digits.len() < 4 => return Err(self.ended()),
                None => 6,
            },
            _ => return Err(self.error("there is no such escape in JSON")),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(());
            }
            if word.starts_with(rest) {
                return Err(self.ended());
            }
        }
        Err(self.unexpected("a value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, JsonError> {
        let mut found = Vec::new();
        let end = object(text.as_bytes(), 0, |key, value| found.push((text[key].to_owned(), text[value].to_owned())))?;
        assert_eq!(&text[end..].trim(), &"", "of {text}");
        Ok(found)
    }

    #[test]
    fn fields_stay_the_text_that_they_are() {
        let found = pairs(r#" {"a" : 1.50e+2, "b\n":"\"x\"", "c":[1, {"d": null}, "]}"] , "e":{}, "f":-0,"g":[]}"#);
        let expected = [
            (r#""a""#, "1.50e+2"),
            (r#""b\n""#, r#""\"x\"""#),
            (r#""c""#, r#"[1, {"d": null}, "]}"]"#),
            (r#""e""#, "{}"),
            (r#""f""#, "-0"),
            (r#""g""#, "[]"),
        ];
        assert_eq!(found.unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(pairs("{ }").unwrap(), []);
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(pairs(&deep).unwrap().len(), 1);
    }

    #[test]
    fn objects_within_a_row_are_taken_apart_as_far_as_is_wanted() {
        let text = r#"{"a": {"b": 1, "c": {"d\n": [{}]}, "e": {}}, "a__b": 2}"#;
        let flat = |depth| {
            let mut found = Vec::new();
            let mut each = |key: &[u8], value: Range<usize>, way| {
                let key = String::from_utf8(text_value(key).unwrap().into_owned()).unwrap();
                found.push((key, text[value].to_owned(), way));
            };
            members(text.as_bytes(), 0, depth, &mut each).unwrap();
            found
        };
        let named = |depth| flat(depth).into_iter().map(|(key, value, _)| format!("{key} {value}")).collect::<Vec<_>>();
        assert_eq!(named(0), [r#"a {"b": 1, "c": {"d\n": [{}]}, "e": {}}"#, "a__b 2"]);
        assert_eq!(named(1), ["a__b 1", r#"a__c {"d\n": [{}]}"#, "a__e {}", "a__b 2"]);
        assert_eq!(named(9), ["a__b 1", "a__c__d\n [{}]", "a__b 2"]);
        let ways: Vec<u64> = flat(9).into_iter().map(|(_, _, way)| way).collect();
        assert!(ways[0] != ways[2], "two ways to the name `a__b`");
    }

    #[test]
    fn invalid_json_is_located() {
        let cases = [
            (r#"{"a": 1,}"#, 8, "expected a key in double quotes, found `}`"),
            (r#"{"a": NaN}"#, 6, "expected a value, found `NaN`"),
            (r#"{"a": -Infinity}"#, 7, "expected a digit, found `Infinity`"),
            (r#"{"a": 01}"#, 7, "expected `,` or `}`, found `1`"),
            (r#"{"a": 1.}"#, 8, "expected a digit, found `}`"),
            (r#"{"a": [1,]}"#, 9, "expected a value, found `]`"),
            (r#"{"a": [1}}"#, 8, "expected `,` or `]`, found `}`"),
            (r#"{'a': 1}"#, 1, "expected a key in double quotes, found `\\'`"),
            ("{\"a\": \"x\ty\"}", 8, "a control character in a string must be escaped"),
            (r#"{"a": "\x"}"#, 7, "there is no such escape in JSON"),
            (r#"{"a": "\u00g0"}"#, 7, "`\\u` must be followed by four hexadecimal digits"),
            ("[1]", 0, "expected `{`, found `[`"),
        ];
        for (text, at, reason) in cases {
            let error = pairs(text).unwrap_err();
            assert_eq!((error.at, error.reason.as_ref(), error.is_end), (at, reason, false), "of {text}");
        }
        for text in ["", "{", r#"{"a"#, r#"{"a":"#, r#"{"a": tr"#, r#"{"a": "\u00"#, r#"{"a": [1, {"#, r#"{"a": 1"#] {
            assert!(pairs(text).unwrap_err().is_end, "of {text}");
        }
    }

    #[test]
    fn strings_lose_their_quotes_and_escapes() {
        let shown = |value: &str| text_value(value.as_bytes()).map(|text| text.into_owned());
        assert_eq!(shown("null"), None);
        assert_eq!(shown("1e2").unwrap(), b"1e2");
        assert_eq!(shown(r#""null""#).unwrap(), b"null");
        assert_eq!(shown(r#""\"\\\/\b\f\n\r\t\u00e9\u0000""#).unwrap(), "\"\\/\u{8}\u{c}\n\r\té\0".as_bytes());
        assert_eq!(shown(r#""\ud83d\ude95 \uD83D""#).unwrap(), ["🚕 ".as_bytes(), b"\xff"].concat());
        assert_eq!(shown(r#""\ud83d\ud83d\ude95""#).unwrap(), [b"\xff", "🚕".as_bytes()].concat());
    }
}
