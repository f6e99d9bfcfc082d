//! What is known of a file's bytes once they have all gone by: length, checksum, and whether its gzip stream is whole.

use std::io;

use sha2::{Digest, Sha256};

use super::page;
use crate::secret::Redactor;
use crate::stream::gzip::{GzipVerifier, MAGIC, TRAILING_DATA};
use crate::text::{count, hex};

/// Enough of the beginning to quote a page's title.
const HEAD_BYTES: usize = 2048;

/// Sums over the bytes that have gone by so far.
#[derive(Default)]
pub(super) struct RunningChecksums {
    length: u64,
    sha256: Sha256,
    head: Vec<u8>,
    gzip: Option<GzipVerifier>,
    broken: Option<io::Error>,
}

impl RunningChecksums {
    /// Takes in the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.sha256.update(bytes);
        let seen = self.head.len();
        self.head.extend(bytes.iter().take(HEAD_BYTES - seen));
        if seen < MAGIC.len() && self.head.starts_with(&MAGIC) {
            self.gzip = Some(GzipVerifier::default());
            let first = self.head[..seen].to_vec();
            self.decompress(&first);
        }
        self.decompress(bytes);
    }

    fn decompress(&mut self, bytes: &[u8]) {
        if let (Some(gzip), None) = (&mut self.gzip, &self.broken) {
            self.broken = gzip.add(bytes).err();
        }
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether more bytes cannot make the file whole again.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The SHA-256 of the whole file in hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with the file, as the end of a sentence that begins with it.
    pub(super) fn finish(
        mut self,
        wants_gzip: bool,
        sha256: Option<&str>,
        redactor: &Redactor,
    ) -> Result<String, String> {
        let offset = self.length;
        if let Some(error) = self.broken {
            if error.to_string() == TRAILING_DATA {
                return Err(format!("is damaged: {TRAILING_DATA}, within the first {}", count(offset, "byte")));
            }
            return Err(format!(
                "is damaged: its gzip stream breaks within the first {} ({error})",
                count(offset, "byte")
            ));
        }
        match self.gzip.as_mut().map(GzipVerifier::finish) {
            Some(Err(_)) => {
                return Err(format!(
                    "is damaged: its gzip stream is cut short or its checksum is wrong ({})",
                    count(offset, "byte")
                ));
            }
            None if wants_gzip => return Err(not_gzip(&self.head, redactor)),
            _ => {}
        }
        let found = hex(&self.sha256.finalize());
        match sha256 {
            Some(expected) if !expected.trim().eq_ignore_ascii_case(&found) => {
                Err(format!("has the SHA-256 {found}, but {} was expected", expected.trim()))
            }
            _ => Ok(found),
        }
    }
}

fn not_gzip(head: &[u8], redactor: &Redactor) -> String {
    let words = page::words(head, redactor);
    match head {
        [] => "is empty, where a gzip file was expected".to_owned(),
        _ if page::is_html(head) => format!("is a web page, where a gzip file was expected: “{words}”"),
        _ => format!("is not a gzip file, contrary to its name; it begins with “{words}”"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn verdict(bytes: &[u8], step: usize) -> Result<String, String> {
        let mut sums = RunningChecksums::default();
        bytes.chunks(step).for_each(|chunk| sums.add(chunk));
        assert!(sums.is_broken() || sums.length() == bytes.len() as u64);
        sums.finish(true, None, &Redactor::default())
    }

    #[test]
    fn every_member_is_checked_whatever_the_chunks() {
        let two = [member("a,b\n1,2\n"), member("3,4\n")].concat();
        let first = member("a,b\n1,2\n").len();
        for step in [1, 2, 3, 7, 1000] {
            let whole = verdict(&two, step).unwrap();
            assert_eq!(whole.len(), 64);
            for cut in 1..two.len() {
                assert_eq!(verdict(&two[..cut], step).is_ok(), cut == first, "cut at {cut} in steps of {step}");
            }
            for trailer in [first - 8, first - 1, two.len() - 8, two.len() - 1] {
                let mut damaged = two.clone();
                damaged[trailer] ^= 1;
                assert!(verdict(&damaged, step).is_err(), "a changed byte {trailer} went unseen in steps of {step}");
            }
        }
    }

    #[test]
    fn padding_is_allowed_and_other_trailing_data_is_named() {
        let padded = [member("a,b\n"), vec![0; 512]].concat();
        let trailing_data = [member("a,b\n"), b"trailer".to_vec()].concat();
        for step in [1, 1000] {
            assert!(verdict(&padded, step).is_ok());
            assert!(
                verdict(&trailing_data, step)
                    .unwrap_err()
                    .contains("something that is not gzip follows the gzip stream")
            );
        }
    }

    #[test]
    fn the_start_of_other_data_is_quoted() {
        let page = verdict(b"<!DOCTYPE html><title>Not found</title>", 5).unwrap_err();
        assert_eq!(page, "is a web page, where a gzip file was expected: “Not found”");
        assert!(verdict(b"VendorID,x\n", 100).unwrap_err().contains("“VendorID,x”"));
        assert!(verdict(b"", 100).unwrap_err().contains("is empty"));
    }

    #[test]
    fn the_checksum_is_compared_in_any_case() {
        let empty = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert_eq!(
            RunningChecksums::default().finish(false, Some(empty), &Redactor::default()),
            Ok(empty.to_lowercase())
        );
        assert!(
            RunningChecksums::default()
                .finish(false, Some("00"), &Redactor::default())
                .unwrap_err()
                .contains("but 00 was expected")
        );
    }
}
