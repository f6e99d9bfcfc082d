//! The connection's bytes, read along for the server's errors.
//!
//! The driver reads the answer to a COPY only once all rows are sent, and a connection that the server closes ends with
//! `connection closed` alone. Here each error is known as it arrives, with the server's own reason.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::dial::Duplex;
use super::pg_error::PgError;

/// The letter of an `ErrorResponse`, and the bytes before every message's body: its letter and its length.
const ERROR: u8 = b'E';
const HEADER_BYTES: usize = 5;
/// The letter of the message that ends the login.
const READY: u8 = b'Z';
/// No message of a login has more bytes,
const MAX_LOGIN_MESSAGE: usize = 64 << 10;
/// and no other: a value of Postgres has 1 GB at most, and so has a row.
const MAX_MESSAGE: usize = 1 << 30;
/// More than this of an error is not kept.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// What the server has complained of.
#[derive(Default)]
pub(super) struct LastError {
    last: Mutex<Option<PgError>>,
    changed: Notify,
}

impl LastError {
    /// The last error, if there was one.
    pub(super) fn last(&self) -> Option<PgError> {
        self.last.lock().ok()?.clone()
    }

    /// Forgets what was said until now.
    pub(super) fn clear(&self) {
        if let Ok(mut last) = self.last.lock() {
            *last = None;
        }
    }

    /// Waits for an error.
    pub(super) async fn error(&self) -> PgError {
        loop {
            let changed = self.changed.notified();
            if let Some(error) = self.last() {
                return error;
            }
            changed.await;
        }
    }

    fn record(&self, error: PgError) {
        if let Ok(mut last) = self.last.lock() {
            // What follows the reason why a connection ends only follows from it.
            if !last.as_ref().is_some_and(|last| last.is_fatal) {
                *last = Some(error);
            }
        }
        self.changed.notify_waiters();
    }
}

/// A connection after any TLS, whose messages from the server are looked through.
pub(super) struct ErrorTap {
    line: Box<dyn Duplex>,
    scan: MessageScan,
    last_error: Arc<LastError>,
}

impl ErrorTap {
    pub(super) fn new(line: Box<dyn Duplex>, last_error: Arc<LastError>) -> Self {
        Self { line, scan: MessageScan::default(), last_error }
    }

    /// Reads what is left once nothing can be sent any more: the reason may be there.
    fn read_rest(&mut self, context: &mut Context<'_>) {
        let mut space = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.line).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.scan.take(buffer.filled(), &self.last_error),
                _ => return,
            }
        }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(result, Poll::Ready(Err(_))) {
            self.read_rest(context);
        }
        result
    }
}

impl AsyncRead for ErrorTap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.line).poll_read(context, buffer);
        let Self { scan, last_error, .. } = &mut *self;
        scan.take(buffer.filled().get(before..).unwrap_or_default(), last_error);
        // The driver would make room for all of it.
        if scan.is_too_large {
            let message = "the server announced a message larger than any of Postgres";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        result
    }
}

impl AsyncWrite for ErrorTap {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.line).poll_write(context, bytes);
        self.watch(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.line).poll_flush(context);
        self.watch(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(context)
    }
}

impl TlsStream for ErrorTap {
    fn channel_binding(&self) -> ChannelBinding {
        self.line.channel_binding()
    }
}

/// Where the scan stands between two reads.
#[derive(Default)]
struct MessageScan {
    head: Vec<u8>,
    /// Bytes of the body that are yet to come.
    left: usize,
    /// The body so far, if it is an error's.
    error: Option<Vec<u8>>,
    is_logged_in: bool,
    /// Whether a message was announced that is none of Postgres.
    is_too_large: bool,
}

impl MessageScan {
    fn take(&mut self, mut bytes: &[u8], last_error: &LastError) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (body, rest) = bytes.split_at(self.left.min(bytes.len()));
                if let Some(error) = &mut self.error {
                    error
                        .extend_from_slice(&body[..body.len().min(MAX_ERROR_BYTES - error.len().min(MAX_ERROR_BYTES))]);
                }
                self.left -= body.len();
                bytes = rest;
            } else {
                let (head, rest) = bytes.split_at((HEADER_BYTES - self.head.len()).min(bytes.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                self.begin();
            }
            if self.left == 0
                && let Some(error) = self.error.take()
            {
                last_error.record(PgError::read(&error));
            }
        }
    }

    /// Begins a body once its head is there.
    fn begin(&mut self) {
        if let [kind, a, b, c, d] = self.head[..] {
            // The length counts its own four bytes.
            self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
            self.error = (kind == ERROR).then(Vec::new);
            self.head.clear();
            self.is_too_large |= self.left > if self.is_logged_in { MAX_MESSAGE } else { MAX_LOGIN_MESSAGE };
            self.is_logged_in |= kind == READY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    #[test]
    fn errors_are_found_however_the_bytes_are_split() {
        let error = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0DE is not a message\0\0";
        let stream = [message(b'D', b"E row"), message(b'1', b""), message(b'E', error), message(b'Z', b"I")].concat();
        for step in [1, 2, 5, 7, 1000] {
            let (mut scan, last_error) = (MessageScan::default(), LastError::default());
            stream.chunks(step).for_each(|bytes| scan.take(bytes, &last_error));
            let said = last_error.last().unwrap();
            assert_eq!((said.message_with_code().as_str(), said.is_fatal), ("terminating connection (57P01)", true));
            assert_eq!(said.detail.as_deref(), Some("E is not a message"));
        }
    }

    #[test]
    fn oversized_messages_are_refused_by_their_header() {
        let announced = |bytes: u32| [&b"D"[..], &bytes.to_be_bytes()].concat();
        for (before, bytes, is_too_large) in [
            (vec![], 60_000, false),
            (vec![], 70_000, true),
            (message(b'Z', b"I"), 70_000, false),
            (message(b'Z', b"I"), 2_000_000_000, true),
        ] {
            let (mut scan, last_error) = (MessageScan::default(), LastError::default());
            scan.take(&[before, announced(bytes)].concat(), &last_error);
            assert_eq!(scan.is_too_large, is_too_large, "{bytes}");
        }
    }

    #[test]
    fn rows_alone_are_no_error() {
        let (mut scan, last_error) = (MessageScan::default(), LastError::default());
        scan.take(&message(b'd', b"E\0\0\0\x05E"), &last_error);
        assert!(last_error.last().is_none());
    }
}
