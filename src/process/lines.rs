//! What a program prints, line by line.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

/// Bytes that are read at a time, as many as a pipe holds.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of a line that are kept.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    /// The standard output.
    Out,
    /// The standard error output.
    Error,
}

/// A line that a program printed.
#[derive(Debug)]
pub(crate) struct OutputLine {
    /// Where it came from.
    pub stream: OutputStream,
    /// The line without its end; what is no UTF-8 is replaced.
    pub text: String,
    /// Whether it was longer than what is kept of a line, 1 MiB.
    pub is_cut: bool,
}

/// The lines come in batches: those that a program has printed by the time that somebody looks.
pub(super) fn listen(child: &mut Child) -> mpsc::Receiver<Vec<OutputLine>> {
    let (sender, lines) = mpsc::channel(4);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(read_lines(stdout, OutputStream::Out, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(read_lines(stderr, OutputStream::Error, sender));
    }
    lines
}

async fn read_lines(source: impl AsyncRead + Unpin, stream: OutputStream, lines: mpsc::Sender<Vec<OutputLine>>) {
    let mut source = BufReader::with_capacity(BLOCK_BYTES, source);
    let mut unfinished = PartialLine { stream, bytes: Vec::new(), is_cut: false };
    // A pipe that cannot be read any more has ended as far as we are concerned.
    while let Ok(block) = source.fill_buf().await {
        let (used, is_over, mut batch) = (block.len(), block.is_empty(), Vec::new());
        let mut rest = block;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            batch.push(unfinished.finish(&rest[..end]));
            rest = &rest[end + 1..];
        }
        unfinished.add(rest);
        if is_over && !unfinished.bytes.is_empty() {
            batch.push(unfinished.finish(&[]));
        }
        source.consume(used);
        if (!batch.is_empty() && lines.send(batch).await.is_err()) || is_over {
            return;
        }
    }
}

/// The beginning of a line whose end is still to come.
struct PartialLine {
    stream: OutputStream,
    bytes: Vec<u8>,
    is_cut: bool,
}

impl PartialLine {
    fn add(&mut self, part: &[u8]) {
        let kept = part.len().min(MAX_LINE_BYTES - self.bytes.len());
        self.bytes.extend_from_slice(&part[..kept]);
        self.is_cut |= kept < part.len();
    }

    fn finish(&mut self, part: &[u8]) -> OutputLine {
        self.add(part);
        let line = OutputLine { stream: self.stream, text: shown(&self.bytes), is_cut: self.is_cut };
        self.bytes.clear();
        self.is_cut = false;
        line
    }
}

/// The line as a terminal would show it: of a progress bar that overwrites itself, the last state.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}
