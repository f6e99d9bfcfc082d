//! The files that a run is given: copied into its storage, so that they are there as long as it is.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::flow::Flow;
use crate::flow::input::{Input, InputType};
use crate::id::{ExecutionId, RunId};
use crate::storage::{Storage, is_uri};

/// What is wrong with the files that a run is to be given. They stay where they are.
pub fn unreadable(flow: &Flow, inputs: &Map<String, Value>) -> Vec<Diagnostic> {
    unreadable_of(&flow.inputs, &flow.folder, inputs)
}

/// The same for inputs that are not the flow's own, such as those of a pause.
pub(super) fn unreadable_of(declared: &[Input], folder: &Path, inputs: &Map<String, Value>) -> Vec<Diagnostic> {
    let check = |(id, path): (&String, PathBuf)| {
        let problem = match std::fs::metadata(&path) {
            Ok(_) if crate::secret::is_of_secrets(&path) => {
                Some("it holds secrets; ask for one with `secret()`".to_owned())
            }
            Ok(found) if found.is_file() => std::fs::File::open(&path).err().map(|error| error.to_string()),
            Ok(_) => Some("this is no file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let finding = |problem| Diagnostic::error(format!("input `{id}`: cannot read {}: {problem}", path.display()));
        problem.map(finding).map(|finding| finding.help(format!("give the path of a file: `-i {id}=PATH`")))
    };
    files(declared, folder, inputs).filter_map(check).collect()
}

/// What is wrong with the files that somebody on another machine names for inputs: of this machine only what was sent to
/// it, what is in its storage, and what a trigger `found` here itself.
pub fn foreign(
    declared: &[Input],
    given: &[(String, String)],
    settings: &Settings,
    found: Option<&str>,
) -> Vec<Diagnostic> {
    let is_file = |name: &str| declared.iter().any(|input| input.id == name && input.kind == InputType::File);
    let storage = Storage::new(settings.storage(), ExecutionId::new(""));
    let problem = |(name, text): &(String, String)| {
        if !is_file(name) || text.is_empty() || Some(text.as_str()) == found || is_upload(text, settings) {
            return None;
        }
        if is_uri(text) {
            let is_there = storage.path(text).is_ok_and(|path| path.is_file());
            let missing = || Diagnostic::error(format!("input `{name}`: there is no file {text} in the storage"));
            return (!is_there).then(missing);
        }
        let message =
            format!("input `{name}` is a file, and a path of the server's machine cannot be given from outside");
        let help = format!("send the file itself (`curl -F {name}=@FILE`), or name one in the storage (`jitney:///…`)");
        Some(Diagnostic::error(message).help(help))
    };
    given.iter().filter_map(problem).collect()
}

/// Whether a path is that of a file which was sent to the server.
fn is_upload(path: &str, settings: &Settings) -> bool {
    let below = Path::new(path).strip_prefix(settings.uploads());
    below.is_ok_and(|below| below.components().all(|part| matches!(part, Component::Normal(_))))
}

/// Copies the files of a run's inputs, and puts their addresses in the place of their paths.
pub(super) fn keep(
    flow: &Flow,
    inputs: &Map<String, Value>,
    storage: &Storage,
    uploads: &Path,
) -> Result<Map<String, Value>, EngineError> {
    // No task run is called like this: a task's id has no brackets.
    keep_of(&flow.inputs, &flow.folder, inputs, (storage, uploads), "inputs")
}

/// The same for inputs that are not the flow's own, in a folder of the storage.
pub(super) fn keep_of(
    declared: &[Input],
    folder: &Path,
    inputs: &Map<String, Value>,
    (storage, uploads): (&Storage, &Path),
    group: &str,
) -> Result<Map<String, Value>, EngineError> {
    let mut kept = inputs.clone();
    for (id, path) in files(declared, folder, inputs) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = storage.place(&RunId::new(format!("{group}[{id}]")), &name);
        let copied = place.and_then(|place| {
            std::fs::copy(&path, &place.path)?;
            // What was sent lies in a folder of its own each time, which tells nothing.
            if !path.starts_with(uploads) {
                let real = path.canonicalize().unwrap_or_else(|_| path.clone());
                storage.note_origin(&place.path, &real.to_string_lossy())?;
            }
            Ok(place.uri)
        });
        let uri = copied.map_err(|error| {
            // There is no execution yet that they could belong to; a half copy could fill the disk.
            let _ = storage.purge();
            EngineError::InputFile(id.clone(), path.display().to_string(), error)
        })?;
        kept.insert(id.clone(), Value::String(uri));
    }
    Ok(kept)
}

/// The `FILE` inputs that are not in storage yet; relative paths start at the flow's own folder.
fn files<'a>(
    declared: &'a [Input],
    folder: &'a Path,
    inputs: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, PathBuf)> {
    let declared = declared.iter().filter(|input| input.kind == InputType::File);
    declared.filter_map(move |input| {
        let path = inputs.get(&input.id)?.as_str().filter(|path| !is_uri(path))?;
        Some((&input.id, folder.join(Path::new(path.strip_prefix("file://").unwrap_or(path)))))
    })
}
