//! `jitney postgres`: the private server that jitney keeps.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::cli::out::{errln, out, outln};
use crate::config::Settings;
use crate::postgres::{connect_to, managed};

use super::ExitStatus;

/// `jitney postgres …`
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: PostgresCommand,
}

#[derive(Debug, Subcommand)]
enum PostgresCommand {
    /// Start the private Postgres server, creating it first if necessary
    Start,
    /// Stop the server; its data is kept
    Stop,
    /// Show whether the server is running, and where its files are
    Status,
    /// Print the address of the server for psql and other programs, including the password
    Url,
    /// Open psql on the server; further arguments go to psql: `jitney postgres psql -- -c 'SELECT 1'`
    Psql {
        /// psql's own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Delete the server and all its data
    Destroy {
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// When the server cannot be started, stopped or reached, or its files cannot be used.
pub(super) async fn run(arguments: Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    match arguments.command {
        PostgresCommand::Start => start(settings).await?,
        PostgresCommand::Stop => {
            let ran = managed::stop(settings).await?;
            outln!("{}", if ran { "stopped; its data is kept" } else { "the server was not running" });
        }
        PostgresCommand::Status => status(settings).await?,
        PostgresCommand::Url => {
            outln!("{}", managed::url(&managed::ensure_running(settings, &print_progress).await?))
        }
        PostgresCommand::Psql { arguments } => psql(settings, &arguments).await?,
        PostgresCommand::Destroy { yes } => destroy(settings, yes).await?,
    }
    Ok(ExitStatus::Ok)
}

fn print_progress(line: &str) {
    errln!("{line}");
}

async fn start(settings: &Settings) -> anyhow::Result<()> {
    let address = managed::ensure_running(settings, &print_progress).await?;
    outln!("running: {}", connect_to(&address).await?.description);
    outln!("  jitney postgres url    prints the address for other programs\n  jitney postgres psql   opens psql");
    Ok(())
}

async fn status(settings: &Settings) -> anyhow::Result<()> {
    let status = managed::status(settings)?;
    match (&status.address, status.running) {
        (Some(address), true) => outln!("running: {}", connect_to(address).await?.description),
        (Some(_), false) if status.silent => {
            outln!("starting or stopping: its process exists, but does not answer at the moment");
        }
        (Some(_), false) => {
            outln!("stopped; `jitney postgres start` starts it, and so does every flow that needs it");
        }
        (None, _) => {
            outln!("not created yet; `jitney postgres start` creates it, and so does every flow that needs it")
        }
    }
    outln!("files:   {}", status.folder.display());
    if status.moved {
        outln!("         (not under {}: Postgres does not run as root, and", settings.home.display());
        outln!("         the user that runs it instead cannot enter that folder)");
    }
    if status.major.is_some() {
        outln!("log:     {}", status.log.display());
    }
    Ok(())
}

async fn psql(settings: &Settings, arguments: &[String]) -> anyhow::Result<()> {
    let address = managed::ensure_running(settings, &print_progress).await?;
    let Some(program) = settings.find_program("psql") else {
        bail!(
            "there is no psql on PATH\n  help: install it (Debian and Ubuntu: apt-get install postgresql-client; \
             macOS: brew install libpq), or give another program the address that `jitney postgres url` prints"
        );
    };
    // Through the environment, since every user of the machine can read arguments.
    let mut psql = Command::new(program);
    psql.env("PGHOST", "127.0.0.1").env("PGPORT", address.port().to_string());
    psql.env("PGUSER", address.user()).env("PGDATABASE", address.database());
    if let Some(password) = address.password() {
        psql.env("PGPASSWORD", password.expose());
    }
    Err(psql.args(arguments).exec()).context("cannot run psql")
}

async fn destroy(settings: &Settings, yes: bool) -> anyhow::Result<()> {
    let status = managed::status(settings)?;
    if !status.folder.exists() {
        outln!("there is nothing to delete");
        return Ok(());
    }
    if !yes
        && !confirm(&format!("Delete the private Postgres server and all its data in {}?", status.folder.display()))?
    {
        outln!("nothing was deleted");
        return Ok(());
    }
    managed::destroy(settings).await?;
    outln!("deleted {}", status.folder.display());
    Ok(())
}

fn confirm(question: &str) -> anyhow::Result<bool> {
    out!("{question} [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
