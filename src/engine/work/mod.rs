//! Running one execution: carries out the plan, waits for attempts, and writes down how they ended.

pub(super) mod handlers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::blocking::run_blocking;
use crate::clock;
use crate::engine::attempt::{AttemptOutcome, interpret, run_with_timeout};
use crate::engine::context::ExecutionContext;
use crate::engine::control::{Control, Suspend};
use crate::engine::error::EngineError;
use crate::engine::notice::Notice;
use crate::engine::plan::{Action, Plan, Start, plan};
use crate::engine::runner::Runner;
use crate::flow::{Flow, Step};
use crate::id::RunId;
use crate::journal::{Event, EventBatch, ExecutionState, State};
use crate::task::{
    ErrorClass, OnPauseTimeout, Outputs, PauseRequest, SubflowStarter, TaskContext, TaskError, TaskFuture,
};

/// An attempt that has ended: the task run, whether it was the epilogue after its sub-tasks, and its result.
type AttemptEnd = (RunId, bool, Result<Outputs, TaskError>);

/// Makes what starts other flows for an attempt of a task.
pub(super) type SubflowFactory<'a> = &'a (dyn Fn(&Start, &State) -> Arc<dyn SubflowStarter> + Sync);

/// An execution, and its running attempts.
pub(super) struct Work<'a> {
    pub(super) runner: &'a Runner,
    pub(super) flow: &'a Flow,
    pub(super) run: &'a ExecutionContext,
    pub(super) inputs: &'a Map<String, Value>,
    /// Asks it to stop.
    control: &'a Control,
    subflows: SubflowFactory<'a>,
    /// Stops the attempts.
    stop: CancellationToken,
    attempts: JoinSet<AttemptEnd>,
    running: HashMap<RunId, RunningAttempt<'a>>,
    /// Events that have happened and are not written yet.
    pub(super) batch: EventBatch,
    /// Attempts that start when these are written.
    pending: Vec<PendingAttempt>,
}

/// An attempt that starts once the event of its start is written.
struct PendingAttempt {
    run: RunId,
    is_epilogue: bool,
    timeout: Option<Duration>,
    work: fn(Value, Arc<TaskContext>) -> TaskFuture,
    fields: Value,
    context: Arc<TaskContext>,
}

