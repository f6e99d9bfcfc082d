//! Limits for clients that are slow on purpose or gone: of how they send a body, and of how they take an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long nothing of a body may come, and how long the slowest rate is not asked for.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The bytes of a body that must come in a second, on average.
const MIN_RATE: f64 = 1024.0;
/// How long nothing of an answer may go.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The body stops, or comes too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
struct BodyTimeout;

/// The request with a body that may take long, but has to come.
pub(super) async fn limited(request: Request) -> Request {
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let steady = RateLimit { pieces: body.into_data_stream(), bytes: 0, waited: Duration::ZERO };
        Body::from_stream(futures_util::stream::unfold(Some(steady), RateLimit::next))
    })
}

struct RateLimit {
    pieces: BodyDataStream,
    bytes: usize,
    /// The time spent on waiting for the client, not on what is done with the pieces.
    waited: Duration,
}

impl RateLimit {
    async fn next(steady: Option<Self>) -> Option<(Result<Bytes, axum::Error>, Option<Self>)> {
        let mut steady = steady?;
        let start = Instant::now();
        let piece = tokio::time::timeout(BODY_TIMEOUT, steady.pieces.next()).await;
        steady.waited += start.elapsed();
        match piece {
            Ok(Some(Ok(piece))) => {
                steady.bytes += piece.len();
                let is_slow = is_slow(steady.bytes, steady.waited);
                Some(if is_slow { (Err(axum::Error::new(BodyTimeout)), None) } else { (Ok(piece), Some(steady)) })
            }
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => Some((Err(axum::Error::new(BodyTimeout)), None)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an average need not be exact")]
fn is_slow(bytes: usize, waited: Duration) -> bool {
    waited > BODY_TIMEOUT && (bytes as f64) < MIN_RATE * waited.as_secs_f64()
}

/// A connection that fails when the other side takes nothing of an answer for too long.
pub(super) struct WriteTimeout {
    stream: TcpStream,
    /// Runs while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }

    fn in_time<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_slow_at_first_and_long_but_not_drip() {
        let seconds = Duration::from_secs;
        assert!(!is_slow(1, seconds(20)));
        assert!(is_slow(1000, seconds(31)));
        assert!(!is_slow(2048 * 3600, seconds(3600)), "two kilobytes a second for an hour");
    }
}
