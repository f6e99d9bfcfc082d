//! Parses the command line, and hides global options from commands that do not use them.

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches};

use super::{Cli, Command};

/// The commands that never use the server of `--postgres`; the option is hidden from their help.
const WITHOUT_POSTGRES: &[&str] = &[
    "infer",
    "init",
    "new",
    "completions",
    "man",
    "validate",
    "graph",
    "convert",
    "executions",
    "clean",
    "kv",
    "tasks",
    "schema",
    "postgres",
];

/// Parses the arguments of this process.
///
/// # Errors
/// When they are not valid, or ask for help.
pub(super) fn parse() -> Result<Cli, clap::Error> {
    let hidden = || Arg::new("postgres").long("postgres").value_name("ADDRESS").global(true).hide(true);
    let command_line = WITHOUT_POSTGRES
        .iter()
        .fold(Cli::command(), |command_line, name| command_line.mut_subcommand(name, |command| command.arg(hidden())));
    let mut matches = command_line.clone().try_get_matches()?;
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command_line.clone()))?;
    if cli.postgres.is_some() && matches!(cli.command, Command::Postgres(_)) {
        let message = "`jitney postgres` manages only the private server; remove `--postgres`";
        return Err(command_line.clone().error(ErrorKind::ArgumentConflict, message));
    }
    Ok(cli)
}
