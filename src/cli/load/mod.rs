//! `jitney load`: composes a flow for a file and runs it.

mod arguments;
mod bigquery;
mod compose;
mod description;
mod names;
mod result;
mod source;
mod words;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::cli::exit::io_error;
use crate::cli::new::write_new;
use crate::cli::out::{errln, out, outln};
use crate::cli::run::{RunSession, exit_status};
use crate::cli::target::shell_quoted;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::ExecutionRequest;
use crate::flow::Flow;
pub(super) use arguments::FileArguments;
use compose::LoadFlow;
pub(super) use description::Description;
use source::composed;
pub(super) use source::{FetchedFile, Place};

#[derive(Args)]
#[command(
    after_help = "Without an address, the server is the one that `jitney run` would use. The same file is loaded once: \
                        the ledger in the database knows it. See docs/loading.md for the types that are inferred."
)]
pub(super) struct Arguments {
    /// The file, its http(s):// address, or `-` for stdin
    #[arg(value_name = "FILE|URL|-")]
    file: String,
    /// The table, with its schema if need be [default: the name of the file]
    table: Option<String>,
    /// Load into BigQuery instead: bigquery:dataset.table
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// How the rows get into a table that has some
    #[arg(long, value_enum, default_value = "append")]
    mode: ModeArgument,
    /// The columns that make a row unique, for `--mode merge`
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',', required_if_eq("mode", "merge"))]
    key: Vec<String>,
    /// What to do with columns that the table does not have [default: fail]
    #[arg(long, value_enum, value_name = "ACTION")]
    on_extra_column: Option<ExtraColumns>,
    /// What to do with columns of the table that the file lacks [default: fail]
    #[arg(long, value_enum, value_name = "ACTION")]
    on_missing_column: Option<MissingColumns>,
    /// Reject up to so many bad rows into a file, instead of failing at the first
    #[arg(long, value_name = "NUMBER")]
    reject: Option<u64>,
    /// Load the file even if it was loaded before
    #[arg(long)]
    force: bool,
    /// Write the flow to a file; an existing file is not overwritten
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show the columns and the flow, and load nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: FileArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    /// Add them
    Append,
    /// Replace all rows
    Replace,
    /// Add new keys, and update the rows of known ones
    Merge,
}

