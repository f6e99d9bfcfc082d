//! The words of the command line, and which of the options that all commands take have a meaning for each.

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory, FromArgMatches};

use super::{Cli, Command};

/// The commands that never use a Postgres server which somebody names: their help says nothing of one.
const WITHOUT_POSTGRES: &[&str] =
    &["new", "validate", "graph", "convert", "executions", "clean", "kv", "tasks", "schema", "postgres"];

/// Reads the words of this process.
///
/// # Errors
/// When they are no command, or ask for help.
pub(super) fn parse() -> Result<Cli, clap::Error> {
    let hidden = || Arg::new("postgres").long("postgres").value_name("ADDRESS").global(true).hide(true);
    let whole = WITHOUT_POSTGRES
        .iter()
        .fold(Cli::command(), |whole, name| whole.mut_subcommand(name, |command| command.arg(hidden())));
    let mut matches = whole.clone().try_get_matches()?;
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut whole.clone()))?;
    if cli.postgres.is_some() && matches!(cli.command, Command::Postgres(_)) {
        let message = "`jitney postgres` manages only the private server; remove `--postgres`";
        return Err(whole.clone().error(ErrorKind::ArgumentConflict, message));
    }
    Ok(cli)
}
