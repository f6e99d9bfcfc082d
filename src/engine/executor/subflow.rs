//! Sub-executions: a task starts another flow, and continues with the same execution when it is itself retried.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::follow::was_applied;
use super::{Executor, Pool, Prepared};
use crate::clock;
use crate::config::MAX_DESCENDANTS;
use crate::diagnostic::Diagnostic;
use crate::engine::context::ExecutionContext;
use crate::engine::host::{FoundSecrets, HostSnapshot};
use crate::engine::lookup::Lookup;
use crate::engine::plan::Start;
use crate::engine::{EngineError, ExecutionRequest, InputHost};
use crate::file_access::FileAccess;
use crate::flow::expression::{Names, render};
use crate::flow::{Flow, input};
use crate::id::{ExecutionId, TaskId};
use crate::journal::{ExecutionState, Parent, State};
use crate::task::{Level, StartedSubflow, SubflowRequest, SubflowResult, SubflowStarter, TaskError};

/// How deep executions may nest.
const MAX_DEPTH: u32 = 16;
/// How often the state of a paused sub-execution is read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// What an attempt of a task needs to start executions.
#[derive(Clone)]
pub(super) struct SubflowRunner {
    executor: Executor,
    catalog: Arc<dyn Lookup>,
    context: ExecutionContext,
    task: TaskId,
    parent: Parent,
    labels: Map<String, Value>,
    names: Arc<Names>,
    state: Option<Arc<State>>,
    files: FileAccess,
}

impl SubflowRunner {
    pub(super) fn new(
        executor: &Executor,
        catalog: &Arc<dyn Lookup>,
        context: &ExecutionContext,
        flow: &Flow,
        start: &Start,
        state: &State,
    ) -> Self {
        let renders = !start.names.is_empty();
        let parent = Parent {
            execution: context.id.clone(),
            run: start.run.to_string(),
            flow: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            depth: state.created.parent.as_ref().map_or(0, |parent| parent.depth) + 1,
        };
        Self {
            executor: executor.clone(),
            catalog: catalog.clone(),
            context: context.clone(),
            task: start.step.id.clone(),
            parent,
            labels: state.labels.clone(),
            names: Arc::new(start.names.clone()),
            state: renders.then(|| Arc::new(state.clone())),
            files: executor.shared.runner.files_of_task(flow, start, state),
        }
    }

    async fn run_subflow(self, request: SubflowRequest) -> Result<SubflowResult, TaskError> {
        let flow = self.catalog.find(&request.namespace, &request.flow)?;
        if self.parent.depth > MAX_DEPTH {
            let error = TaskError::permanent(format!(
                "subflows are nested more than {MAX_DEPTH} levels deep; the last one is `{}`",
                flow.id
            ));
            return Err(error.help("does a flow start itself?"));
        }
        let given = request.inputs.iter().filter(|(_, value)| !value.is_null());
        let given: Vec<(String, Value)> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        let host = InputHost::of(&self.executor.shared.runner.settings, &flow, clock::now());
        let inputs = input::resolve(&flow, &given, &host).map_err(|findings| invalid_inputs(&flow, &findings))?;
        let broken = |error: EngineError| self.cannot_run(&flow, &error);
        let (id, prepared, is_new) = self.find_or_create(&flow, inputs, &request).map_err(broken)?;
        if !request.waits {
            if is_new {
                self.detach(id.clone(), prepared, request);
            }
            return Ok(SubflowResult { id, state: ExecutionState::Created, succeeded: true, outputs: Map::new() });
        }
        let (id, state) = self.run_to_end(&id, &prepared, &request).await.map_err(broken)?;
        if request.cancel.is_cancelled() && !state.status.is_done() {
            return Err(TaskError::cancelled("it was stopped"));
        }
        let (succeeded, outputs) = (state.status.is_done(), state.outputs);
        Ok(SubflowResult { id, state: state.status, succeeded, outputs })
    }

    /// The execution that an earlier attempt started, or a new one.
    fn find_or_create(
        &self,
        flow: &Arc<Flow>,
        inputs: Map<String, Value>,
        request: &SubflowRequest,
    ) -> Result<(ExecutionId, Prepared, bool), EngineError> {
        let runner = &self.executor.shared.runner;
        let pool = if request.waits { Pool::Nested } else { Pool::Detached };
        let mut parent = self.parent.clone();
        if let Some(key) = request.key {
            parent.run = format!("{}#{key}", parent.run);
        }
        if let Some(id) = runner.journal.child(&parent.execution, &parent.run)? {
            let status = runner.state(&id)?.status;
            if !(request.as_new && status.is_restartable()) {
                return Ok((id, Prepared { pool, ..self.executor.prepared(flow, &inputs, true) }, false));
            }
        }
        self.check_descendants()?;
        let mut labels = if request.inherits_labels { self.labels.clone() } else { Map::new() };
        labels.extend(request.labels.clone());
        let (from_outside, files) = (self.context.restricted, Some(self.files.clone()));
        let (parent, trigger_date) = (Some(parent), request.date);
        let request = ExecutionRequest {
            inputs,
            labels,
            trigger_date,
            parent,
            from_outside,
            files,
            ..ExecutionRequest::default()
        };
        let (id, prepared) = self.executor.create(flow, request)?;
        Ok((id, Prepared { pool, ..prepared }, true))
    }

