//! Where in an execution a task stands: which tasks it is inside of, and in which of their iterations.

use serde_json::{Map, Value, json};

use crate::id::{RunId, TaskId};
use crate::task::Expansion;
use crate::text::plain;

/// The tasks around a task, the outermost first: none at the top.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    prefix: String,
    frames: Vec<Frame>,
    /// The folder that the tasks around share.
    pub(super) folder: Option<String>,
}

/// A task that runs others.
#[derive(Clone, Debug)]
struct Frame {
    run: RunId,
    /// Of a loop.
    iteration: Option<Iteration>,
}

/// One iteration of a loop.
#[derive(Clone, Debug)]
struct Iteration {
    index: u32,
    value: Value,
    key: Option<String>,
    /// What its outputs are kept by, and the beginning of its task runs' ids.
    kept_by: Option<String>,
    prefix: String,
}

impl Scope {
    /// The id of a task's run in this scope.
    pub(super) fn run_id(&self, task: &TaskId) -> RunId {
        RunId::new(format!("{}{task}", self.prefix))
    }

    /// The scope of one iteration of a loop.
    pub(super) fn enter(&self, run: &RunId, expansion: &Expansion, index: u32) -> Self {
        let value = expansion.value(index);
        let prefix = run.iteration(index);
        let iteration = Iteration {
            index,
            value: value.cloned().unwrap_or_else(|| Value::from(index)),
            key: expansion.keys.as_ref().and_then(|keys| keys.get(index as usize)).cloned(),
            kept_by: value.map(plain),
            prefix: prefix.clone(),
        };
        Self { prefix, ..self.inside(run, Some(iteration)) }
    }

    /// The scope of the tasks of one that is no loop, and the folder that they share, if they do.
    pub(super) fn below(&self, run: &RunId, folder: Option<&String>) -> Self {
        let folder = folder.or(self.folder.as_ref()).cloned();
        Self { folder, ..self.inside(run, None) }
    }

    fn inside(&self, run: &RunId, iteration: Option<Iteration>) -> Self {
        let frame = Frame { run: run.clone(), iteration };
        Self { frames: self.frames.iter().cloned().chain([frame]).collect(), ..self.clone() }
    }

    /// Whether outputs of a task run can be seen from here: it is in this scope or in one around it.
    pub(super) fn sees(&self, run: &RunId) -> bool {
        let prefix_length = run.as_str().len() - run.task().len();
        self.prefix.starts_with(&run.as_str()[..prefix_length])
    }

    /// The values of the iterations that a task run is in, which is seen from here.
    pub(super) fn values_around(&self, run: &RunId) -> Vec<String> {
        let around = self.iterations().filter(|iteration| run.as_str().starts_with(&iteration.prefix));
        around.filter_map(|iteration| iteration.kept_by.clone()).collect()
    }

    /// The loops around, each with the value of its iteration as text.
    pub(super) fn loops(&self) -> impl Iterator<Item = (&str, String)> {
        self.frames.iter().filter_map(|frame| Some((frame.run.task(), plain(&frame.iteration.as_ref()?.value))))
    }

    fn iterations(&self) -> impl DoubleEndedIterator<Item = &Iteration> {
        self.frames.iter().filter_map(|frame| frame.iteration.as_ref())
    }

    /// What `taskrun` says of the tasks around.
    pub(super) fn of_taskrun(&self) -> Map<String, Value> {
        let mut names = Map::new();
        if let Some(frame) = self.frames.last() {
            names.insert("parentId".to_owned(), json!(frame.run));
        }
        if let Some(iteration) = self.iterations().next_back() {
            names.insert("iteration".to_owned(), json!(iteration.index));
            names.insert("value".to_owned(), value_text(&iteration.value));
        }
        names
    }

    /// The tasks around, the innermost first: the value of each that a loop runs, and what it gave. One that has neither
    /// is left out.
    pub(super) fn parents(&self, gave: impl Fn(&RunId) -> Option<Map<String, Value>>) -> Vec<Value> {
        let parent = |position: usize, frame: &Frame| {
            let mut parent = Map::new();
            let around = position.checked_sub(1).and_then(|before| self.frames.get(before)?.iteration.as_ref());
            if let Some(Iteration { index, value, .. }) = around {
                parent.insert("taskrun".to_owned(), json!({"value": value_text(value), "iteration": index}));
            }
            if let Some(outputs) = gave(&frame.run).filter(|outputs| !outputs.is_empty()) {
                parent.insert("outputs".to_owned(), Value::Object(outputs));
            }
            (!parent.is_empty()).then_some(Value::Object(parent))
        };
        let frames = self.frames.iter().enumerate().rev();
        frames.filter_map(|(position, frame)| parent(position, frame)).collect()
    }

    /// The iteration as Kestra 2 has it, with those around it; none outside of loops.
    pub(super) fn item(&self) -> Option<Value> {
        let one = |iteration: &Iteration| {
            let mut item = json!({"index": iteration.index, "value": value_text(&iteration.value)});
            if let Some(key) = &iteration.key {
                item["key"] = json!(key);
            }
            item
        };
        let mut items = self.iterations().rev().map(one);
        let mut item = items.next()?;
        let outer: Vec<Value> = items.collect();
        item["parent"] = outer.first().cloned().unwrap_or_else(|| json!({}));
        item["parents"] = Value::Array(outer);
        Some(item)
    }
}

/// The value of an iteration: text as it is, anything else as JSON text, as Kestra has it.
pub(super) fn value_text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}
