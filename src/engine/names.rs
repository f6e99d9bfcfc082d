//! The names that the expressions of a flow may use.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::engine::outside::View;
use crate::engine::plan::Run;
use crate::engine::schedule;
use crate::flow::expression::Names;
use crate::flow::input::nested;
use crate::flow::{Flow, Step, Trigger};
use crate::id::{RunId, TaskId};
use crate::journal::{ExecutionState, State, TaskRun, TaskState};
use crate::task::{Expansion, WORKING_DIR};

/// Where in the loops of an execution a task stands: empty at the top.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    prefix: String,
    /// The iterations around the task, the outermost first.
    iterations: Vec<Iteration>,
    /// The folder that the tasks around share.
    pub(super) folder: Option<String>,
}

/// One iteration of a loop.
#[derive(Clone, Debug)]
struct Iteration {
    run: RunId,
    index: u32,
    value: Value,
    key: Option<String>,
}

impl Scope {
    /// The id of a task's run in this scope.
    pub(super) fn run_id(&self, task: &TaskId) -> RunId {
        RunId::new(format!("{}{task}", self.prefix))
    }

    /// The scope of one iteration of a loop.
    pub(super) fn enter(&self, run: &RunId, expansion: &Expansion, index: u32) -> Self {
        let value = expansion.value(index).cloned().unwrap_or_else(|| Value::from(index));
        let key = expansion.keys.as_ref().and_then(|keys| keys.get(index as usize)).cloned();
        let mut iterations = self.iterations.clone();
        iterations.push(Iteration { run: run.clone(), index, value, key });
        Self { prefix: run.iteration(index), iterations, folder: self.folder.clone() }
    }

    /// The scope of tasks that share a folder; the same when they share none.
    pub(super) fn sharing(&self, folder: Option<&String>) -> Self {
        Self { folder: folder.or(self.folder.as_ref()).cloned(), ..self.clone() }
    }

    /// Whether outputs of a task run can be seen from here: it stands in this scope or in one around it.
    fn sees(&self, run: &RunId) -> bool {
        let prefix_length = run.as_str().len() - run.task().len();
        self.prefix.starts_with(&run.as_str()[..prefix_length])
    }
}

/// What is known when expressions are rendered.
#[derive(Clone, Copy)]
pub(super) struct Facts<'s, 'a> {
    pub(super) state: &'s State,
    pub(super) flow: &'a Flow,
    pub(super) run: &'s Run,
    pub(super) now: DateTime<Utc>,
    /// How the execution ends, once that is known.
    pub(super) end: Option<ExecutionState>,
}

