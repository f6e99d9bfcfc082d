//! `jitney validate`

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::io_error;
use crate::cli::out::{errln, exact, outln};
use crate::cli::{ExitStatus, InvalidFlow, colour, flows};
use crate::diagnostic::Diagnostic;
use crate::engine::{catalog, missing_files};
use crate::flow::{Flow, parse};
use crate::tasks;
use crate::text::{self, visible};

#[derive(Args)]
pub(super) struct Arguments {
    /// Files or folders; `-` reads stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let mut report = ValidationReport::default();
    for path in &arguments.paths {
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| io_error("read the flow from stdin", &error))?;
            report.count += 1;
            report.findings.extend(parse("-", &text, tasks::ALL).findings);
        } else if path.is_dir() {
            report.folder(path)?;
        } else {
            report.file(path)?;
        }
    }
    Ok(print(&report.findings, report.count, arguments.json))
}

#[derive(Default)]
struct ValidationReport {
    count: usize,
    findings: Vec<Diagnostic>,
    /// The first file of each flow, by namespace and id.
    known: HashMap<(String, String), PathBuf>,
}

impl ValidationReport {
    /// Checks the files that a server would read in a folder.
    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let (files, problems) = catalog::flow_files(folder);
        if files.is_empty() && problems.is_empty() {
            let message = format!("there are no flows in the folder {}", folder.display());
            self.findings.push(Diagnostic::error(message).help("flows are files that end in .yaml or .yml"));
        }
        self.findings.extend(problems);
        files.iter().try_for_each(|file| self.file(file))
    }

    fn file(&mut self, file: &Path) -> anyhow::Result<()> {
        self.count += 1;
        match flows::check(file) {
            Ok((flow, findings)) => {
                self.findings.extend(findings);
                // They may exist by the time the flow runs.
                let missing = flow.iter().flat_map(missing_files);
                self.findings.extend(missing.filter(|finding| !finding.is_error()));
                let duplicate = flow.and_then(|flow| self.duplicate(&flow, file));
                self.findings.extend(duplicate);
            }
            Err(error) => self.findings.extend(error.downcast::<InvalidFlow>()?.0),
        }
        Ok(())
    }

    /// The finding if another file has a flow with the same id.
    fn duplicate(&mut self, flow: &Flow, file: &Path) -> Option<Diagnostic> {
        match self.known.entry((flow.namespace.clone(), flow.id.to_string())) {
            Entry::Vacant(slot) => {
                slot.insert(file.to_owned());
                None
            }
            Entry::Occupied(first) => {
                // The same file may be named twice.
                let is_same = first.get().canonicalize().ok() == file.canonicalize().ok();
                (!is_same).then(|| {
                    let help = "a server uses the one that it loaded first, and none if it does not know that";
                    catalog::duplicate(flow).help(format!("the other is in {}; {help}", first.get().display()))
                })
            }
        }
    }
}

fn print(findings: &[Diagnostic], count: usize, as_json: bool) -> ExitStatus {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if as_json {
        outln!("{}", serde_json::json!({"flows": count, "errors": errors, "findings": findings}));
    } else {
        for finding in findings {
            exact(&format!("{}\n\n", colour::findings(&visible(&finding.to_string()), colour::on_stdout())));
        }
        let flows = text::count(count as u64, "flow");
        let warnings = findings.len() - errors;
        let warnings = (warnings > 0).then(|| format!(", {}", text::count(warnings as u64, "warning")));
        let errors = if errors == 0 { "no errors".to_owned() } else { text::count(errors as u64, "error") };
        errln!("{flows} checked, {errors}{}", warnings.unwrap_or_default());
    }
    if errors == 0 { ExitStatus::Ok } else { ExitStatus::Invalid }
}
