//! One execution at work: does what the plan says, waits for attempts, and writes down how they ended.

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
use crate::engine::attempt::{Decided, bounded, decided};
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

/// An attempt that has ended: the task run, whether it was what follows its sub-tasks, and what came of it.
type Ended = (RunId, bool, Result<Outputs, TaskError>);

/// What starts other flows for an attempt of a task.
pub(super) type SubflowFactory<'a> = &'a (dyn Fn(&Start, &State) -> Arc<dyn SubflowStarter> + Sync);

/// An execution, and its attempts under way.
pub(super) struct Work<'a> {
    pub(super) runner: &'a Runner,
    pub(super) flow: &'a Flow,
    pub(super) run: &'a ExecutionContext,
    pub(super) inputs: &'a Map<String, Value>,
    /// How it is asked to stop.
    control: &'a Control,
    subflows: SubflowFactory<'a>,
    /// Stops the attempts.
    stop: CancellationToken,
    attempts: JoinSet<Ended>,
    begun: HashMap<RunId, Begun<'a>>,
    /// Events that have happened and are not written yet.
    pub(super) batch: EventBatch,
    /// Attempts that begin when these are written.
    ready: Vec<Ready>,
}

/// An attempt that is to begin.
struct Ready {
    run: RunId,
    concludes: bool,
    limit: Option<Duration>,
    work: fn(Value, Arc<TaskContext>) -> TaskFuture,
    fields: Value,
    context: Arc<TaskContext>,
}

