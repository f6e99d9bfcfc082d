//! The names that the expressions of a task may use.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::engine::plan::Run;
use crate::engine::schedule;
use crate::flow::expression::Names;
use crate::flow::input::nested;
use crate::flow::{Flow, Step, Trigger};
use crate::id::{RunId, TaskId};
use crate::journal::{State, TaskState};
use crate::task::WORKING_DIR;

/// Where in the loops of an execution a task stands: empty at the top.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    prefix: String,
    /// The iterations around the task, the outermost first: the loop, the index, the value.
    iterations: Vec<(RunId, u32, Value)>,
}

impl Scope {
    /// The id of a task's run in this scope.
    pub(super) fn run_id(&self, task: &TaskId) -> RunId {
        RunId::new(format!("{}{task}", self.prefix))
    }

    /// The scope of one iteration of a loop.
    pub(super) fn enter(&self, run: &RunId, index: u32, value: &Value) -> Self {
        let mut iterations = self.iterations.clone();
        iterations.push((run.clone(), index, value.clone()));
        Self { prefix: run.iteration(index), iterations }
    }

    /// Whether outputs of a task run can be seen from here: it stands in this scope or in one around it.
    fn sees(&self, run: &RunId) -> bool {
        let prefix_length = run.as_str().len() - run.task().len();
        self.prefix.starts_with(&run.as_str()[..prefix_length])
    }
}

pub(super) fn names(
    state: &State,
    flow: &Flow,
    run: &Run,
    step: &Step,
    scope: &Scope,
    attempt: u32,
    now: DateTime<Utc>,
) -> Names {
    let mut inputs = state.created.inputs.clone();
    inputs.extend(run.secrets.clone());
    let (parent, parents) = parents(scope);
    let mut taskrun = Map::from_iter([
        ("id".to_owned(), json!(scope.run_id(&step.id))),
        ("startDate".to_owned(), json!(stamp(now))),
        ("attemptsCount".to_owned(), json!(attempt - 1)),
    ]);
    if let Some((parent, index, value)) = scope.iterations.last() {
        taskrun.insert("parentId".to_owned(), json!(parent));
        taskrun.insert("iteration".to_owned(), json!(index));
        taskrun.insert("value".to_owned(), value_text(value));
    }
    let names = json!({
        "inputs": nested(&inputs),
        "outputs": outputs(state, step, scope),
        "vars": flow.variables,
        "labels": state.labels,
        "flow": {"id": flow.id, "namespace": flow.namespace, "revision": state.created.revision.unwrap_or(1)},
        "execution": {
            "id": run.id,
            "originalId": run.id,
            "startDate": stamp(state.started.unwrap_or(now)),
            "state": state.status,
        },
        "trigger": trigger(state, flow),
        "task": {"id": step.id, "type": step.task.name},
        "taskrun": taskrun,
        "tasks": states(state, scope),
        "parent": parent,
        "parents": parents,
        "envs": run.world.envs(),
        "workingDir": WORKING_DIR,
    });
    match names {
        Value::Object(names) => names,
        _ => Names::new(),
    }
}

/// What is known about the trigger: of a schedule its moments, of another one what it said, with its moment.
fn trigger(state: &State, flow: &Flow) -> Value {
    let (date, triggered) = (state.created.trigger_date, state.created.trigger.as_ref());
    let its_own = triggered.and_then(|triggered| flow.triggers.iter().find(|trigger| trigger.id == triggered.id));
    let times = match triggered {
        Some(_) => its_own.and_then(Trigger::times),
        None => flow.triggers.iter().find_map(Trigger::times),
    };
    let mut facts = schedule::facts(times, date);
    if let (Some(facts), Some(triggered)) = (facts.as_object_mut(), triggered) {
        facts.insert("id".to_owned(), Value::from(triggered.id.as_str()));
        facts.extend(triggered.facts.clone());
    }
    facts
}

/// What the tasks before gave: those in sight by their id, and those inside of a loop by id and the iteration's value.
/// Only what the task's expressions name is put together.
fn outputs(state: &State, step: &Step, scope: &Scope) -> Map<String, Value> {
    let mut outputs = Map::new();
    let is_used = |task: &str| step.uses.as_ref().is_none_or(|uses| uses.contains(task));
    for (run, task) in &state.tasks {
        for (child, by_value) in task.progress.outputs.iter().filter(|(child, _)| is_used(child)) {
            outputs.insert(child.clone(), by_value.clone());
        }
        let is_done = matches!(task.state, TaskState::Success | TaskState::Warning);
        if is_used(run.task()) && (is_done || task.expansion.is_some()) && scope.sees(run) {
            let own =
                task.expansion.as_ref().filter(|_| !is_done).map_or(&task.outputs, |expansion| &expansion.outputs);
            outputs.insert(run.task().to_owned(), Value::Object(own.clone()));
        }
    }
    outputs
}

fn states(state: &State, scope: &Scope) -> Map<String, Value> {
    let seen = state.tasks.iter().filter(|(run, _)| scope.sees(run));
    seen.map(|(run, task)| (run.task().to_owned(), json!({"state": task.state.as_str()}))).collect()
}

/// The iteration around this one, and all of them, the innermost first.
fn parents(scope: &Scope) -> (Value, Vec<Value>) {
    let outer = scope.iterations.iter().rev().skip(1);
    let parents: Vec<Value> =
        outer.map(|(_, index, value)| json!({"taskrun": {"value": value_text(value), "iteration": index}})).collect();
    (parents.first().cloned().unwrap_or_else(|| json!({})), parents)
}

/// The value of an iteration: text as it is, anything else as JSON text, as Kestra has it.
fn value_text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
