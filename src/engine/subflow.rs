//! Sub-executions: a task starts another flow, and goes on with the same execution when it is itself repeated.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::SemaphorePermit;

use crate::clock;
use crate::config::MAX_DESCENDANTS;
use crate::diagnostic::Diagnostic;
use crate::engine::context::ExecutionContext;
use crate::engine::error::EngineError;
use crate::engine::host::{FoundSecrets, HostSnapshot};
use crate::engine::input_host::InputHost;
use crate::engine::lookup::Lookup;
use crate::engine::plan::Start;
use crate::engine::request::Request;
use crate::engine::runner::Runner;
use crate::file_access::FileAccess;
use crate::flow::expression::{Names, render};
use crate::flow::{Flow, input};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{ExecutionState, Parent, State};
use crate::task::{Level, StartedSubflow, SubflowRequest, SubflowResult, SubflowStarter, TaskError};

/// How deep executions may start executions.
const MAX_DEPTH: u32 = 16;
/// How often a sub-execution that others work on, or should, is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What an attempt of a task needs to start executions.
#[derive(Clone)]
pub(super) struct SubflowRunner {
    runner: Runner,
    catalog: Arc<dyn Lookup>,
    run: ExecutionContext,
    task: TaskId,
    parent: Parent,
    labels: Map<String, Value>,
    names: Arc<Names>,
    state: Option<Arc<State>>,
    files: FileAccess,
}

impl SubflowRunner {
    pub(super) fn new(
        runner: &Runner,
        catalog: &Arc<dyn Lookup>,
        run: &ExecutionContext,
        flow: &Flow,
        start: &Start,
        state: &State,
    ) -> Self {
        let renders = !start.names.is_empty();
        let parent = Parent {
            execution: run.id.clone(),
            run: start.run.to_string(),
            flow: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            depth: state.created.parent.as_ref().map_or(0, |parent| parent.depth) + 1,
        };
        Self {
            runner: runner.clone(),
            catalog: catalog.clone(),
            run: run.clone(),
            task: start.step.id.clone(),
            parent,
            labels: state.labels.clone(),
            names: Arc::new(start.names.clone()),
            state: renders.then(|| Arc::new(state.clone())),
            files: runner.files_of_task(flow, start, state),
        }
    }

    async fn get(self, request: SubflowRequest) -> Result<SubflowResult, TaskError> {
        let flow = self.catalog.find(&request.namespace, &request.flow)?;
        if self.parent.depth > MAX_DEPTH {
            let error =
                TaskError::permanent(format!("flows start flows more than {MAX_DEPTH} deep, `{}` the last", flow.id));
            return Err(error.help("does a flow start itself?"));
        }
        let given = request.inputs.iter().filter(|(_, value)| !value.is_null());
        let given: Vec<(String, Value)> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        let before = InputHost::of(&self.runner.settings, &flow, clock::now());
        let inputs = input::resolve(&flow, &given, &before).map_err(|findings| unfit(&flow, &findings))?;
        let broken = |error: EngineError| self.broken(&flow, &error);
        let (id, is_new) = self.find_or_submit(&flow, &inputs, &request).map_err(broken)?;
        if !request.waits {
            if is_new {
                self.leave(flow, id.clone(), inputs, request);
            }
            return Ok(SubflowResult { id, state: "CREATED", is_well: true, outputs: Map::new() });
        }
        let (id, state) = self.follow(&flow, id, &inputs, &request).await.map_err(broken)?;
        if request.cancel.is_cancelled() && !state.status.is_done() {
            return Err(TaskError::cancelled("it was stopped"));
        }
        let (is_well, outputs) = (state.status.is_done(), state.outputs);
        Ok(SubflowResult { id, state: state.status.as_str(), is_well, outputs })
    }

    /// The execution that an earlier attempt started, or a new one.
    fn find_or_submit(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        request: &SubflowRequest,
    ) -> Result<(ExecutionId, bool), EngineError> {
        let mut parent = self.parent.clone();
        if let Some(key) = request.key {
            parent.run = format!("{}#{key}", parent.run);
        }
        if let Some(id) = self.runner.journal.child(&parent.execution, &parent.run)? {
            let status = self.runner.state(&id)?.status;
            if !(request.anew && status.is_restartable()) {
                return Ok((id, false));
            }
        }
        self.check_room()?;
        let mut labels = if request.inherits_labels { self.labels.clone() } else { Map::new() };
        labels.extend(request.labels.clone());
        let (inputs, trigger_date) = (inputs.clone(), request.date);
        let (from_outside, files) = (self.run.restricted, Some(self.files.clone()));
        let parent = Some(parent);
        let request = Request { inputs, labels, trigger_date, parent, from_outside, files, ..Request::default() };
        Ok((self.runner.create(flow, request)?, true))
    }

