//! `jitney new`

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::colour::Style;
use crate::cli::exit::io_error;
use crate::cli::layout;
use crate::cli::out::{self, errln, outln};
use crate::cli::target::shell_quoted;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::template::{self, FlowTemplate};

#[derive(Args)]
pub(super) struct Arguments {
    /// The template; `jitney new --list` lists them
    #[arg(required_unless_present = "list", value_name = "TEMPLATE")]
    template: Option<String>,
    /// The file to write, such as flows/trips.yaml [default: TEMPLATE.yaml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// List the templates
    #[arg(long, conflicts_with_all = ["template", "file"])]
    list: bool,
    /// Print the list as JSON: a list of {name, group, description, needs, files}
    #[arg(long, requires = "list")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let Some(name) = arguments.template.as_deref() else {
        if arguments.json {
            outln!("{}", template::ALL.iter().map(to_json).collect::<Value>())
        } else {
            list()
        }
        return Ok(ExitStatus::Ok);
    };
    let template = template::find(name).ok_or_else(|| unknown(name))?;
    let file = arguments.file.clone().unwrap_or_else(|| PathBuf::from(template.name));
    let written = create(&file, &template)?;
    for kept in &written.kept {
        errln!("Kept {}, which exists already.", kept.display());
    }
    let files: Vec<String> = written.files.iter().map(|file| file.display().to_string()).collect();
    errln!("Wrote {}. Run it:  {}", files.join(", "), written.command);
    if !template.needs().starts_with("Needs nothing else") {
        errln!("{}", layout::wrapped(&template.needs(), layout::WIDTH).join("\n"));
    }
    Ok(ExitStatus::Ok)
}

fn list() {
    for (index, group) in template::groups().iter().enumerate() {
        if index > 0 {
            outln!();
        }
        out::led(Style::Heading, group.name, "");
        for template in &group.templates {
            outln!("{}", layout::entry(&format!("  {}", template.name), 24, template.description(), layout::width()));
        }
    }
    errln!("\nTo write one: jitney new TEMPLATE [FILE]");
}

fn to_json(template: &FlowTemplate) -> Value {
    let files: Vec<&str> = template.files.iter().map(|file| file.name).collect();
    json!({
        "name": template.name,
        "group": template.group,
        "description": template.description(),
        "needs": template.needs(),
        "files": files,
    })
}

fn unknown(name: &str) -> InvalidFlow {
    let help = match nearest(name, template::ALL.iter().map(|template| template.name)) {
        Some(near) => format!("did you mean `{near}`? `jitney new --list` lists all"),
        None => format!("`jitney new --list` lists them; to choose the file's name: jitney new hello {name}.yaml"),
    };
    Diagnostic::error(format!("there is no template `{name}`")).help(help).into()
}

/// What [`create`] did.
pub(super) struct Written {
    /// The files that are new, the flow first.
    pub(super) files: Vec<PathBuf>,
    /// The files that existed already.
    pub(super) kept: Vec<PathBuf>,
    /// The command that runs the flow.
    pub(super) command: String,
}

/// Writes a template under a name, which becomes the flow's id. Existing files are not overwritten.
///
/// # Errors
/// When the name is not valid, the flow's file exists, or a file cannot be written.
pub(super) fn create(name: &Path, template: &FlowTemplate) -> anyhow::Result<Written> {
    let stem = name.file_name().unwrap_or_default().to_string_lossy();
    let id = stem.trim_end_matches(".yaml").trim_end_matches(".yml");
    let is_name = id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_name {
        let finding = Diagnostic::error(format!("`{stem}` is not a valid name for a flow"));
        let help = "a name begins with a letter, and has only letters, digits, `-` and `_`";
        return Err(InvalidFlow::from(finding.help(help)).into());
    }
    let ending = if name.extension() == Some(OsStr::new("yml")) { "yml" } else { "yaml" };
    let file = name.with_file_name(format!("{id}.{ending}"));
    let shown = shell_quoted(&file.display().to_string());
    let (text, others) = template.named(id, &shown);
    if !write_new(&file, text.as_bytes())? {
        let finding = Diagnostic::error(format!("{} already exists", file.display()));
        let help = format!("choose another file: jitney new {} FILE", template.name);
        return Err(InvalidFlow::from(finding.help(help)).into());
    }
    let command = template.command_for(&shown);
    let mut written = Written { files: vec![file.clone()], kept: Vec::new(), command };
    for (name, content) in others {
        let other = file.with_file_name(name);
        let list = if write_new(&other, &content)? { &mut written.files } else { &mut written.kept };
        list.push(other);
    }
    Ok(written)
}

/// Writes a file with its folders, unless it exists; whether it did.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_new(file: &Path, content: &[u8]) -> anyhow::Result<bool> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)
            .map_err(|error| io_error(format_args!("create the folder {}", folder.display()), &error))?;
    }
    let unwritable = |error: &std::io::Error| io_error(format_args!("write {}", file.display()), error);
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut open) => open.write_all(content).map(|()| true).map_err(|error| unwritable(&error).into()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(&error).into()),
    }
}