    /// Rejects one more execution where flows start flows without end.
    fn check_descendants(&self) -> Result<(), EngineError> {
        let runner = &self.executor.shared.runner;
        let limit = runner.settings.max_descendants;
        if runner.journal.descendants(&self.parent.execution)? < limit {
            return Ok(());
        }
        let message = format!("an execution may start at most {limit} others, directly and indirectly");
        let help = format!("do flows start each other recursively? {MAX_DESCENDANTS} sets the limit");
        Err(Diagnostic::error(message).help(help).into())
    }

    /// Runs an execution that nobody waits for.
    fn detach(self, id: ExecutionId, prepared: Prepared, request: SubflowRequest) {
        let detached = self.executor.shared.detached.clone();
        detached.spawn(async move {
            if let Err(error) = self.run_to_end(&id, &prepared, &request).await {
                let message = format!("the execution of `{}` failed: {error}", prepared.flow.id);
                self.log(Level::Error, &message);
            }
        });
    }

    /// Runs an execution until it has ended, and waits while it is paused or another process works on it.
    async fn run_to_end(
        &self,
        id: &ExecutionId,
        prepared: &Prepared,
        request: &SubflowRequest,
    ) -> Result<(ExecutionId, State), EngineError> {
        self.wait_until_date(request).await;
        was_applied(self.executor.start(id, prepared.clone()))?;
        let (mut id, mut is_logged) = (id.clone(), false);
        loop {
            let (last, state) = self.executor.follow(&id, prepared, &request.cancel).await?;
            if state.status != ExecutionState::Paused || request.cancel.is_cancelled() {
                return Ok((last, state));
            }
            id = last;
            if !is_logged {
                let message = format!("waiting for {id}, which is paused; resume it with: jitney resume {id}");
                self.log(Level::Info, &message);
                is_logged = true;
            }
            self.wait_while_paused(&id, request).await?;
        }
    }

    async fn wait_while_paused(&self, id: &ExecutionId, request: &SubflowRequest) -> Result<(), EngineError> {
        while self.executor.journal().status(id)? == Some(ExecutionState::Paused) && !request.cancel.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = request.cancel.cancelled() => {}
            }
        }
        Ok(())
    }

    /// A line in the log of the execution that starts others.
    fn log(&self, level: Level, message: &str) {
        // A journal that cannot keep the line has been reported by then.
        let _ = self.executor.shared.runner.log(&self.context.id, level, &self.task, message);
    }

    async fn wait_until_date(&self, request: &SubflowRequest) {
        let Some(remaining) = request.date.and_then(|date| (date - clock::now()).to_std().ok()) else { return };
        tokio::select! {
            () = tokio::time::sleep(remaining) => {}
            () = request.cancel.cancelled() => {}
        }
    }

    fn cannot_run(&self, flow: &Flow, error: &EngineError) -> TaskError {
        TaskError::permanent(format!("cannot run the flow `{}.{}`", flow.namespace, flow.id)).caused_by(error)
    }
}

impl SubflowStarter for SubflowRunner {
    fn start(&self, request: SubflowRequest) -> StartedSubflow {
        Box::pin(self.clone().run_subflow(request))
    }

    fn render(&self, value: &Value, taskrun: Map<String, Value>) -> Result<Value, TaskError> {
        let Some(state) = &self.state else { return Ok(value.clone()) };
        let mut names = (*self.names).clone();
        if let Some(Value::Object(own)) = names.get_mut("taskrun") {
            own.extend(taskrun);
        }
        let found = FoundSecrets::default();
        let snapshot = HostSnapshot { host: &self.context.host, state, now: clock::now(), found: &found };
        let rendered = render(value, &names, &snapshot);
        self.context.host.register(&found);
        rendered.map_err(|error| TaskError::permanent(error.message))
    }
}

fn invalid_inputs(flow: &Flow, findings: &[Diagnostic]) -> TaskError {
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let error = TaskError::permanent(format!("the flow `{}.{}`: {}", flow.namespace, flow.id, messages.join("; ")));
    error.help("see the field `inputs` of this task")
}
