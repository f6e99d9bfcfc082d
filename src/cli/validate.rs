//! `jitney validate`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::out::{errln, outln};
use crate::cli::{Exit, Invalid, flows};
use crate::diagnostic::Diagnostic;
use crate::flow::parse;
use crate::tasks;

#[derive(Args)]
pub(super) struct Arguments {
    /// Files or folders; `-` reads stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    let mut count = 0;
    for path in &arguments.paths {
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            findings.extend(parse("-", &text, tasks::ALL).findings);
            count += 1;
            continue;
        }
        for file in flows::find(path)? {
            count += 1;
            match flows::read(&file) {
                Ok((_, warnings)) => findings.extend(warnings),
                Err(error) => findings.extend(error.downcast::<Invalid>()?.0),
            }
        }
    }
    Ok(report(&findings, count, arguments.json))
}

fn report(findings: &[Diagnostic], count: usize, as_json: bool) -> Exit {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if as_json {
        outln!("{}", serde_json::json!({"flows": count, "errors": errors, "findings": findings}));
    } else {
        findings.iter().for_each(|finding| outln!("{finding}\n"));
        let flows = if count == 1 { "1 flow".to_owned() } else { format!("{count} flows") };
        match errors {
            0 => errln!("{flows} checked, no errors"),
            1 => errln!("{flows} checked, 1 error"),
            _ => errln!("{flows} checked, {errors} errors"),
        }
    }
    if errors == 0 { Exit::Ok } else { Exit::Invalid }
}
