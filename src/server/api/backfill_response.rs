//! Backfills in responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::backfill::{PartitionState, PartitionStatus, StartedBackfill, rows};
use crate::journal::Backfill;

/// What a backfill would run, and the backfill if it was created.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct BackfillPlanResponse {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
    /// The number of partitions to run.
    runs: usize,
    /// Why the content of the target could not be read, so that earlier executions decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsure: Option<String>,
    /// Warnings about a backfill that can run: partitions in the future, or a flow that does the same for each of
    /// them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Every partition.
    partitions: Vec<PartitionDecisionResponse>,
    /// The backfill; none after a dry run. One with nothing to run has ended with SUCCESS.
    backfill: Option<BackfillResponse>,
}

/// A partition before the backfill.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PartitionDecisionResponse {
    /// Its name.
    partition: String,
    /// The date that it is for.
    date: DateTime<Utc>,
    /// Its state, in words.
    last: String,
    /// Its latest execution.
    execution: Option<String>,
    /// Whether it runs.
    runs: bool,
}

/// A backfill.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct BackfillResponse {
    /// Its id.
    id: String,
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
    /// RUNNING, PAUSED, CANCELLING, STOPPED (no process runs it), SUCCESS, FAILED or CANCELLED.
    state: String,
    /// Why it is on hold, if no user paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// When it was created.
    created: DateTime<Utc>,
    /// When it ended.
    ended: Option<DateTime<Utc>>,
    /// The schedule of its partitions.
    trigger: Option<String>,
    /// The step of its partitions, if there is no schedule.
    every: Option<String>,
    /// The first partition, as it was given.
    from: String,
    /// The last partition, as it was given.
    to: String,
    /// The inputs, without secret ones.
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
    /// Which partitions run: all, missing or failed.
    #[schema(value_type = String)]
    only: crate::journal::PartitionFilter,
    /// How many run at a time.
    parallel: u32,
    /// Whether the server runs it, as opposed to a command line.
    by_server: bool,
    /// The number of partitions.
    total: usize,
    /// How many of them are done: loaded or skipped.
    done: usize,
    /// How many failed.
    failed: usize,
    /// Rows that it loaded.
    rows: u64,
    /// Every partition; omitted in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<PartitionResponse>>,
}

/// A partition of a backfill.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartitionResponse {
    /// Its name.
    partition: String,
    /// The date that it is for.
    date: DateTime<Utc>,
    /// WAITING, RUNNING, LOADED, FAILED, STOPPED or SKIPPED.
    #[schema(value_type = Object)]
    #[serde(flatten)]
    status: PartitionStatus,
    /// The inputs of its execution, without secret ones.
    #[schema(value_type = Object)]
    inputs: Map<String, Value>,
    /// Its latest execution.
    execution: Option<String>,
}

impl BackfillPlanResponse {
    /// Every partition: its name, its status in words, and whether it runs.
    pub(in crate::server) fn partitions(&self) -> Vec<(String, String, bool)> {
        self.partitions.iter().map(|row| (row.partition.clone(), row.last.clone(), row.runs)).collect()
    }

    /// How many partitions run.
    pub(in crate::server) fn runs(&self) -> usize {
        self.runs
    }

    /// What is odd about it.
    pub(in crate::server) fn warnings(&self) -> Vec<String> {
        self.unsure.iter().chain(&self.warnings).cloned().collect()
    }

    /// The backfill's id, unless it is a dry run.
    pub(super) fn id(&self) -> Option<String> {
        self.backfill.as_ref().map(|backfill| backfill.id.clone())
    }

    pub(super) fn new(
        namespace: &str,
        flow_id: &str,
        started: StartedBackfill,
        backfill: Option<BackfillResponse>,
    ) -> Self {
        let StartedBackfill { plan, warnings, .. } = started;
        let runs = plan.runs();
        let decisions = plan.decisions.into_iter().map(|choice| PartitionDecisionResponse {
            partition: choice.partition,
            date: choice.date,
            last: choice.last,
            execution: choice.execution.map(|id| id.to_string()),
            runs: choice.runs,
        });
        let (namespace, flow_id) = (namespace.to_owned(), flow_id.to_owned());
        Self { namespace, flow_id, runs, unsure: plan.unsure, warnings, partitions: decisions.collect(), backfill }
    }
}

impl BackfillResponse {
    /// A whole backfill.
    pub(super) fn new(backfill: &Backfill, state: &str, cells: &[PartitionState]) -> Self {
        let spec = backfill.spec.clone();
        let count = |is: fn(&PartitionStatus) -> bool| cells.iter().filter(|cell| is(&cell.status)).count();
        let partitions = cells.iter().zip(&backfill.partitions).map(|(cell, partition)| PartitionResponse {
            partition: cell.partition.clone(),
            date: cell.date,
            status: cell.status.clone(),
            inputs: partition.inputs.clone(),
            execution: cell.execution.as_ref().map(ToString::to_string),
        });
        Self {
            id: backfill.id.to_string(),
            namespace: backfill.namespace.clone(),
            flow_id: backfill.flow.clone(),
            state: state.to_owned(),
            problem: backfill.problem.clone(),
            created: backfill.created,
            ended: backfill.ended,
            trigger: spec.trigger,
            every: spec.every,
            from: spec.from,
            to: spec.to,
            inputs: spec.inputs.into_iter().map(|(name, value)| (name, Value::from(value))).collect(),
            only: spec.only,
            parallel: spec.parallel,
            by_server: spec.by_server,
            total: cells.len(),
            done: count(PartitionStatus::is_complete),
            failed: count(PartitionStatus::is_failed),
            rows: rows(cells),
            partitions: Some(partitions.collect()),
        }
    }

    /// The same in a list.
    pub(super) fn listed(self) -> Self {
        Self { partitions: None, ..self }
    }
}
