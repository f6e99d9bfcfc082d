//! The ledger as a page: every load with its reconciliation.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use serde::Serialize;

use super::{DataHead, head};
use crate::blocking::run_blocking;
use crate::id::ExecutionId;
use crate::server::App;
use crate::server::api::parameters::QueryParameters;
use crate::server::databases::{Database, LoadFilter, LoadTotals, ReadOnly, RecordedLoad};
use crate::server::pages::executions::FilterChoice;
use crate::server::pages::format::{Amount, ByteCount, ShownTime, duration};
use crate::server::pages::shell::{NavPage, Shell};
use crate::server::pages::{PageResult, page_or_json};
use crate::task::TaskError;
use crate::text::count;

/// How many loads one page shows.
const PAGE_SIZE: u32 = 50;

#[derive(Serialize)]
struct ListedLoad {
    target: String,
    partition: String,
    source: String,
    flow: String,
    execution: String,
    /// Whether the journal has the execution.
    has_execution: bool,
    read: Amount,
    loaded: Amount,
    rejected: Amount,
    skipped: Amount,
    reconciles: bool,
    bytes: ByteCount,
    took: String,
    at: ShownTime,
}

#[derive(Serialize, Template)]
#[template(path = "data_loads.html")]
struct LoadsPage {
    #[serde(skip)]
    shell: Shell,
    head: DataHead,
    has_ledger: bool,
    summary: String,
    wrong: u64,
    loads: Vec<ListedLoad>,
    targets: Vec<FilterChoice>,
    text: String,
    flow: String,
    has_rejected: bool,
    has_filter: bool,
    newer: Option<String>,
    older: Option<String>,
}

/// What was read of a ledger.
#[derive(Default)]
struct ReadLoads {
    has_ledger: bool,
    totals: LoadTotals,
    loads: Vec<RecordedLoad>,
    targets: Vec<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let (mut head, database) = head(&app, "loads", &parameters).await?;
    let text = |name: &str| parameters.one(name).map(str::to_owned);
    let filter = LoadFilter {
        target: text("table"),
        flow: text("flow"),
        text: text("q"),
        has_rejected: parameters.is_on("rejected"),
    };
    let number = parameters.read("page", "1")?.unwrap_or(1_u32).max(1);
    let skipped = PAGE_SIZE.saturating_mul(number - 1);
    let mut found = ReadLoads::default();
    if let Some(database) = &database {
        match read(&app, database, &filter, skipped).await {
            Ok(read) => found = read,
            Err(error) => head.failed(&error),
        }
    }
    let has_more = found.loads.len() > PAGE_SIZE as usize;
    found.loads.truncate(PAGE_SIZE as usize);
    let LoadTotals { loads, rows, wrong } = found.totals;
    let to = |page: u32| parameters.with("page", &page.to_string());
    let target = filter.target.as_deref().unwrap_or_default();
    page_or_json(&LoadsPage {
        shell: Shell::of(&app, NavPage::Data, ""),
        head,
        has_ledger: found.has_ledger,
        summary: format!("{} · {}", count(loads, "load"), count(rows, "row")),
        wrong,
        loads: run_blocking(|| found.loads.into_iter().map(|load| listed(&app, load)).collect()),
        targets: found
            .targets
            .into_iter()
            .map(|name| FilterChoice { is_chosen: name == target, value: name })
            .collect(),
        text: filter.text.clone().unwrap_or_default(),
        flow: filter.flow.clone().unwrap_or_default(),
        has_rejected: filter.has_rejected,
        has_filter: ["table", "flow", "q", "rejected"].iter().any(|name| parameters.one(name).is_some()),
        newer: (number > 1).then(|| to(number - 1)),
        older: has_more.then(|| to(number.saturating_add(1))),
    })
}

async fn read(app: &App, database: &Database, filter: &LoadFilter, skipped: u32) -> Result<ReadLoads, TaskError> {
    let session = ReadOnly::open(&app.settings, database).await?;
    let Some(ledger) = session.ledger().await? else {
        session.finish();
        return Ok(ReadLoads::default());
    };
    let found = ReadLoads {
        has_ledger: true,
        totals: session.totals(&ledger, filter).await?,
        loads: session.loads(&ledger, filter, (PAGE_SIZE + 1, skipped)).await?,
        targets: session.targets(&ledger).await?,
    };
    session.finish();
    Ok(found)
}

fn listed(app: &App, load: RecordedLoad) -> ListedLoad {
    let known = |id: &str| {
        let id: ExecutionId = id.parse().ok()?;
        app.executor.journal().summary(&id).ok().flatten()
    };
    ListedLoad {
        reconciles: load.reconciles(),
        has_execution: known(&load.execution).is_some(),
        read: Amount(load.read),
        loaded: Amount(load.loaded),
        rejected: Amount(load.rejected),
        skipped: Amount(load.skipped),
        bytes: ByteCount(load.bytes),
        took: duration(Duration::from_secs_f64(load.seconds.clamp(0.0, 1e9))),
        at: ShownTime::of(load.at),
        target: load.target,
        partition: load.partition,
        source: load.source,
        flow: load.flow,
        execution: load.execution,
    }
}
