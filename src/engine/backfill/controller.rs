//! The server's backfills: it runs those that were started through it, and resumes them when it starts again.
//!
//! The journal alone says which there are and what their desired state is, so that a terminal and a call control them alike.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backfill_run::{BackfillRun, OnShutdown, RunOutcome, is_running};
use super::control::state;
use super::decision::BackfillPlan;
use super::error::BackfillError;
use super::partition_run::PartitionRun;
use super::request::BackfillRequest;
use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::EngineError;
use crate::engine::catalog::Catalog;
use crate::engine::executor::Executor;
use crate::engine::health::Component;
use crate::flow::Flow;
use crate::id::BackfillId;
use crate::journal::{Backfill, BackfillEnd, BackfillSpec, DesiredState};
use crate::task::Level;
use crate::text::chain;

/// How often the journal is read for backfills to run.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Values for inputs, by name.
type InputValues = Vec<(String, String)>;

/// Runs the server's backfills.
pub struct BackfillController {
    executor: Executor,
    catalog: Arc<Catalog>,
    /// Inputs as they were given to this process: the journal keeps no secrets.
    given: Mutex<HashMap<BackfillId, InputValues>>,
    wake: Notify,
    /// Held while a backfill is started: of two that are the same the second must see the first.
    starting: tokio::sync::Mutex<()>,
}

/// What became of a backfill that was asked for.
#[derive(Debug)]
pub struct StartedBackfill {
    /// What it would run.
    pub plan: BackfillPlan,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The backfill; none when it was only asked what would run. One with nothing to run has ended.
    pub backfill: Option<Backfill>,
}

impl BackfillController {
    /// A controller of the backfills in the executor's journal, their flows being those of the catalog.
    pub fn new(executor: Executor, catalog: Arc<Catalog>) -> Self {
        Self {
            executor,
            catalog,
            given: Mutex::default(),
            wake: Notify::new(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// Runs backfills until `stop`; executions that run then are left to the executor.
    pub async fn run(&self, stop: CancellationToken) {
        let mut runs: JoinSet<(Backfill, Result<RunOutcome, EngineError>)> = JoinSet::new();
        while !stop.is_cancelled() {
            // A journal that cannot be read now is read again at the next poll.
            let health = self.executor.health();
            for backfill in health.record(Component::Backfills, self.unattended()).unwrap_or_default() {
                match self.start_run(&backfill, &stop, &mut runs) {
                    Ok(true) => log(&backfill, Level::Info, "RUNNING"),
                    Ok(false) => {}
                    Err(error) => self.failed(&backfill, error),
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                Some(ended) = runs.join_next(), if !runs.is_empty() => match ended {
                    Ok((backfill, outcome)) => self.ended(backfill, outcome, &stop),
                    // Nobody runs it now: the next poll starts it again.
                    Err(error) => health.report_error(Component::Backfills, &format!("a backfill failed: {error}")),
                },
            }
        }
        while runs.join_next().await.is_some() {}
    }

    /// Starts a backfill of a flow, its inputs being those that were given; with `dry_run` it only says what would run.
    /// One that was asked for before and has not ended is resumed instead.
    ///
    /// # Errors
    /// Everything that is wrong with it, or when this very backfill is in progress.
    pub async fn start(
        &self,
        flow: Arc<Flow>,
        spec: BackfillSpec,
        dry_run: bool,
    ) -> Result<StartedBackfill, BackfillError> {
        let runner = self.executor.runner();
        let request = BackfillRequest::new(runner, flow, BackfillSpec { by_server: true, ..spec })?;
        let _turn = if dry_run { None } else { Some(self.starting.lock().await) };
        let earlier = if dry_run { None } else { request.find_unfinished(runner)? };
        let (plan, warnings) = (request.plan(runner).await?, request.warnings(clock::now()));
        let backfill = match earlier {
            Some(earlier) => {
                self.given().insert(earlier.id.clone(), request.given);
                Some(self.take_over(&earlier.id)?)
            }
            None if dry_run => None,
            None => {
                let backfill = request.backfill(runner, &plan, clock::now())?;
                // Once it is in the journal, its secrets must be here.
                self.given().insert(backfill.id.clone(), request.given);
                self.executor.journal().create_backfill(&backfill)?;
                if plan.runs() == 0 {
                    self.executor.journal().end_backfill(&backfill.id, BackfillEnd::Success, clock::now())?;
                }
                Some(self.find(&backfill.id)?)
            }
        };
        self.wake.notify_one();
        Ok(StartedBackfill { plan, warnings, backfill })
    }

    /// A backfill by its id.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, id: &BackfillId) -> Result<Backfill, BackfillError> {
        self.executor.journal().backfill(id)?.ok_or_else(|| BackfillError::NotFound(id.clone()))
    }

    /// The state of a backfill. One of the server's that is to run counts as running, though nobody may have started it yet.
    pub fn state(&self, backfill: &Backfill) -> &'static str {
        match state(&self.executor.runner().settings, backfill) {
            "STOPPED" if backfill.spec.by_server && backfill.desired_state == DesiredState::Run => "RUNNING",
            "STOPPED" if backfill.spec.by_server => "CANCELLING",
            other => other,
        }
    }

    /// Starts no more partitions of a backfill until it is resumed.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self, id: &BackfillId) -> Result<Backfill, BackfillError> {
        self.find(id)?;
        self.executor.runner().set_desired_state(id, DesiredState::Pause)?;
        self.find(id)
    }

    /// Resumes a backfill: by the process that runs it, else by the server, even if a terminal started it. `inputs` are secret ones,
    /// which the journal does not keep.
    ///
    /// # Errors
    /// When it has ended, or cannot continue without an input that is not given.
    pub fn resume(&self, id: &BackfillId, inputs: InputValues) -> Result<Backfill, BackfillError> {
        let backfill = self.find(id)?;
        let settings = &self.executor.runner().settings;
        if is_running(settings, id) || backfill.outcome.is_some() {
            self.executor.runner().set_desired_state(id, DesiredState::Run)?;
            return self.find(id);
        }
        let request = self.prepare(&backfill, &inputs)?;
        self.given().insert(id.clone(), request.given);
        self.take_over(id)
    }

    /// Kills the running executions of a backfill, and starts no more of it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cancel(&self, id: &BackfillId) -> Result<Backfill, BackfillError> {
        self.executor.cancel_backfill(&self.find(id)?, clock::now())?;
        self.find(id)
    }

