//! A file's content as blocks of bytes, decompressed on a thread of its own so that unpacking overlaps with parsing.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Result;
use crate::diagnostic::Diagnostic;
use crate::task::Progress;
use crate::text::shortened;

/// A block is about ten thousand rows of a wide file.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks that wait for the parser; two keep both sides busy.
const MAX_QUEUED: usize = 2;
const READ_BUFFER: usize = 1 << 18;
const GIB: u64 = 1 << 30;
const DOWNLOAD_AGAIN: &str = "the file is damaged or incomplete: download it again";

/// How much a compressed file may unpack to, so that a bomb ends as an error instead of a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes after decompression. Plain files are not limited.
    pub max_bytes: u64,
    /// Unpacked bytes for each packed one, looked at once a file has unpacked to more than 1 GiB.
    pub max_ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { max_bytes: 64 * GIB, max_ratio: 1000 }
    }
}

impl UnpackLimits {
    /// What is wrong with a file of `packed` bytes that unpacks to `unpacked`.
    pub(super) fn check(&self, unpacked: u64, packed: u64) -> Option<Diagnostic> {
        if unpacked > self.max_bytes {
            let message = format!("the file unpacks to more than the limit of {} bytes", self.max_bytes);
            return Some(
                Diagnostic::error(message).help("if the file is supposed to be that large, raise `max_bytes`"),
            );
        }
        if unpacked > GIB && unpacked / packed.max(1) > self.max_ratio {
            let message = format!(
                "the file unpacks to more than {} times its size, as a decompression bomb does",
                self.max_ratio
            );
            return Some(
                Diagnostic::error(message).help("if the file is supposed to compress that well, raise `max_ratio`"),
            );
        }
        None
    }
}

/// How a file is packed, by its first bytes; its name does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it stands.
    Plain,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
    /// A zip archive with one file in it.
    Zip,
}

impl Compression {
    /// Tells by a file's first bytes; four are enough.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Self::Zip,
            _ => Self::Plain,
        }
    }

    /// What the file's name promises; `None` where it promises nothing packed.
    pub fn of_extension(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            "zip" => Some(Self::Zip),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
        })
    }
}

enum PumpMessage {
    Block(Vec<u8>),
    End,
    Failed(Box<Diagnostic>),
}

/// The content of one file, block by block. Dropping it stops the thread.
#[derive(Debug)]
pub struct FileBytes {
    compression: Compression,
    name: String,
    blocks: Receiver<PumpMessage>,
    used: SyncSender<Vec<u8>>,
    is_over: bool,
}

impl FileBytes {
    /// Starts to read a file; `name` is what errors call it. Counts the bytes as they are stored into `progress`.
    ///
    /// # Errors
    /// When the file cannot be opened, or its name promises a packed file and its content is none.
    pub fn open(path: &Path, name: &str, limits: UnpackLimits, progress: Arc<Progress>) -> Result<Self> {
        let start = start_of(path).map_err(|error| io_error("open", name, &error))?;
        let compression = Compression::of(&start);
        check_promise(path, name, compression, &start)?;
        let (file, packed) = CountingFile::open(path, progress).map_err(|error| io_error("open", name, &error))?;
        let (send, blocks) = sync_channel(MAX_QUEUED);
        let (used, spare) = sync_channel(MAX_QUEUED + 1);
        let pump = Pump { compression, name: name.to_owned(), limits, packed, unpacked: 0, send, spare };
        std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(move || pump.run(file))
            .map_err(|error| io_error("start to read", name, &error))?;
        Ok(Self { compression, name: name.to_owned(), blocks, used, is_over: false })
    }

