//! What a wrong login costs, and who is told of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long the answer to a wrong login takes.
const DELAY: Duration = Duration::from_millis(250);
/// How many wrong logins are answered at a time; whoever logs in rightly never waits.
const AT_A_TIME: usize = 64;
/// How often there is a line about wrong logins.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Slows wrong logins down and reports them. Clones are one and the same.
#[derive(Clone)]
pub(super) struct WrongLogins {
    turns: Arc<Semaphore>,
    lines: Arc<Mutex<Lines>>,
    report: Arc<dyn Fn(&str) + Send + Sync>,
}

#[derive(Debug, Default)]
struct Lines {
    last: Option<Instant>,
    left_out: u64,
}

impl WrongLogins {
    /// Lines about wrong logins go to `report`.
    pub(super) fn new(report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_A_TIME)), lines: Arc::default(), report: Arc::new(report) }
    }

    /// Reports a wrong login and waits as long as it costs.
    pub(super) async fn wait(&self, peer: Option<SocketAddr>) {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).line(peer, Instant::now());
        if let Some(line) = line {
            (self.report)(&line);
        }
        // The semaphore is never closed; if it were, there would be no turn to wait for.
        let _turn = self.turns.acquire().await;
        tokio::time::sleep(DELAY).await;
    }
}

impl Lines {
    /// The line about a wrong login, unless there has been one just now.
    fn line(&mut self, peer: Option<SocketAddr>, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now - last < LINE_INTERVAL) {
            self.left_out += 1;
            return None;
        }
        let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
        let before = match std::mem::take(&mut self.left_out) {
            0 => String::new(),
            more => format!(" ({more} more since the last such line)"),
        };
        self.last = Some(now);
        Some(format!("wrong login or token from {from}{before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_line_for_the_first_and_a_count_of_those_that_follow() {
        let (mut lines, peer) = (Lines::default(), "10.0.0.7:4711".parse().ok());
        let start = Instant::now();
        assert_eq!(lines.line(peer, start).as_deref(), Some("wrong login or token from 10.0.0.7"));
        for millis in 0..500 {
            assert_eq!(lines.line(peer, start + Duration::from_millis(millis)), None);
        }
        let later = lines.line(peer, start + LINE_INTERVAL).unwrap();
        assert_eq!(later, "wrong login or token from 10.0.0.7 (500 more since the last such line)");
    }

    #[tokio::test]
    async fn wrong_logins_take_their_time_and_only_so_many_are_answered_at_once() {
        let wrong = WrongLogins::new(|_| {});
        let start = Instant::now();
        futures_util::future::join_all((0..AT_A_TIME * 2).map(|_| wrong.wait(None))).await;
        assert!(start.elapsed() >= DELAY * 2, "{:?}", start.elapsed());
    }
}
