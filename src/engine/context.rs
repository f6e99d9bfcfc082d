//! What stays the same while an execution is worked on, and is not in its state.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::engine::host::ExecutionHost;
use crate::id::ExecutionId;
use crate::task::LogQuota;

/// What a plan needs to know besides the state: who runs, and the secret inputs that the journal does not hold.
#[derive(Clone)]
pub struct ExecutionContext {
    /// The execution.
    pub id: ExecutionId,
    /// Secret inputs by name.
    pub secrets: Map<String, Value>,
    /// Whether its values may come from outside, so that they may not name every file of this machine.
    pub restricted: bool,
    /// Log lines that need not be said again.
    pub said: Arc<Mutex<BTreeSet<String>>>,
    /// How much of what scripts print is still kept.
    pub quota: Arc<LogQuota>,
    /// What expressions may ask beyond the state: secrets, files, stored values.
    pub host: Arc<ExecutionHost>,
}
