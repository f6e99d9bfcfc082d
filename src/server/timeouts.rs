//! Timeouts for clients that are gone, or slow on purpose: for the body they send and the response they read.

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

/// How long a body may stall, and how long [`MIN_RATE`] is not enforced.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The least bytes a second at which a body must arrive, on average.
const MIN_RATE: f64 = 1024.0;
/// How long the client may read nothing of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
struct BodyTimeout;

/// The request with a body that fails once it is too slow, however large it may be.
pub(super) async fn limited(request: Request) -> Request {
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let limited = RateLimit { chunks: body.into_data_stream(), bytes: 0, waited: Duration::ZERO };
        Body::from_stream(futures_util::stream::unfold(Some(limited), RateLimit::next))
    })
}

struct RateLimit {
    chunks: BodyDataStream,
    bytes: usize,
    /// The time spent waiting for the client, without the time that its reader takes.
    waited: Duration,
}

impl RateLimit {
    async fn next(limited: Option<Self>) -> Option<(Result<Bytes, axum::Error>, Option<Self>)> {
        let mut limited = limited?;
        let start = Instant::now();
        let chunk = tokio::time::timeout(BODY_TIMEOUT, limited.chunks.next()).await;
        limited.waited += start.elapsed();
        match chunk {
            Ok(Some(Ok(chunk))) => {
                limited.bytes += chunk.len();
                let is_slow = is_slow(limited.bytes, limited.waited);
                Some(if is_slow { (Err(axum::Error::new(BodyTimeout)), None) } else { (Ok(chunk), Some(limited)) })
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

/// A connection whose writes fail when the client reads nothing for too long.
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