struct RunningAttempt<'a> {
    step: &'a Step,
    context: Arc<TaskContext>,
    at: Instant,
    timeout: Option<Duration>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        runner: &'a Runner,
        flow: &'a Flow,
        run: &'a ExecutionContext,
        inputs: &'a Map<String, Value>,
        control: &'a Control,
        subflows: SubflowFactory<'a>,
    ) -> Self {
        let (attempts, running) = (JoinSet::new(), HashMap::new());
        let stop = CancellationToken::new();
        Self {
            runner,
            flow,
            run,
            inputs,
            control,
            subflows,
            stop,
            attempts,
            running,
            batch: EventBatch::default(),
            pending: Vec::new(),
        }
    }

    /// Runs until the execution has ended, is paused, or is suspended. No attempt is running any more then.
    pub(super) async fn run_to_end(&mut self, state: &mut State) -> Result<(), EngineError> {
        let result = self.advance(state).await;
        if result.is_err() {
            // The process that adopts the execution starts these again.
            self.stop.cancel();
            while self.attempts.join_next().await.is_some() {}
        }
        result
    }

    async fn advance(&mut self, state: &mut State) -> Result<(), EngineError> {
        while !state.status.has_ended() {
            let is_killing = state.status == ExecutionState::Killing;
            if self.control.kill.is_cancelled() && !is_killing {
                self.add(state, Event::Killing { state: ExecutionState::Killed })?;
            } else if let Some(suspend) = self.control.suspended().filter(|_| !is_killing) {
                if self.suspend(state, suspend).await? {
                    break;
                }
                continue;
            }
            match state.status {
                ExecutionState::Killing => self.kill_attempts(state).await?,
                ExecutionState::Retrying => self.retry(state).await?,
                _ => {
                    if !self.step(state).await? {
                        break;
                    }
                }
            }
        }
        self.flush(state)
    }

    /// Does all that can be done now and waits for an attempt to end or a moment to come; false when the execution is paused.
    async fn step(&mut self, state: &mut State) -> Result<bool, EngineError> {
        let (mut due, mut changed) = (None, false);
        let Plan { actions, secrets } = run_blocking(|| plan(state, self.flow, self.run, clock::now()));
        self.run.host.register(&secrets);
        for next in actions {
            match next {
                Action::Wait(at) => due = Some(due.map_or(at, |earlier: DateTime<Utc>| earlier.min(at))),
                next => changed |= self.perform(state, next)?,
            }
            if state.status == ExecutionState::Killing {
                return Ok(true);
            }
        }
        self.flush(state)?;
        if state.status == ExecutionState::Paused && !changed {
            return Ok(false);
        }
        if !changed {
            self.wait(state, due).await?;
        }
        Ok(true)
    }

    /// Performs one action; whether the plan may be another now.
    fn perform(&mut self, state: &mut State, next: Action<'a>) -> Result<bool, EngineError> {
        match next {
            Action::Start(start) => return self.start(state, start).map(|()| false),
            Action::RunEpilogue(start) => {
                if !self.running.contains_key(&start.run) {
                    self.run_epilogue(state, start);
                }
                return Ok(false);
            }
            Action::Skip(run, step) => {
                (self.runner.observer)(Notice::TaskSkipped(step));
                self.add(state, Event::TaskSkipped { run })?;
            }
            Action::FailToStart(run, step, error) => self.fail_to_start(state, run, step, &error)?,
            Action::Fail(run, step, error) => self.fail_expression(state, run, step, &error)?,
            Action::Iteration { run, index, outcome, outputs, condition_met } => {
                let outputs = outputs.map(|outputs| self.run.host.without_secrets(outputs));
                self.add(state, Event::IterationEnded { run, index, outcome, outputs, condition_met })?;
            }
            Action::Finish(run, step, outcome, why) => self.finish(state, run, step, outcome, why)?,
            Action::Resume(run, step, behavior) => self.resume(state, run, step, behavior)?,
            Action::Pause => self.add(state, Event::Paused)?,
            Action::ViolateSla(sla, why) => self.violate(state, sla, &why)?,
            Action::Retry(retry) => self.schedule_retry(state, retry)?,
            Action::End(ending) => self.end_execution(state, ending)?,
            Action::Wait(_) => return Ok(false),
        }
        Ok(true)
    }

    fn start(&mut self, state: &mut State, start: Start<'a>) -> Result<(), EngineError> {
        let (run, step, attempt) = (start.run.clone(), start.step, start.attempt);
        self.add(state, Event::TaskStarted { run: run.clone(), attempt })?;
        let context = self.task_context(&start, state);
        if !step.task.is_flowable() {
            let progress = context.progress.clone();
            self.runner.live.begin(&self.run.id, &run, &progress);
            (self.runner.observer)(Notice::TaskStarted { run: &run, step, attempt, progress });
        }
        let (timeout, fields) = (start.timeout.map(|span| span.0), start.fields);
        self.prepare(step, PendingAttempt { run, is_epilogue: false, timeout, work: step.task.run, fields, context });
        Ok(())
    }

    /// Starts the work of a task after its sub-tasks. It is no attempt of its own: should the process die, it runs again.
    fn run_epilogue(&mut self, state: &State, start: Start<'a>) {
        let (run, step) = (start.run.clone(), start.step);
        let Some(epilogue) = step.task.epilogue else { return };
        let context = self.task_context(&start, state);
        let (work, fields) = (epilogue, start.fields);
        self.prepare(step, PendingAttempt { run, is_epilogue: true, timeout: None, work, fields, context });
    }

    fn task_context(&self, start: &Start, state: &State) -> Arc<TaskContext> {
        let (subflows, stop) = ((self.subflows)(start, state), self.stop.child_token());
        Arc::new(self.runner.task_context(self.run, self.flow, start, state, Some(subflows), stop))
    }

    fn prepare(&mut self, step: &'a Step, pending: PendingAttempt) {
        let (context, at) = (pending.context.clone(), Instant::now());
        self.running.insert(pending.run.clone(), RunningAttempt { step, context, at, timeout: pending.timeout });
        self.pending.push(pending);
    }

    /// Writes the events, and then starts the attempts whose start is among them: no attempt runs that the journal does not
    /// know of.
    pub(super) fn flush(&mut self, state: &State) -> Result<(), EngineError> {
        self.runner.journal.write(&self.run.id, state, &mut self.batch)?;
        for PendingAttempt { run, is_epilogue, timeout, work, fields, context } in self.pending.drain(..) {
            let work = work(fields, context.clone());
            self.attempts.spawn(async move { (run, is_epilogue, run_with_timeout(work, timeout, context).await) });
        }
        Ok(())
    }

    async fn wait(&mut self, state: &mut State, due: Option<DateTime<Utc>>) -> Result<(), EngineError> {
        let pause = due.map_or(Duration::MAX, |at| (at - clock::now()).to_std().unwrap_or_default());
        let ended = tokio::select! {
            Some(ended) = self.attempts.join_next(), if !self.attempts.is_empty() => ended,
            () = tokio::time::sleep(pause.min(Duration::from_secs(3600))) => return Ok(()),
            () = self.control.stop_requested() => return Ok(()),
        };
        self.attempt_ended(state, ended)?;
        // Others may have ended at the same time: one plan takes in all of them.
        while let Some(ended) = self.attempts.try_join_next() {
            self.attempt_ended(state, ended)?;
        }
        Ok(())
    }

    /// Cancels the running attempts and ends the execution; those that had ended well by then count.
    async fn kill_attempts(&mut self, state: &mut State) -> Result<(), EngineError> {
        self.stop.cancel();
        self.flush(state)?;
        while let Some(ended) = self.attempts.join_next().await {
            self.attempt_ended(state, ended)?;
        }
        self.remove_folders(state);
        let end = state.ending.unwrap_or(ExecutionState::Killed);
        self.add(state, Event::Ended { state: end, outputs: Map::new() })
    }

    /// Waits for the running attempts to end, unless they are aborted; those start again later, as after a crash. False when
    /// the execution is killed meanwhile.
    async fn suspend(&mut self, state: &mut State, suspend: Suspend) -> Result<bool, EngineError> {
        self.flush(state)?;
        while !self.attempts.is_empty() {
            tokio::select! {
                Some(ended) = self.attempts.join_next() => self.attempt_ended(state, ended)?,
                () = self.control.aborted() => break,
            }
        }
        if self.control.kill.is_cancelled() {
            return Ok(false);
        }
        self.stop.cancel();
        while let Some(ended) = self.attempts.join_next().await {
            if !matches!(&ended, Ok((_, _, Err(error))) if error.class == ErrorClass::Cancelled) {
                self.attempt_ended(state, ended)?;
            }
        }
        if !state.status.has_ended() && !matches!(state.status, ExecutionState::Paused | ExecutionState::Queued) {
            let event = if suspend == Suspend::Paused { Event::Paused } else { Event::Queued };
            self.add(state, event)?;
        }
        Ok(true)
    }

    fn attempt_ended(
        &mut self,
        state: &mut State,
        ended: Result<AttemptEnd, tokio::task::JoinError>,
    ) -> Result<(), EngineError> {
        let Ok((run, is_epilogue, result)) = ended else { return Ok(()) };
        let Some(running) = self.running.remove(&run) else { return Ok(()) };
        let (step, context) = (running.step, &running.context);
        match result.and_then(|outputs| interpret(step, context, outputs, is_epilogue, &self.run.host)) {
            Ok(AttemptOutcome::Expanded(expansion)) => self.add(state, Event::TaskExpanded { run, expansion }),
            Ok(AttemptOutcome::Paused(pause)) => self.pause(state, run, running.timeout, pause),
            Ok(AttemptOutcome::Succeeded(outputs)) if is_epilogue => self.finish_epilogue(state, run, step, outputs),
            Ok(AttemptOutcome::Succeeded(outputs)) => self.succeed(state, run, &running, outputs),
            Err(error) => self.fail(state, run, step, error),
        }
    }

    fn succeed(
        &mut self,
        state: &mut State,
        run: RunId,
        running: &RunningAttempt<'a>,
        outputs: Outputs,
    ) -> Result<(), EngineError> {
        let (step, took) = (running.step, running.at.elapsed());
        let outputs = self.run.host.without_secrets(outputs);
        (self.runner.observer)(Notice::TaskSucceeded { run: &run, step, outputs: &outputs, took });
        let labels = running.context.labels.lock().map(|labels| labels.clone()).unwrap_or_default();
        let labels = self.run.host.without_secrets(labels);
        let is_repeated = state.tasks.get(&run).is_some_and(|task| task.attempts > 1 && task.error.is_some());
        let warns = is_repeated && step.common.retry.as_ref().is_some_and(|retry| retry.warning_on_retry);
        let warning = (running.context.has_warning() || warns) && !step.common.allow_warning;
        self.add(state, Event::TaskSucceeded { run, outputs, labels, warning })
    }

    /// Pauses a task that asked for it, no longer than its timeout allows.
    fn pause(
        &mut self,
        state: &mut State,
        run: RunId,
        timeout: Option<Duration>,
        pause: PauseRequest,
    ) -> Result<(), EngineError> {
        let mut pause = pause;
        if let Some(timeout) = timeout
            && pause.duration.is_none_or(|duration| timeout < duration)
        {
            pause = PauseRequest { duration: Some(timeout), behavior: OnPauseTimeout::Fail };
        }
        let length = pause.duration.and_then(|duration| chrono::Duration::from_std(duration).ok());
        let until = length.and_then(|length| clock::now().checked_add_signed(length));
        self.add(state, Event::TaskPaused { run, until, behavior: pause.behavior })
    }

    /// Sleeps; false when the execution is to stop before the end.
    pub(super) async fn sleep(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.control.stop_requested() => false,
        }
    }

    pub(super) fn add(&mut self, state: &mut State, event: Event) -> Result<(), EngineError> {
        Ok(self.batch.add(&self.run.id, state, clock::now(), &event)?)
    }
}
