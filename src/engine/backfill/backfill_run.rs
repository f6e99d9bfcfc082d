//! Running a backfill: as many partitions at a time as it says, until each has ended or the user wants it to stop.
//!
//! Nothing is remembered here that matters: which execution belongs to which partition is in the executions'
//! labels, and what the user wants is in the journal. A process that dies is followed by one that looks there.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::partition_run::PartitionRun;
use super::status::{PartitionState, PartitionStatus};
use crate::clock;
use crate::config::Settings;
use crate::engine::executor::Executor;
use crate::engine::health::Component;
use crate::engine::lock::{HomeLock, is_locked};
use crate::engine::{EngineError, ExecutionRequest, SubmitError};
use crate::flow::Flow;
use crate::id::{BackfillId, ExecutionId};
use crate::journal::{BACKFILL_LABEL, Backfill, BackfillEnd, DesiredState, ExecutionState, PARTITION_LABEL, State};

/// How often the journal is asked what the user wants.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How the run of a backfill in this process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The backfill has ended.
    Ended(BackfillEnd),
    /// This process was stopped; the backfill can be resumed.
    Interrupted,
}

/// A backfill that this process runs.
pub struct BackfillRun<'a> {
    /// Runs the executions.
    pub executor: &'a Executor,
    /// The flow.
    pub flow: Arc<Flow>,
    /// The backfill.
    pub backfill: &'a Backfill,
    /// What the execution of each partition is given, by the partition's name.
    pub runs: BTreeMap<String, PartitionRun>,
    /// Inputs that the journal does not keep.
    pub secrets: Vec<(String, String)>,
    /// Set when the process is to stop.
    pub stop: CancellationToken,
    /// What happens to the running executions then.
    pub on_shutdown: OnShutdown,
}

/// What happens to running executions when their process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShutdown {
    /// They are killed.
    Kill,
    /// The executor gives them time to end, and adopts them at its next start.
    LeaveToExecutor,
}

/// Whether some process runs a backfill.
pub fn is_running(settings: &Settings, id: &BackfillId) -> bool {
    is_locked(settings, id)
}

struct ActivePartitions {
    waits: JoinSet<(usize, Result<State, EngineError>)>,
    ids: BTreeMap<usize, ExecutionId>,
    /// Those that this process has started: it starts none twice.
    started: BTreeSet<usize>,
}