impl ModeArgument {
    /// The mode of a task.
    fn field(self, key: &[String]) -> Value {
        match self {
            Self::Append => json!("append"),
            Self::Replace => json!("truncate"),
            Self::Merge => json!({"merge": {"key": key, "on_match": "update"}}),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExtraColumns {
    /// Fail
    Fail,
    /// Add them to the table
    Add,
    /// Leave them out
    Ignore,
}

impl ExtraColumns {
    fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Add => "add",
            Self::Ignore => "ignore",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MissingColumns {
    /// Fail
    Fail,
    /// Leave them NULL in the new rows
    Empty,
}

impl MissingColumns {
    fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Empty => "empty",
        }
    }
}

pub(super) async fn run(arguments: Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    let ended = bring_and_load(&arguments, settings).await;
    if let (Err(error), true) = (&ended, arguments.json) {
        outln!("{}", result::failed(settings, error));
    }
    ended
}

async fn bring_and_load(arguments: &Arguments, settings: &Arc<Settings>) -> anyhow::Result<ExitStatus> {
    if arguments.to.is_some() && settings.postgres.is_some() {
        let finding = Diagnostic::error("`--to` and `--postgres` name two destinations");
        return Err(InvalidFlow::from(finding.help("remove one of them")).into());
    }
    arguments.save.as_deref().map_or(Ok(()), prepare_save)?;
    let place = Place::of(&arguments.file);
    let local = match FetchedFile::bring(&place, settings, (arguments.json, true)).await? {
        Ok(local) => local,
        Err(failed) => {
            if arguments.json {
                outln!("{}", failed.json());
            }
            return Ok(failed.exit);
        }
    };
    let loaded = load(arguments, &place, &local, settings).await;
    // What failed can be resumed, with the file that was downloaded for it.
    if !matches!(loaded, Ok(ExitStatus::Failed | ExitStatus::Cancelled)) {
        local.discard(settings);
    }
    loaded
}

async fn load(
    arguments: &Arguments,
    place: &Place,
    local: &FetchedFile,
    settings: &Arc<Settings>,
) -> anyhow::Result<ExitStatus> {
    let description = Description::of(local, &arguments.how, arguments.reject.is_some()).await?;
    let flow = LoadFlow::of(arguments, place, &description)?;
    let text = flow.text(place)?;
    let saved_flow = composed(&flow.file, &text)?;
    let executed = Arc::new(match &local.download {
        Some((_, uri)) => composed(&flow.file, &flow.text_with(uri))?,
        None => saved_flow,
    });
    let shown = settings.redactor.clean(&text);
    if !arguments.json {
        errln!("table: {}\n{}", yaml::scalar(&flow.table), description.yaml().trim_end());
    }
    if arguments.dry_run {
        save(arguments, place, (&text, &shown))?;
        match arguments.json {
            true => outln!("{}", result::json(&description, (&flow.table, &shown), arguments.save.as_deref(), None)),
            false => out!("{shown}"),
        }
        return Ok(ExitStatus::Ok);
    }
    let session = RunSession::open_with_words(settings, arguments.json, words::OPTION_WORDS)?;
    let (id, state) = session.run(&executed, request(&executed, place, local)).await?;
    let exit = exit_status(state.status);
    let saved = if exit == ExitStatus::Ok {
        save(arguments, place, (&text, &shown))?;
        arguments.save.as_deref()
    } else {
        None
    };
    if arguments.json {
        let warnings = session.warnings(&id)?;
        let ended = Some((&id, &state, warnings.as_slice()));
        outln!("{}", result::json(&description, (&flow.table, &shown), saved, ended));
        return Ok(exit);
    }
    session.report_as_text(&id, &state, false);
    if exit == ExitStatus::Ok && saved.is_none() {
        errln!("\nAs a flow (`--save FILE` writes it):\n\n{}", shown.trim_end());
    }
    Ok(exit)
}

/// What the execution is given: the file of stdin, of which it makes a copy.
fn request(flow: &Flow, place: &Place, local: &FetchedFile) -> ExecutionRequest {
    let file = Value::from(local.path.display().to_string());
    let is_stdin = *place == Place::Stdin && !flow.inputs.is_empty();
    let inputs: Map<String, Value> = is_stdin.then(|| ("file".to_owned(), file)).into_iter().collect();
    ExecutionRequest { inputs, ..ExecutionRequest::default() }
}

/// Makes the folder of the flow, in which paths of the flow begin, unless there is such a file already.
fn prepare_save(file: &Path) -> Result<(), InvalidFlow> {
    if file.exists() {
        return Err(exists(file));
    }
    let unwritable = |error: &std::io::Error| io_error(format_args!("write {}", file.display()), error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), std::fs::create_dir_all).map_err(|error| unwritable(&error))
}

fn exists(file: &Path) -> InvalidFlow {
    let finding = Diagnostic::error(format!("{} already exists", file.display()));
    finding.help("choose another name, or delete it first").into()
}

fn save(arguments: &Arguments, place: &Place, (text, shown): (&str, &str)) -> anyhow::Result<()> {
    let Some(file) = &arguments.save else { return Ok(()) };
    if text != shown {
        let finding = Diagnostic::error("the flow is not saved, because it would contain a password");
        return Err(
            InvalidFlow::from(finding.help("write the address as `{{ secret('NAME') }}` in a flow by hand")).into()
        );
    }
    if !write_new(file, text.as_bytes())? {
        return Err(exists(file).into());
    }
    let input = if *place == Place::Stdin { " -i file=PATH" } else { "" };
    errln!(
        "Wrote {file}. Run it:  jitney run {name}{input}",
        file = file.display(),
        name = shell_quoted(&file.display().to_string())
    );
    Ok(())
}
