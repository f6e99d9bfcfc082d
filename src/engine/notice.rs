//! Notices about the progress of an execution, for displays.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::flow::Step;
use crate::id::RunId;
use crate::journal::TaskFailure;
use crate::task::{Level, LogSource, Outputs, Progress};

/// A notice about the progress of an execution.
pub enum Notice<'a> {
    /// An attempt begins.
    TaskStarted {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// The attempt's number, from 1.
        attempt: u32,
        /// How far it comes.
        progress: Arc<Progress>,
    },
    /// An attempt ended well.
    TaskSucceeded {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// Its outputs.
        outputs: &'a Outputs,
        /// How long it took.
        took: Duration,
    },
    /// An attempt ended badly.
    TaskFailed {
        /// The task run.
        run: &'a RunId,
        /// The task.
        step: &'a Step,
        /// Why.
        error: &'a TaskFailure,
        /// When it is retried.
        retry_at: Option<DateTime<Utc>>,
    },
    /// A task was skipped.
    TaskSkipped(&'a Step),
    /// A task, or the engine, logs a line.
    Log {
        /// Who logs it.
        source: &'a LogSource,
        /// How severe it is.
        level: Level,
        /// The text, without secrets.
        message: &'a str,
    },
}

/// Where notices go.
pub type Observer = Arc<dyn Fn(Notice) + Send + Sync>;
