//! `jitney init`: a folder for a project.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::inputs::can_prompt;
use crate::cli::new::write_new;
use crate::cli::out::errln;
use crate::cli::prompts::Prompts;
use crate::cli::target::shell_quoted;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::flow::template;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder; it is created if necessary
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// The first flow; asked for on a terminal [default elsewhere: csv]
    #[arg(long, value_name = "FLOW")]
    flow: Option<FirstFlow>,
}

/// The first flow of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FirstFlow {
    /// A month of taxi trips, from the internet into Postgres
    Taxi,
    /// A CSV file, into Postgres
    Csv,
    /// What is new at a JSON API, into Postgres
    Api,
    /// A month of taxi trips, through Cloud Storage into BigQuery
    Gcp,
}

impl FirstFlow {
    fn template(self) -> &'static str {
        match self {
            Self::Taxi => "postgres_taxi",
            Self::Csv => "csv",
            Self::Api => "api_incremental",
            Self::Gcp => "taxi_bigquery",
        }
    }

    /// A query on what the flow loads: its file, its text, and the command that runs it.
    fn query(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Taxi | Self::Csv => (
                "sql/loads.sql",
                include_str!("../../templates/project/sql/loads.sql"),
                "jitney postgres psql -- -f sql/loads.sql",
            ),
            Self::Api => (
                "sql/issues.sql",
                include_str!("../../templates/project/sql/issues.sql"),
                "jitney postgres psql -- -f sql/issues.sql",
            ),
            Self::Gcp => (
                "sql/trips.sql",
                include_str!("../../templates/project/sql/trips.sql"),
                "bq query --use_legacy_sql=false < sql/trips.sql",
            ),
        }
    }
}

const COMPOSE: &str = include_str!("../../templates/project/docker-compose.yaml");
const ENVIRONMENT: &str = include_str!("../../templates/project/env.example");
const IGNORED: &str = include_str!("../../templates/project/gitignore");
const README: &str = include_str!("../../templates/project/README.md");

pub(super) fn run(arguments: &Arguments, settings: &Settings) -> anyhow::Result<ExitStatus> {
    let folder = &arguments.folder;
    if folder.exists() && !folder.is_dir() {
        let finding = Diagnostic::error(format!("{} is a file", folder.display())).help("name a folder");
        return Err(InvalidFlow::from(finding).into());
    }
    let flow = match arguments.flow {
        Some(flow) => flow,
        None if can_prompt(settings) => match ask()? {
            Some(flow) => flow,
            None => return Ok(ExitStatus::Cancelled),
        },
        None => {
            errln!("The first flow loads a CSV file; `--flow taxi`, `api` or `gcp` chooses another.");
            FirstFlow::Csv
        }
    };
    let (written, kept, command) = create(folder, flow)?;
    let list = |files: &[PathBuf]| files.iter().map(|file| format!("  {}\n", file.display())).collect::<String>();
    if !written.is_empty() {
        errln!("Wrote\n{}", list(&written).trim_end());
    }
    if !kept.is_empty() {
        errln!("Kept, because they exist already\n{}", list(&kept).trim_end());
    }
    errln!("\nNext:");
    if folder != Path::new(".") {
        errln!("  cd {}", shell_quoted(&folder.display().to_string()));
    }
    if flow == FirstFlow::Gcp {
        errln!("  jitney doctor gcp");
        errln!("  {command}");
    } else {
        errln!("  {command}");
        errln!("  jitney server --open");
    }
    Ok(ExitStatus::Ok)
}

/// Asks for the first flow; none if that is cancelled.
fn ask() -> anyhow::Result<Option<FirstFlow>> {
    let choices = FirstFlow::value_variants();
    let texts = choices.iter().filter_map(|choice| choice.to_possible_value()).map(|value| {
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        format!("{}: {about}", value.get_name())
    });
    let chosen = Prompts::start().choose("The first flow", &texts.collect::<Vec<_>>())?;
    Ok(chosen.and_then(|index| choices.get(index).copied()))
}

/// Writes what does not exist yet: the new files, the others, and the command that runs the flow.
fn create(folder: &Path, flow: FirstFlow) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>, String)> {
    let name = format!("flows/{}.yaml", flow.template());
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    let mut write = |file: String, content: &[u8]| -> anyhow::Result<()> {
        let list = if write_new(&folder.join(&file), content)? { &mut written } else { &mut kept };
        list.push(PathBuf::from(file));
        Ok(())
    };
    let mut command = format!("jitney run {name}");
    if let Some(template) = template::find(flow.template()) {
        command = template.command_for(&name);
        let (text, files) = template.named(template.name, &name);
        let files = files.into_iter().map(|(file, content)| (format!("flows/{file}"), content));
        for (file, content) in std::iter::once((name.clone(), text.into_bytes())).chain(files) {
            write(file, &content)?;
        }
    }
    let (query, sql, run_query) = flow.query();
    let shown =
        folder.canonicalize().ok().and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let readme = README
        .replace("{{FOLDER}}", &shown.unwrap_or_else(|| "Flows".to_owned()))
        .replace("{{RUN}}", &command)
        .replace("{{QUERY}}", run_query);
    let files = [
        (query, sql),
        (".env.example", ENVIRONMENT),
        (".gitignore", IGNORED),
        ("docker-compose.yaml", COMPOSE),
        ("README.md", &readme),
    ];
    for (file, text) in files {
        write(file.to_owned(), text.as_bytes())?;
    }
    Ok((written, kept, command))
}
