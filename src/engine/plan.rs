//! What to do next, as a pure function of what has happened.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::engine::names::{Scope, names};
use crate::engine::outside::{View, World};
use crate::flow::expression::{ExpressionError, holds, render};
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, RunId};
use crate::journal::{ExecutionState, Outcome, State, TaskRun, TaskState};
use crate::task::Expansion;

/// The most attempts that are under way at a time in one execution.
const MOST_AT_ONCE: usize = 64;

/// A thing to do next.
#[derive(Debug)]
pub enum Next<'a> {
    /// Start an attempt of a task.
    Start {
        /// The task run.
        run: RunId,
        /// The task.
        step: &'a Step,
        /// Its fields, rendered.
        fields: Value,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// The task's condition does not hold.
    Skip(RunId, &'a Step),
    /// The task cannot start: an expression in it has no value.
    Refuse(RunId, &'a Step, ExpressionError),
    /// All sub-tasks of an iteration have ended.
    Iteration(RunId, u32, Outcome),
    /// All sub-tasks of a task have ended.
    Finish(RunId, &'a Step, Outcome),
    /// A task's next attempt is due later.
    Wait(DateTime<Utc>),
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
    /// What expressions may ask beyond the state: secrets, files, stored values.
    pub world: Arc<World>,
}

/// Says what to do next; nothing, while what is under way must be waited for. The same arguments in the same world give
/// the same answer, but for chance.
pub fn plan<'a>(state: &State, flow: &'a Flow, run: &Run, now: DateTime<Utc>) -> Vec<Next<'a>> {
    let under_way = state.tasks.values().filter(|task| is_under_way(task)).count();
    let mut planner = Planner { state, flow, run, now, under_way, actions: Vec::new() };
    let block = Block { tasks: &flow.steps, errors: &flow.errors, finally: &flow.finally };
    match planner.block(block, &Scope::default(), 1) {
        Standing::Done(outcome) if planner.actions.is_empty() => vec![Next::End(outcome.into())],
        _ => planner.actions,
    }
}

fn is_under_way(task: &TaskRun) -> bool {
    task.state == TaskState::Running && task.expansion.is_none()
}

/// How far a task, or a list of them, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Done(Outcome),
}

/// Tasks with what runs when they fail, and what runs in any case.
#[derive(Clone, Copy)]
struct Block<'a> {
    tasks: &'a [Step],
    errors: &'a [Step],
    finally: &'a [Step],
}

struct Planner<'s, 'a> {
    state: &'s State,
    flow: &'a Flow,
    run: &'s Run,
    now: DateTime<Utc>,
    under_way: usize,
    actions: Vec<Next<'a>>,
}