    /// Runs the partitions of a backfill again that failed, were stopped or were not begun.
    ///
    /// # Errors
    /// When it is running, has nothing left to run, or cannot continue without an input that is not given.
    pub fn retry(&self, id: &BackfillId, inputs: InputValues) -> Result<Backfill, BackfillError> {
        let backfill = self.find(id)?;
        if !self.executor.runner().has_partitions_to_retry(&backfill)? {
            let message = format!("every partition of backfill {id} is loaded; there is nothing to retry");
            return Err(BackfillError::conflict(message, "start a new backfill to run all of them"));
        }
        let request = self.prepare(&backfill, &inputs)?;
        self.given().insert(id.clone(), request.given);
        self.executor.journal().retry_backfill(id, clock::now())?;
        self.take_over(id)
    }

    /// Assigns a backfill that nobody runs to the server.
    fn take_over(&self, id: &BackfillId) -> Result<Backfill, BackfillError> {
        self.executor.journal().assign_backfill_to_server(id)?;
        self.executor.runner().set_desired_state(id, DesiredState::Run)?;
        self.wake.notify_one();
        self.find(id)
    }

    /// The rest of a backfill, with the flow as it is now.
    fn prepare(&self, backfill: &Backfill, inputs: &InputValues) -> Result<BackfillRequest, BackfillError> {
        let flow = self.catalog.flow(&backfill.namespace, &backfill.flow).ok_or_else(|| {
            let message = format!("there is no flow `{}` in the namespace `{}`", backfill.flow, backfill.namespace);
            BackfillError::conflict(message, "restore it and resume the backfill")
        })?;
        let runner = self.executor.runner();
        runner.check_target(&format!("backfill {}", backfill.id), backfill.spec.target.as_ref())?;
        let known = self.given().get(&backfill.id).cloned().unwrap_or_default();
        let inputs: InputValues = known.into_iter().chain(inputs.iter().cloned()).collect();
        BackfillRequest::resume(runner, flow, backfill, &inputs)
    }