    /// Starts to make the content of a file that is no text itself. `make` gives it block by block to the function that it
    /// gets, until that says that nobody wants more; it also gets the file's size.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn made(
        path: &Path,
        name: &str,
        progress: Arc<Progress>,
        make: impl FnOnce(FileToRead, u64, &mut dyn FnMut(Vec<u8>) -> bool) -> std::result::Result<(), Diagnostic>
        + Send
        + 'static,
    ) -> Result<Self> {
        let (file, _) = CountingFile::open(path, progress).map_err(|error| io_error("open", name, &error))?;
        let size = file.file.metadata().map_err(|error| io_error("open", name, &error))?.len();
        let (send, blocks) = sync_channel(MAX_QUEUED);
        let (used, _) = sync_channel(1);
        let own_name = name.to_owned();
        let work = move || {
            let mut take = |block: Vec<u8>| send.send(PumpMessage::Block(block)).is_ok();
            let last = match make(BufReader::with_capacity(READ_BUFFER, file), size, &mut take) {
                Ok(()) => PumpMessage::End,
                Err(diagnostic) => PumpMessage::Failed(located(diagnostic, &own_name)),
            };
            // Nobody listens any more when the reader was dropped.
            drop(send.send(last));
        };
        std::thread::Builder::new()
            .name("read".to_owned())
            .spawn(work)
            .map_err(|error| io_error("start to read", name, &error))?;
        Ok(Self { compression: Compression::Plain, name: name.to_owned(), blocks, used, is_over: false })
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the file is packed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The next block of about 1 MiB, or `None` at the end of an intact file. `used` is filled again later.
    ///
    /// # Errors
    /// When the file is damaged, cut off or larger than allowed. The stream is over then.
    pub fn next_block(&mut self, used: Vec<u8>) -> Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        if used.capacity() > 0 {
            // A full or closed return channel only means that the buffer is not needed.
            drop(self.used.try_send(used));
        }
        match self.blocks.recv() {
            Ok(PumpMessage::Block(block)) => return Ok(Some(block)),
            Ok(PumpMessage::End) => self.is_over = true,
            Ok(PumpMessage::Failed(diagnostic)) => {
                self.is_over = true;
                return Err(diagnostic);
            }
            Err(_) => {
                self.is_over = true;
                return Err(located(Diagnostic::error("reading the file stopped before its end"), &self.name));
            }
        }
        Ok(None)
    }
}

fn start_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(256).read_to_end(&mut start)?;
    Ok(start)
}

/// A server that fails often answers with a page, and the page is stored under the file's name.
fn check_promise(path: &Path, name: &str, found: Compression, start: &[u8]) -> Result<()> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(expected) = Compression::of_extension(&file_name) else { return Ok(()) };
    if found != Compression::Plain {
        return Ok(());
    }
    let what = match start {
        [] => "the file is empty".to_owned(),
        _ if is_web_page(start) => {
            format!("the file is a web page, not {expected} data: it starts with `{}`", preview(start))
        }
        _ => format!("the file is not {expected} data: it starts with `{}`", preview(start)),
    };
    let help = "the server may have answered with an error page: open the address in a browser, then download again";
    Err(located(Diagnostic::error(what).help(help), name))
}

/// Whether a file's first bytes are those of an HTML or XML page.
pub fn is_web_page(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml", b"<error"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)))
}

/// The first characters of some bytes, on one line.
pub fn preview(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable: String = line.chars().filter(|character| !character.is_control()).collect();
    shortened(&printable, 60).into_owned()
}

pub(super) fn located(mut diagnostic: Diagnostic, name: &str) -> Box<Diagnostic> {
    diagnostic.file = name.to_owned();
    Box::new(diagnostic)
}

fn io_error(verb: &str, name: &str, error: &io::Error) -> Box<Diagnostic> {
    located(Diagnostic::error(format!("cannot {verb} the file: {error}")), name)
}

/// A file whose bytes are counted as they are read.
pub(super) type FileToRead = BufReader<CountingFile>;

/// A file that counts what is read from it.
pub(super) struct CountingFile {
    file: File,
    packed: Arc<AtomicU64>,
    progress: Arc<Progress>,
}

impl CountingFile {
    fn open(path: &Path, progress: Arc<Progress>) -> io::Result<(Self, Arc<AtomicU64>)> {
        let file = File::open(path)?;
        progress.set_total_bytes(file.metadata()?.len());
        let packed = Arc::new(AtomicU64::new(0));
        Ok((Self { file, packed: packed.clone(), progress }, packed))
    }
}

impl Read for CountingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.packed.fetch_add(count as u64, Ordering::Relaxed);
        self.progress.add_bytes(count as u64);
        Ok(count)
    }
}

impl Seek for CountingFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// The reading thread.
struct Pump {
    compression: Compression,
    name: String,
    limits: UnpackLimits,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    send: SyncSender<PumpMessage>,
    spare: Receiver<Vec<u8>>,
}

