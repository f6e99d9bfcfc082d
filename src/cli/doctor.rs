//! `jitney doctor`: what is installed, what is missing, and the command that fixes it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{ExitStatus, InvalidFlow, flows, layout};
use crate::cli::colour::Style;
use crate::cli::out::{self, outln};
use crate::config::{ScriptRunner, Settings};
use crate::diagnostic::Diagnostic;
use crate::doctor::{
    DoctorFinding, FindingState, FlowNeeds, GoogleCheck, check, check_google, check_needs, is_essential,
};
use crate::engine::{catalog, secrets_named_in, source_of_secret};

/// The columns of the state and the name.
const DETAIL: usize = 30;

/// `jitney doctor`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Check only what these flows need: files or folders
    #[arg(value_name = "FLOW")]
    flows: Vec<PathBuf>,
    /// For scripts: end with exit code 1 if something is missing that these flows need or, without flows, any flow
    #[arg(long, global = true)]
    check: bool,
    /// Print JSON: a list of {what, state, detail, fix}
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    topic: Option<DoctorTopic>,
}

#[derive(Debug, Subcommand)]
enum DoctorTopic {
    /// Google Cloud: credentials, bucket and roles, and what to grant
    Gcp(GoogleCheck),
}

/// Checks and prints what it finds. Missing things are errors only with `--check`, since most flows do not need most of
/// them.
///
/// # Errors
/// When a flow is not valid, or the findings cannot be written as JSON.
pub(super) async fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let findings = match &arguments.topic {
        Some(DoctorTopic::Gcp(target)) => check_google(target, settings).await,
        None if arguments.flows.is_empty() => check(settings).await,
        None => of_flows(&arguments.flows, settings).await?,
    };
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        // The fixes of Google Cloud are commands, to be copied.
        findings.iter().for_each(|finding| print(finding, arguments.topic.is_none()));
    }
    let names_needs = arguments.topic.is_some() || !arguments.flows.is_empty();
    let counts = |finding: &&DoctorFinding| names_needs || is_essential(finding.what);
    let is_missing = findings.iter().filter(counts).any(DoctorFinding::is_missing);
    Ok(if arguments.check && is_missing { ExitStatus::Failed } else { ExitStatus::Ok })
}

/// What the flows of these files and folders need, secrets included.
async fn of_flows(paths: &[PathBuf], settings: &Settings) -> anyhow::Result<Vec<DoctorFinding>> {
    let (mut needs, mut of_secrets) = (FlowNeeds::default(), Vec::new());
    for file in files(paths)? {
        let (flow, _) = flows::read(&file)?;
        needs.add(&flow, settings.script_runner == Some(ScriptRunner::Process));
        for name in secrets_named_in(&flows::text(&file)?) {
            of_secrets.push(match source_of_secret(settings, &flow.folder, name) {
                Ok(source) => DoctorFinding::ok("secret", format!("{name}, from {source}")),
                Err(problem) => {
                    let fix = format!("add a line {name}=… to .env next to the flow, or set the variable {name}");
                    DoctorFinding::missing("secret", format!("{problem}, for {}", file.display()), fix)
                }
            });
        }
    }
    let mut findings = check_needs(settings, needs).await;
    findings.extend(of_secrets);
    Ok(findings)
}

/// The files of the flows: those named, and those of the folders named.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, InvalidFlow> {
    let mut all = Vec::new();
    for path in paths {
        let of_folder = |folder: &Path| match catalog::flow_files(folder) {
            (files, problems) if problems.is_empty() && !files.is_empty() => Ok(files),
            (_, problems) if !problems.is_empty() => Err(InvalidFlow(problems)),
            _ => {
                let message = format!("there are no flows in the folder {}", folder.display());
                Err(Diagnostic::error(message).help("flows are files that end in .yaml or .yml").into())
            }
        };
        if path.is_dir() { all.extend(of_folder(path)?) } else { all.push(path.clone()) }
    }
    Ok(all)
}

fn print(finding: &DoctorFinding, breaks_fix: bool) {
    let (word, style) = match finding.state {
        FindingState::Ok => ("ok", Style::Good),
        FindingState::Missing => ("missing", Style::Bad),
        FindingState::Warn => ("warn", Style::Attention),
    };
    let gap = " ".repeat(9 - word.len());
    let name = format!("{word}{gap}{}", finding.what);
    let text = layout::entry(&name, DETAIL, &finding.detail, layout::width());
    out::led(style, word, &text[word.len()..]);
    if let Some(fix) = &finding.fix {
        let width = if breaks_fix { layout::width() } else { usize::MAX };
        outln!("{}", layout::entry(&format!("{:DETAIL$}fix:", ""), DETAIL + 5, fix, width));
    }
}
