//! The states of an execution.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares the states with the word that users see for each.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// The state of an execution, in Kestra's words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ExecutionState {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl ExecutionState {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The state as users see it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

states! {
    /// Created, not started.
    Created = "CREATED",
    /// Waits for a slot of its flow, or for its process.
    Queued = "QUEUED",
    /// A process works on it, or died while it did.
    Running = "RUNNING",
    /// Waits for somebody, or for a moment.
    Paused = "PAUSED",
    /// To be run again from the tasks that had not ended well.
    Restarted = "RESTARTED",
    /// Failed, and retried soon.
    Retrying = "RETRYING",
    /// Failed, and retried by another execution.
    Retried = "RETRIED",
    /// Running attempts are being cancelled.
    Killing = "KILLING",
    /// A user killed it.
    Killed = "KILLED",
    /// Not run, or stopped, because of its flow's `concurrency`, `sla` or a pause.
    Cancelled = "CANCELLED",
    /// A task that may fail did.
    Warning = "WARNING",
    /// A task failed.
    Failed = "FAILED",
    /// All tasks ended well.
    Success = "SUCCESS",
}

impl ExecutionState {
    /// Whether nothing remains to be done.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Success | Self::Warning | Self::Retried)
    }

    /// Whether it is over, for good or until somebody restarts it.
    pub fn has_ended(self) -> bool {
        self.is_done() || matches!(self, Self::Failed | Self::Killed | Self::Cancelled)
    }

    /// Whether it is over and can be restarted.
    pub fn is_restartable(self) -> bool {
        self.has_ended() && !self.is_done()
    }
}

impl fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