/// An attempt under way.
struct Begun<'a> {
    step: &'a Step,
    context: Arc<TaskContext>,
    at: Instant,
    limit: Option<Duration>,
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
        let (attempts, begun) = (JoinSet::new(), HashMap::new());
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
            begun,
            batch: EventBatch::default(),
            ready: Vec::new(),
        }
    }

    /// Works until the execution has ended, is paused, or is stopped. No attempt is under way any more then.
    pub(super) async fn until_end(&mut self, state: &mut State) -> Result<(), EngineError> {
        let worked = self.advance(state).await;
        if worked.is_err() {
            // Whoever takes the execution up begins these again.
            self.stop.cancel();
            while self.attempts.join_next().await.is_some() {}
        }
        worked
    }

    async fn advance(&mut self, state: &mut State) -> Result<(), EngineError> {
        while !state.status.has_ended() {
            let is_killing = state.status == ExecutionState::Killing;
            if self.control.kill.is_cancelled() && !is_killing {
                self.add(state, Event::Killing { state: ExecutionState::Killed })?;
            } else if let Some(rest) = self.control.suspended().filter(|_| !is_killing) {
                if self.rest(state, rest).await? {
                    break;
                }
                continue;
            }
            match state.status {
                ExecutionState::Killing => self.stop(state).await?,
                ExecutionState::Retrying => self.repeat(state).await?,
                _ => {
                    if !self.step(state).await? {
                        break;
                    }
                }
            }
        }
        self.flush(state)
    }

    /// Does all that can be done now and waits for the next thing to happen; false when nothing will, until somebody
    /// ends a pause or its time has come.
    async fn step(&mut self, state: &mut State) -> Result<bool, EngineError> {
        let (mut due, mut moved) = (None, false);
        let Plan { actions, secrets } = run_blocking(|| plan(state, self.flow, self.run, clock::now()));
        self.run.host.register(&secrets);
        for next in actions {
            match next {
                Action::Wait(at) => due = Some(due.map_or(at, |earlier: DateTime<Utc>| earlier.min(at))),
                next => moved |= self.take(state, next)?,
            }
            if state.status == ExecutionState::Killing {
                return Ok(true);
            }
        }
        self.flush(state)?;
        if state.status == ExecutionState::Paused && !moved {
            return Ok(false);
        }
        if !moved {
            self.wait(state, due).await?;
        }
        Ok(true)
    }

    /// Does one thing; whether the plan may look different now.
    fn take(&mut self, state: &mut State, next: Action<'a>) -> Result<bool, EngineError> {
        match next {
            Action::Start(start) => return self.start(state, start).map(|()| false),
            Action::Conclude(start) => {
                if !self.begun.contains_key(&start.run) {
                    self.conclude(state, start);
                }
                return Ok(false);
            }
            Action::Skip(run, step) => {
                (self.runner.observer)(Notice::TaskSkipped(step));
                self.add(state, Event::TaskSkipped { run })?;
            }
            Action::Refuse(run, step, error) => self.refuse(state, run, step, &error)?,
            Action::Break(run, step, error) => self.break_off(state, run, step, &error)?,
            Action::Iteration { run, index, outcome, outputs, condition_met: over } => {
                let gave = outputs.map(|outputs| self.run.host.without_secrets(outputs));
                self.add(state, Event::IterationEnded { run, index, outcome, gave, over })?;
            }
            Action::Finish(run, step, outcome, why) => self.finish(state, run, step, outcome, why)?,
            Action::Resume(run, step, behavior) => self.resume(state, run, step, behavior)?,
            Action::Pause => self.add(state, Event::Paused)?,
            Action::Violate(sla, why) => self.violate(state, sla, &why)?,
            Action::Retry(retry) => self.schedule_repeat(state, retry)?,
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
            (self.runner.observer)(Notice::TaskStarted { run: &run, step, attempt, progress });
        }
        let (limit, fields) = (start.limit.map(|span| span.0), start.fields);
        self.prepare(step, Ready { run, concludes: false, limit, work: step.task.run, fields, context });
        Ok(())
    }

    /// What a task does itself after its sub-tasks. It is no attempt of its own: should the process die, it is done
    /// again.
    fn conclude(&mut self, state: &State, start: Start<'a>) {
        let (run, step) = (start.run.clone(), start.step);
        let Some(conclude) = step.task.conclude else { return };
        let context = self.task_context(&start, state);
        let (work, fields) = (conclude, start.fields);
        self.prepare(step, Ready { run, concludes: true, limit: None, work, fields, context });
    }

    fn task_context(&self, start: &Start, state: &State) -> Arc<TaskContext> {
        let (subflows, stop) = ((self.subflows)(start, state), self.stop.child_token());
        Arc::new(self.runner.task_context(self.run, self.flow, start, state, Some(subflows), stop))
    }

    fn prepare(&mut self, step: &'a Step, ready: Ready) {
        let (context, at) = (ready.context.clone(), Instant::now());
        self.begun.insert(ready.run.clone(), Begun { step, context, at, limit: ready.limit });
        self.ready.push(ready);
    }

    /// Writes what has happened, and then lets the attempts begin that are among it.
    pub(super) fn flush(&mut self, state: &State) -> Result<(), EngineError> {
        self.runner.journal.write(&self.run.id, state, &mut self.batch)?;
        for Ready { run, concludes, limit, work, fields, context } in self.ready.drain(..) {
            let work = work(fields, context.clone());
            self.attempts.spawn(async move { (run, concludes, bounded(work, limit, context).await) });
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
        self.end(state, ended)?;
        // Others may have ended at the same time: the plan need look only once.
        while let Some(ended) = self.attempts.try_join_next() {
            self.end(state, ended)?;
        }
        Ok(())
    }

    /// Stops what is under way and closes the execution; what had ended well by then counts.
    async fn stop(&mut self, state: &mut State) -> Result<(), EngineError> {
        self.stop.cancel();
        self.flush(state)?;
        while let Some(ended) = self.attempts.join_next().await {
            self.end(state, ended)?;
        }
        self.forget_folders(state);
        let end = state.ending.unwrap_or(ExecutionState::Killed);
        self.add(state, Event::Ended { state: end, outputs: Map::new() })
    }

    /// Lets what is under way come to its end, unless it is cut off; what is, begins again later, as after a crash.
    /// False when it is killed meanwhile.
    async fn rest(&mut self, state: &mut State, rest: Suspend) -> Result<bool, EngineError> {
        self.flush(state)?;
        while !self.attempts.is_empty() {
            tokio::select! {
                Some(ended) = self.attempts.join_next() => self.end(state, ended)?,
                () = self.control.aborted() => break,
            }
        }
        if self.control.kill.is_cancelled() {
            return Ok(false);
        }
        self.stop.cancel();
        while let Some(ended) = self.attempts.join_next().await {
            if !matches!(&ended, Ok((_, _, Err(error))) if error.class == ErrorClass::Cancelled) {
                self.end(state, ended)?;
            }
        }
        if !state.status.has_ended() && !matches!(state.status, ExecutionState::Paused | ExecutionState::Queued) {
            let event = if rest == Suspend::Paused { Event::Paused } else { Event::Queued };
            self.add(state, event)?;
        }
        Ok(true)
    }

    fn end(&mut self, state: &mut State, ended: Result<Ended, tokio::task::JoinError>) -> Result<(), EngineError> {
        let Ok((run, concludes, result)) = ended else { return Ok(()) };
        let Some(begun) = self.begun.remove(&run) else { return Ok(()) };
        let (step, context) = (begun.step, &begun.context);
        match result.and_then(|outputs| decided(step, context, outputs, concludes, &self.run.host)) {
            Ok(Decided::Expands(expansion)) => self.add(state, Event::TaskExpanded { run, expansion }),
            Ok(Decided::Pauses(pause)) => self.pause(state, run, begun.limit, pause),
            Ok(Decided::Gives(outputs)) if concludes => self.conclusion(state, run, step, outputs),
            Ok(Decided::Gives(outputs)) => self.succeed(state, run, &begun, outputs),
            Err(error) => self.fail(state, run, step, error),
        }
    }

    fn succeed(
        &mut self,
        state: &mut State,
        run: RunId,
        begun: &Begun<'a>,
        outputs: Outputs,
    ) -> Result<(), EngineError> {
        let (step, took) = (begun.step, begun.at.elapsed());
        let outputs = self.run.host.without_secrets(outputs);
        (self.runner.observer)(Notice::TaskSucceeded { run: &run, step, outputs: &outputs, took });
        let labels = begun.context.labels.lock().map(|labels| labels.clone()).unwrap_or_default();
        let labels = self.run.host.without_secrets(labels);
        let is_repeated = state.tasks.get(&run).is_some_and(|task| task.attempts > 1 && task.error.is_some());
        let warns = is_repeated && step.common.retry.as_ref().is_some_and(|retry| retry.warning_on_retry);
        let warning = (begun.context.has_warning() || warns) && !step.common.allow_warning;
        self.add(state, Event::TaskSucceeded { run, outputs, labels, warning })
    }

    /// The task has asked to wait, no longer than its timeout allows.
    fn pause(
        &mut self,
        state: &mut State,
        run: RunId,
        limit: Option<Duration>,
        pause: PauseRequest,
    ) -> Result<(), EngineError> {
        let mut pause = pause;
        if let Some(limit) = limit
            && pause.duration.is_none_or(|duration| limit < duration)
        {
            pause = PauseRequest { duration: Some(limit), behavior: OnPauseTimeout::Fail };
        }
        let length = pause.duration.and_then(|duration| chrono::Duration::from_std(duration).ok());
        let until = length.and_then(|length| clock::now().checked_add_signed(length));
        self.add(state, Event::TaskPaused { run, until, behavior: pause.behavior })
    }

    /// Whether the pause was not cut short.
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
