//! A file on its way: its bytes so far in `NAME.part`, and in `NAME.part.json` what they are bytes of.
//!
//! Both stay when a line is cut or the process is killed, and the next attempt continues from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;

use super::checksums::RunningChecksums;
use crate::secret::Redactor;
use crate::stream::gzip::{GzipDecoder, MAGIC};

/// What a server says of the file behind an address: with it, two answers are known to be of the same file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileIdentity {
    /// What tells the address from others: without its password, and with a checksum of its query.
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    /// Bytes of the whole file.
    pub(super) length: Option<u64>,
}

impl FileIdentity {
    /// What to send as `If-Range`. A weak tag does not promise the same bytes.
    pub(super) fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }

    /// Whether bytes of the one file can follow bytes of the other. A server may leave things out of a later answer.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(&self.etag, &other.etag)
            && same(&self.last_modified, &other.last_modified)
            && same(&self.length, &other.length)
    }
}

/// An open part: what is in it has been added up.
pub(super) struct PartialFile {
    target: PathBuf,
    file: File,
    /// What the bytes are bytes of.
    pub(super) identity: FileIdentity,
    sums: RunningChecksums,
}

impl PartialFile {
    /// Opens the part of `target`, with the bytes that an earlier try left if they are of `url` and can be continued.
    pub(super) fn open(target: &Path, url: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(part_path(target))?;
        let mut part = Self {
            target: target.to_owned(),
            file,
            identity: FileIdentity::default(),
            sums: RunningChecksums::default(),
        };
        match read_identity(target).filter(|identity| identity.url == url && identity.validator().is_some()) {
            Some(identity) => {
                part.identity = identity;
                part.add_up()?;
            }
            None => part.restart(FileIdentity { url: url.to_owned(), ..FileIdentity::default() })?,
        }
        Ok(part)
    }

    fn add_up(&mut self) -> io::Result<()> {
        // Of a whole part the last byte is asked for again: a range past the end is an error to servers.
        let most = self.identity.length.map_or(u64::MAX, |length| length.saturating_sub(1));
        self.file.set_len(self.file.metadata()?.len().min(most))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.sums.add(&buffer[..count]),
            }
        }
    }

    /// Empties the part: it becomes one of the file behind `identity`.
    pub(super) fn restart(&mut self, identity: FileIdentity) -> io::Result<()> {
        // In this order, so that a mark never describes the bytes of another file.
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.sums = RunningChecksums::default();
        fs::write(identity_path(&self.target), serde_json::to_vec(&identity)?)?;
        self.identity = identity;
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.sums.length()
    }

    /// Whether the bytes so far cannot become a whole file.
    pub(super) fn is_broken(&self) -> bool {
        self.sums.is_broken()
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.sums.add(bytes);
        Ok(())
    }

    /// Appends whatever comes, until nothing more comes or the file is broken beyond repair.
    pub(super) fn fill(mut self, mut pieces: Receiver<Bytes>) -> io::Result<Self> {
        while let Some(piece) = pieces.blocking_recv() {
            self.append(&piece)?;
            if self.is_broken() {
                break;
            }
        }
        Ok(self)
    }

    /// Takes off one layer of gzip, which the server has put on for the way: of a file whose name does not end with `.gz`,
    /// or that is packed twice. What is damaged stays as it is, for [`PartialFile::finish`] to tell.
    pub(super) fn decode(mut self, limit: u64) -> io::Result<Self> {
        self.file.rewind()?;
        let mut unpacked = GzipDecoder::new(BufReader::new(self.file.try_clone()?));
        let mut buffer = vec![0; 1 << 20];
        let draft = with_suffix(&self.target, ".part.decoded");
        let mut output = File::options().read(true).write(true).create(true).truncate(true).open(&draft)?;
        let mut sums = RunningChecksums::default();
        loop {
            let count = match unpacked.read(&mut buffer) {
                Ok(count) => count,
                Err(_) => return remove(&draft).map(|()| self),
            };
            let is_packed_once = self.wants_gzip() && sums.length() == 0 && !buffer[..count].starts_with(&MAGIC);
            if is_packed_once {
                return remove(&draft).map(|()| self);
            }
            if count == 0 {
                break;
            }
            output.write_all(&buffer[..count])?;
            sums.add(&buffer[..count]);
            let is_long = sums.length() > limit;
            let lack = is_long.then(|| format!("its unpacked size exceeds `max_bytes: {limit}`"));
            let lack = lack.or_else(|| super::disk_space::shortage(&self.target, 0));
            if let Some(lack) = lack {
                remove(&draft)?;
                return Err(io::Error::other(lack));
            }
        }
        fs::rename(&draft, part_path(&self.target))?;
        // The mark tells of packed bytes, which nothing can be added to now.
        remove(&identity_path(&self.target))?;
        Ok(Self { file: output, sums, ..self })
    }

    fn wants_gzip(&self) -> bool {
        self.target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
    }

    /// Ends the part: a good file gets its own name and survives a power cut, a bad one goes.
    /// Gives the SHA-256 of the file, or what is wrong with it.
    pub(super) fn finish(self, sha256: Option<&str>, redactor: &Redactor) -> io::Result<Result<String, String>> {
        let wants_gzip = self.wants_gzip();
        let verdict = self.sums.finish(wants_gzip, sha256, redactor);
        if verdict.is_err() {
            return discard(&self.target).map(|()| verdict);
        }
        self.file.sync_all()?;
        fs::rename(part_path(&self.target), &self.target)?;
        remove(&identity_path(&self.target))?;
        self.target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        Ok(verdict)
    }
}

