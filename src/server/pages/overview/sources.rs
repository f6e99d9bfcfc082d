//! Files that have changed at their source since they were loaded: asked for by a button, by headers alone.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::clock;
use crate::engine::backfill::{GridColumn, GridRequest, PartitionReport, SourceChange};
use crate::engine::catalog::CatalogEntry;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::api::pool::run_on_pool;
use crate::server::pages::shell::flow_address;
use crate::text::count;

/// How many flows are looked at, and of each how many of its last partitions; how many changes are shown; and for how long
/// sources are asked.
const MAX_FLOWS: usize = 10;
const LAST: usize = 12;
const SHOWN: usize = 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A partition whose file is another one now, or gone.
#[derive(Serialize)]
pub(super) struct ChangedSource {
    pub(super) flow: String,
    /// The page of its partitions, at this one.
    pub(super) address: String,
    pub(super) partition: String,
    pub(super) words: String,
}

impl ChangedSource {
    fn of(entry: &CatalogEntry, column: &GridColumn, known: &PartitionReport) -> Option<Self> {
        let words = match known.source.as_ref()? {
            SourceChange::Changed(why) => format!("changed at the source: {why}"),
            SourceChange::Gone => "no longer at the source".to_owned(),
            SourceChange::Same | SourceChange::New | SourceChange::NotThere | SourceChange::Unknown(_) => return None,
        };
        let query = QueryParameters::default().adding("check", "true");
        let query = query.adding("cell", &format!("{}|{}", column.name, known.partition)).text();
        Some(Self {
            flow: entry.id.clone(),
            address: format!("{}/partitions?{query}", flow_address(&entry.namespace, &entry.id)),
            partition: known.partition.clone(),
            words,
        })
    }
}

/// What the sources were asked, and what has changed there.
#[derive(Default)]
pub(super) struct CheckedSources {
    pub(super) changed: Vec<ChangedSource>,
    asked: u64,
    unknown: u64,
    /// Flows that could not be looked at, and those for which there was no time.
    failed: u64,
    late: u64,
}

impl CheckedSources {
    /// `24 partitions asked, 2 changed, 3 unknown`
    pub(super) fn words(&self) -> String {
        let mut words = format!("{} asked, {} changed", count(self.asked, "partition"), self.changed.len());
        for (number, what) in
            [(self.unknown, "unknown"), (self.failed, "not readable"), (self.late, "left out for want of time")]
        {
            if number > 0 {
                words += &format!(", {number} {what}");
            }
        }
        words
    }

    fn add(&mut self, entry: &CatalogEntry, column: &GridColumn) {
        for known in &column.known {
            self.asked += u64::from(known.source.is_some());
            self.unknown += u64::from(matches!(known.source, Some(SourceChange::Unknown(_))));
            let changed = ChangedSource::of(entry, column, known).filter(|_| self.changed.len() < SHOWN);
            self.changed.extend(changed);
        }
    }
}

/// The flows that download something.
fn with_sources(app: &App) -> Vec<Arc<CatalogEntry>> {
    let downloads = |entry: &Arc<CatalogEntry>| entry.flow.all_steps().iter().any(|step| step.task.source.is_some());
    app.catalog.list().into_iter().filter(|entry| !entry.is_broken && downloads(entry)).take(MAX_FLOWS).collect()
}

/// Whether any flow downloads something.
pub(super) fn are_there(app: &App) -> bool {
    !with_sources(app).is_empty()
}

/// Asks the sources of all flows that download something.
pub(super) async fn check(app: &Arc<App>) -> Result<CheckedSources, ApiError> {
    let app = app.clone();
    run_on_pool(async move || Ok(ask(&app).await)).await
}

async fn ask(app: &App) -> CheckedSources {
    let (mut checked, deadline) = (CheckedSources::default(), Instant::now() + TIMEOUT);
    for entry in with_sources(app) {
        let request = GridRequest { check: true, last: Some(LAST), ..GridRequest::default() };
        let looking = app.executor.runner().grid(&entry.flow, &request, clock::now());
        match tokio::time::timeout_at(deadline, looking).await {
            Ok(Ok(grid)) => grid.columns.iter().for_each(|column| checked.add(&entry, column)),
            Ok(Err(_)) => checked.failed += 1,
            Err(_) => checked.late += 1,
        }
    }
    checked
}
