//! The tasks of an execution's flow as a picture, with the state of each.

use std::collections::BTreeMap;

use crate::flow::graph::{FlowGraph, TaskMark};
use crate::flow::{Flow, Step, visit_steps};
use crate::journal::{State, TaskRun, TaskState};
use crate::server::pages::shell::segment;
use crate::server::pages::state::StateBadge;
use crate::text::{count, size};

/// The most tasks of a picture within the page; more are a picture of their own.
const MAX_TASKS: usize = 200;

/// The picture as SVG, or none if the flow is too large for one within the page.
pub(super) fn of(state: &State, flow: &Flow) -> Option<String> {
    let steps = flow.all_steps();
    if steps.len() > MAX_TASKS {
        return None;
    }
    let mut graph = FlowGraph::of(flow);
    let mut latest: BTreeMap<&str, &TaskRun> = BTreeMap::new();
    for (run, task) in &state.tasks {
        let shown = latest.entry(run.task()).or_insert(task);
        if weight(&task.state) > weight(&shown.state) {
            *shown = task;
        }
    }
    let in_loops = inside_loops(&steps, state);
    let mark = |id: &str| {
        let task = latest.get(id).or_else(|| in_loops.get(id));
        let badge = task.map_or(StateBadge::NOT_BEGUN, |task| StateBadge::of_task(&task.state));
        let link = format!("?open={}#timeline", segment(id));
        TaskMark { class: badge.class, sign: badge.sign, word: badge.word, link }
    };
    let marks = steps.iter().map(|step| (step.id.to_string(), mark(step.id.as_str()))).collect();
    for (id, task) in latest {
        note(task).into_iter().for_each(|note| graph.add_note(id, note));
    }
    Some(graph.to_inline_svg(&marks))
}

/// The loop around each task whose iterations have ended: the runs of those that ended well are not kept.
fn inside_loops<'a>(steps: &[&'a Step], state: &'a State) -> BTreeMap<&'a str, &'a TaskRun> {
    let mut around = BTreeMap::new();
    for step in steps {
        let runs = state.tasks.iter().filter(|(run, _)| run.task() == step.id.as_str());
        if let Some((_, task)) = runs.into_iter().find(|(_, task)| task.progress.next > 0) {
            let inner = step.branches.iter().flat_map(|(_, branch)| branch);
            inner.for_each(|inner| {
                visit_steps(std::slice::from_ref(inner), &mut |step| {
                    around.insert(step.id.as_str(), task);
                })
            });
        }
    }
    around
}

/// Which of several runs of a task its box shows: what needs attention first.
fn weight(state: &TaskState) -> u8 {
    match state {
        TaskState::Failed => 6,
        TaskState::Retrying { .. } | TaskState::Running | TaskState::Paused { .. } => 5,
        TaskState::Killed => 4,
        TaskState::Warning => 3,
        TaskState::Created => 2,
        TaskState::Success => 1,
        TaskState::Skipped => 0,
    }
}

/// What a run has done, in a few words.
fn note(task: &TaskRun) -> Option<String> {
    let number = |name: &str| task.outputs.get(name).and_then(serde_json::Value::as_u64);
    let done = number("rows_loaded").map(|rows| count(rows, "row")).or_else(|| number("length").map(size));
    let attempts = (task.attempts > 1).then(|| format!("attempt {}", task.attempts));
    let words: Vec<String> = done.into_iter().chain(attempts).collect();
    (!words.is_empty()).then(|| words.join(" · "))
}
