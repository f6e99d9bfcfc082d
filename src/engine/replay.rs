//! Which task runs are reset or kept when an execution is adopted, restarted, or replayed from a task on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::diagnostic::nearest;
use crate::engine::scope::Scope;
use crate::flow::{Flow, Step, contains, visit_steps};
use crate::id::RunId;
use crate::journal::{BACKFILL_LABEL, PARTITION_LABEL, State, TaskRun, TaskRunSnapshot, TaskState};
use crate::task::Capability;

/// The part of an execution that a replay runs again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayPart {
    /// All of it.
    All,
    /// This task and those after it.
    From(String),
    /// This task alone.
    Only(String),
}

impl ReplayPart {
    /// The one task that runs.
    pub(super) fn only(&self) -> Option<&str> {
        match self {
            Self::Only(task) => Some(task),
            Self::All | Self::From(_) => None,
        }
    }

    /// The labels of the new execution. One task alone stands for no partition of a backfill.
    pub(super) fn labels(&self, state: &State) -> Map<String, Value> {
        match self {
            Self::All => state.created.labels.clone(),
            Self::From(_) => state.labels.clone(),
            Self::Only(_) => {
                let mut labels = state.labels.clone();
                labels.retain(|name, _| ![BACKFILL_LABEL, PARTITION_LABEL].contains(&name.as_str()));
                labels
            }
        }
    }
}

/// The task runs that are reset: those that share a folder, which is gone, and with `handlers` those of `errors`,
/// `finally` and `afterExecution`, which run anew should they be needed again.
pub(super) fn runs_to_reset(state: &State, flow: &Flow, handlers: bool) -> Vec<RunId> {
    let mut search = Search { state, handlers, found: Vec::new() };
    let top = Scope::default();
    search.steps(&flow.steps, &top, false);
    for steps in [&flow.errors, &flow.finally, &flow.after] {
        search.steps(steps, &top, handlers);
    }
    search.found
}

struct Search<'a> {
    state: &'a State,
    handlers: bool,
    found: Vec<RunId>,
}

impl Search<'_> {
    fn steps(&mut self, steps: &[Step], scope: &Scope, forget: bool) {
        for step in steps {
            let run = scope.run_id(&step.id);
            let Some(task) = self.state.tasks.get(&run) else { continue };
            if task.state.is_done() && !forget {
                continue;
            }
            let shares = task.expansion.as_ref().is_some_and(|expansion| expansion.folder.is_some());
            if forget || shares {
                self.found.push(run.clone());
            }
            for (name, branch) in &step.branches {
                let is_handler = self.handlers && ["errors", "finally"].contains(&name.as_str());
                let forget = forget || shares || is_handler;
                for inside in std::iter::once(scope.clone()).chain(iterations(self.state, &run, task, scope)) {
                    self.steps(branch, &inside, forget);
                }
            }
        }
    }
}

/// The scopes of a loop's iterations that have task runs.
fn iterations(state: &State, run: &RunId, task: &TaskRun, scope: &Scope) -> Vec<Scope> {
    let Some(expansion) = task.expansion.as_ref().filter(|expansion| expansion.is_loop()) else { return Vec::new() };
    let begin = format!("{run}[");
    let inside = state.tasks.range(RunId::new(begin.clone())..).map_while(|(id, _)| id.as_str().strip_prefix(&begin));
    let mut indexes: Vec<u32> = inside.filter_map(|rest| rest.split(']').next()?.parse().ok()).collect();
    indexes.sort_unstable();
    indexes.dedup();
    indexes.into_iter().map(|index| scope.enter(run, expansion, index)).collect()
}

/// The task runs that a replay from a task on copies: those that ended well and are before it, and
/// the tasks that it is inside of. A task inside of a loop or of a shared folder begins with the loop, or the folder.
///
/// # Errors
/// When there is no such task, or it is one that runs after others only.
pub(super) fn kept_runs(state: &State, flow: &Flow, from: &str) -> Result<BTreeMap<RunId, TaskRunSnapshot>, String> {
    check_exists(flow, from, "start from")?;
    let mut kept = BTreeMap::new();
    keep_before(state, &flow.steps, from, &Scope::default(), &mut kept);
    Ok(kept)
}

