//! Driving a backfill: as many partitions at a time as are wanted, until each has ended or the user wants it to stop.
//!
//! Nothing is remembered here that matters: which execution belongs to which partition stands in the executions'
//! labels, and what the user wants stands in the journal. A process that dies is followed by one that looks there.

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
use crate::engine::{EngineError, Request, SubmitError};
use crate::flow::Flow;
use crate::id::{BackfillId, ExecutionId};
use crate::journal::{BACKFILL_LABEL, Backfill, BackfillEnd, DesiredState, ExecutionState, PARTITION_LABEL, State};

/// How often the journal is asked what the user wants.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How a drive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The backfill has ended.
    To(BackfillEnd),
    /// This process was stopped; the backfill can go on.
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
    /// What becomes of what is under way then.
    pub on_shutdown: OnShutdown,
}

/// What becomes of executions under way when their process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShutdown {
    /// They are killed.
    Nothing,
    /// They are the executor's, which gives them time, and takes them up again at its next start.
    ToExecutor,
}

/// Whether some process runs a backfill.
pub fn is_running(settings: &Settings, id: &BackfillId) -> bool {
    is_locked(settings, id)
}

struct UnderWay {
    waits: JoinSet<(usize, Result<State, EngineError>)>,
    ids: BTreeMap<usize, ExecutionId>,
    /// Those that this process has begun: it begins none twice.
    begun: BTreeSet<usize>,
}

