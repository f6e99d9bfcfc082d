//! What to do next, as a pure function of what has happened.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::flow::expression::{ExpressionError, Names, holds, render};
use crate::flow::{Flow, Step};
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, State, TaskRun, TaskState};

/// The one thing to do next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Start an attempt of a task.
    Start {
        /// The task.
        step: &'a Step,
        /// Its fields, rendered.
        fields: Value,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// The task's condition does not hold.
    Skip(&'a Step),
    /// The task cannot start: an expression in it has no value.
    Refuse(&'a Step, ExpressionError),
    /// The task's next attempt is due later.
    Wait(DateTime<Utc>),
    /// An attempt is under way.
    Busy,
    /// Nothing is left to do.
    End(ExecutionState),
}

/// What a plan needs to know beside the state: who runs, and the secret inputs that the journal does not hold.
#[derive(Clone, Debug)]
pub struct Run {
    /// The execution.
    pub id: ExecutionId,
    /// Secret inputs by name.
    pub secrets: Map<String, Value>,
    /// Log lines that need not be said again.
    pub said: Arc<Mutex<BTreeSet<String>>>,
}

/// Says what to do next. Pure: the same arguments give the same answer.
pub fn plan<'a>(state: &State, flow: &'a Flow, run: &Run, now: DateTime<Utc>) -> Next<'a> {
    let planner = Planner { state, flow, run, now };
    let mut warning = false;
    planner.walk(&flow.steps, &mut warning).unwrap_or(Next::End(if warning {
        ExecutionState::Warning
    } else {
        ExecutionState::Success
    }))
}

struct Planner<'s, 'a> {
    state: &'s State,
    flow: &'a Flow,
    run: &'s Run,
    now: DateTime<Utc>,
}

impl<'a> Planner<'_, 'a> {
    /// The next thing to do in a list of tasks; none when all of them are over.
    fn walk(&self, steps: &'a [Step], warning: &mut bool) -> Option<Next<'a>> {
        steps.iter().find_map(|step| match self.state.tasks.get(&step.id) {
            None => Some(self.start(step, 1)),
            Some(task) => self.follow(step, task, warning),
        })
    }

    fn follow(&self, step: &'a Step, task: &TaskRun, warning: &mut bool) -> Option<Next<'a>> {
        match task.state {
            TaskState::Created => Some(self.start(step, task.attempts + 1)),
            TaskState::Running => Some(Next::Busy),
            TaskState::Retrying { at } if at > self.now => Some(Next::Wait(at)),
            TaskState::Retrying { .. } => Some(self.start(step, task.attempts + 1)),
            TaskState::Skipped => None,
            TaskState::Success => self.walk(branch(step, task), warning),
            TaskState::Failed if step.common.allow_failure => {
                *warning = true;
                None
            }
            TaskState::Failed => Some(Next::End(ExecutionState::Failed)),
        }
    }

    fn start(&self, step: &'a Step, attempt: u32) -> Next<'a> {
        let names = self.names(step, attempt);
        let condition = step.common.run_if.as_ref().map_or(Ok(true), |condition| holds(condition, &names));
        match condition.and_then(|holds| Ok((holds, render(&step.fields, &names)?))) {
            Ok((true, fields)) => Next::Start { step, fields, attempt },
            Ok((false, _)) => Next::Skip(step),
            Err(error) => Next::Refuse(step, error),
        }
    }

    /// The names that expressions of a task may use.
    fn names(&self, step: &Step, attempt: u32) -> Names {
        let created = &self.state.created;
        let mut inputs = created.inputs.clone();
        inputs.extend(self.run.secrets.clone());
        let outputs: Map<String, Value> = self
            .state
            .tasks
            .iter()
            .filter(|(_, task)| task.state == TaskState::Success)
            .map(|(id, task)| (id.as_str().to_owned(), Value::Object(task.outputs.clone())))
            .collect();
        let started = self.state.started.unwrap_or(self.now);
        let names = json!({
            "inputs": inputs,
            "outputs": outputs,
            "vars": self.flow.variables,
            "labels": self.state.labels,
            "flow": {"id": self.flow.id, "namespace": self.flow.namespace},
            "execution": {"id": self.run.id, "startDate": stamp(started), "state": self.state.status},
            "trigger": {"date": stamp(created.trigger_date)},
            "task": {"id": step.id, "type": step.task.name},
            "taskrun": {"startDate": stamp(self.now), "attemptsCount": attempt - 1},
        });
        match names {
            Value::Object(names) => names,
            _ => Names::new(),
        }
    }
}

/// The sub-tasks that a finished task chose.
fn branch<'a>(step: &'a Step, task: &TaskRun) -> &'a [Step] {
    let chosen = task.outputs.get("branch").and_then(Value::as_str);
    let found = step.branches.iter().find(|(name, _)| Some(*name) == chosen);
    found.map(|(_, steps)| steps.as_slice()).unwrap_or_default()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
