//! Slows down the guessing of passwords: the answer to a wrong login is delayed, and logged once in a while.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long the answer to a wrong login is delayed.
const RESPONSE_DELAY: Duration = Duration::from_millis(250);
/// How many logins of one address are checked at a time, and delayed if they are wrong; further ones wait. A login that has
/// been right before never waits.
const MAX_CONCURRENT: usize = 8;
/// How many addresses have slots of their own; all further ones share theirs.
const MAX_PEERS: usize = 256;
/// How often wrong logins are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Delays and logs wrong logins. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct LoginThrottle {
    slots: Arc<Mutex<LoginSlots>>,
    log: Arc<Mutex<ThrottledLog>>,
}

/// The slots of each address, so that one client that guesses delays no others.
#[derive(Debug)]
struct LoginSlots {
    peers: HashMap<Option<IpAddr>, Peer>,
    others: Arc<Semaphore>,
}

#[derive(Debug)]
struct Peer {
    slots: Arc<Semaphore>,
    last: Instant,
}

impl Default for LoginSlots {
    fn default() -> Self {
        Self { peers: HashMap::new(), others: Arc::new(Semaphore::new(MAX_CONCURRENT)) }
    }
}

impl LoginSlots {
    /// The slots of an address. When there are too many addresses, the one is forgotten that has been idle for longest.
    fn of(&mut self, peer: Option<IpAddr>, now: Instant) -> Arc<Semaphore> {
        let peer = peer.map(network);
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS {
            let idle = self.peers.iter().filter(|(_, peer)| Arc::strong_count(&peer.slots) == 1);
            let Some(oldest) = idle.min_by_key(|(_, peer)| peer.last).map(|(address, _)| *address) else {
                return self.others.clone();
            };
            self.peers.remove(&oldest);
        }
        let new = || Peer { slots: Arc::new(Semaphore::new(MAX_CONCURRENT)), last: now };
        let peer = self.peers.entry(peer).or_insert_with(new);
        peer.last = now;
        peer.slots.clone()
    }
}

/// Of an IPv6 address the first 64 bits: a client has all addresses that begin with them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[derive(Debug, Default)]
struct ThrottledLog {
    last: Option<Instant>,
    suppressed: u64,
}

/// One of the logins of an address that are checked at a time.
pub(super) struct LoginSlot {
    log: Arc<Mutex<ThrottledLog>>,
    peer: Option<SocketAddr>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl LoginThrottle {
    /// Waits until a login of an address may be checked.
    pub(super) async fn enter(&self, peer: Option<SocketAddr>) -> LoginSlot {
        let address = peer.map(|peer| peer.ip());
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner).of(address, Instant::now());
        // The semaphore is never closed.
        LoginSlot { log: self.log.clone(), peer, _permit: slots.acquire_owned().await.ok() }
    }
}

impl LoginSlot {
    /// Logs that the login was wrong, and waits for as long as its answer is delayed.
    pub(super) async fn reject(self) {
        let line = self.log.lock().unwrap_or_else(PoisonError::into_inner).line(self.peer, Instant::now());
        if let Some(line) = line {
            tracing::warn!(target: "jitney::http", "{line}");
        }
        tokio::time::sleep(RESPONSE_DELAY).await;
    }
}

impl ThrottledLog {
    /// The line about a wrong login, unless one was logged just now.
    fn line(&mut self, peer: Option<SocketAddr>, now: Instant) -> Option<String> {
        if self.last.is_some_and(|last| now - last < LOG_INTERVAL) {
            self.suppressed += 1;
            return None;
        }
        let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
        let before = match std::mem::take(&mut self.suppressed) {
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
    async fn wrong_logins_are_delayed_and_only_so_many_at_a_time() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        let wrong = (0..MAX_CONCURRENT * 2).map(|_| async { throttle.enter(None).await.reject().await });
        futures_util::future::join_all(wrong).await;
        assert!(start.elapsed() >= RESPONSE_DELAY * 2, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn each_address_has_slots_of_its_own_within_bounded_memory() {
        let (mut slots, now) = (LoginSlots::default(), Instant::now());
        let peer = |number: usize| format!("10.0.{}.{}", number / 256, number % 256).parse().ok();
        let all = slots.of(peer(0), now).acquire_many_owned(u32::try_from(MAX_CONCURRENT).unwrap()).await.unwrap();
        assert_eq!(slots.of(peer(0), now).available_permits(), 0);
        for number in 1..MAX_PEERS * 4 {
            let later = now + Duration::from_millis(u64::try_from(number).unwrap());
            assert_eq!(slots.of(peer(number), later).available_permits(), MAX_CONCURRENT);
        }
        assert_eq!(slots.peers.len(), MAX_PEERS);
        assert_eq!(slots.of(peer(0), now).available_permits(), 0, "one whose slots are taken is remembered");
        drop(all);
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| text.parse().ok());
        assert!(Arc::ptr_eq(&slots.of(one, now), &slots.of(two, now)));
        assert!(!Arc::ptr_eq(&slots.of(one, now), &slots.of(other, now)));
    }
}
