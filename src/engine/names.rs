//! The names that the expressions of a flow may use.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::engine::context::ExecutionContext;
use crate::engine::host::{FoundSecrets, HostSnapshot};
use crate::engine::schedule;
use crate::engine::scope::Scope;
use crate::flow::expression::Names;
use crate::flow::input::nest;
use crate::flow::{Flow, Step, Trigger};
use crate::journal::{ExecutionState, State, TaskRun, TaskState};
use crate::task::WORKING_DIR;

/// What is known when expressions are rendered.
#[derive(Clone, Copy)]
pub(super) struct EvalContext<'s, 'a> {
    pub(super) state: &'s State,
    pub(super) flow: &'a Flow,
    pub(super) run: &'s ExecutionContext,
    pub(super) now: DateTime<Utc>,
    /// Where secrets that are found are noted.
    pub(super) found: &'s FoundSecrets,
    /// How the execution ends, once that is known.
    pub(super) end: Option<ExecutionState>,
}

impl<'s> EvalContext<'s, '_> {
    /// What functions may ask.
    pub(super) fn snapshot(&self) -> HostSnapshot<'s> {
        HostSnapshot { host: &self.run.host, state: self.state, now: self.now, found: self.found }
    }

    /// The names for a task's own expressions.
    pub(super) fn of_task(&self, step: &Step, scope: &Scope, attempt: u32) -> Names {
        let mut names = self.names(Some(step), scope);
        let mut taskrun = Map::from_iter([
            ("id".to_owned(), json!(scope.run_id(&step.id))),
            ("startDate".to_owned(), json!(stamp(self.now))),
            ("attemptsCount".to_owned(), json!(attempt.saturating_sub(1))),
        ]);
        taskrun.extend(scope.of_taskrun());
        names.insert("taskrun".to_owned(), Value::Object(taskrun));
        names.insert("task".to_owned(), json!({"id": step.id, "type": step.common.kind}));
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
        let parents = scope.parents(|run| state.tasks.get(run).map(so_far));
        let started = stamp(state.started.unwrap_or(now));
        let mut names = json!({
            "inputs": nest(&inputs),
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
            "parent": parents.first().cloned().unwrap_or_else(|| json!({})),
            "parents": parents,
            "envs": run.host.envs(),
            "workingDir": WORKING_DIR,
        });
        if let Some(item) = scope.item() {
            names["item"] = item;
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
    let mut facts = moments(flow, date, triggered.map(|triggered| triggered.id.as_str()));
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

/// The moments of the trigger of this id; without one, those of the flow's first schedule.
pub(super) fn moments(flow: &Flow, date: DateTime<Utc>, triggered: Option<&str>) -> Value {
    let times = match triggered {
        Some(id) => flow.triggers.iter().find(|trigger| trigger.id == id).and_then(Trigger::times),
        None => flow.triggers.iter().find_map(Trigger::times),
    };
    schedule::facts(times, date)
}

/// What the tasks before gave: those in sight by their id, and those inside of a loop by id and the iteration's value,
/// from within the loop too. Only what the task's expressions name is put together.
fn outputs(state: &State, step: Option<&Step>, scope: &Scope) -> Map<String, Value> {
    let mut outputs = Map::new();
    let uses = step.and_then(|step| step.uses.as_ref());
    let is_used = |task: &str| uses.is_none_or(|uses| uses.contains(task));
    for (run, task) in state.tasks.iter().filter(|(run, _)| scope.sees(run)) {
        let values = scope.values_around(run);
        for (child, by_value) in task.progress.outputs.iter().filter(|(child, _)| is_used(child)) {
            by_value.as_object().into_iter().for_each(|own| give(&mut outputs, child, &values, own));
        }
        let is_done = matches!(task.state, TaskState::Success | TaskState::Warning);
        let merged = format!("{}_merge", run.task());
        if is_used(&merged) && task.outputs.contains_key("subflowOutputs") {
            // Kestra gives what a `for_each_item` gathers to a task of this name.
            give(&mut outputs, &merged, &values, &task.outputs);
        }
        if is_used(run.task()) && (is_done || task.expansion.is_some()) {
            let own = if is_done { task.outputs.clone() } else { so_far(task) };
            give(&mut outputs, run.task(), &values, &own);
        }
    }
    outputs
}

/// Adds what a task gave, as `outputs.task` and, within loops, as `outputs.task[value][value]`.
fn give(outputs: &mut Map<String, Value>, task: &str, values: &[String], own: &Map<String, Value>) {
    let place = outputs.entry(task).or_insert_with(|| Value::Object(Map::new()));
    put(place, &[], own);
    if !values.is_empty() {
        put(place, values, own);
    }
}

fn put(place: &mut Value, path: &[String], own: &Map<String, Value>) {
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    let Value::Object(map) = place else { return };
    match path.split_first() {
        None => map.extend(own.clone()),
        Some((value, rest)) => put(map.entry(value).or_insert_with(|| Value::Object(Map::new())), rest, own),
    }
}

/// The names that a task with sub-tasks adds for these.
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

pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
