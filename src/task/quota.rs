//! How much of what scripts print is kept.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a line takes in the journal in addition to its text, roughly.
pub const LINE_OVERHEAD: u64 = 100;

/// What an execution's log still takes of what its scripts print.
#[derive(Debug)]
pub struct LogQuota {
    limit: u64,
    used: AtomicU64,
}

impl LogQuota {
    /// The limit, 32 MB, unless a setting names another.
    pub const DEFAULT: u64 = 32_000_000;

    /// A limit of which some is used already.
    pub fn new(limit: u64, used: u64) -> Self {
        Self { limit, used: AtomicU64::new(used) }
    }

    /// Takes a line of so many bytes into account; false when there is no room for it any more.
    pub fn take(&self, bytes: usize) -> bool {
        let needed = (bytes as u64).saturating_add(LINE_OVERHEAD);
        self.used.fetch_add(needed, Ordering::Relaxed).saturating_add(needed) <= self.limit
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

impl Default for LogQuota {
    fn default() -> Self {
        Self::new(Self::DEFAULT, 0)
    }
}