impl<'s> Facts<'s, '_> {
    /// What functions may ask.
    pub(super) fn view(&self) -> View<'s> {
        Self::view_of(self.state, self.run, self.now)
    }

    /// What functions may ask in this state.
    pub(super) fn view_of<'v>(state: &'v State, run: &'v Run, now: DateTime<Utc>) -> View<'v> {
        View { world: &run.world, state, now }
    }

    /// The names for a task's own expressions.
    pub(super) fn of_task(&self, step: &Step, scope: &Scope, attempt: u32) -> Names {
        let mut names = self.names(Some(step), scope);
        let mut taskrun = Map::from_iter([
            ("id".to_owned(), json!(scope.run_id(&step.id))),
            ("startDate".to_owned(), json!(stamp(self.now))),
            ("attemptsCount".to_owned(), json!(attempt.saturating_sub(1))),
        ]);
        if let Some(iteration) = scope.iterations.last() {
            taskrun.insert("parentId".to_owned(), json!(iteration.run));
            taskrun.insert("iteration".to_owned(), json!(iteration.index));
            taskrun.insert("value".to_owned(), value_text(&iteration.value));
        }
        names.insert("taskrun".to_owned(), Value::Object(taskrun));
        names.insert("task".to_owned(), json!({"id": step.id, "type": step.task.name}));
        names
    }

    /// The names for expressions of the flow itself.
    pub(super) fn of_flow(&self) -> Names {
        self.names(None, &Scope::default())
    }

    fn names(&self, step: Option<&Step>, scope: &Scope) -> Names {
        let Self { state, flow, run, now, .. } = *self;
        let mut inputs = state.created.inputs.clone();
        inputs.extend(run.secrets.clone());
        let (parent, parents) = parents(scope);
        let started = stamp(state.started.unwrap_or(now));
        let mut names = json!({
            "inputs": nested(&inputs),
            "outputs": outputs(state, step, scope),
            "vars": flow.variables,
            "labels": state.labels,
            "flow": {"id": flow.id, "namespace": flow.namespace, "revision": state.created.revision.unwrap_or(1)},
            "execution": {
                "id": run.id,
                "originalId": state.created.original.as_ref().unwrap_or(&run.id),
                "startDate": started,
                "state": self.end.unwrap_or(state.status),
            },
            "trigger": trigger(state, flow),
            "tasks": states(state, scope),
            "parent": parent,
            "parents": parents,
            "envs": run.world.envs(),
            "workingDir": WORKING_DIR,
        });
        if !scope.iterations.is_empty() {
            names["item"] = item(scope);
        }
        match names {
            Value::Object(names) => names,
            _ => Names::new(),
        }
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
    if let Some(parent) = &state.created.parent {
        facts["executionId"] = json!(parent.execution);
        facts["flowId"] = json!(parent.flow);
        facts["namespace"] = json!(parent.namespace);
    }
    facts
}

/// What the tasks before gave: those in sight by their id, and those inside of a loop by id and the iteration's value.
/// Only what the task's expressions name is put together.
fn outputs(state: &State, step: Option<&Step>, scope: &Scope) -> Map<String, Value> {
    let mut outputs = Map::new();
    let uses = step.and_then(|step| step.uses.as_ref());
    let is_used = |task: &str| uses.is_none_or(|uses| uses.contains(task));
    for (run, task) in &state.tasks {
        for (child, by_value) in task.progress.outputs.iter().filter(|(child, _)| is_used(child)) {
            outputs.insert(child.clone(), by_value.clone());
        }
        let is_done = matches!(task.state, TaskState::Success | TaskState::Warning);
        if is_used(run.task()) && (is_done || task.expansion.is_some()) && scope.sees(run) {
            let own = if is_done { task.outputs.clone() } else { so_far(task) };
            outputs.insert(run.task().to_owned(), Value::Object(own));
        }
    }
    outputs
}

/// What a task with sub-tasks tells these.
fn so_far(task: &TaskRun) -> Map<String, Value> {
    let Some(expansion) = &task.expansion else { return Map::new() };
    let mut outputs = expansion.outputs.clone();
    if expansion.until.is_some() {
        outputs.insert("iterationCount".to_owned(), json!(task.progress.next + 1));
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
    let one = |outer: &Iteration| json!({"taskrun": {"value": value_text(&outer.value), "iteration": outer.index}});
    let parents: Vec<Value> = outer.map(one).collect();
    (parents.first().cloned().unwrap_or_else(|| json!({})), parents)
}

/// The iteration as Kestra 2 has it, with those around it.
fn item(scope: &Scope) -> Value {
    let one = |iteration: &Iteration| {
        let mut item = json!({"index": iteration.index, "value": value_text(&iteration.value)});
        if let Some(key) = &iteration.key {
            item["key"] = json!(key);
        }
        item
    };
    let mut items: Vec<Value> = scope.iterations.iter().rev().map(one).collect();
    let outer = items.split_off(1.min(items.len()));
    let mut item = items.pop().unwrap_or_else(|| json!({}));
    item["parent"] = outer.first().cloned().unwrap_or_else(|| json!({}));
    item["parents"] = Value::Array(outer);
    item
}

/// The value of an iteration: text as it is, anything else as JSON text, as Kestra has it.
pub(super) fn value_text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
