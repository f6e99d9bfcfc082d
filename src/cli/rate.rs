//! The current speed of a task over the last seconds, so that a stalled task is noticed.

use std::collections::VecDeque;
use std::time::Duration;

/// The period over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// Rows and bytes at some moments of the last seconds.
pub(super) struct RateMeter {
    samples: VecDeque<(Duration, [u64; 2])>,
}

impl Default for RateMeter {
    fn default() -> Self {
        Self { samples: VecDeque::from([(Duration::ZERO, [0, 0])]) }
    }
}

impl RateMeter {
    /// Rows and bytes per second, given the totals `elapsed` after the start.
    pub(super) fn rates(&mut self, elapsed: Duration, done: [u64; 2]) -> [u64; 2] {
        // Keep one sample from before the window, so that the rates cover all of it.
        while self.samples.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((elapsed, done));
        let (began, before) = self.samples.front().copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(began).as_secs_f64().max(0.001);
        let rate = |index: usize| (done[index].saturating_sub(before[index]) as f64 / seconds) as u64;
        [rate(0), rate(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_to_nothing_when_nothing_moves() {
        let mut pace = RateMeter::default();
        let mut at = |seconds, rows| pace.rates(Duration::from_secs(seconds), [rows, 0])[0];
        assert_eq!(at(5, 5000), 1000);
        assert_eq!(at(10, 10_000), 1000);
        assert_eq!(at(15, 10_000), 500);
        assert_eq!(at(20, 10_000), 0);
        assert_eq!(at(25, 10_000), 0);
        assert_eq!(at(30, 15_000), 500);
    }
}
