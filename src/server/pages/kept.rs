//! What takes long to find out about a flow's partitions, kept until something is written about its executions: a page that is
//! open reads them again and again, and so do all who look at it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::blocking::run_blocking;
use crate::flow::Flow;
use crate::id::FlowKey;
use crate::journal::FlowVersion;
use crate::server::App;
use crate::server::api::error::ApiError;

/// How many results are kept, those that were wanted last.
const MAX_KEPT: usize = 16;
/// How long a result is kept at most. A process that died or a table that was changed by others is not in the journal.
const MAX_AGE: Duration = Duration::from_secs(10);
/// The same where a target was asked what it holds.
const MAX_AGE_OF_TARGET: Duration = Duration::from_secs(2);
/// A result that took longer than this to find is returned though something has been written since,
const SLOW: Duration = Duration::from_millis(100);
/// until it is this many times as old as it took: a backfill of thousands of partitions would keep a core busy otherwise.
const AGE_PER_COST: u32 = 4;

/// Results by flow and query.
pub(super) struct KeptResults<T>(Mutex<Vec<(ResultKey, ResultSlot<T>)>>);

type ResultKey = (FlowKey, String);
/// Held while the result is found, so that others wait for it and need not find it too.
type ResultSlot<T> = Arc<tokio::sync::Mutex<Option<KeptResult<T>>>>;

struct KeptResult<T> {
    value: Arc<T>,
    flow: Arc<Flow>,
    version: FlowVersion,
    found: Instant,
    cost: Duration,
}

/// A result that was kept, or has just been found.
pub(super) struct KeptValue<T> {
    pub(super) value: Arc<T>,
    /// Whether something has been written since it was found.
    pub(super) is_stale: bool,
}

impl<T> Default for KeptResults<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> KeptResults<T> {
    /// What a query about a flow finds.
    pub(super) async fn get(
        &self,
        app: &App,
        flow: &Arc<Flow>,
        query: String,
        find: impl AsyncFnOnce() -> Result<T, ApiError>,
    ) -> Result<KeptValue<T>, ApiError> {
        let key = FlowKey::new(&flow.namespace, flow.id.to_string());
        let slot = self.slot((key.clone(), query));
        let mut held = slot.lock().await;
        // Before anything is read: what is written meanwhile counts as later.
        let version = run_blocking(|| app.executor.journal().flow_version(&key))?;
        if let Some(kept) = held.as_ref().filter(|kept| kept.is_usable(flow, version)) {
            return Ok(KeptValue { value: kept.value.clone(), is_stale: kept.version != version });
        }
        let begun = Instant::now();
        let value = Arc::new(find().await?);
        let (found, flow) = (Instant::now(), flow.clone());
        *held = Some(KeptResult { value: value.clone(), flow, version, found, cost: found - begun });
        Ok(KeptValue { value, is_stale: false })
    }

    fn slot(&self, key: ResultKey) -> ResultSlot<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(other, _)| *other == key).map(|place| kept.remove(place));
        let (key, slot) = known.unwrap_or_else(|| (key, ResultSlot::default()));
        kept.push((key, slot.clone()));
        if kept.len() > MAX_KEPT {
            kept.remove(0);
        }
        slot
    }
}

impl<T> KeptResult<T> {
    fn is_usable(&self, flow: &Arc<Flow>, version: FlowVersion) -> bool {
        let age = self.found.elapsed();
        let asks_target = flow.all_steps().iter().any(|step| step.task.ledger.is_some());
        let is_young = age < if asks_target { MAX_AGE_OF_TARGET } else { MAX_AGE };
        let is_costly = self.cost > SLOW && age < self.cost * AGE_PER_COST;
        Arc::ptr_eq(&self.flow, flow) && is_young && (self.version == version || is_costly)
    }
}
