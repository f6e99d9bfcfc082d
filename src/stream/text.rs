//! A file's content as UTF-8, block by block, whatever its encoding.
//!
//! What is no character in the file's encoding becomes [`INVALID_BYTE`], a byte that no UTF-8 text has. So it stays in
//! its field, and the field's reader finds text that is invalid.

use encoding_rs::{DecoderResult, EncoderResult, GBK, KOI8_U, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1255, mem};
use memchr::memchr_iter;

use super::Result;
use super::bytes::{FileBytes, located};
use super::encoding::{Charset, Encoding};
use crate::diagnostic::Diagnostic;

/// Stands for bytes that are no character.
const INVALID_BYTE: u8 = 0xff;
/// Letters of a text that are looked at to tell its encoding.
const SAMPLE_CHARS: usize = 256;

/// The text of one file.
#[derive(Debug)]
pub struct Text {
    source: FileBytes,
    encoding: Option<Encoding>,
    /// None until the first block has come.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    is_over: bool,
    keeps_mark: bool,
}

impl Text {
    /// A file in this encoding; without one it is UTF-8, unless a byte order mark says UTF-16.
    pub fn new(source: FileBytes, encoding: Option<Encoding>) -> Self {
        Self { source, encoding, decoder: None, raw: Vec::new(), is_over: false, keeps_mark: false }
    }

    /// The same, where the byte order mark of UTF-8 is a character of the text.
    pub fn keeping_mark(self) -> Self {
        Self { keeps_mark: true, ..self }
    }

    /// What the file's encoding is called.
    pub fn encoding(&self) -> &str {
        match &self.encoding {
            Some(encoding) => encoding.name(),
            None if matches!(self.decoder, Some(Decoder::Other { .. })) => "UTF-16",
            None => "UTF-8",
        }
    }

    /// The text of a bad row without its line end. What is no character in the file's encoding is shown as �; a file that
    /// is read as it is keeps its bytes.
    pub(super) fn row_text(&self, row: &[u8]) -> Vec<u8> {
        let text = super::column::row_text(row);
        match self.decoder {
            None | Some(Decoder::AsItIs) => text,
            Some(_) => String::from_utf8_lossy(&text).into_owned().into_bytes(),
        }
    }

    /// Whether the file is read as UTF-8 because nobody says what it is.
    pub fn is_assumed(&self) -> bool {
        self.encoding.is_none()
    }

    /// The next block, or `None` at the end of an intact file. `used` is filled again later.
    ///
    /// # Errors
    /// When the file is damaged, or its first bytes say that it is in another encoding.
    pub fn next_block(&mut self, mut used: Vec<u8>) -> Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        if matches!(self.decoder, Some(Decoder::AsItIs)) {
            return self.source.next_block(used);
        }
        let raw = self.source.next_block(std::mem::take(&mut self.raw))?;
        let mut start = 0;
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            empty => {
                let first = raw.as_deref().unwrap_or_default();
                let found = Decoder::for_file(self.encoding.as_ref(), first);
                let (decoder, mark) = found.map_err(|error| located(*error, self.source.name()))?;
                let is_kept = self.keeps_mark && matches!(decoder, Decoder::AsItIs);
                start = if is_kept { 0 } else { mark };
                empty.insert(decoder)
            }
        };
        used.clear();
        self.is_over = raw.is_none();
        let raw = raw.unwrap_or_default();
        decoder.decode(raw.get(start..).unwrap_or_default(), self.is_over, &mut used);
        self.raw = raw;
        Ok((!self.is_over || !used.is_empty()).then_some(used))
    }
}