impl<'a> Planner<'_, 'a> {
    fn block(&mut self, block: Block<'a>, scope: &Scope, concurrent: u32) -> Standing {
        let Standing::Done(mut outcome) = self.list(block.tasks, scope, concurrent) else { return Standing::Open };
        if outcome == Outcome::Failed && self.list(block.errors, scope, 1) == Standing::Open {
            return Standing::Open;
        }
        match self.list(block.finally, scope, 1) {
            Standing::Open => return Standing::Open,
            Standing::Done(last) => outcome = outcome.max(last),
        }
        Standing::Done(outcome)
    }

    /// Tasks one after another, until one fails; or side by side, each as soon as those that it depends on have ended
    /// well, all of them to the end.
    fn list(&mut self, steps: &'a [Step], scope: &Scope, concurrent: u32) -> Standing {
        let limit = if concurrent == 0 { usize::MAX } else { concurrent as usize };
        let (mut open, mut worst) = (0, Outcome::Success);
        let mut passed: BTreeSet<&str> = BTreeSet::new();
        for step in steps {
            let waits = step.depends_on.iter().any(|id| !passed.contains(id.as_str()));
            if open >= limit || (waits && !self.has_begun(step, scope)) {
                continue;
            }
            match self.step(step, scope) {
                Standing::Open => open += 1,
                Standing::Done(Outcome::Failed) if concurrent == 1 => return Standing::Done(Outcome::Failed),
                Standing::Done(outcome) => {
                    worst = worst.max(outcome);
                    if outcome != Outcome::Failed {
                        passed.insert(step.id.as_str());
                    }
                }
            }
        }
        // What waits for a task that failed never runs; else something open will let it run.
        if open > 0 { Standing::Open } else { Standing::Done(worst) }
    }

    fn has_begun(&self, step: &Step, scope: &Scope) -> bool {
        self.state.tasks.contains_key(&scope.run_id(&step.id))
    }

    fn step(&mut self, step: &'a Step, scope: &Scope) -> Standing {
        let run = scope.run_id(&step.id);
        let state = self.state;
        let Some(task) = state.tasks.get(&run) else { return self.start(run, step, scope, 1) };
        let warned = if step.common.allow_warning { Outcome::Success } else { Outcome::Warning };
        match (&task.state, &task.expansion) {
            (TaskState::Created, _) => self.start(run, step, scope, task.attempts + 1),
            (TaskState::Running, None) => Standing::Open,
            (TaskState::Running, Some(expansion)) => self.expanded(run, step, task, expansion, scope),
            (TaskState::Retrying { at }, _) if *at > self.now => {
                self.actions.push(Next::Wait(*at));
                Standing::Open
            }
            (TaskState::Retrying { .. }, _) => self.start(run, step, scope, task.attempts + 1),
            (TaskState::Success | TaskState::Skipped, _) => Standing::Done(Outcome::Success),
            (TaskState::Warning, _) => Standing::Done(warned),
            (TaskState::Failed, _) if step.common.allow_failure => Standing::Done(warned),
            (TaskState::Failed, _) => Standing::Done(Outcome::Failed),
        }
    }

    fn start(&mut self, run: RunId, step: &'a Step, scope: &Scope, attempt: u32) -> Standing {
        if self.under_way >= MOST_AT_ONCE {
            return Standing::Open;
        }
        let names = names(self.state, self.flow, self.run, step, scope, attempt, self.now);
        let view = View { world: &self.run.world, state: self.state, now: self.now };
        let condition = step.common.run_if.as_ref().map_or(Ok(true), |condition| holds(condition, &names, &view));
        self.actions.push(match condition.and_then(|holds| Ok((holds, render(&step.fields, &names, &view)?))) {
            Ok((true, fields)) => {
                self.under_way += 1;
                Next::Start { run, step, fields, attempt }
            }
            Ok((false, _)) => Next::Skip(run, step),
            Err(error) => Next::Refuse(run, step, error),
        });
        Standing::Open
    }

    /// A task that has decided which of its sub-tasks run.
    fn expanded(
        &mut self,
        run: RunId,
        step: &'a Step,
        task: &TaskRun,
        expansion: &Expansion,
        scope: &Scope,
    ) -> Standing {
        let tasks = expansion.branch.as_ref().map_or(&[][..], |name| step.branch(name));
        let standing = match &expansion.values {
            Some(values) => self.iterations(&run, tasks, task, expansion, values, scope),
            None => {
                let block = Block { tasks, errors: step.branch("errors"), finally: step.branch("finally") };
                self.block(block, scope, expansion.concurrent)
            }
        };
        if let Standing::Done(outcome) = standing {
            let forgiven = outcome == Outcome::Failed && expansion.allow_failure;
            let outcome = if forgiven { Outcome::Warning } else { outcome };
            self.actions.push(Next::Finish(run, step, outcome));
        }
        Standing::Open
    }

    /// Once an iteration has failed no other begins; those that have begun go on to their end.
    fn iterations(
        &mut self,
        run: &RunId,
        tasks: &'a [Step],
        task: &TaskRun,
        expansion: &Expansion,
        values: &[Value],
        scope: &Scope,
    ) -> Standing {
        let limit = if expansion.concurrent == 0 { MOST_AT_ONCE } else { expansion.concurrent as usize };
        let progress = &task.progress;
        let mut open = 0;
        for index in
            (progress.next..u32::try_from(values.len()).unwrap_or(u32::MAX)).filter(|index| !progress.has_ended(*index))
        {
            let inside = scope.enter(run, index, &values[index as usize]);
            let begun = tasks.iter().any(|step| self.has_begun(step, &inside));
            if open >= limit || (!progress.failed.is_empty() && !begun) {
                break;
            }
            open += 1;
            if let Standing::Done(outcome) = self.list(tasks, &inside, expansion.concurrent_within) {
                self.actions.push(Next::Iteration(run.clone(), index, outcome));
            }
        }
        match (open, progress.failed.is_empty(), progress.warning) {
            (1.., _, _) => Standing::Open,
            (_, false, _) => Standing::Done(Outcome::Failed),
            (_, _, true) => Standing::Done(Outcome::Warning),
            _ => Standing::Done(Outcome::Success),
        }
    }
}
