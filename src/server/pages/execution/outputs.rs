//! What the tasks of an execution gave, with the size of each value; a file has a link to its preview.

use serde_json::{Map, Value};

use crate::flow::input::strings_in;
use crate::journal::State;
use crate::storage;
use crate::text::{plain, shortened, size};

/// The most letters of an output that are shown.
const MAX_LETTERS: usize = 2000;
/// The most outputs that are shown.
const MAX_OUTPUTS: usize = 500;
/// The most files of one output that have a link.
const MAX_FILES: usize = 20;

/// The outputs of a task run, or of the flow.
pub(super) struct OutputGroup {
    /// The task run; empty for the flow.
    pub(super) run: String,
    pub(super) outputs: Vec<Output>,
}

/// Something that a task gave.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) size: String,
    /// The files in it: their names and addresses in storage.
    pub(super) files: Vec<(String, String)>,
}

pub(super) fn of(state: &State) -> Vec<OutputGroup> {
    let mut left = MAX_OUTPUTS;
    let mut group = |run: &str, outputs: &Map<String, Value>| {
        let outputs: Vec<Output> = outputs.iter().take(left).map(shown).collect();
        left -= outputs.len();
        (!outputs.is_empty()).then(|| OutputGroup { run: run.to_owned(), outputs })
    };
    let of_flow = group("", &state.outputs);
    let mut runs: Vec<_> = state.tasks.iter().collect();
    runs.sort_by_key(|(_, task)| task.since);
    let of_tasks = runs.into_iter().filter_map(|(run, task)| group(run.as_str(), &task.outputs));
    of_flow.into_iter().chain(of_tasks.collect::<Vec<_>>()).collect()
}

fn files(value: &Value) -> Vec<(String, String)> {
    let addresses = strings_in(value).into_iter().filter(|text| storage::is_uri(text)).take(MAX_FILES);
    addresses.map(|uri| (uri.rsplit('/').next().unwrap_or_default().to_owned(), uri)).collect()
}

fn shown((name, value): (&String, &Value)) -> Output {
    let text = match value {
        Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_else(|_| plain(value)),
        other => plain(other),
    };
    Output {
        name: name.clone(),
        size: if text.len() > 80 { size(text.len() as u64) } else { String::new() },
        value: shortened(&text, MAX_LETTERS).into_owned(),
        files: files(value),
    }
}