    fn unattended(&self) -> Result<Vec<Backfill>, BackfillError> {
        let journal = self.executor.journal();
        let ids = journal.unfinished_backfills()?;
        let free = ids.iter().filter(|id| !is_running(&self.executor.runner().settings, id));
        free.filter_map(|id| journal.backfill(id).transpose()).map(|found| Ok(found?)).collect()
    }

    /// Starts to run a backfill; false when it is to be cancelled, and is cancelled.
    fn start_run(
        &self,
        backfill: &Backfill,
        stop: &CancellationToken,
        runs: &mut JoinSet<(Backfill, Result<RunOutcome, EngineError>)>,
    ) -> Result<bool, BackfillError> {
        if backfill.desired_state == DesiredState::Cancel {
            self.executor.cancel_backfill(backfill, clock::now())?;
            return Ok(false);
        }
        let request = run_blocking(|| self.prepare(backfill, &InputValues::new()))?;
        let (executor, backfill, stop) = (self.executor.clone(), backfill.clone(), stop.clone());
        runs.spawn(async move {
            let secrets = request.secrets();
            let runs: BTreeMap<String, PartitionRun> =
                request.runs.into_iter().map(|run| (run.key.label.clone(), run)).collect();
            let (flow, on_shutdown) = (request.flow, OnShutdown::LeaveToExecutor);
            let run = BackfillRun { executor: &executor, flow, backfill: &backfill, runs, secrets, stop, on_shutdown };
            let outcome = run.run(&mut |_, _| {}).await;
            (backfill, outcome)
        });
        Ok(true)
    }

    fn ended(&self, backfill: Backfill, outcome: Result<RunOutcome, EngineError>, stop: &CancellationToken) {
        match outcome {
            Ok(RunOutcome::Ended(end)) => {
                let level = if end == BackfillEnd::Failed { Level::Error } else { Level::Info };
                log(&backfill, level, end.as_str());
            }
            // A process that stops accepts no executions, and a backfill that is locked is run by another one.
            Ok(RunOutcome::Interrupted) | Err(EngineError::Locked(_)) => {}
            Err(error) if !stop.is_cancelled() => self.failed(&backfill, BackfillError::Engine(error)),
            // What the stop interrupted is resumed at the next start.
            Err(_) => {}
        }
    }

    /// Handles a backfill that could not continue: it is put on hold, unless only the journal could not be used.
    fn failed(&self, backfill: &Backfill, error: BackfillError) {
        match error {
            BackfillError::Engine(error) if error.is_system_error() => {
                self.executor.health().report_failure(Component::Backfills, chain(&error));
            }
            error => self.put_on_hold(backfill, &error.in_full()),
        }
    }

    /// Puts a backfill on hold that cannot continue, and logs why.
    fn put_on_hold(&self, backfill: &Backfill, problem: &str) {
        let problem = self.executor.runner().settings.redactor.line(problem);
        log(backfill, Level::Warn, &format!("on hold: {problem}"));
        // If the journal cannot be written, this happens again at the next poll.
        let held = self.executor.journal().put_backfill_on_hold(&backfill.id, &problem);
        self.executor.health().record(Component::Backfills, held);
    }

    fn given(&self) -> MutexGuard<'_, HashMap<BackfillId, InputValues>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs what has become of a backfill.
fn log(Backfill { id, namespace, flow, .. }: &Backfill, level: Level, text: &str) {
    match level {
        Level::Error => tracing::error!(target: "jitney::backfills", namespace, flow, "backfill {id} {text}"),
        Level::Warn => tracing::warn!(target: "jitney::backfills", namespace, flow, "backfill {id} {text}"),
        _ => tracing::info!(target: "jitney::backfills", namespace, flow, "backfill {id} {text}"),
    }
}
