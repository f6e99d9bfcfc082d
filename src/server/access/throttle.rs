//! What a wrong login costs, and how it is logged.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long the answer to a wrong login takes.
const RESPONSE_DELAY: Duration = Duration::from_millis(250);
/// How many wrong logins of one address are answered at a time; whoever logs in rightly never waits.
const MAX_CONCURRENT: usize = 8;
/// How many addresses have turns of their own; all further ones share theirs.
const MAX_PEERS: usize = 256;
/// How often there is a line about wrong logins.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Slows wrong logins down and logs them. Clones are one and the same.
#[derive(Clone, Default)]
pub(super) struct LoginThrottle {
    turns: Arc<Mutex<LoginSlots>>,
    lines: Arc<Mutex<ThrottledLog>>,
}

/// Who may be answered when: each address for itself, so that one who guesses delays nobody else.
#[derive(Debug)]
struct LoginSlots {
    peers: HashMap<Option<IpAddr>, Peer>,
    others: Arc<Semaphore>,
}

#[derive(Debug)]
struct Peer {
    turns: Arc<Semaphore>,
    last: Instant,
}

impl Default for LoginSlots {
    fn default() -> Self {
        Self { peers: HashMap::new(), others: Arc::new(Semaphore::new(MAX_CONCURRENT)) }
    }
}

impl LoginSlots {
    /// The turns of an address. When there are too many addresses, the one goes that was heard of the longest time ago and
    /// waits for nothing.
    fn of(&mut self, peer: Option<IpAddr>, now: Instant) -> Arc<Semaphore> {
        let peer = peer.map(network);
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS {
            let idle = self.peers.iter().filter(|(_, peer)| Arc::strong_count(&peer.turns) == 1);
            let Some(oldest) = idle.min_by_key(|(_, peer)| peer.last).map(|(address, _)| *address) else {
                return self.others.clone();
            };
            self.peers.remove(&oldest);
        }
        let turns = || Peer { turns: Arc::new(Semaphore::new(MAX_CONCURRENT)), last: now };
        let peer = self.peers.entry(peer).or_insert_with(turns);
        peer.last = now;
        peer.turns.clone()
    }
}

/// Of an IPv6 address the first 64 bits: whoever has one has all that begin like it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[derive(Debug, Default)]
struct ThrottledLog {
    last: Option<Instant>,
    left_out: u64,
}

impl LoginThrottle {
    /// Logs a wrong login and waits as long as it costs.
    pub(super) async fn wait(&self, peer: Option<SocketAddr>) {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).line(peer, Instant::now());
        if let Some(line) = line {
            tracing::warn!(target: "jitney::http", "{line}");
        }
        let address = peer.map(|peer| peer.ip());
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner).of(address, Instant::now());
        // The semaphore is never closed; if it were, there would be no turn to wait for.
        let _turn = turns.acquire().await;
        tokio::time::sleep(RESPONSE_DELAY).await;
    }
}

impl ThrottledLog {
    /// The line about a wrong login, unless there has been one just now.
    fn line(&mut self, peer: Option<SocketAddr>, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now - last < LOG_INTERVAL) {
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
        let (mut lines, peer) = (ThrottledLog::default(), "10.0.0.7:4711".parse().ok());
        let start = Instant::now();
        assert_eq!(lines.line(peer, start).as_deref(), Some("wrong login or token from 10.0.0.7"));
        for millis in 0..500 {
            assert_eq!(lines.line(peer, start + Duration::from_millis(millis)), None);
        }
        let later = lines.line(peer, start + LOG_INTERVAL).unwrap();
        assert_eq!(later, "wrong login or token from 10.0.0.7 (500 more since the last such line)");
    }

    #[tokio::test]
    async fn wrong_logins_take_their_time_and_only_so_many_are_answered_at_once() {
        let wrong = LoginThrottle::default();
        let start = Instant::now();
        futures_util::future::join_all((0..MAX_CONCURRENT * 2).map(|_| wrong.wait(None))).await;
        assert!(start.elapsed() >= RESPONSE_DELAY * 2, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn each_address_has_turns_of_its_own_and_they_take_no_more_memory() {
        let (mut turns, now) = (LoginSlots::default(), Instant::now());
        let peer = |number: usize| format!("10.0.{}.{}", number / 256, number % 256).parse().ok();
        let all = turns.of(peer(0), now).acquire_many_owned(u32::try_from(MAX_CONCURRENT).unwrap()).await.unwrap();
        assert_eq!(turns.of(peer(0), now).available_permits(), 0);
        for number in 1..MAX_PEERS * 4 {
            let later = now + Duration::from_millis(u64::try_from(number).unwrap());
            assert_eq!(turns.of(peer(number), later).available_permits(), MAX_CONCURRENT);
        }
        assert_eq!(turns.peers.len(), MAX_PEERS);
        assert_eq!(turns.of(peer(0), now).available_permits(), 0, "one whose turns are taken is remembered");
        drop(all);
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| text.parse().ok());
        assert!(Arc::ptr_eq(&turns.of(one, now), &turns.of(two, now)));
        assert!(!Arc::ptr_eq(&turns.of(one, now), &turns.of(other, now)));
    }
}
