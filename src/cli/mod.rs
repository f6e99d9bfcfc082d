//! The command line: one file per subcommand. The only place that prints.

mod ai;
mod backfill;
mod calendar;
mod clean;
mod colour;
mod completions;
mod convert;
pub mod demo;
mod doctor;
mod executions;
mod exit;
mod files;
mod flows;
mod format;
mod graph;
mod home_errors;
mod infer;
mod init;
mod inputs;
mod kv;
mod layout;
mod load;
mod log;
mod man;
mod mcp;
mod new;
mod next_steps;
mod out;
mod parse;
mod partitions;
mod postgres;
mod prompts;
mod rate;
mod reference;
mod replay;
mod resume;
mod run;
mod run_display;
mod run_help;
mod schema;
mod server;
mod signals;
mod table;
mod target;
mod tasks;
mod user;
mod validate;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::config::{CliOverrides, Settings};
use crate::diagnostic::Diagnostic;
use crate::jq;
use crate::server::settings::ServerSettings;
use crate::text::{indented, without_number};
pub use exit::{ExitStatus, InvalidFlow};
use log::LogFormat;
use out::errln;

/// Runs YAML flows that extract, load and transform data, and that are safe to repeat.
#[derive(Parser)]
#[command(
    name = "jitney",
    version,
    arg_required_else_help = true,
    after_help = "Try `jitney demo` first. Exit codes: 0 success, 1 an execution failed or was rejected, 2 usage error, 3 invalid flow or setting, 4 paused, 70 internal error, 130 stopped."
)]
struct Cli {
    /// The folder that holds all state [default: JITNEY_HOME, else the user's data folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// The Postgres server to use instead of the flow's: postgres://user:password@host:port/database
    #[arg(long, global = true, value_name = "ADDRESS")]
    postgres: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load a file, an address or stdin into a table, with the types that it tells
    Load(load::Arguments),
    /// Print what a file holds as YAML: its format, its columns and their types
    Infer(infer::Arguments),
    /// Run a flow now
    Run(run::Arguments),
    /// Resume an execution that is paused, stopped, failed or interrupted
    Resume(resume::Arguments),
    /// Run a flow for every month, day or hour of a past period
    Backfill(backfill::Arguments),
    /// Show a flow's partitions: which are loaded, which failed, and what changed at the source
    Partitions(partitions::Arguments),
    /// Create a folder for a project: flows, SQL, settings, a compose file and a first flow
    Init(init::Arguments),
    /// Create a flow from a template
    New(new::Arguments),
    /// Run an execution again as a new one, from the start or from a given task
    Replay(replay::Arguments),
    /// Check flows without running them
    Validate(validate::Arguments),
    /// Draw a flow as a graph of its tasks and the outputs that they use
    Graph(graph::Arguments),
    /// Replace Kestra's type names with the short ones
    Convert(convert::Arguments),
    /// List executions, or show the tasks or the log of one
    Executions(executions::Arguments),
    /// List the files of an execution, or print or save one of them
    Files(files::Arguments),
    /// Free disk space: remove old files and executions, and what dead processes left behind
    Clean(clean::Arguments),
    /// Show and change the values that flows store under keys
    Kv(kv::Arguments),
    /// List the task types, or describe one: fields, outputs and an example
    Tasks(tasks::Arguments),
    /// Print the JSON Schema of flows, for editors
    ///
    /// Save it with `jitney schema > flow.schema.json`, and start each flow with the line
    /// `# yaml-language-server: $schema=flow.schema.json`: editors then complete and check the flow as you type.
    Schema(schema::Arguments),
    /// Manage the private Postgres
    Postgres(postgres::Arguments),
    /// Check what is installed and what is missing, and show how to fix it
    #[command(visible_alias = "self-check")]
    Doctor(doctor::Arguments),
    /// Run flows on their triggers and serve the HTTP API until stopped
    Server(server::Arguments),
    /// Write or change a flow from a sentence, or explain a failure, by a language model
    Ai(ai::Arguments),
    /// Serve tools for agents by the Model Context Protocol, on stdin and stdout
    Mcp(mcp::Arguments),
    /// Add users who may log in to the server
    User(user::Arguments),
    /// Try jitney with sample months that are generated and served on this machine
    Demo(demo::Arguments),
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(man::Arguments),
}

impl Command {
    /// The format and default level of the process's own log. Commands other than `server` print what happens
    /// themselves.
    fn log(&self) -> (LogFormat, LevelFilter) {
        match self {
            Self::Server(arguments) => (arguments.log, LevelFilter::INFO),
            _ => (LogFormat::Plain, LevelFilter::WARN),
        }
    }
}

