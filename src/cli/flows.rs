//! Finding and reading flow files.

use std::path::Path;

use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;
use crate::engine::flow_file;
use crate::engine::lookup::{self, Folder};
use crate::engine::missing_files;
use crate::flow::{Flow, ParsedFlow, parse};
use crate::tasks;

/// Reads one flow.
///
/// # Errors
/// [`InvalidFlow`] with every problem of the file, or if the file does not exist.
pub(super) fn read(file: &Path) -> anyhow::Result<(Flow, Vec<Diagnostic>)> {
    match check(file)? {
        (Some(flow), findings) if !findings.iter().any(Diagnostic::is_error) => Ok((flow, findings)),
        (_, findings) => Err(InvalidFlow(findings).into()),
    }
}

/// The flow, if the file contains one, and all findings.
///
/// # Errors
/// [`InvalidFlow`] when the file cannot be read.
pub(super) fn check(file: &Path) -> anyhow::Result<(Option<Flow>, Vec<Diagnostic>)> {
    let ParsedFlow { flow, mut findings } = parse(&file.display().to_string(), &text(file)?, tasks::ALL);
    findings.extend(flow.iter().flat_map(|flow| lookup::missing(flow, &Folder::around(flow))));
    findings.extend(flow.iter().flat_map(missing_files).filter(Diagnostic::is_error));
    Ok((flow, findings))
}

/// Reads the text of a flow's file.
///
/// # Errors
/// [`InvalidFlow`] when it cannot be read.
pub(super) fn text(file: &Path) -> anyhow::Result<String> {
    flow_file::read(file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidData {
            let finding = Diagnostic::error(format!("the flow `{}` is not UTF-8 text", file.display()));
            return InvalidFlow::from(finding.help("save it as UTF-8 in your editor")).into();
        }
        if error.kind() == std::io::ErrorKind::NotFound && !is_yaml(file) {
            let finding = Diagnostic::error(format!("there is no file or folder `{}`", file.display()));
            return InvalidFlow::from(finding.help(yaml_files_in_folder(file))).into();
        }
        let finding = Diagnostic::error(format!("cannot read the flow `{}`: {error}", file.display()));
        InvalidFlow::from(finding.help(yaml_files_in_folder(file))).into()
    })
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn yaml_files_in_folder(file: &Path) -> String {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<String> = entries.filter(|path| is_yaml(path)).map(|path| path.display().to_string()).collect();
    names.sort();
    names.truncate(8);
    if names.is_empty() {
        "give the path of a YAML file".to_owned()
    } else {
        format!("YAML files in that folder: {}", names.join(", "))
    }
}