/// From an encoding to UTF-8.
enum Decoder {
    AsItIs,
    Latin1,
    Latin5,
    Other { decoder: encoding_rs::Decoder, is_windows: bool, mapping: Option<CharMapping> },
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// By the user's word and the file's first bytes; also how many of these are a byte order mark.
    fn for_file(encoding: Option<&Encoding>, start: &[u8]) -> Result<(Self, usize)> {
        let charset = encoding.map_or(Charset::Utf8, |encoding| encoding.charset);
        unread_encoding(start).map_or(Ok(()), Err)?;
        let utf16 = [(&b"\xff\xfe"[..], UTF_16LE), (b"\xfe\xff", UTF_16BE)];
        let marked = utf16.into_iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, found)| found);
        bom_conflict(encoding, start).map_or(Ok(()), Err)?;
        Ok(match (charset, marked) {
            (Charset::Utf8, Some(found)) if encoding.is_none() => (Self::other(found), 2),
            (Charset::Utf16, Some(found)) => (Self::other(found), 2),
            (Charset::Other(named), Some(found)) if named == found => (Self::other(found), 2),
            (Charset::Utf8, _) => (Self::AsItIs, if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }),
            // Text in files begins with a letter of ASCII, whose other byte is zero.
            (Charset::Utf16, None) => (Self::other(if start.first() == Some(&0) { UTF_16BE } else { UTF_16LE }), 0),
            (Charset::Latin1, _) => (Self::Latin1, 0),
            (Charset::Latin5, _) => (Self::Latin5, 0),
            (Charset::Other(named), _) => (Self::other(named), 0),
        })
    }

    fn other(encoding: &'static encoding_rs::Encoding) -> Self {
        let is_windows = encoding.name().starts_with("windows-");
        let mapping = CHAR_MAPPINGS.iter().find(|(other, _)| *other == encoding).map(|(_, mapping)| *mapping);
        Self::Other { decoder: encoding.new_decoder_without_bom_handling(), is_windows, mapping }
    }

    /// Appends the characters of some bytes.
    fn decode(&mut self, bytes: &[u8], is_last: bool, out: &mut Vec<u8>) {
        match self {
            Self::AsItIs => out.extend_from_slice(bytes),
            Self::Latin1 => latin1(bytes, out),
            Self::Latin5 => latin5(bytes, out),
            Self::Other { decoder, is_windows, mapping } => {
                let start = out.len();
                decode_chunk(decoder, bytes, is_last, out);
                if *is_windows {
                    invalidate_controls(out, start);
                }
                if let Some(mapping) = mapping {
                    replace(out, start, *mapping);
                }
            }
        }
    }
}

/// What is wrong with the user's word on a file's encoding, where the file begins with the byte order mark of another.
pub fn bom_conflict(encoding: Option<&Encoding>, start: &[u8]) -> Option<Box<Diagnostic>> {
    let encoding = encoding?;
    let marks = [(&b"\xff\xfe"[..], UTF_16LE), (b"\xfe\xff", UTF_16BE), (b"\xef\xbb\xbf", UTF_8)];
    let (_, found) = marks.into_iter().find(|(mark, _)| start.starts_with(mark))?;
    let is_consistent = match encoding.charset {
        Charset::Utf8 => found == UTF_8,
        Charset::Utf16 => found != UTF_8,
        Charset::Other(named) => named == found,
        Charset::Latin1 | Charset::Latin5 => false,
    };
    let (name, found) = (encoding.name(), found.name());
    let message = format!("the file begins with the byte order mark of {found}, but `encoding` is {name}");
    (!is_consistent)
        .then(|| Box::new(Diagnostic::error(message).help(format!("write `encoding: {found}`, or leave it out"))))
}