/// The definition of the command line, for checking documentation against it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program's command line.
pub fn run() -> ExitCode {
    signals::ignore_unused();
    hide_environment();
    if jq::is_worker() {
        let written = jq::work().and_then(|answer| std::io::stdout().write_all(&answer));
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    crate::tasks::polars::silence_warnings();
    // Without it, templates that use `jq` report that it is not available.
    let _ = jq::own_program().map(jq::enable);
    // With a clock before 1970, nothing else works.
    if let Some(problem) = home_errors::clock_problem(std::time::SystemTime::now()) {
        return report_error(&problem.into(), str::to_owned);
    }
    let cli = match parse::parse() {
        Ok(cli) => cli,
        Err(answer) => match run_help::requested_flow(&answer) {
            Some(flow) => {
                return run_help::print(&flow).map_or_else(
                    |error| report_error(&error, str::to_owned),
                    |exit| unless_stdout_failed(exit).into(),
                );
            }
            None => answer.exit(),
        },
    };
    let overrides = CliOverrides { home: cli.home, postgres: cli.postgres };
    let invalid = |error: anyhow::Error| InvalidFlow::from(Diagnostic::error(format!("{error:#}"))).into();
    let outcome = Settings::load(overrides).map_err(invalid).and_then(|settings| {
        let settings = Arc::new(settings);
        let (format, default_level) = cli.command.log();
        log::start(&settings, format, default_level)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(dispatch(cli.command, &settings)).map_err(|error| (error, settings));
        // A task that does not stop must not keep the process alive.
        runtime.shutdown_background();
        Ok(ended)
    });
    match outcome {
        Ok(Ok(exit)) => unless_stdout_failed(exit).into(),
        Ok(Err((error, settings))) => {
            report_error(&home_errors::with_remedy(error, &settings), |text| settings.redactor.clean(text))
        }
        Err(error) => report_error(&error, str::to_owned),
    }
}

/// Prevents programs that flows start from reading our environment, which may contain passwords, through `/proc`. Root
/// still can, and so can they if we run as root.
fn hide_environment() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // If the system does not allow it, everything else still works.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

async fn dispatch(command: Command, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Load(arguments) => load::run(arguments, settings).await,
        Command::Infer(arguments) => infer::run(arguments, settings).await,
        Command::Run(arguments) => run::run(arguments, &with_models(settings)?).await,
        Command::Resume(arguments) => resume::run(arguments, &with_models(settings)?).await,
        Command::Backfill(arguments) => backfill::run(arguments, &with_models(settings)?).await,
        Command::Partitions(arguments) => partitions::run(arguments, settings).await,
        Command::Init(arguments) => init::run(&arguments, settings),
        Command::New(arguments) => new::run(&arguments),
        Command::Replay(arguments) => replay::run(arguments, &with_models(settings)?).await,
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Graph(arguments) => graph::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Executions(arguments) => executions::run(&arguments, settings),
        Command::Files(arguments) => files::run(&arguments, settings),
        Command::Clean(arguments) => clean::run(&arguments, settings),
        Command::Kv(arguments) => kv::run(arguments, settings),
        Command::Tasks(arguments) => tasks::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Postgres(arguments) => postgres::run(arguments, settings).await,
        Command::Doctor(arguments) => doctor::run(arguments, settings).await,
        Command::Server(arguments) => server::run(arguments, settings).await,
        Command::Ai(arguments) => ai::run(arguments, &with_models(settings)?).await,
        Command::Mcp(arguments) => mcp::run(arguments, &with_models(settings)?).await,
        Command::User(arguments) => user::run(arguments, settings),
        Command::Demo(arguments) => demo::run(arguments, settings).await,
        Command::Completions(arguments) => Ok(completions::run(&arguments)),
        Command::Man(arguments) => man::run(&arguments),
    }
}

/// The settings with the language models of `jitney.yaml`, for commands that run tasks.
fn with_models(settings: &Arc<Settings>) -> anyhow::Result<Arc<Settings>> {
    let models = ServerSettings::models_of_file(settings).map_err(InvalidFlow)?;
    Ok(Arc::new(settings.with_ai(models)))
}

/// The exit status, which is an error if data for stdout was lost.
fn unless_stdout_failed(exit: ExitStatus) -> ExitStatus {
    let Some(why) = out::write_error() else { return exit };
    errln!("error: cannot write to stdout: {why}");
    if exit == ExitStatus::Ok { ExitStatus::Internal } else { exit }
}

/// Prints an error once, with its causes, and returns the exit code for it.
fn report_error(error: &anyhow::Error, clean: impl Fn(&str) -> String) -> ExitCode {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let help = home_errors::help(error).map(|help| format!("\n  help: {help}")).unwrap_or_default();
    // Findings have their own lines; a line break in any other message may come from a value.
    match exit::has_findings(error) {
        true => out::findings(&without_number(&clean(&format!("{text}{help}")))),
        false => out::findings(&format!("error: {}{}", indented(&clean(&without_number(&text)), 2), clean(&help))),
    }
    exit::status_of(error).into()
}
