//! `jitney files`

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::out::{self, copy, data, errln, outln};
use crate::cli::table::Table;
use crate::cli::{ExitStatus, InvalidFlow, executions};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::id::ExecutionId;
use crate::journal::Journal;
use crate::storage::{Storage, StoredFile, execution_of, is_uri};
use crate::text::thousands;

/// The largest file that is printed on a terminal.
const MAX_SHOWN: u64 = 16 << 20;

#[derive(Args)]
pub(super) struct Arguments {
    /// The id of an execution, or a prefix of it, to list its files; or the address of a file, `jitney:///…`, to print it
    #[arg(value_name = "ID|ADDRESS")]
    target: String,
    /// Save the file under this name instead of printing it; an existing file is not overwritten
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the list as JSON
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    match (is_uri(&arguments.target), &arguments.output) {
        (true, Some(output)) => save(&stored_path(&arguments.target, settings)?, output)?,
        (true, None) => print(&stored_path(&arguments.target, settings)?, &arguments.target)?,
        (false, Some(_)) => {
            let finding = Diagnostic::error(format!("`{}` is not the address of a file", arguments.target));
            return Err(InvalidFlow::from(
                finding.help("`jitney files ID` lists the addresses of the files of an execution"),
            )
            .into());
        }
        (false, None) => list(&arguments.target, settings, arguments.json)?,
    }
    Ok(ExitStatus::Ok)
}

/// The path of a stored file by its address.
fn stored_path(uri: &str, settings: &Settings) -> anyhow::Result<PathBuf> {
    let missing = || {
        let help = "files are deleted by `purge_files`, `jitney clean` and the server's retention; `jitney files ID` \
                    lists those of an execution";
        InvalidFlow::from(Diagnostic::error(format!("there is no file `{uri}`")).help(help))
    };
    let execution = execution_of(uri).ok_or_else(missing)?;
    let path = Storage::new(settings.storage(), execution).path(uri).map_err(|_| missing())?;
    if path.is_file() { Ok(path) } else { Err(missing().into()) }
}

fn save(path: &Path, output: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", output.display());
    let mut source = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut target = match File::create_new(output) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let finding = Diagnostic::error(format!("{} already exists", output.display()));
            return Err(InvalidFlow::from(finding.help("choose another name, or delete it first")).into());
        }
        other => other.with_context(cannot)?,
    };
    let bytes = io::copy(&mut source, &mut target).with_context(cannot)?;
    errln!("{}: {} bytes", output.display(), thousands(bytes));
    Ok(())
}

/// Prints the bytes for another program; on a terminal only text, with control characters made visible.
fn print(path: &Path, uri: &str) -> anyhow::Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !io::stdout().is_terminal() {
        return Ok(copy(&mut file)?);
    }
    let is_small = file.metadata()?.len() <= MAX_SHOWN;
    match is_small.then(|| io::read_to_string(&mut file)) {
        Some(Ok(text)) => data(&text),
        _ => {
            let what = if is_small { "is not text" } else { "is too large for a terminal" };
            let finding = Diagnostic::error(format!("{uri} {what}"));
            return Err(InvalidFlow::from(finding.help(format!("save it: `jitney files {uri} -o FILE`"))).into());
        }
    }
    Ok(())
}

fn list(prefix: &str, settings: &Settings, as_json: bool) -> anyhow::Result<()> {
    let id = executions::find(&Journal::open_to_read(&settings.journal())?, prefix)?;
    let files = stored_files(settings, &id).with_context(|| format!("cannot list the files of {id}"))?;
    let size = |file: &StoredFile| file.path.metadata().map_or(0, |found| found.len());
    if as_json {
        outln!("{}", files.iter().map(|file| json!({"uri": file.uri, "bytes": size(file)})).collect::<Value>());
        return Ok(());
    }
    if files.is_empty() {
        errln!("Execution {id} has no files.");
        return Ok(());
    }
    let mut rows = Table::new(["file", "bytes"]).right_aligned();
    for file in &files {
        rows.add_row([file.uri.clone(), thousands(size(file))]);
    }
    out::table(&rows);
    Ok(())
}

/// The files of an execution in storage.
pub(super) fn stored_files(settings: &Settings, id: &ExecutionId) -> io::Result<Vec<StoredFile>> {
    Storage::new(settings.storage(), id.clone()).files()
}