/// What is wrong with a file in an encoding that is not read: UTF-32, by its byte order mark or the zeros in its letters.
pub fn unread_encoding(start: &[u8]) -> Option<Box<Diagnostic>> {
    let (letters, _) = start.get(..start.len().min(SAMPLE_CHARS)).unwrap_or_default().as_chunks::<4>();
    let has_letters = |zeros: fn(&[u8; 4]) -> bool| letters.len() > 1 && letters.iter().all(zeros);
    let found = match start {
        [0xff, 0xfe, 0, 0, ..] => "UTF-32LE",
        [0, 0, 0xfe, 0xff, ..] => "UTF-32BE",
        _ if has_letters(|letter| matches!(letter, [low, high, 0, 0] if (*low, *high) != (0, 0))) => "UTF-32LE",
        _ if has_letters(|letter| matches!(letter, [0, 0, high, low] if (*low, *high) != (0, 0))) => "UTF-32BE",
        _ => return None,
    };
    let error = Diagnostic::error(format!("the file is {found}, which is not read"));
    Some(Box::new(error.help(format!("convert it first: `iconv -f {found} -t UTF-8 FILE > FILE.utf8`"))))
}

fn latin1(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    let written = mem::convert_latin1_to_utf8(bytes, out.get_mut(start..).unwrap_or_default());
    out.truncate(start + written);
}

/// ISO 8859-9 is ISO 8859-1 except for six letters.
fn latin5(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        let letter = match byte {
            0xd0 => 'Ğ',
            0xdd => 'İ',
            0xde => 'Ş',
            0xf0 => 'ğ',
            0xfd => 'ı',
            0xfe => 'ş',
            other => char::from(*other),
        };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn decode_chunk(decoder: &mut encoding_rs::Decoder, mut bytes: &[u8], is_last: bool, out: &mut Vec<u8>) {
    loop {
        let start = out.len();
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(4 * bytes.len() + 16);
        out.resize(start + room, 0);
        let space = out.get_mut(start..).unwrap_or_default();
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, space, is_last);
        out.truncate(start + written);
        bytes = bytes.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => out.push(INVALID_BYTE),
        }
    }
}

/// What Postgres makes of a character of the web's table; none where it has none.
type CharMapping = fn(char) -> Option<char>;

const CHAR_MAPPINGS: &[(&encoding_rs::Encoding, CharMapping)] =
    &[(KOI8_U, postgres_koi8u), (WINDOWS_1255, postgres_win1255), (SHIFT_JIS, postgres_sjis), (GBK, postgres_gbk)];

/// As RFC 2319 has it.
fn postgres_koi8u(letter: char) -> Option<char> {
    Some(match letter {
        'ў' => '╝',
        'Ў' => '╬',
        other => other,
    })
}

fn postgres_win1255(letter: char) -> Option<char> {
    (letter != '\u{5ba}').then_some(letter)
}

fn postgres_sjis(letter: char) -> Option<char> {
    (letter != '\u{80}' && !is_private(letter)).then_some(letter)
}

/// The web's is GB 18030, which has all characters there are, most of them in four bytes. Of those in two bytes, some are
/// not in code page 936.
fn postgres_gbk(letter: char) -> Option<char> {
    let is_later = |code| matches!(code, 0xa6d9..=0xa6df | 0xa6ec | 0xa6ed | 0xa6f3 | 0xa8bc | 0xa8bf | 0xa989..=0xa995 | 0xfe50..=0xfea0);
    let is_one = || letter != '€' && !is_private(letter) && code_of(GBK, letter).is_some_and(|code| !is_later(code));
    (letter.is_ascii() || is_one()).then_some(letter)
}

/// The bytes of a character in an encoding that has it.
fn code_of(encoding: &'static encoding_rs::Encoding, letter: char) -> Option<u16> {
    let (mut text, mut bytes) = ([0; 4], [0; 4]);
    let text = letter.encode_utf8(&mut text);
    let (result, _, written) = encoding.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
    let bytes = bytes.get(..written).unwrap_or_default().iter();
    (result == EncoderResult::InputEmpty).then(|| bytes.fold(0, |code, byte| code << 8 | u16::from(*byte)))
}

fn is_private(letter: char) -> bool {
    ('\u{e000}'..='\u{f8ff}').contains(&letter)
}

