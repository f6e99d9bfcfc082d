//! `jitney new`

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::exit::io_error;
use crate::cli::out::{errln, outln};
use crate::cli::{ExitStatus, InvalidFlow};
use crate::diagnostic::Diagnostic;
use crate::flow::template::{self, FlowTemplate};

#[derive(Args)]
pub(super) struct Arguments {
    /// The name of the flow, optionally with a folder, such as flows/hello
    #[arg(required_unless_present = "list")]
    name: Option<PathBuf>,
    /// The template
    #[arg(long, default_value = "hello", value_name = "NAME", value_parser = names())]
    template: String,
    /// List the templates
    #[arg(long)]
    list: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(template::ALL.iter().map(|template| template.name))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let Some(name) = arguments.name.as_deref().filter(|_| !arguments.list) else {
        template::ALL.iter().for_each(|template| outln!("{:<16} {}", template.name, template.description()));
        return Ok(ExitStatus::Ok);
    };
    let template = template::find(&arguments.template).context("there is no such template")?;
    let file = create(name, &template)?;
    errln!("Wrote {file}. Run it:  jitney run {file}", file = file.display());
    Ok(ExitStatus::Ok)
}

/// Writes a template under a new name and returns its path. An existing file is not overwritten.
fn create(name: &Path, template: &FlowTemplate) -> anyhow::Result<PathBuf> {
    let stem = name.file_name().unwrap_or_default().to_string_lossy();
    let id = stem.trim_end_matches(".yaml").trim_end_matches(".yml");
    let is_name = id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_name {
        let finding = Diagnostic::error(format!("`{stem}` is not a valid name for a flow"));
        return Err(InvalidFlow::from(
            finding.help("a name begins with a letter, and has only letters, digits, `-` and `_`"),
        )
        .into());
    }
    let file = name.with_file_name(format!("{id}.yaml"));
    let text = template.text.replace(&format!("{}.yaml", template.name), &file.display().to_string());
    let text = text.replacen(&format!("\nid: {}\n", template.name), &format!("\nid: {id}\n"), 1);
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)
            .map_err(|error| io_error(format_args!("create the folder {}", folder.display()), &error))?;
    }
    let unwritable = |error: &std::io::Error| io_error(format_args!("write {}", file.display()), error);
    match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(mut open) => open.write_all(text.as_bytes()).map_err(|error| unwritable(&error))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let finding = Diagnostic::error(format!("{} already exists", file.display()));
            return Err(InvalidFlow::from(finding.help("choose another name")).into());
        }
        Err(error) => return Err(unwritable(&error).into()),
    }
    Ok(file)
}
