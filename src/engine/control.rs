//! How an execution under way is asked to stop.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// What an execution that is to rest becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// It waits for its turn again: its process stops.
    Queued,
    /// It is paused.
    Paused,
}

/// The ways to stop an execution under way, held by whoever may do so. The first one that is used holds, but for a
/// kill, which always does.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Stops it for good: what is under way is broken off.
    pub kill: CancellationToken,
    rest: CancellationToken,
    cut: CancellationToken,
    becomes: Arc<OnceLock<Suspend>>,
}

impl Control {
    /// Begins nothing more; what is under way goes on to its end.
    pub fn suspend(&self, suspend: Suspend) {
        self.becomes.get_or_init(|| suspend);
        self.rest.cancel();
    }

    /// Breaks off what is under way in an execution that is to rest. It will begin again.
    pub fn abort(&self) {
        self.cut.cancel();
    }

    /// What it is to become, once it is to rest.
    pub(super) fn suspended(&self) -> Option<Suspend> {
        self.becomes.get().copied()
    }

    /// Comes when it is to stop in any way.
    pub(super) async fn stop_requested(&self) {
        tokio::select! { () = self.kill.cancelled() => {}, () = self.rest.cancelled() => {} }
    }

    /// Comes when what is under way is to be broken off.
    pub(super) async fn aborted(&self) {
        tokio::select! { () = self.kill.cancelled() => {}, () = self.cut.cancelled() => {} }
    }
}
