//! What a run would do, without running it: the fields of its tasks as far as they can be known before.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::context::ExecutionContext;
use crate::engine::host::FoundSecrets;
use crate::engine::literal;
use crate::engine::names::EvalContext;
use crate::engine::plan::Start;
use crate::engine::request::ExecutionRequest;
use crate::engine::runner::Runner;
use crate::engine::scope::Scope;
use crate::file_access::FileAccess;
use crate::flow::expression::{Names, evaluate_condition, render};
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, RunId};
use crate::journal::{State, Triggered};
use crate::task::{Capability, Expansion, TaskType};

/// A run that may come to be.
#[derive(Clone, Debug)]
pub struct HypotheticalRun {
    /// The values of its inputs.
    pub inputs: Map<String, Value>,
    /// The date that it is for.
    pub date: DateTime<Utc>,
    /// The trigger that would start it.
    pub trigger: Option<Triggered>,
}

/// A task of a run that may come to be.
#[derive(Debug)]
pub struct ResolvedTask<'a> {
    /// The task.
    pub step: &'a Step,
    /// The fields that were asked for, rendered; or why they cannot be known before the run.
    pub fields: Result<Value, String>,
    /// The files that they may name.
    pub files: FileAccess,
}

/// Which of a task's fields are asked for; none when the task does not matter.
pub type FieldSelector = fn(&TaskType) -> Option<&'static [&'static str]>;

impl Runner {
    /// The tasks that matter of a run that may come to be, in the order of the flow. Nothing is run and nothing written.
    pub async fn dry_run<'a>(
        &self,
        flow: &'a Flow,
        hypothetical: &HypotheticalRun,
        wanted: FieldSelector,
    ) -> Vec<ResolvedTask<'a>> {
        let id = ExecutionId::new("none");
        let (date, trigger) = (hypothetical.date, hypothetical.trigger.clone());
        let request = ExecutionRequest { trigger_date: Some(date), trigger, ..ExecutionRequest::default() };
        let (created, _) = self.spec(flow, &hypothetical.inputs, &request, date);
        let state = State::new(created);
        let run = self.execution_context(&id, flow, &hypothetical.inputs, &state);
        let mut dry_run =
            DryRun { runner: self, flow, run, state, secrets: FoundSecrets::default(), wanted, found: Vec::new() };
        dry_run.steps(&flow.steps).await;
        dry_run.found
    }
}

struct DryRun<'s, 'a> {
    runner: &'s Runner,
    flow: &'a Flow,
    run: ExecutionContext,
    state: State,
    secrets: FoundSecrets,
    wanted: FieldSelector,
    found: Vec<ResolvedTask<'a>>,
}

impl<'a> DryRun<'_, 'a> {
    async fn steps(&mut self, steps: &'a [Step]) {
        for step in steps.iter().filter(|step| !step.common.disabled) {
            match self.runs(step) {
                Ok(false) => {}
                Ok(true) if step.task.is_flowable() => Box::pin(self.flowable(step)).await,
                Ok(true) => {
                    if let Some(fields) = (self.wanted)(step.task) {
                        let fields = self.rendered(step, Some(fields));
                        self.push(step, fields);
                    }
                }
                Err(why) => self.unknown(step, &why),
            }
        }
    }

    async fn flowable(&mut self, step: &'a Step) {
        let decided = if step.task.has(Capability::Decidable) {
            self.decision(step).await
        } else {
            Err(format!("it is in `{}`", step.id))
        };
        match decided {
            Ok(branch) => self.steps(branch.as_ref().map_or(&[], |branch| step.branch(branch))).await,
            Err(why) => self.unknown(step, &why),
        }
    }

    /// Which sub-tasks run; these tasks decide it from their fields and do nothing else.
    async fn decision(&self, step: &Step) -> Result<Option<String>, String> {
        let fields = self.rendered(step, None)?;
        let eval = self.eval();
        let names = eval.of_task(step, &Scope::default(), 1);
        let start = Start { names, ..self.start(step, fields.clone()) };
        let context =
            self.runner.task_context(&self.run, self.flow, &start, &self.state, None, CancellationToken::new());
        let outputs = (step.task.run)(fields, Arc::new(context)).await.map_err(|error| error.message)?;
        let expansion = serde_json::from_value::<Expansion>(Value::Object(outputs));
        expansion.map(|expansion| expansion.branch).map_err(|error| error.to_string())
    }

    fn eval(&self) -> EvalContext<'_, 'a> {
        EvalContext {
            state: &self.state,
            flow: self.flow,
            run: &self.run,
            now: clock::now(),
            found: &self.secrets,
            end: None,
        }
    }

    fn runs(&self, step: &Step) -> Result<bool, String> {
        let Some(condition) = &step.common.run_if else { return Ok(true) };
        let eval = self.eval();
        let held = evaluate_condition(condition, &eval.of_task(step, &Scope::default(), 1), &eval.snapshot());
        self.run.host.register(&self.secrets);
        held.map_err(|error| error.message)
    }

    /// Some of a task's fields, or all of them.
    fn rendered(&self, step: &Step, only: Option<&[&str]>) -> Result<Value, String> {
        let fields = match (&step.fields, only) {
            (Value::Object(fields), Some(only)) => {
                let chosen = fields.iter().filter(|(name, _)| only.contains(&name.as_str()));
                Value::Object(chosen.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            (fields, _) => fields.clone(),
        };
        let eval = self.eval();
        let rendered = render(&fields, &eval.of_task(step, &Scope::default(), 1), &eval.snapshot());
        self.run.host.register(&self.secrets);
        rendered.map_err(|error| error.message)
    }

    /// An attempt that may come to be.
    fn start(&self, step: &'a Step, fields: Value) -> Start<'a> {
        let run = RunId::new(step.id.as_str());
        let literal = match self.run.restricted {
            true => literal::of_task(&self.eval(), step, &Scope::default()),
            false => BTreeSet::new(),
        };
        self.run.host.register(&self.secrets);
        Start { run, step, fields, attempt: 1, literal, folder: None, timeout: None, names: Names::new() }
    }

    fn push(&mut self, step: &'a Step, fields: Result<Value, String>) {
        let files = self.runner.files_of_task(self.flow, &self.start(step, Value::Null), &self.state);
        self.found.push(ResolvedTask { step, fields, files });
    }

    /// Nothing is known of a task and of those in it.
    fn unknown(&mut self, step: &'a Step, why: &str) {
        let mut open = vec![step];
        let mut seen = BTreeSet::new();
        while let Some(step) = open.pop() {
            if (self.wanted)(step.task).is_some() && seen.insert(step.id.as_str()) {
                self.push(step, Err(why.to_owned()));
            }
            open.extend(step.branches.iter().flat_map(|(_, steps)| steps));
        }
    }
}
