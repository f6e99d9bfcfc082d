//! The files that a run is given: copied into its storage, so that they are there as long as it is.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::flow::Flow;
use crate::flow::input::InputType;
use crate::id::RunId;
use crate::storage::{Storage, is_uri};

/// What is wrong with the files that a run is to be given. They stay where they are.
pub fn unreadable(flow: &Flow, inputs: &Map<String, Value>) -> Vec<Diagnostic> {
    let check = |(id, path): (&String, PathBuf)| {
        let problem = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => std::fs::File::open(&path).err().map(|error| error.to_string()),
            Ok(_) => Some("this is no file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let finding = |problem| Diagnostic::error(format!("input `{id}`: cannot read {}: {problem}", path.display()));
        problem.map(finding).map(|finding| finding.help(format!("give the path of a file: `-i {id}=PATH`")))
    };
    files(flow, inputs).filter_map(check).collect()
}

/// Copies the files of a run's inputs, and puts their addresses in the place of their paths.
pub(super) fn keep(
    flow: &Flow,
    inputs: &Map<String, Value>,
    storage: &Storage,
) -> Result<Map<String, Value>, EngineError> {
    let mut kept = inputs.clone();
    for (id, path) in files(flow, inputs) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // No task run is called like this: a task's id has no brackets.
        let place = storage.place(&RunId::new(format!("inputs[{id}]")), &name);
        let copied = place.and_then(|place| std::fs::copy(&path, &place.path).map(|_| place.uri));
        let uri = copied.map_err(|error| EngineError::InputFile(id.clone(), path.display().to_string(), error))?;
        kept.insert(id.clone(), Value::String(uri));
    }
    Ok(kept)
}

/// The `FILE` inputs that are not in storage yet; relative paths start at the flow's own folder.
fn files<'a>(flow: &'a Flow, inputs: &'a Map<String, Value>) -> impl Iterator<Item = (&'a String, PathBuf)> {
    let declared = flow.inputs.iter().filter(|input| input.kind == InputType::File);
    declared.filter_map(|input| {
        let path = inputs.get(&input.id)?.as_str().filter(|path| !is_uri(path))?;
        Some((&input.id, flow.folder.join(Path::new(path.strip_prefix("file://").unwrap_or(path)))))
    })
}
