//! The files that a run is given: copied into its storage, so that they are there as long as it is.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::FILE_ROOTS;
use crate::diagnostic::Diagnostic;
use crate::engine::error::EngineError;
use crate::file_access::FileAccess;
use crate::flow::Flow;
use crate::flow::input::{Input, InputType};
use crate::id::RunId;
use crate::storage::{Storage, is_uri};

/// What is wrong with the files that a run is to be given. They stay where they are.
pub fn unreadable(flow: &Flow, inputs: &Map<String, Value>, files: &FileAccess) -> Vec<Diagnostic> {
    unreadable_of(&flow.inputs, inputs, files)
}

/// The same for inputs that are not the flow's own, such as those of a pause.
pub(super) fn unreadable_of(declared: &[Input], inputs: &Map<String, Value>, files: &FileAccess) -> Vec<Diagnostic> {
    let check = |(id, text): (&String, &str)| {
        let path = match opened(id, text, files) {
            Ok(path) => path,
            Err(finding) => return Some(finding),
        };
        let problem = match std::fs::metadata(&path) {
            Ok(_) if crate::secret::is_of_secrets(&path) => {
                Some("it contains secrets; read them with `secret()`".to_owned())
            }
            Ok(found) if found.is_file() => std::fs::File::open(&path).err().map(|error| error.to_string()),
            Ok(_) => Some("it is not a file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let finding = |problem| Diagnostic::error(format!("input `{id}`: cannot read {}: {problem}", path.display()));
        let help = match files.is_restricted() {
            true => format!("send the file itself: `-F {id}=@FILE`"),
            false => format!("give the path of a file: `-i {id}=PATH`"),
        };
        problem.map(finding).map(|finding| finding.help(&help))
    };
    paths(declared, inputs).filter_map(check).collect()
}

/// What is wrong with the files that somebody on another machine names for inputs, before there is an execution to be
/// given them.
pub fn foreign(declared: &[Input], given: &[(String, String)], files: &FileAccess) -> Vec<Diagnostic> {
    let given: Map<String, Value> = given.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    paths(declared, &given).filter_map(|(id, text)| opened(id, text, files).err()).collect()
}

/// What is wrong with the storage addresses that are given for files: what they name is gone, or never was.
pub fn lost(declared: &[Input], inputs: &Map<String, Value>, storage: &Storage) -> Vec<Diagnostic> {
    let is_lost = |(_, uri): &(&String, &str)| !storage.path(uri).is_ok_and(|path| path.is_file());
    let finding = |(id, uri)| Diagnostic::error(format!("input `{id}`: there is no file {uri} in storage"));
    texts(declared, inputs).filter(|(_, text)| is_uri(text)).filter(is_lost).map(finding).collect()
}

/// The path of an input's file, if it may be read.
fn opened(id: &str, text: &str, files: &FileAccess) -> Result<PathBuf, Diagnostic> {
    files.resolve(text).map_err(|_| {
        let message =
            format!("input `{id}` is a file, and a path on the server's machine cannot be given by a client: `{text}`");
        Diagnostic::error(message).help(format!(
            "send the file itself (`curl -F {id}=@FILE`), or name one in the storage (`jitney:///…`), in the flow's \
             folder, or in a folder of {FILE_ROOTS}"
        ))
    })
}

/// Copies the files of a run's inputs, and puts their addresses in the place of their paths.
pub(super) fn keep(
    flow: &Flow,
    inputs: &Map<String, Value>,
    places: (&Storage, &Path),
    files: &FileAccess,
) -> Result<Map<String, Value>, EngineError> {
    // No task run is called like this: a task's id has no brackets.
    keep_of(&flow.inputs, inputs, places, "inputs", files)
}

/// The same for inputs that are not the flow's own, in a folder of the storage.
pub(super) fn keep_of(
    declared: &[Input],
    inputs: &Map<String, Value>,
    (storage, uploads): (&Storage, &Path),
    group: &str,
    files: &FileAccess,
) -> Result<Map<String, Value>, EngineError> {
    let mut kept = inputs.clone();
    for (id, text) in paths(declared, inputs) {
        let path = opened(id, text, files)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = storage.place(&RunId::new(format!("{group}[{id}]")), &name);
        let copied = place.and_then(|place| {
            let mut file = files.open(text, &path).map_err(|finding| std::io::Error::other(finding.message))??;
            std::io::copy(&mut file, &mut std::fs::File::create(&place.path)?)?;
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
            EngineError::InputFile { input: id.clone(), file: path.display().to_string(), error }
        })?;
        kept.insert(id.clone(), Value::String(uri));
    }
    Ok(kept)
}

/// The `FILE` inputs that are not in storage yet, with the texts that name them.
fn paths<'a>(declared: &'a [Input], inputs: &'a Map<String, Value>) -> impl Iterator<Item = (&'a String, &'a str)> {
    texts(declared, inputs).filter(|(_, text)| !is_uri(text))
}

/// The `FILE` inputs with the texts that name them.
fn texts<'a>(declared: &'a [Input], inputs: &'a Map<String, Value>) -> impl Iterator<Item = (&'a String, &'a str)> {
    let declared = declared.iter().filter(|input| input.kind == InputType::File);
    declared.filter_map(move |input| Some((&input.id, inputs.get(&input.id)?.as_str()?)))
}