impl BackfillRun<'_> {
    /// Runs the backfill to its end; `show` is told whenever a partition changes.
    ///
    /// # Errors
    /// When the journal cannot be used, or another process runs the backfill.
    pub async fn run(
        &self,
        show: &mut (dyn FnMut(&[PartitionState], DesiredState) + Send),
    ) -> Result<RunOutcome, EngineError> {
        let runner = self.executor.runner();
        let _lock = HomeLock::acquire(&runner.settings, &self.backfill.id)?;
        let mut cells = runner.partition_states(self.backfill)?;
        let mut order: Vec<usize> = (0..cells.len()).collect();
        if self.backfill.spec.descending {
            order.reverse();
        }
        // What is under way already has its place among those that may run at a time.
        order.sort_by_key(|place| cells[*place].status != PartitionStatus::Running);
        let mut under_way = UnderWay { waits: JoinSet::new(), ids: BTreeMap::new(), begun: BTreeSet::new() };
        let mut shown = None;
        loop {
            let wish = runner.journal.desired_state(&self.backfill.id)?.unwrap_or(DesiredState::Cancel);
            if self.stop.is_cancelled() && self.on_shutdown == OnShutdown::ToExecutor {
                return Ok(RunOutcome::Interrupted);
            }
            if wish == DesiredState::Cancel || self.stop.is_cancelled() {
                self.kill(&mut under_way, &mut cells).await?;
                show(&cells, wish);
                return self.stopped(wish);
            }
            let mut changed = shown != Some(wish);
            if wish == DesiredState::Run {
                changed |= self.begin(&order, &mut cells, &mut under_way)?;
            }
            if under_way.ids.is_empty() && (wish == DesiredState::Run || !self.has_more(&cells, &under_way)) {
                show(&cells, wish);
                return self.ended(&cells);
            }
            if changed {
                show(&cells, wish);
                shown = Some(wish);
            }
            self.wait(&mut under_way, &mut cells, &mut |cells| show(cells, wish)).await?;
        }
    }

    /// Starts what may start; whether anything did.
    fn begin(
        &self,
        order: &[usize],
        cells: &mut [PartitionState],
        under_way: &mut UnderWay,
    ) -> Result<bool, EngineError> {
        let mut begun = false;
        for &place in order {
            let is_open = !under_way.begun.contains(&place) && may_begin(&cells[place].status);
            let has_room = under_way.ids.len() < self.backfill.spec.parallel.max(1) as usize;
            if !has_room || self.is_over(cells) {
                break;
            }
            if is_open {
                let id = self.execution(&cells[place])?;
                cells[place].status = PartitionStatus::Running;
                cells[place].execution = Some(id.clone());
                under_way.begun.insert(place);
                under_way.ids.insert(place, id.clone());
                let executor = self.executor.clone();
                under_way.waits.spawn(async move { (place, until_end(&executor, &id).await) });
                begun = true;
            }
        }
        Ok(begun)
    }

    /// The execution of a partition: the one that a stop left in the middle, else a new one.
    fn execution(&self, cell: &PartitionState) -> Result<ExecutionId, EngineError> {
        let can_go_on = matches!(cell.status, PartitionStatus::Stopped | PartitionStatus::Running);
        if let Some(id) = cell.execution.as_ref().filter(|_| can_go_on) {
            match self.executor.adopt(id, self.secrets.clone()) {
                // Another process works on it, or has just ended it: there is nothing to do but to wait.
                Ok(()) | Err(EngineError::Locked(_) | EngineError::InvalidState { .. }) => return Ok(id.clone()),
                // Its flow has changed, a secret is gone, or the backfill was retargeted: a new one does the same work.
                Err(
                    EngineError::CannotContinue { .. } | EngineError::NotFound(_) | EngineError::TargetMismatch { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let run = self.runs.get(&cell.partition);
        let mut labels = self.backfill.spec.labels.clone();
        labels.insert(BACKFILL_LABEL.to_owned(), Value::from(self.backfill.id.as_str()));
        labels.insert(PARTITION_LABEL.to_owned(), Value::from(cell.partition.as_str()));
        let given = run.map_or(&[][..], |run| &run.given);
        let submitted = self.executor.resolve(&self.flow, given).and_then(|inputs| {
            let trigger = run.and_then(|run| run.hypothetical.trigger.clone());
            let request = Request { inputs, labels, trigger_date: Some(cell.date), trigger, ..Request::default() };
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
        under_way: &mut UnderWay,
        cells: &mut [PartitionState],
        show: &mut (dyn FnMut(&[PartitionState]) + Send),
    ) -> Result<(), EngineError> {
        let ended = tokio::select! {
            Some(ended) = under_way.waits.join_next(), if !under_way.waits.is_empty() => ended,
            () = tokio::time::sleep(POLL_INTERVAL) => {
                // Another process may have freed a slot of the flow.
                if self.flow.concurrency.is_some() {
                    self.executor.dispatch();
                }
                return Ok(());
            }
            () = self.stop.cancelled() => return Ok(()),
        };
        let (place, state) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let problem = format!("waiting for an execution of backfill {} failed: {error}", self.backfill.id);
                self.executor.health().report_error(Component::Backfills, &problem);
                // Whoever takes the backfill up again finds the execution in the journal.
                return Err(EngineError::Stopping);
            }
        };
        under_way.ids.remove(&place);
        cells[place].status = PartitionStatus::of_state(&state?);
        show(cells);
        Ok(())
    }

    async fn kill(&self, under_way: &mut UnderWay, cells: &mut [PartitionState]) -> Result<(), EngineError> {
        for id in under_way.ids.values() {
            // Any other error: it has just ended, or another process works on it and goes on.
            if let Err(EngineError::Journal(error)) = self.executor.kill(id) {
                return Err(error.into());
            }
        }
        let patience = tokio::time::sleep(Duration::from_secs(15));
        tokio::pin!(patience);
        while !under_way.waits.is_empty() {
            tokio::select! {
                Some(ended) = under_way.waits.join_next() => {
                    // A wait that broke off is over, too; the journal says how its execution ended.
                    if let Ok((place, state)) = ended {
                        cells[place].status = PartitionStatus::of_state(&state?);
                    }
                }
                () = &mut patience => break,
            }
        }
        Ok(())
    }

    fn stopped(&self, wish: DesiredState) -> Result<RunOutcome, EngineError> {
        if wish != DesiredState::Cancel {
            return Ok(RunOutcome::Interrupted);
        }
        let journal = self.executor.journal();
        journal.end_backfill(&self.backfill.id, BackfillEnd::Cancelled, clock::now())?;
        Ok(RunOutcome::To(BackfillEnd::Cancelled))
    }

    fn ended(&self, cells: &[PartitionState]) -> Result<RunOutcome, EngineError> {
        let end = if cells.iter().all(|cell| cell.status.is_in()) { BackfillEnd::Success } else { BackfillEnd::Failed };
        self.executor.journal().end_backfill(&self.backfill.id, end, clock::now())?;
        Ok(RunOutcome::To(end))
    }

    /// Whether nothing more is to begin, because a partition has failed.
    fn is_over(&self, cells: &[PartitionState]) -> bool {
        self.backfill.spec.stop_on_failure && cells.iter().any(|cell| cell.status.is_failed())
    }

    fn has_more(&self, cells: &[PartitionState], under_way: &UnderWay) -> bool {
        let mut open = (0..).zip(cells).filter(|(place, _)| !under_way.begun.contains(place));
        !self.is_over(cells) && open.any(|(_, cell)| may_begin(&cell.status))
    }
}

/// A partition that looks as if it were running when this process begins waits in another one's queue.
fn may_begin(status: &PartitionStatus) -> bool {
    matches!(status, PartitionStatus::Waiting | PartitionStatus::Stopped | PartitionStatus::Running)
}

async fn until_end(executor: &Executor, id: &ExecutionId) -> Result<State, EngineError> {
    loop {
        let state = executor.wait(id).await?;
        if state.status != ExecutionState::Paused {
            return Ok(state);
        }
        // Somebody will resume it, or not; its slot is kept for it.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
