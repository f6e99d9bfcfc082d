//! A file on its way out: read and summed up in a thread of its own, piece by piece, in flat memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{mpsc, oneshot};

/// Large enough that the thread's steps cost nothing.
const CHUNK_BYTES: usize = 512 * 1024;
/// Pieces that may wait for the line.
const MAX_QUEUED: usize = 4;

/// A file's bytes from an offset on, and the CRC-32C of all of it once they have been read.
pub(super) struct Pieces {
    pub(super) stream: mpsc::Receiver<io::Result<Bytes>>,
    pub(super) checksum: oneshot::Receiver<u32>,
}

impl Pieces {
    /// Starts to read `length` bytes of the file, of which the first `offset` are only summed up.
    pub(super) fn read(path: &Path, length: u64, offset: u64) -> Self {
        let (sender, stream) = mpsc::channel(MAX_QUEUED);
        let (done, checksum) = oneshot::channel();
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || {
            // Either receiver is gone once the request has failed; its error is the one that is reported.
            let _ = match send_all(&path, length, offset, &sender) {
                Ok(sum) => done.send(sum).is_ok(),
                Err(error) => sender.blocking_send(Err(error)).is_ok(),
            };
        });
        Self { stream, checksum }
    }

    /// The pieces for a request's body, and the checksum.
    pub(super) fn split(self) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, oneshot::Receiver<u32>) {
        let stream = unfold(self.stream, |mut stream| async move { stream.recv().await.map(|piece| (piece, stream)) });
        (stream, self.checksum)
    }
}

fn send_all(path: &Path, length: u64, offset: u64, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let (mut sum, mut read) = (0, 0);
    while read < length {
        let unsent = if read < offset { offset - read } else { length - read };
        let piece = next_piece(&mut file, unsent)?;
        sum = crc32c::crc32c_append(sum, &piece);
        let is_sent = read >= offset;
        read += piece.len() as u64;
        if is_sent && sender.blocking_send(Ok(piece)).is_err() {
            break;
        }
    }
    Ok(sum)
}

fn next_piece(file: &mut File, most: u64) -> io::Result<Bytes> {
    let wanted = most.min(CHUNK_BYTES as u64);
    let mut piece = Vec::with_capacity(wanted as usize);
    file.take(wanted).read_to_end(&mut piece)?;
    if piece.len() as u64 != wanted {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
    }
    Ok(Bytes::from(piece))
}

/// The CRC-32C of a file.
pub(super) async fn checksum(path: PathBuf) -> io::Result<u32> {
    let summed = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut sum = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(sum),
                count => sum = crc32c::crc32c_append(sum, &buffer[..count]),
            }
        }
    });
    summed.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    #[tokio::test]
    async fn the_checksum_is_of_the_whole_file_wherever_sending_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content: Vec<u8> = (0..2 * CHUNK_BYTES + 7).map(|index| (index % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        for offset in [0, 1, CHUNK_BYTES + 3, content.len()] {
            let (stream, sum) = Pieces::read(&path, content.len() as u64, offset as u64).split();
            let sent: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert_eq!(sent.concat(), &content[offset..], "from {offset}");
            assert_eq!(sum.await.unwrap(), crc32c::crc32c(&content), "from {offset}");
        }
        assert_eq!(checksum(path.clone()).await.unwrap(), crc32c::crc32c(&content));
        let (stream, _) = Pieces::read(&path, content.len() as u64 + 1, 0).split();
        assert!(stream.try_collect::<Vec<_>>().await.unwrap_err().to_string().contains("became shorter"));
    }
}