/// Bytes that tries until now have left for `target`.
pub(super) fn bytes_left(target: &Path) -> u64 {
    fs::metadata(part_path(target)).map_or(0, |metadata| metadata.len())
}

/// Removes whatever earlier tries have left for `target`.
pub(super) fn discard(target: &Path) -> io::Result<()> {
    remove(&identity_path(target))?;
    remove(&part_path(target))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_identity(target: &Path) -> Option<FileIdentity> {
    // A mark that was only half written counts as none.
    serde_json::from_slice(&fs::read(identity_path(target)).ok()?).ok()
}

fn part_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

fn identity_path(target: &Path) -> PathBuf {
    with_suffix(target, ".part.json")
}

fn with_suffix(target: &Path, suffix: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(etag: &str, length: u64) -> FileIdentity {
        FileIdentity { url: "http://a/f".into(), etag: Some(etag.into()), last_modified: None, length: Some(length) }
    }

    #[test]
    fn a_partial_file_is_continued_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("f");
        let mut first = PartialFile::open(&target, "http://a/f").unwrap();
        first.restart(identity("\"1\"", 6)).unwrap();
        first.append(b"abc").unwrap();
        drop(first);
        let mut second = PartialFile::open(&target, "http://a/f").unwrap();
        assert_eq!((second.length(), second.identity.validator()), (3, Some("\"1\"")));
        second.append(b"def").unwrap();
        drop(second);
        let mut third = PartialFile::open(&target, "http://a/f").unwrap();
        assert_eq!(third.length(), 5, "a whole part should ask for its last byte again");
        third.append(b"f").unwrap();
        third.finish(None, &Redactor::default()).unwrap().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abcdef");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "part and mark should be gone");
    }

    #[test]
    fn bytes_of_another_address_or_of_an_unmarked_file_are_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("f");
        for (etag, url) in [("\"1\"", "http://b/f"), ("W/\"1\"", "http://a/f")] {
            let mut part = PartialFile::open(&target, "http://a/f").unwrap();
            part.restart(identity(etag, 6)).unwrap();
            part.append(b"abc").unwrap();
            assert_eq!(PartialFile::open(&target, url).unwrap().length(), 0, "{etag} {url}");
        }
    }

    #[test]
    fn identities_agree_unless_both_differ() {
        assert!(identity("\"1\"", 6).agrees(&FileIdentity::default()));
        assert!(!identity("\"1\"", 6).agrees(&identity("\"2\"", 6)));
        assert!(!identity("\"1\"", 6).agrees(&identity("\"1\"", 7)));
    }
}