impl Pump {
    fn run(mut self, file: CountingFile) {
        let last = match self.unpack(BufReader::with_capacity(READ_BUFFER, file)) {
            Ok(()) => PumpMessage::End,
            Err(diagnostic) => PumpMessage::Failed(located(diagnostic, &self.name)),
        };
        // Nobody listens any more when the reader was dropped.
        drop(self.send.send(last));
    }

    fn unpack(&mut self, file: BufReader<CountingFile>) -> std::result::Result<(), Diagnostic> {
        match self.compression {
            Compression::Plain => self.pump(file),
            Compression::Gzip => self.pump(super::gzip::GzipDecoder::new(file)),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(|error| self.explain(&error))?;
                self.pump(decoder)
            }
            Compression::Zip => self.unzip(file),
        }
    }

    fn unzip(&mut self, file: BufReader<CountingFile>) -> std::result::Result<(), Diagnostic> {
        let broken = |error: zip::result::ZipError| {
            Diagnostic::error(format!("the zip archive cannot be read: {error}")).help(DOWNLOAD_AGAIN)
        };
        let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
        let names = archive.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let names: Vec<String> = names.collect::<std::result::Result<_, _>>().map_err(broken)?;
        if let Some(document) = super::signature::of_archive(&names) {
            return Err(document);
        }
        let mut files = names.iter().enumerate().filter(|(_, name)| is_content(name));
        let (Some((index, _)), None) = (files.next(), files.next()) else {
            let count = names.iter().filter(|name| is_content(name)).count();
            let message = format!("the zip archive holds {count} files, and exactly one can be read");
            let listed = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Diagnostic::error(message).help(format!("unpack the one to read; it holds: {listed}")));
        };
        let content = archive.by_index(index).map_err(broken)?;
        self.pump(content)
    }

    fn pump(&mut self, mut content: impl Read) -> std::result::Result<(), Diagnostic> {
        loop {
            let mut block = self.spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES));
            block.clear();
            let count = content.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block);
            let count = count.map_err(|error| self.explain(&error))?;
            self.unpacked += count as u64;
            if self.compression != Compression::Plain
                && let Some(bomb) = self.limits.check(self.unpacked, self.packed.load(Ordering::Relaxed))
            {
                return Err(bomb);
            }
            if count == 0 || self.send.send(PumpMessage::Block(block)).is_err() {
                return Ok(());
            }
        }
    }

    fn explain(&self, error: &io::Error) -> Diagnostic {
        let kind = self.compression;
        if kind == Compression::Plain || error.raw_os_error().is_some() {
            return Diagnostic::error(format!("cannot read the file: {error}"));
        }
        let packed = self.packed.load(Ordering::Relaxed);
        let text = error.to_string();
        let message = if error.kind() == io::ErrorKind::UnexpectedEof || text.contains("incomplete frame") {
            format!("the {kind} stream ends too early: {packed} bytes in, its end is missing")
        } else if text.contains("checksum") || text.contains("corrupt gzip stream") {
            format!("the {kind} stream is damaged: its checksum does not match its content")
        } else if text.contains("invalid gzip header") {
            format!("something that is not gzip follows the gzip stream, {packed} bytes in at most")
        } else {
            format!("the {kind} stream is damaged somewhere before byte {packed}: {text}")
        };
        Diagnostic::error(message).help(DOWNLOAD_AGAIN)
    }
}

/// Archives made on a Mac carry a shadow folder.
fn is_content(name: &str) -> bool {
    !name.ends_with('/') && !name.starts_with("__MACOSX/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_recognised_by_its_size_or_its_ratio() {
        let limits = UnpackLimits { max_bytes: 10 * GIB, max_ratio: 1000 };
        assert_eq!(limits.check(GIB, 1), None, "small files may be as dense as they like");
        assert_eq!(limits.check(2 * GIB, 3 << 20), None);
        assert!(limits.check(2 * GIB, 1 << 20).unwrap().message.contains("1000 times"));
        assert!(limits.check(11 * GIB, 10 * GIB).unwrap().message.contains("limit of"));
    }

    #[test]
    fn a_page_is_recognised_and_shown_on_one_line() {
        assert!(is_web_page(b"\n <!DOCTYPE html>\n<html>"));
        assert!(is_web_page(b"<?xml version='1.0'?><Error>"));
        assert!(!is_web_page(b"a,b\n<html>,2\n"));
        assert_eq!(preview(b"<html>\n  <title>\x07Not\tFound"), "<html> <title>Not Found");
    }
}
