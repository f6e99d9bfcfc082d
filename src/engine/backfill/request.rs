//! A backfill that is asked for: checked, chosen, written down.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::backfill_run::is_running;
use super::calendar::{PartitionKey, PartitionSchedule};
use super::decision::BackfillPlan;
use super::error::BackfillError;
use super::inputs::{secrets_of, with_secrets, without_secrets};
use super::partition_run::{PartitionRun, Partitioned};
use super::{fixed, warnings};
use crate::engine::{EngineError, Runner, target_of};
use crate::flow::Flow;
use crate::journal::{
    BACKFILL_LABEL, Backfill, BackfillPartition, BackfillSpec, DesiredState, ExecutionQuery, PARTITION_LABEL,
};

/// The most backfills of a flow that are looked through for one that is the same.
const MAX_BACKFILLS: u32 = 1000;

/// A backfill that is requested or to be continued: its flow, and what each partition is given.
#[derive(Clone, Debug)]
pub struct BackfillRequest {
    /// The flow.
    pub flow: Arc<Flow>,
    /// What is asked for, as the journal may keep it.
    pub spec: BackfillSpec,
    /// Values for inputs as they were given.
    pub given: Vec<(String, String)>,
    /// The execution of each partition, as it would be.
    pub runs: Vec<PartitionRun>,
}

impl BackfillRequest {
    /// Checks what is asked for, its inputs being those that were given. Nothing is written.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(runner: &Runner, flow: Arc<Flow>, mut spec: BackfillSpec) -> Result<Self, BackfillError> {
        if let Some(reserved) = [BACKFILL_LABEL, PARTITION_LABEL].iter().find(|label| spec.labels.contains_key(**label))
        {
            let message = format!("the label `{reserved}` is reserved for backfills; use another name");
            return Err(BackfillError::invalid(message));
        }
        let schedule = schedule(&flow, &spec)?;
        let keys = schedule.keys(&spec.from, &spec.to).map_err(BackfillError::invalid)?;
        let given = std::mem::take(&mut spec.inputs);
        let of = Partitioned { flow: &flow, schedule: &schedule, given: &given };
        let runs = of.runs(runner, &keys).map_err(BackfillError::Invalid)?;
        fixed::check_reads_date(&of, runner, &runs).map_err(BackfillError::Invalid)?;
        spec.inputs = without_secrets(&flow, &given);
        spec.target = Some(target_of(&runner.settings, &flow));
        Ok(Self { flow: flow.clone(), spec, given, runs })
    }

    /// The rest of a backfill, with a flow as it is now and with inputs that the journal does not keep.
    ///
    /// # Errors
    /// When such an input is missing, or the flow does not take the inputs any more.
    pub fn resume(
        runner: &Runner,
        flow: Arc<Flow>,
        backfill: &Backfill,
        inputs: &[(String, String)],
    ) -> Result<Self, BackfillError> {
        let spec = backfill.spec.clone();
        let given = with_secrets(&spec.inputs, inputs)?;
        let schedule = schedule(&flow, &spec)?;
        let key = |partition: &BackfillPartition| PartitionKey { date: partition.date, label: partition.label.clone() };
        let keys: Vec<PartitionKey> = backfill.partitions.iter().map(key).collect();
        let of = Partitioned { flow: &flow, schedule: &schedule, given: &given };
        let runs = of.runs(runner, &keys).map_err(BackfillError::Invalid)?;
        Ok(Self { flow: flow.clone(), spec, given, runs })
    }

    /// What its partitions go by.
    ///
    /// # Errors
    /// When the flow has no such schedule.
    pub fn schedule(&self) -> Result<PartitionSchedule<'_>, BackfillError> {
        schedule(&self.flow, &self.spec)
    }

    /// What the user should know before it runs, though it can run.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        warnings::warnings(&self.flow, &self.runs, now)
    }

    /// How many partitions run at a time: no more than the flow's own `concurrency` allows.
    pub fn at_a_time(&self) -> u32 {
        let limit = self.flow.concurrency.as_ref().map_or(u32::MAX, |concurrency| concurrency.limit);
        self.spec.parallel.min(limit)
    }

    /// Inputs that the journal does not keep.
    pub fn secrets(&self) -> Vec<(String, String)> {
        secrets_of(&self.flow, &self.given)
    }

    /// The same backfill, asked for before and not ended: repeating a request after a crash continues it.
    ///
    /// # Errors
    /// When it is in progress.
    pub fn find_unfinished(&self, runner: &Runner) -> Result<Option<Backfill>, BackfillError> {
        let query = ExecutionQuery { flow: Some(self.flow.id.to_string()), ..ExecutionQuery::default() };
        let (_, open) = runner.journal.backfills(&query, MAX_BACKFILLS, 0)?;
        let same = |backfill: &Backfill| {
            backfill.outcome.is_none()
                && backfill.namespace == self.flow.namespace
                && backfill.spec.is_same_request(&self.spec)
        };
        let Some(found) = open.into_iter().find(same) else { return Ok(None) };
        let id = found.id;
        if is_running(&runner.settings, &id) {
            let message = format!("this backfill, {id}, is running in another process");
            let help = format!("`jitney backfill show {id}` shows its state; `jitney backfill cancel {id}` stops it");
            return Err(BackfillError::conflict(message, help));
        }
        Ok(runner.journal.backfill(&id)?)
    }

    /// How each partition stands, and whether it runs. Nothing is run for it.
    ///
    /// # Errors
    /// When the journal cannot be read, or the target cannot be asked.
    pub async fn plan(&self, runner: &Runner) -> Result<BackfillPlan, BackfillError> {
        let schedule = self.schedule()?;
        let of = Partitioned { flow: &self.flow, schedule: &schedule, given: &self.given };
        runner.choose(&of, &self.runs, self.spec.only).await
    }

    /// The backfill, as it was chosen. Once the journal has it, the process that runs it finds everything there, except for
    /// secrets.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn backfill(&self, runner: &Runner, plan: &BackfillPlan, now: DateTime<Utc>) -> Result<Backfill, EngineError> {
        let partitions = self.runs.iter().zip(&plan.decisions).map(|(run, decision)| BackfillPartition {
            label: run.key.label.clone(),
            date: run.key.date,
            inputs: run.shown.clone(),
            skipped: decision.skipped.clone(),
        });
        Ok(Backfill {
            id: runner.journal.new_id(now)?.into(),
            namespace: self.flow.namespace.clone(),
            flow: self.flow.id.to_string(),
            created: now,
            since: now,
            since_id: None,
            spec: self.spec.clone(),
            desired_state: DesiredState::Run,
            problem: None,
            outcome: None,
            ended: None,
            partitions: partitions.collect(),
        })
    }
}

fn schedule<'a>(flow: &'a Flow, spec: &BackfillSpec) -> Result<PartitionSchedule<'a>, BackfillError> {
    if flow.disabled {
        let message = format!("the flow `{}` is disabled", flow.id);
        return Err(BackfillError::conflict(message, "remove `disabled: true` from it"));
    }
    PartitionSchedule::find(flow, spec.trigger.as_deref(), spec.every.as_deref()).map_err(BackfillError::invalid)
}
