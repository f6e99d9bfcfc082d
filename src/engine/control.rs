//! Asking a running execution to stop: to be killed, paused or suspended for a shutdown.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The state that a suspended execution gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// It is queued again, since its process stops.
    Queued,
    /// It is paused.
    Paused,
}

/// A handle to stop a running execution. Of suspensions the first one counts; a kill always does.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Kills it: running attempts are cancelled.
    pub kill: CancellationToken,
    suspend: CancellationToken,
    abort: CancellationToken,
    suspended_as: Arc<OnceLock<Suspend>>,
}

impl Control {
    /// Suspends it: it starts no more attempts, and those that are running run to their end.
    pub fn suspend(&self, suspend: Suspend) {
        self.suspended_as.get_or_init(|| suspend);
        self.suspend.cancel();
    }

    /// Cancels the running attempts of a suspended execution. They will start again.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// The state that it is to get, once it has been suspended.
    pub(super) fn suspended(&self) -> Option<Suspend> {
        self.suspended_as.get().copied()
    }

    /// Completes when it is to stop in any way.
    pub(super) async fn stop_requested(&self) {
        tokio::select! { () = self.kill.cancelled() => {}, () = self.suspend.cancelled() => {} }
    }

    /// Completes when running attempts are to be cancelled.
    pub(super) async fn aborted(&self) {
        tokio::select! { () = self.kill.cancelled() => {}, () = self.abort.cancelled() => {} }
    }
}
