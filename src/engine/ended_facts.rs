//! What lists of partitions need of executions that have ended, kept in memory: it stands in the events alone, and those of
//! thousands of executions take long to read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::engine::EngineError;
use crate::journal::Summary;

/// How many are kept; when there are more, all are read anew.
const MAX_KEPT: usize = 100_000;

/// What the events of an execution that has ended tell about its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedFacts {
    /// Whether all of it was loaded before.
    pub(super) is_there_already: bool,
    /// Why it failed: in a word or two, and in full.
    pub(super) why: Option<(String, String)>,
    /// The checksum of what it downloaded.
    pub(super) sha256: Option<String>,
}

/// Facts with the end that they are of: an execution that runs again ends at another moment.
type Kept = HashMap<String, (Option<DateTime<Utc>>, Arc<EndedFacts>)>;

/// The facts that are kept. Clones share them.
#[derive(Clone, Default)]
pub struct EndedFactsCache(Arc<Mutex<Kept>>);

impl EndedFactsCache {
    /// The facts of an execution, which `read` finds unless they are known.
    pub(super) fn of(
        &self,
        summary: &Summary,
        read: impl FnOnce() -> Result<EndedFacts, EngineError>,
    ) -> Result<Arc<EndedFacts>, EngineError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((ended, facts)) = lock().get(summary.id.as_str())
            && *ended == summary.ended
        {
            return Ok(facts.clone());
        }
        let facts = Arc::new(read()?);
        let mut kept = lock();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(summary.id.to_string(), (summary.ended, facts.clone()));
        Ok(facts)
    }
}
