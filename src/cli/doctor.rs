//! `jitney doctor`: what is installed, what is missing, and the command that fixes it.

use clap::{Args, Subcommand};

use super::ExitStatus;
use crate::cli::out::outln;
use crate::config::Settings;
use crate::doctor::{DoctorFinding, FindingState, GoogleTarget, check, check_google};

/// `jitney doctor`
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print JSON: a list of {what, state, detail, fix}
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    topic: Option<DoctorTopic>,
}

#[derive(Debug, Subcommand)]
enum DoctorTopic {
    /// Google Cloud: credentials, bucket and roles, and what to grant
    Gcp(GoogleTarget),
}

/// Checks and prints what it finds. Missing things are not errors, since most flows do not need most of them.
///
/// # Errors
/// When the findings cannot be written as JSON.
pub(super) async fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let findings = match &arguments.topic {
        Some(DoctorTopic::Gcp(target)) => check_google(target, settings).await,
        None => check(settings).await,
    };
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(print);
    }
    Ok(ExitStatus::Ok)
}

fn print(finding: &DoctorFinding) {
    let word = match finding.state {
        FindingState::Ok => "ok",
        FindingState::Missing => "missing",
        FindingState::Warn => "warn",
    };
    outln!("{word:<8} {:<20} {}", finding.what, finding.detail.replace('\n', "\n                              "));
    if let Some(fix) = &finding.fix {
        outln!("{:<29} fix: {}", "", fix.replace('\n', "\n                                   "));
    }
}
