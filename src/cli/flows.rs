//! Finding and reading flow files.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::Invalid;
use crate::diagnostic::Diagnostic;
use crate::engine::flow_file;
use crate::engine::lookup::{self, Folder};
use crate::flow::{Flow, Parsed, parse};
use crate::tasks;

/// Reads one flow.
///
/// # Errors
/// [`Invalid`] with every problem of the file; a file that is not there is one.
pub(super) fn read(file: &Path) -> anyhow::Result<(Flow, Vec<Diagnostic>)> {
    let Parsed { flow, mut findings } = parse(&file.display().to_string(), &text(file)?, tasks::ALL);
    match flow {
        Some(flow) => {
            findings.extend(lookup::missing(&flow, &Folder::around(&flow)));
            if findings.iter().any(Diagnostic::is_error) { Err(Invalid(findings).into()) } else { Ok((flow, findings)) }
        }
        None => Err(Invalid(findings).into()),
    }
}

/// The text of a flow's file.
///
/// # Errors
/// [`Invalid`] when it cannot be read.
pub(super) fn text(file: &Path) -> anyhow::Result<String> {
    flow_file::read(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidData {
            let finding = Diagnostic::error(format!("the flow `{}` is no text in UTF-8", file.display()));
            return Invalid::from(finding.help("save it as UTF-8 in your editor")).into();
        }
        let finding = Diagnostic::error(format!("cannot read the flow `{}`: {error}", file.display()));
        Invalid::from(finding.help(neighbours(file))).into()
    })
}

/// The YAML files of a folder and the folders below it, or the file itself.
///
/// # Errors
/// When nothing of that name can be read.
pub(super) fn find(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(find(&path)?);
        } else if is_yaml(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn neighbours(file: &Path) -> String {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<String> = entries.filter(|path| is_yaml(path)).map(|path| path.display().to_string()).collect();
    names.sort();
    names.truncate(8);
    if names.is_empty() { "give the path of a YAML file".to_owned() } else { format!("there is {}", names.join(", ")) }
}