    /// Refuses one more execution where flows start flows without end.
    fn check_room(&self) -> Result<(), EngineError> {
        let most = self.runner.settings.max_descendants;
        if self.runner.journal.descendants(&self.parent.execution, most)? < most {
            return Ok(());
        }
        let message = format!("one execution may start {most} others, directly and through them, and has done so");
        let help = format!("do flows start each other in a circle? {MAX_DESCENDANTS} raises the limit");
        Err(Diagnostic::error(message).help(help).into())
    }

    /// Waits for a place among the executions that nobody waits for.
    async fn turn(&self, request: &SubflowRequest) -> Option<SemaphorePermit<'_>> {
        if request.waits {
            return None;
        }
        tokio::select! {
            turn = self.runner.turns.acquire() => turn.ok(),
            () = request.cancel.cancelled() => None,
        }
    }

    /// Lets an execution run that nobody waits for.
    fn leave(self, flow: Arc<Flow>, id: ExecutionId, inputs: Map<String, Value>, request: SubflowRequest) {
        let background = self.runner.background.clone();
        background.spawn(async move {
            if let Err(error) = self.follow(&flow, id, &inputs, &request).await {
                let message = format!("the execution of `{}` broke off: {error}", flow.id);
                // A journal that cannot keep the line has been reported by then.
                drop(self.runner.say(&self.run.id, Level::Error, &self.task, &message));
            }
        });
    }

    /// Works on an execution until it has ended. While it is paused, or another process works on it, that is waited
    /// for.
    async fn follow(
        &self,
        flow: &Flow,
        mut id: ExecutionId,
        inputs: &Map<String, Value>,
        request: &SubflowRequest,
    ) -> Result<(ExecutionId, State), EngineError> {
        let runner = &self.runner;
        self.until_date(request).await;
        let mut told = false;
        loop {
            let turn = self.turn(request).await;
            let ran = runner.run_to_the_last(&id, flow, inputs, request.cancel.clone()).await;
            drop(turn);
            match ran {
                Ok((last, state)) if state.status != ExecutionState::Paused => return Ok((last, state)),
                Ok((last, _)) => {
                    id = last;
                    if !told {
                        let message = format!("waiting for {id}, which is paused; resume it with: jitney resume {id}");
                        runner.say(&self.run.id, Level::Info, &self.task, &message)?;
                        told = true;
                    }
                    self.while_paused(&id, request).await?;
                }
                Err(EngineError::Taken(_)) => runner.until_free(&id, &request.cancel).await?,
                Err(error) => return Err(error),
            }
            // Somebody else may have brought it to an end, which counts whatever it was.
            let state = runner.state(&id)?;
            if state.status.has_ended() && state.status != ExecutionState::Retried {
                return Ok((id, state));
            }
        }
    }

    async fn while_paused(&self, id: &ExecutionId, request: &SubflowRequest) -> Result<(), EngineError> {
        while self.runner.journal.status(id)? == Some(ExecutionState::Paused) && !request.cancel.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = request.cancel.cancelled() => {}
            }
        }
        self.runner.until_free(id, &request.cancel).await
    }

    async fn until_date(&self, request: &SubflowRequest) {
        let Some(left) = request.date.and_then(|date| (date - clock::now()).to_std().ok()) else { return };
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            () = request.cancel.cancelled() => {}
        }
    }

    fn broken(&self, flow: &Flow, error: &EngineError) -> TaskError {
        TaskError::permanent(format!("cannot run the flow `{}.{}`", flow.namespace, flow.id)).caused_by(error)
    }
}

impl SubflowStarter for SubflowRunner {
    fn start(&self, request: SubflowRequest) -> StartedSubflow {
        Box::pin(self.clone().get(request))
    }

    fn render(&self, value: &Value, taskrun: Map<String, Value>) -> Result<Value, TaskError> {
        let Some(state) = &self.state else { return Ok(value.clone()) };
        let mut names = (*self.names).clone();
        if let Some(Value::Object(own)) = names.get_mut("taskrun") {
            own.extend(taskrun);
        }
        let found = FoundSecrets::default();
        let snapshot = HostSnapshot { host: &self.run.host, state, now: clock::now(), found: &found };
        let rendered = render(value, &names, &snapshot);
        self.run.host.register(&found);
        rendered.map_err(|error| TaskError::permanent(error.message))
    }
}

fn unfit(flow: &Flow, findings: &[Diagnostic]) -> TaskError {
    let told: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let error = TaskError::permanent(format!("the flow `{}.{}`: {}", flow.namespace, flow.id, told.join("; ")));
    error.help("see the field `inputs` of this task")
}