fn replace(out: &mut Vec<u8>, start: usize, mapping: CharMapping) {
    let new = out.split_off(start);
    for chunk in new.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match mapping(letter) {
                Some(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                None => out.push(INVALID_BYTE),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}

/// The web reads the bytes that a Windows code page leaves open as control characters. To everybody else they are
/// mistakes.
fn invalidate_controls(out: &mut Vec<u8>, start: usize) {
    let is_control = |text: &[u8], at: usize| matches!(text.get(at + 1), Some(0x80..=0x9f));
    let text = out.get(start..).unwrap_or_default();
    let Some(first) = memchr_iter(0xc2, text).find(|at| is_control(text, *at)) else { return };
    let text = out.split_off(start + first);
    let mut copied = 0;
    for at in memchr_iter(0xc2, &text).filter(|at| is_control(&text, *at)) {
        out.extend_from_slice(text.get(copied..at).unwrap_or_default());
        out.push(INVALID_BYTE);
        copied = at + 2;
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
}

/// The text of some bytes that were cut out of a file, perhaps within a character.
pub fn decode_excerpt(encoding: Option<&Encoding>, bytes: &[u8]) -> String {
    let Ok((mut decoder, mark)) = Decoder::for_file(encoding, bytes) else { return String::new() };
    let mut text = Vec::new();
    decoder.decode(bytes.get(mark..).unwrap_or_default(), false, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The beginning of a file as UTF-8, or the whole file.
pub(super) fn decoded(encoding: Option<&Encoding>, bytes: &[u8], is_whole: bool) -> Vec<u8> {
    let Ok((mut decoder, mark)) = Decoder::for_file(encoding, bytes) else { return Vec::new() };
    let mut text = Vec::new();
    decoder.decode(bytes.get(mark..).unwrap_or_default(), is_whole, &mut text);
    text
}

/// What to do about a text that is no UTF-8, if its bytes tell: which encoding it may be in, and how it reads then.
pub(super) fn other_encoding(text: &[u8]) -> Option<String> {
    let is_one_byte_each = text.utf8_chunks().all(|chunk| chunk.valid().is_ascii());
    let is_windows = text.iter().any(|byte| (0x80..0xa0).contains(byte));
    let name = if is_windows { "WIN1252" } else { "LATIN1" };
    let mut read = Vec::new();
    Decoder::for_file(Encoding::parse(name).ok().as_ref(), &[]).ok()?.0.decode(text, true, &mut read);
    let read = super::column::preview(String::from_utf8(read).ok()?.as_bytes());
    is_one_byte_each
        .then(|| format!("the file seems to be in another encoding; with `encoding: {name}` this is `{read}`"))
}

/// Which UTF-16 a text seems to be that is none of UTF-8: every other byte of plain letters is zero.
pub fn looks_like_utf16(start: &[u8]) -> Option<&'static str> {
    let start = start.get(..start.len().min(SAMPLE_CHARS) & !1)?;
    let zeros = |first: usize| start.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let most = start.len() / 2 * 3 / 4;
    match (zeros(0), zeros(1)) {
        _ if start.len() < 4 => None,
        (0, low) if low >= most => Some("UTF-16LE"),
        (high, 0) if high >= most => Some("UTF-16BE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes byte by byte, as badly as blocks can be cut.
    fn read(name: &str, bytes: &[u8]) -> Vec<u8> {
        let encoding = Encoding::parse(name).unwrap();
        let (mut decoder, mark) = Decoder::for_file(Some(&encoding), bytes).unwrap();
        let mut out = Vec::new();
        bytes[mark..].iter().for_each(|byte| decoder.decode(&[*byte], false, &mut out));
        decoder.decode(&[], true, &mut out);
        out
    }

    #[test]
    fn characters_cross_the_ends_of_blocks() {
        assert_eq!(read("SJIS", b"\x93\xfa\x96\x7b,1"), "日本,1".as_bytes());
        assert_eq!(read("UTF-16", b"\xff\xfe\x3d\xd8\x95\xdea\0"), "🚕a".as_bytes());
        assert_eq!(read("UTF-16BE", b"\xfe\xff\0a\0\xe9"), "aé".as_bytes());
        assert_eq!(read("UTF-16", b"\0a\0b"), b"ab");
        assert_eq!(read("UTF8", b"\xef\xbb\xbfa"), b"a");
    }

    #[test]
    fn latin1_is_that_of_postgres_and_not_that_of_the_web() {
        assert_eq!(read("LATIN1", b"\x80\xe9"), "\u{80}é".as_bytes());
        assert_eq!(read("WIN1252", b"\x80\xe9"), "€é".as_bytes());
        assert_eq!(read("LATIN5", b"\xdd\xe9\x85"), "İé\u{85}".as_bytes());
        assert_eq!(read("LATIN9", b"\xa4"), "€".as_bytes());
        assert_eq!(read("KOI8U", b"\xae\xbe\xd4"), "╝╬т".as_bytes());
    }

    #[test]
    fn invalid_bytes_stay_visible_in_their_place() {
        assert_eq!(read("WIN1252", b"a\x81,b"), b"a\xff,b");
        assert_eq!(read("WIN1252", b"\xc2\xa0"), "Â\u{a0}".as_bytes());
        assert_eq!(read("GBK", b"a,\xff,b"), b"a,\xff,b");
        assert_eq!(read("GBK", b"\x81\x30\x81\x30\xc4\xe3"), [b"\xff", "你".as_bytes()].concat());
        assert_eq!(read("UTF-16LE", b"a\0\x00\xd8,\0b"), b"a\xff,\xff");
        assert_eq!(read("ISO_8859_7", b"\xae"), b"\xff");
    }

    #[test]
    fn a_byte_order_mark_that_contradicts_the_setting_is_an_error() {
        let fails = |name: &str, bytes: &[u8]| {
            Decoder::for_file(Some(&Encoding::parse(name).unwrap()), bytes).unwrap_err().message
        };
        assert!(fails("UTF8", b"\xff\xfea\0").contains("byte order mark of UTF-16LE, but `encoding` is UTF8"));
        assert!(fails("UTF-16BE", b"\xff\xfea\0").contains("`encoding` is UTF-16BE"));
        assert!(fails("LATIN1", b"\xff\xfe").contains("`encoding` is LATIN1"));
    }

    #[test]
    fn a_file_in_utf_32_is_named() {
        let found = |text: &[u8]| unread_encoding(text).map(|error| error.message.clone());
        let named = |name: &str| Some(format!("the file is {name}, which is not read"));
        assert_eq!(found(b"\xff\xfe\0\0i\0\0\0"), named("UTF-32LE"));
        assert_eq!(found(b"\0\0\xfe\xff\0\0\0i"), named("UTF-32BE"));
        assert_eq!(found(b"i\0\0\0d\0\0\0"), named("UTF-32LE"));
        assert_eq!(found(b"\0\0\0i\0\0\0d\0\0"), named("UTF-32BE"));
        for text in [&b"\xff\xfei\0d\0"[..], b"i\0d\0", b"\0i\0d", b"id", b"", b"i\0\0\0"] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }

    #[test]
    fn another_encoding_is_offered_where_that_is_plausible() {
        assert!(other_encoding(b"Gr\xf6\xdfe").unwrap().ends_with("with `encoding: LATIN1` this is `Größe`"));
        assert!(other_encoding(b"5 \x80").unwrap().ends_with("with `encoding: WIN1252` this is `5 €`"));
        assert_eq!(other_encoding(b"Gr\xc3\xb6\xdfe"), None, "there is UTF-8 in it");
        assert_eq!(other_encoding(b"\x81\xff"), None, "no Windows file has such a byte");
        assert_eq!(looks_like_utf16(b"i\0d\0,\0n\0"), Some("UTF-16LE"));
        assert_eq!(looks_like_utf16(b"\0i\0d\0,\0n"), Some("UTF-16BE"));
        assert_eq!(looks_like_utf16(b"id,\0,name,fare"), None);
    }
}
