//! Gzip streams of one or several members, and what may follow them.

use std::io::{self, BufRead, Read, Write};

use flate2::bufread::GzDecoder as Reader;
use flate2::write::GzDecoder as Writer;

/// How gzip data begin.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Something that is no gzip data follows the last member.
pub const TRAILING_DATA: &str = "something that is not gzip follows the gzip stream";

fn trailing_data() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TRAILING_DATA)
}

/// Unpacks all members of a file. Zero bytes after the last one pad it, as tapes and some tools do.
pub struct GzipDecoder<R> {
    /// None at the end, or once something went wrong.
    member: Option<Reader<R>>,
    is_over: bool,
}

impl<R: BufRead> GzipDecoder<R> {
    /// A reader over packed bytes.
    pub fn new(packed: R) -> Self {
        Self { member: Some(Reader::new(packed)), is_over: false }
    }
}

impl<R: BufRead> Read for GzipDecoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return if self.is_over { Ok(0) } else { Err(trailing_data()) } };
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.member.take().map(Reader::into_inner) else { return Err(trailing_data()) };
            let is_padded = skip_zeros(&mut rest)?;
            match rest.fill_buf()? {
                [] => self.is_over = true,
                [first, ..] if !is_padded && *first == MAGIC[0] => self.member = Some(Reader::new(rest)),
                _ => return Err(trailing_data()),
            }
        }
    }
}

/// Whether there was a zero byte at least.
fn skip_zeros(rest: &mut impl BufRead) -> io::Result<bool> {
    let mut found = false;
    loop {
        let bytes = rest.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let is_all = zeros == bytes.len();
        let is_end = bytes.is_empty();
        rest.consume(zeros);
        found |= zeros > 0;
        if is_end || !is_all {
            return Ok(found);
        }
    }
}

/// Checks packed bytes as they go by: each member's checksum and length, and what follows.
pub struct GzipVerifier {
    member: Writer<io::Sink>,
    state: MemberState,
}

#[derive(PartialEq)]
enum MemberState {
    /// In a member; `true` from the second on.
    Member(bool),
    /// Behind a member, perhaps the last.
    Between,
    /// In the zero bytes after the last member.
    Padding,
}

impl Default for GzipVerifier {
    fn default() -> Self {
        Self { member: Writer::new(io::sink()), state: MemberState::Member(false) }
    }
}

impl GzipVerifier {
    /// Takes in the next bytes.
    ///
    /// # Errors
    /// When they do not continue a gzip stream.
    pub fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(first) = bytes.first().copied() {
            match (&self.state, first) {
                (MemberState::Member(later), _) => {
                    let later = *later;
                    let has_no_header = self.member.header().is_none();
                    let written = self.member.write(bytes);
                    let count =
                        written.map_err(|error| if later && has_no_header { trailing_data() } else { error })?;
                    if count == 0 {
                        self.member.try_finish()?;
                        self.state = MemberState::Between;
                    }
                    bytes = &bytes[count..];
                }
                (MemberState::Between | MemberState::Padding, 0) => {
                    self.state = MemberState::Padding;
                    bytes = &bytes[1..];
                }
                (MemberState::Between, first) if first == MAGIC[0] => {
                    *self = Self { member: Writer::new(io::sink()), state: MemberState::Member(true) };
                }
                _ => return Err(trailing_data()),
            }
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When it is cut short, or a checksum is wrong.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.state {
            MemberState::Member(true) if self.member.header().is_none() => Err(trailing_data()),
            MemberState::Member(_) => self.member.try_finish(),
            MemberState::Between | MemberState::Padding => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        GzipDecoder::new(io::BufReader::with_capacity(3, bytes)).read_to_string(&mut text).map(|_| text)
    }

    fn check(bytes: &[u8], step: usize) -> io::Result<()> {
        let mut check = GzipVerifier::default();
        bytes.chunks(step).try_for_each(|chunk| check.add(chunk))?;
        check.finish()
    }

    #[test]
    fn members_and_padding_are_read_and_other_trailing_data_is_named() {
        let two = [member("a"), member("b")].concat();
        let padded = [&two[..], &[0; 600]].concat();
        for bytes in [&two, &padded] {
            assert_eq!(read(bytes).unwrap(), "ab");
            for step in [1, 3, 1000] {
                check(bytes, step).unwrap();
            }
        }
        for rest in [&b"garbage"[..], b"\x1fgarbage", b"\0\0x", b"\0\x1f\x8b", b"x"] {
            let bytes = [&two[..], rest].concat();
            let name = String::from_utf8_lossy(rest).into_owned();
            for step in [1, 3, 1000] {
                assert_eq!(check(&bytes, step).unwrap_err().to_string(), TRAILING_DATA, "{name:?} in steps of {step}");
            }
            assert!(read(&bytes).is_err(), "{name:?}");
        }
        assert_eq!(read(&[&two[..], b"garbage"].concat()).unwrap_err().to_string(), TRAILING_DATA);
    }

    #[test]
    fn a_cut_or_changed_stream_is_an_error() {
        let bytes = member("some text");
        for cut in 1..bytes.len() {
            assert!(read(&bytes[..cut]).is_err() && check(&bytes[..cut], 3).is_err(), "cut at {cut}");
        }
        let mut wrong = bytes.clone();
        wrong[bytes.len() - 5] ^= 1;
        assert!(read(&wrong).is_err() && check(&wrong, 1).is_err());
    }
}