impl BackfillRun<'_> {
    /// Runs the backfill to its end; `show` is called whenever a partition changes.
    ///
    /// # Errors
    /// When the journal cannot be used, or another process runs the backfill.
    pub async fn run(
        &self,
        show: &mut (dyn FnMut(&[PartitionState], DesiredState) + Send),
    ) -> Result<RunOutcome, EngineError> {
        let runner = self.executor.runner();
        let _lock = HomeLock::acquire(&runner.settings, &self.backfill.id)?;
        let mut partitions = runner.partition_states(self.backfill)?;
        let mut order: Vec<usize> = (0..partitions.len()).collect();
        if self.backfill.spec.descending {
            order.reverse();
        }
        // Partitions that run already come first: they count towards those that may run at a time.
        order.sort_by_key(|index| partitions[*index].status != PartitionStatus::Running);
        let mut active = ActivePartitions { waits: JoinSet::new(), ids: BTreeMap::new(), started: BTreeSet::new() };
        let mut shown = None;
        loop {
            let desired = runner.journal.desired_state(&self.backfill.id)?.unwrap_or(DesiredState::Cancel);
            if self.stop.is_cancelled() && self.on_shutdown == OnShutdown::LeaveToExecutor {
                return Ok(RunOutcome::Interrupted);
            }
            if desired == DesiredState::Cancel || self.stop.is_cancelled() {
                self.kill(&mut active, &mut partitions).await?;
                show(&partitions, desired);
                return self.stopped(desired);
            }
            let mut changed = shown != Some(desired);
            if desired == DesiredState::Run {
                changed |= self.start_partitions(&order, &mut partitions, &mut active)?;
            }
            if active.ids.is_empty() && (desired == DesiredState::Run || !self.has_more(&partitions, &active)) {
                show(&partitions, desired);
                return self.ended(&partitions);
            }
            if changed {
                show(&partitions, desired);
                shown = Some(desired);
            }
            self.wait(&mut active, &mut partitions, &mut |partitions| show(partitions, desired)).await?;
        }
    }

    /// Starts partitions as long as there is capacity for them; whether any did start.
    fn start_partitions(
        &self,
        order: &[usize],
        partitions: &mut [PartitionState],
        active: &mut ActivePartitions,
    ) -> Result<bool, EngineError> {
        let mut started = false;
        for &index in order {
            let is_open = !active.started.contains(&index) && can_start(&partitions[index].status);
            let has_room = active.ids.len() < self.backfill.spec.parallel.max(1) as usize;
            if !has_room || self.is_halted(partitions) {
                break;
            }
            if is_open {
                let id = self.execution(&partitions[index])?;
                partitions[index].status = PartitionStatus::Running;
                partitions[index].execution = Some(id.clone());
                active.started.insert(index);
                active.ids.insert(index, id.clone());
                let executor = self.executor.clone();
                active.waits.spawn(async move { (index, wait_until_ended(&executor, &id).await) });
                started = true;
            }
        }
        Ok(started)
    }

    /// The execution of a partition: the one that was interrupted, else a new one.
    fn execution(&self, partition: &PartitionState) -> Result<ExecutionId, EngineError> {
        let can_continue = matches!(partition.status, PartitionStatus::Stopped | PartitionStatus::Running);
        if let Some(id) = partition.execution.as_ref().filter(|_| can_continue) {
            match self.executor.adopt(id, self.secrets.clone()) {
                // Another process works on it, or has just ended it: waiting for its end is all there is to do.
                Ok(()) | Err(EngineError::Locked(_) | EngineError::InvalidState { .. }) => return Ok(id.clone()),
                // Its flow has changed, a secret is gone, or the backfill was retargeted: a new one does the same work.
                Err(
                    EngineError::CannotContinue { .. } | EngineError::NotFound(_) | EngineError::TargetMismatch { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let run = self.runs.get(&partition.partition);
        let mut labels = self.backfill.spec.labels.clone();
        labels.insert(BACKFILL_LABEL.to_owned(), Value::from(self.backfill.id.as_str()));
        labels.insert(PARTITION_LABEL.to_owned(), Value::from(partition.partition.as_str()));
        let given = run.map_or(&[][..], |run| &run.given);
        let submitted = self.executor.resolve(&self.flow, given).and_then(|inputs| {
            let trigger = run.and_then(|run| run.hypothetical.trigger.clone());
            let request = ExecutionRequest {
                inputs,
                labels,
                trigger_date: Some(partition.date),
                trigger,
                ..ExecutionRequest::default()
            };
            self.executor.submit(&self.flow, request)
        });
        submitted.map_err(|refused| match refused {
            SubmitError::Engine(error) => error,
            other => EngineError::CannotContinue {
                what: (&self.backfill.id).into(),
                reason: format!("cannot continue: {other}"),
            },
        })
    }

    async fn wait(
        &self,
        active: &mut ActivePartitions,
        partitions: &mut [PartitionState],
        show: &mut (dyn FnMut(&[PartitionState]) + Send),
    ) -> Result<(), EngineError> {
        let ended = tokio::select! {
            Some(ended) = active.waits.join_next(), if !active.waits.is_empty() => ended,
            () = tokio::time::sleep(POLL_INTERVAL) => {
                // Another process may have freed a slot of the flow.
                if self.flow.concurrency.is_some() {
                    self.executor.dispatch();
                }
                return Ok(());
            }
            () = self.stop.cancelled() => return Ok(()),
        };
        let (index, state) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let problem = format!("waiting for an execution of backfill {} failed: {error}", self.backfill.id);
                self.executor.health().report_error(Component::Backfills, &problem);
                // A resumed backfill finds the execution in the journal.
                return Err(EngineError::Stopping);
            }
        };
        active.ids.remove(&index);
        partitions[index].status = PartitionStatus::of_state(&state?);
        show(partitions);
        Ok(())
    }

    async fn kill(&self, active: &mut ActivePartitions, partitions: &mut [PartitionState]) -> Result<(), EngineError> {
        for id in active.ids.values() {
            // Any other error: it has just ended, or another process works on it.
            if let Err(EngineError::Journal(error)) = self.executor.kill(id) {
                return Err(error.into());
            }
        }
        let kill_timeout = tokio::time::sleep(Duration::from_secs(15));
        tokio::pin!(kill_timeout);
        while !active.waits.is_empty() {
            tokio::select! {
                Some(ended) = active.waits.join_next() => {
                    // A wait that panicked is over, too; the journal says how its execution ended.
                    if let Ok((index, state)) = ended {
                        partitions[index].status = PartitionStatus::of_state(&state?);
                    }
                }
                () = &mut kill_timeout => break,
            }
        }
        Ok(())
    }

    fn stopped(&self, desired: DesiredState) -> Result<RunOutcome, EngineError> {
        if desired != DesiredState::Cancel {
            return Ok(RunOutcome::Interrupted);
        }
        let journal = self.executor.journal();
        journal.end_backfill(&self.backfill.id, BackfillEnd::Cancelled, clock::now())?;
        Ok(RunOutcome::Ended(BackfillEnd::Cancelled))
    }

    fn ended(&self, partitions: &[PartitionState]) -> Result<RunOutcome, EngineError> {
        let end = if partitions.iter().all(|partition| partition.status.is_complete()) {
            BackfillEnd::Success
        } else {
            BackfillEnd::Failed
        };
        self.executor.journal().end_backfill(&self.backfill.id, end, clock::now())?;
        Ok(RunOutcome::Ended(end))
    }

    /// Whether nothing more is to start, because a partition has failed.
    fn is_halted(&self, partitions: &[PartitionState]) -> bool {
        self.backfill.spec.stop_on_failure && partitions.iter().any(|partition| partition.status.is_failed())
    }

    fn has_more(&self, partitions: &[PartitionState], active: &ActivePartitions) -> bool {
        let mut open = (0..).zip(partitions).filter(|(index, _)| !active.started.contains(index));
        !self.is_halted(partitions) && open.any(|(_, partition)| can_start(&partition.status))
    }
}

/// A partition that is running when this process begins has an execution in another one's queue.
fn can_start(status: &PartitionStatus) -> bool {
    matches!(status, PartitionStatus::Waiting | PartitionStatus::Stopped | PartitionStatus::Running)
}

async fn wait_until_ended(executor: &Executor, id: &ExecutionId) -> Result<State, EngineError> {
    loop {
        let state = executor.wait(id).await?;
        if state.status != ExecutionState::Paused {
            return Ok(state);
        }
        // Until somebody resumes it, it counts towards those that run at a time.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