/// The task runs that a replay of one task alone copies: as for a replay that begins with it.
///
/// # Errors
/// When there is no such task, it is one that runs after others only, or it is a part of a task that runs as a whole.
pub(super) fn kept_runs_around(
    state: &State,
    flow: &Flow,
    only: &str,
) -> Result<BTreeMap<RunId, TaskRunSnapshot>, String> {
    check_exists(flow, only, "run")?;
    if let Some(whole) = flow.all_steps().into_iter().find(|step| runs_as_a_whole(step) && contains(step, only)) {
        return Err(format!("the task `{only}` runs within `{0}` only; run `{0}` instead", whole.id));
    }
    kept_runs(state, flow, only)
}

/// The tasks of a flow that can run alone, with those that they are inside of before them.
pub fn runnable_alone(flow: &Flow) -> Vec<&str> {
    fn add<'a>(steps: &'a [Step], names: &mut Vec<&'a str>) {
        for step in steps {
            names.push(step.id.as_str());
            if !runs_as_a_whole(step) {
                step.branches.iter().for_each(|(_, branch)| add(branch, names));
            }
        }
    }
    let mut names = Vec::new();
    add(&flow.steps, &mut names);
    names
}

/// Whether the tasks inside of a task mean nothing without it: those of a loop have no value, those of a shared folder no files.
fn runs_as_a_whole(step: &Step) -> bool {
    [Capability::Loops, Capability::Repeats, Capability::SharesFolder].into_iter().any(|nature| step.task.has(nature))
}

fn check_exists(flow: &Flow, task: &str, what: &str) -> Result<(), String> {
    if !flow.steps.iter().any(|step| is_or_contains(step, task)) {
        let mut names = Vec::new();
        visit_steps(&flow.steps, &mut |step| names.push(step.id.as_str()));
        let hint = match nearest(task, names.iter().copied()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!("; there is `{}`", names.join("`, `")),
        };
        return Err(format!("there is no task `{task}` to {what}{hint}"));
    }
    Ok(())
}

fn keep_before(state: &State, steps: &[Step], from: &str, scope: &Scope, kept: &mut BTreeMap<RunId, TaskRunSnapshot>) {
    for step in steps {
        let run = scope.run_id(&step.id);
        let task = state.tasks.get(&run);
        if is_or_contains(step, from) {
            let expansion = task.and_then(|task| task.expansion.as_ref());
            let is_whole = expansion.is_none_or(|expansion| expansion.is_loop() || expansion.folder.is_some());
            if let Some(task) = task.filter(|_| step.id.as_str() != from && !is_whole) {
                let open =
                    TaskRunSnapshot { state: TaskState::Running, ended: None, outputs: Map::new(), ..task.kept() };
                kept.insert(run, open);
                let leads_there = |branch: &[Step]| branch.iter().any(|step| is_or_contains(step, from));
                let around = step.branches.iter().filter(|(_, branch)| leads_there(branch));
                around.for_each(|(_, branch)| keep_before(state, branch, from, scope, kept));
            }
            return;
        }
        if let Some(task) = task.filter(|task| task.state.is_done()) {
            kept.insert(run.clone(), task.kept());
            keep_inside(state, step, scope, kept);
        }
    }
}

fn is_or_contains(step: &Step, id: &str) -> bool {
    step.id.as_str() == id || contains(step, id)
}

/// Everything inside of a task that has ended well.
fn keep_inside(state: &State, step: &Step, scope: &Scope, kept: &mut BTreeMap<RunId, TaskRunSnapshot>) {
    for step in step.branches.iter().flat_map(|(_, branch)| branch) {
        let run = scope.run_id(&step.id);
        kept.extend(state.tasks.get(&run).map(|task| (run, task.kept())));
        keep_inside(state, step, scope, kept);
    }
}
